"""What electricity costs a customer; the rows of a contract, looked up by date.

High voltage by season, low voltage by steps of the month's energy, hours of the day, or prices that follow
the market slot by slot: each is data of the same object. The bill itself (rounding, contract power) is made
in :mod:`energy.market.bill`, prices for the optimiser in :mod:`energy.market.prices`.
"""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import ConfigError
from energy.core.slots import SLOTS_PER_DAY

__all__ = ["MarketLink", "PriceBand", "PriceStep", "Tariff", "TariffPeriod"]

Yen = Annotated[Decimal, Field(ge=0, max_digits=12)]

# RULES-JP 2.2: summer is 1 July to 30 September.
_SUMMER_MONTHS = frozenset({7, 8, 9})
_CALENDAR = SiteCalendar()  # weekends and national holidays are days of rest in menus by the hour


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PriceBand:
    """Hours of the day with an energy charge of their own (時間帯別), in place of that of the season.

    Parameters
    ----------
    starts, ends : time
        From the slot that begins at ``starts`` up to ``ends``, Japan; past midnight if ``ends`` is not later.
    days : str
        ``weekday``, ``rest`` (weekends and national holidays) or ``all``.
    yen_per_kwh : Decimal
        Energy charge. [yen/kWh]
    """

    starts: time
    ends: time
    yen_per_kwh: Yen
    days: Literal["all", "weekday", "rest"] = "all"

    @model_validator(mode="after")
    def _on_half_hours(self) -> PriceBand:
        if any(at.minute % 30 or at.second or at.microsecond for at in (self.starts, self.ends)):
            msg = f"a band begins and ends on a half hour, not {self.starts}..{self.ends}"
            raise ValueError(msg)
        return self

    def holds(self, day_type: DayType, slot_of_day: int) -> bool:
        """Whether the band holds in slot 0..47 of a day."""
        if self.days not in ("all", day_type.value):
            return False
        first, last = (at.hour * 2 + at.minute // 30 for at in (self.starts, self.ends))
        return first <= slot_of_day < last if first < last else slot_of_day >= first or slot_of_day < last


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PriceStep:
    """Energy charge of what a month takes above an amount (段階料金), in place of that of the season.

    Parameters
    ----------
    above_kwh : Decimal
        Energy of the month from which on it holds. [kWh]
    yen_per_kwh : Decimal
        Energy charge. [yen/kWh]
    """

    above_kwh: Annotated[Decimal, Field(gt=0)]
    yen_per_kwh: Yen


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class MarketLink:
    """Adjustment by the market price of each slot: ``factor * (spot - base)`` (市場価格調整). [yen/kWh]

    Parameters
    ----------
    base_yen_per_kwh : Decimal
        Spot price at which nothing is adjusted. [yen/kWh]
    factor : Decimal
        Share of the difference that is passed on. [-]
    """

    base_yen_per_kwh: Yen
    factor: Annotated[Decimal, Field(ge=0)] = Decimal(1)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class TariffPeriod:
    """Prices valid from one day to another, both included.

    Parameters
    ----------
    basic_yen_per_kw_month : Decimal
        Basic charge (基本料金) before the power-factor term. [yen/kW-month]
    summer_yen_per_kwh, other_yen_per_kwh : Decimal
        Energy charge, 1 July to 30 September and otherwise. [yen/kWh]
    basic_yen_per_month : Decimal
        Basic charge that does not depend on the contract power, as of contracts by ampere. [yen/month]
    adjustment_yen_per_kwh : Decimal
        Fuel and market adjustment, may be negative. [yen/kWh]
    subsidy_yen_per_kwh : Decimal
        Government support, taken off every kWh. [yen/kWh]
    levy_yen_per_kwh : Decimal
        Renewable-energy levy (再エネ賦課金). [yen/kWh]
    bands : tuple of PriceBand
        Hours with a charge of their own; the first that holds counts, the season where none does.
    steps : tuple of PriceStep
        Charges by the energy of the month, rising; not together with bands.
    market : MarketLink or None
        Adjustment by the market price of each slot.
    """

    valid_from: date
    valid_to: date
    basic_yen_per_kw_month: Yen
    summer_yen_per_kwh: Yen
    other_yen_per_kwh: Yen
    basic_yen_per_month: Yen = Decimal(0)
    adjustment_yen_per_kwh: Decimal = Decimal(0)
    subsidy_yen_per_kwh: Yen = Decimal(0)
    levy_yen_per_kwh: Yen = Decimal(0)
    bands: tuple[PriceBand, ...] = ()
    steps: tuple[PriceStep, ...] = ()
    market: MarketLink | None = None

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> TariffPeriod:
        if self.valid_from > self.valid_to:
            msg = f"valid_from {self.valid_from} is after valid_to {self.valid_to}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _steps_rise(self) -> TariffPeriod:
        limits = [step.above_kwh for step in self.steps]
        if limits != sorted(set(limits)) or (self.steps and self.bands):
            msg = "steps must rise in above_kwh, and do not stand together with bands"
            raise ValueError(msg)
        return self

    def season_yen_per_kwh(self, day: date) -> Decimal:
        """Energy charge of a day where neither band nor step holds. [yen/kWh]"""
        return self.summer_yen_per_kwh if day.month in _SUMMER_MONTHS else self.other_yen_per_kwh

    def band_prices(self, day: date) -> tuple[Decimal, ...]:
        """Energy charge of each of the day's 48 slots where no step holds. [yen/kWh]"""
        season = self.season_yen_per_kwh(day)
        if not self.bands:
            return (season,) * SLOTS_PER_DAY
        kind = _CALENDAR.day_type(day)
        return tuple(
            next((band.yen_per_kwh for band in self.bands if band.holds(kind, slot)), season)
            for slot in range(SLOTS_PER_DAY)
        )

    def fixed_adjustment_yen_per_kwh(self) -> Decimal:
        """Adjustment less support, the market's part left out. [yen/kWh]"""
        return self.adjustment_yen_per_kwh - self.subsidy_yen_per_kwh


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Tariff:
    """A contract: its name, its power factor and its dated prices.

    Parameters
    ----------
    power_factor_percent : int or None
        Power factor in integer percent; 100 gives the full discount of 15 %. None where the basic charge does
        not depend on it, as at low voltage. [%]
    contract_kw : int or None
        Contract power that was agreed (500 kW and more, or low voltage); None if it is the highest demand of
        twelve months (実量制). [kW]
    periods : tuple of TariffPeriod
        In order, without overlap.
    """

    name_ja: str
    name_en: str
    periods: Annotated[tuple[TariffPeriod, ...], Field(min_length=1)]
    power_factor_percent: Annotated[int, Field(ge=0, le=100)] | None = 100
    contract_kw: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _periods_do_not_overlap(self) -> Tariff:
        for earlier, later in zip(self.periods, self.periods[1:], strict=False):
            if later.valid_from <= earlier.valid_to:
                msg = f"periods overlap or are out of order: {earlier.valid_to} and {later.valid_from}"
                raise ValueError(msg)
        return self

    def on(self, day: date) -> TariffPeriod:
        """Prices of a day.

        Raises
        ------
        ConfigError
            If no period covers the day.
        """
        for period in self.periods:
            if period.valid_from <= day <= period.valid_to:
                return period
        raise ConfigError(
            f"the tariff has no prices for {day}",
            where=f"tariff {self.name_en!r} covers "
            + ", ".join(f"{p.valid_from}..{p.valid_to}" for p in self.periods),
            hint="add a period that covers this day to tariff.periods",
        )

    def basic_factor(self) -> Decimal:
        """Power-factor term of the basic charge: ``(185 - PF) / 100``, 1 without one (RULES-JP 2.2). [-]"""
        if self.power_factor_percent is None:
            return Decimal(1)
        return (Decimal(185) - self.power_factor_percent) / 100
