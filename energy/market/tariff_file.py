"""A contract as its file says it, with the dated rules it leans on put in.

The levy and the support are nobody's contract: they are looked up in the rule tables by the day, so that a
contract is written once and bills years. Everything a contract rests on is listed with its source.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.tariff import Tariff, TariffPeriod
from energy.market.demand import PeakMemory, first_day, month_shift, power_factor_percent
from energy.market.rule_table import Area, RuleFact
from energy.market.rules import facts_on, levy_yen_per_kwh, subsidy_yen_per_kwh

__all__ = ["DaytimeEnergy", "TariffFile", "month_tariff", "range_tariff"]

Energy = Annotated[Decimal, Field(ge=0)]
Kw = Annotated[Decimal, Field(ge=0)]
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DaytimeEnergy:
    """What the meter counted from 08:00 to 22:00 in a month, for the power factor.

    Parameters
    ----------
    active_kwh, reactive_kvarh : Decimal
        Differences of the month's readings, >= 0. [kWh, kvarh]
    leading : bool
        Whether the reactive energy leads.
    """

    active_kwh: Energy
    reactive_kvarh: Energy
    leading: bool = False


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class TariffFile:
    """A contract and what its bill needs beside the meter.

    Parameters
    ----------
    source, status : str
        Who says these prices, and whether that was seen; shown with every bill.
    power_factor_percent : int or None
        Power factor of months without ``daytime``; None where the basic charge does not depend on it. [%]
    contract_kw : int or None
        Contract power that was agreed; None if it follows from the demand of twelve months. [kW]
    peak_memory_kw : dict
        Highest demand of months before the meter file begins, by month. [kW]
    daytime : dict
        Readings for the power factor, by month.
    subsidy : str
        ``rules``: by the high_voltage_subsidy table; ``tariff``: as the periods say.

    Notes
    -----
    A period that says no levy has that of the renewable_levy table on each of its days.
    """

    name_ja: str
    name_en: str
    periods: Annotated[tuple[TariffPeriod, ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)] = "the contract file, which names no source"
    status: Literal["verified", "unverified"] = "unverified"
    power_factor_percent: Annotated[int, Field(ge=0, le=100)] | None = 100
    contract_kw: Annotated[int, Field(ge=0)] | None = None
    peak_memory_kw: dict[str, Kw] = Field(default_factory=dict)
    daytime: dict[str, DaytimeEnergy] = Field(default_factory=dict)
    subsidy: Literal["rules", "tariff"] = "tariff"

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> TariffFile:
        if self.subsidy == "rules" and any(period.subsidy_yen_per_kwh for period in self.periods):
            msg = "subsidy: rules and a subsidy_yen_per_kwh in a period are two answers; keep one"
            raise ValueError(msg)
        self.contract()
        return self

    def contract(self) -> Tariff:
        """The contract alone, without what the rule tables add."""
        return Tariff(
            name_ja=self.name_ja,
            name_en=self.name_en,
            periods=self.periods,
            power_factor_percent=self.power_factor_percent,
            contract_kw=self.contract_kw,
        )

    def memory(self) -> PeakMemory:
        """Demand of the months before the meter file.

        Raises
        ------
        DataError
            If a key is no month.
        """
        return PeakMemory(self.peak_memory_kw)


def range_tariff(file: TariffFile, first: date, last: date) -> Tariff:
    """The contract of some days, both included, with levy and support of each day in it.

    Raises
    ------
    ConfigError
        If the contract or a rule says nothing about one of the days.
    """
    contract = file.contract()
    periods: list[TariffPeriod] = []
    day, begun = first, first
    current: TariffPeriod | None = None
    while day <= last:
        wanted = _day_prices(file, contract, day)
        if wanted != current:
            if current is not None:
                periods.append(_dated(current, begun, day - _ONE_DAY))
            current, begun = wanted, day
        day += _ONE_DAY
    if current is not None:
        periods.append(_dated(current, begun, last))
    return Tariff(
        name_ja=file.name_ja,
        name_en=file.name_en,
        periods=tuple(periods),
        power_factor_percent=file.power_factor_percent,
        contract_kw=file.contract_kw,
    )


def _day_prices(file: TariffFile, contract: Tariff, day: date) -> TariffPeriod:
    prices = contract.on(day)
    if not prices.levy_yen_per_kwh:
        prices = _with(prices, levy_yen_per_kwh=levy_yen_per_kwh(day))
    if file.subsidy == "rules":
        prices = _with(prices, subsidy_yen_per_kwh=subsidy_yen_per_kwh(day))
    return prices


def _with(prices: TariffPeriod, **changes: object) -> TariffPeriod:
    return replace(prices, **changes)  # type: ignore[arg-type] # names and types are those of the two callers


def _dated(prices: TariffPeriod, first: date, last: date) -> TariffPeriod:
    return _with(prices, valid_from=first, valid_to=last)


def month_tariff(file: TariffFile, month: str) -> tuple[Tariff, tuple[RuleFact, ...]]:
    """The contract of a billing month with the power factor of that month, and what it rests on.

    Raises
    ------
    ConfigError
        If the contract or a rule says nothing about one of its days.
    DataError
        If the text is no month.
    """
    first = first_day(month)
    last = first_day(month_shift(month, 1)) - _ONE_DAY
    tariff = range_tariff(file, first, last)
    readings = file.daytime.get(month)
    facts: list[RuleFact] = []
    if readings is not None:
        percent = power_factor_percent(
            readings.active_kwh, readings.reactive_kvarh, month=month, leading=readings.leading
        )
        if not readings.active_kwh and not readings.leading:
            facts += facts_on("bill_practice.idle_power_factor_percent", first)
        tariff = replace(tariff, power_factor_percent=percent)
    for period in tariff.periods:
        if not file.contract().on(period.valid_from).levy_yen_per_kwh:
            facts += facts_on("renewable_levy", period.valid_from)
        if file.subsidy == "rules":
            facts += facts_on("high_voltage_subsidy", period.valid_from)
    used = {file.contract().on(period.valid_from) for period in tariff.periods}
    for prices in sorted(used, key=lambda one: one.valid_from):
        facts += _price_facts(file, prices)
    return tariff, tuple(dict.fromkeys(facts))


_UNITS = {
    "basic_yen_per_kw_month": "yen/kW-month",
    "basic_yen_per_month": "yen/month",
    "summer_yen_per_kwh": "yen/kWh",
    "other_yen_per_kwh": "yen/kWh",
    "adjustment_yen_per_kwh": "yen/kWh",
    "subsidy_yen_per_kwh": "yen/kWh",
    "levy_yen_per_kwh": "yen/kWh",
}


def _price_facts(file: TariffFile, prices: TariffPeriod) -> list[RuleFact]:
    """The prices of a contract as facts; those that are zero are left out."""
    told = {f"tariff.{name}": (str(getattr(prices, name)), unit) for name, unit in _UNITS.items()}
    for band in prices.bands:
        name = f"tariff.band.{band.days}.{band.starts:%H:%M}-{band.ends:%H:%M}"
        told[name] = (str(band.yen_per_kwh), "yen/kWh")
    for step in prices.steps:
        told[f"tariff.step.{step.above_kwh}"] = (str(step.yen_per_kwh), "yen/kWh")
    if prices.market is not None:
        told["tariff.market.base"] = (str(prices.market.base_yen_per_kwh), "yen/kWh")
        told["tariff.market.factor"] = (str(prices.market.factor), "1")
    return [
        RuleFact(
            rule=name,
            area=Area.ALL,
            valid_from=prices.valid_from,
            valid_to=prices.valid_to,
            value=value,
            unit=unit,
            source=file.source,
            status=file.status,
        )
        for name, (value, unit) in told.items()
        if Decimal(value)
    ]
