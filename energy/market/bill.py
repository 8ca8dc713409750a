"""The high-voltage electricity bill, to the yen (RULES-JP 2.2).

::

    basic  = contract_kw * unit * (185 - PF) / 100
    energy = kwh * unit(season)
    adjust = kwh * adjustment                          may be negative
    levy   = floor(kwh * levy_unit)
    total  = floor(basic + energy + adjust) + levy

One bill is one Japanese calendar month; both floors act once per month. Not billed here: the penalty of a
negotiated contract (500 kW and more) and prices that follow the market slot by slot.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from energy.core.errors import AlignmentError, ConfigError, DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.core.tariff import Tariff, TariffPeriod
from energy.core.units import floor_int, round_half_up
from energy.market.demand import (
    PeakMemory,
    demand_kw,
    exact,
    first_day,
    month_of,
    split_by_month,
)
from energy.market.rules import bill_rules

__all__ = ["Bill", "bills_by_month", "marginal_price", "month_bill", "period_bill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What some days cost and how that came about.

    Parameters
    ----------
    contract_kw : int
        Contract power that was billed; of several months that of the last. [kW]
    max_demand_kw : int
        Highest demand of the billed days, rounded half up. [kW]
    kwh : Decimal
        Imported energy. [kWh]
    power_factor_percent : int
        Power factor of the basic charge. [%]
    basic_yen, energy_yen, adjustment_yen : Decimal
        Basic (demand) charge, energy charge, fuel and market adjustment; before rounding. [yen]
    levy_yen, total_yen : int
        Levy and total, rounded down per month. [yen]
    facts : tuple of str
        One line per month that shows the calculation.
    """

    contract_kw: int
    max_demand_kw: int
    kwh: Decimal
    power_factor_percent: int
    basic_yen: Decimal
    energy_yen: Decimal
    adjustment_yen: Decimal
    levy_yen: int
    total_yen: int
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _DayUse:
    day: date
    kwh: Decimal
    prices: TariffPeriod


def _season_yen_per_kwh(prices: TariffPeriod, day: date) -> Decimal:
    """Energy charge of a day alone. [yen/kWh]"""
    return prices.energy_yen_per_kwh(day) - prices.adjustment_yen_per_kwh - prices.levy_yen_per_kwh


def _bill(
    uses: Sequence[_DayUse], *, month: str, contract_kw: int, max_demand_kw: int, power_factor: int
) -> Bill:
    """Bill of some days of one month."""
    rules = bill_rules(first_day(month))
    in_month = calendar.monthrange(*first_day(month).timetuple()[:2])[1]
    kwh = sum((use.kwh for use in uses), Decimal(0))
    unused = kwh == 0 and len(uses) == in_month
    share = rules.unused_month_basic_share if unused else Decimal(1)
    factor = (Decimal(185) - power_factor) / 100  # RULES-JP 2.2: 1 % for each percent away from 85
    unit_days = sum((use.prices.basic_yen_per_kw_month for use in uses), Decimal(0))
    basic = contract_kw * factor * share * unit_days / in_month
    energy = sum((use.kwh * _season_yen_per_kwh(use.prices, use.day) for use in uses), Decimal(0))
    adjustment = sum((use.kwh * use.prices.adjustment_yen_per_kwh for use in uses), Decimal(0))
    levy = floor_int(sum((use.kwh * use.prices.levy_yen_per_kwh for use in uses), Decimal(0)))
    total = floor_int(basic + energy + adjustment) + levy
    how = (
        f"{month}: {contract_kw} kW x (185 - {power_factor}) % x {len(uses)}/{in_month} days; "
        f"{kwh.normalize():f} kWh; basic {basic:.2f} + energy {energy:.2f} + adjustment {adjustment:.2f} "
        f"+ levy {levy} = {total} yen"
    )
    facts = [how]
    if unused:
        facts.append(f"{month}: nothing was used, so the basic charge counts {share}")
    if contract_kw >= rules.measured_contract_below_kw:
        facts.append(
            f"{month}: from {rules.measured_contract_below_kw} kW on a contract is negotiated; "
            f"{contract_kw} kW is billed here by the highest demand"
        )
    return Bill(
        contract_kw=contract_kw,
        max_demand_kw=max_demand_kw,
        kwh=kwh,
        power_factor_percent=power_factor,
        basic_yen=basic,
        energy_yen=energy,
        adjustment_yen=adjustment,
        levy_yen=levy,
        total_yen=total,
        facts=tuple(facts),
    )


def month_bill(
    tariff: Tariff,
    month: str,
    *,
    contract_kw: int,
    kwh: Decimal,
    max_demand_kw: int | None = None,
    power_factor_percent: int | None = None,
) -> Bill:
    """Bill of one whole month from its figures.

    Parameters
    ----------
    tariff : Tariff
        The contract.
    month : str
        Calendar month ``YYYY-MM``.
    contract_kw : int
        Contract power (:meth:`PeakMemory.contract_kw`), >= 0. [kW]
    kwh : Decimal
        Energy of the month, >= 0. [kWh]
    max_demand_kw : int or None
        Highest demand of the month if it is known apart from the contract power. [kW]
    power_factor_percent : int or None
        Measured power factor; that of the contract unless given. [%]

    Raises
    ------
    ConfigError
        If prices are missing or change inside the month: then only :func:`period_bill` can be right.
    DataError
        If a figure is negative.
    """
    if kwh < 0 or contract_kw < 0:
        raise DataError("energy and contract power are >= 0", kwh=kwh, contract_kw=contract_kw)
    start = first_day(month)
    days = calendar.monthrange(start.year, start.month)[1]
    dates = [start + timedelta(days=offset) for offset in range(days)]
    prices = tariff.on(start)
    if any(tariff.on(day) != prices for day in dates):
        raise ConfigError(
            f"prices change inside {month}",
            where=f"tariff {tariff.name_en!r}: a period ends on {prices.valid_to}",
            hint="bill this month from its 30-minute series (period_bill)",
        )
    uses = [_DayUse(day, kwh if day == start else Decimal(0), prices) for day in dates]
    factor = tariff.power_factor_percent if power_factor_percent is None else power_factor_percent
    demand = contract_kw if max_demand_kw is None else max_demand_kw
    return _bill(uses, month=month, contract_kw=contract_kw, max_demand_kw=demand, power_factor=factor)


def _whole_days(import_kwh: Series) -> list[date]:
    """The Japanese days of a series of slots, which must be whole."""
    grid = import_kwh.grid
    if import_kwh.unit is not Unit.KWH:
        raise AlignmentError(
            "a bill is made of energy", unit=import_kwh.unit, hint="pass imported kWh per slot"
        )
    first = grid.start.astimezone(JST).date()
    if len(list(grid.slots())) % SLOTS_PER_DAY or grid.start != jst_midnight(first) or not grid.count:
        raise AlignmentError(
            "a bill covers whole Japanese days",
            where=f"{grid.start.isoformat()} and {grid.count} slots",
            hint="begin at 00:00 Japanese time and pass a multiple of 48 slots",
        )
    return [first + timedelta(days=offset) for offset in range(grid.count // SLOTS_PER_DAY)]


def bills_by_month(tariff: Tariff, import_kwh: Series, memory: PeakMemory) -> list[Bill]:
    """Bills of the months that a stretch of whole days touches, in order.

    Parameters
    ----------
    tariff : Tariff
        The contract; its power factor is used.
    import_kwh : Series
        Imported energy per slot, complete, from a Japanese midnight on, a multiple of 48 slots. [kWh]
    memory : PeakMemory
        Highest demand of the months before, and of the first month's days before this stretch.

    Notes
    -----
    Energy, adjustment and levy are exact by day: each day has the prices of its date. The basic charge of a
    month is taken by days, ``days billed / days of the month``, with the contract power that follows from the
    demand known at the end of its billed days; a whole month is therefore the bill that the supplier sends.
    A month without any use costs the reduced basic charge only if all its days are billed.

    Raises
    ------
    AlignmentError
        If the series is not in kWh on slots of whole Japanese days.
    GapError
        If a value is missing.
    DataError
        If a value is negative.
    ConfigError
        If the tariff has no prices for a day.
    """
    days = _whole_days(import_kwh)
    complete = import_kwh.require_complete("imported energy")
    daily = [exact(math.fsum(row)) for row in complete.values.reshape(len(days), SLOTS_PER_DAY)]
    uses: dict[str, list[_DayUse]] = {}
    for day, kwh in zip(days, daily, strict=True):
        uses.setdefault(month_of(day), []).append(_DayUse(day, kwh, tariff.on(day)))
    bills = []
    for month, demand in split_by_month(demand_kw(complete)).items():
        peak = exact(float(demand.values.max()))
        memory = memory.with_peak(month, peak)
        bills.append(
            _bill(
                uses[month],
                month=month,
                contract_kw=memory.contract_kw(month),
                max_demand_kw=round_half_up(peak),
                power_factor=tariff.power_factor_percent,
            )
        )
    return bills


def period_bill(tariff: Tariff, import_kwh: Series, memory: PeakMemory) -> Bill:
    """Bill of any number of whole days: the sum of :func:`bills_by_month`, with the same arguments."""
    bills = bills_by_month(tariff, import_kwh, memory)
    return Bill(
        contract_kw=bills[-1].contract_kw,
        max_demand_kw=max(bill.max_demand_kw for bill in bills),
        kwh=sum((bill.kwh for bill in bills), Decimal(0)),
        power_factor_percent=tariff.power_factor_percent,
        basic_yen=sum((bill.basic_yen for bill in bills), Decimal(0)),
        energy_yen=sum((bill.energy_yen for bill in bills), Decimal(0)),
        adjustment_yen=sum((bill.adjustment_yen for bill in bills), Decimal(0)),
        levy_yen=sum(bill.levy_yen for bill in bills),
        total_yen=sum(bill.total_yen for bill in bills),
        facts=tuple(fact for bill in bills for fact in bill.facts),
    )


def marginal_price(tariff: Tariff, grid: Grid) -> Series:
    """What one more imported kWh costs in each interval: energy, adjustment and levy. [yen/kWh]

    The basic charge is not in it: that depends on the peak, not on a kWh
    (:func:`energy.market.demand.yen_per_kw_month`).

    Raises
    ------
    ConfigError
        If the tariff has no prices for a day of the grid.
    """
    by_day: dict[date, float] = {}
    values = np.empty(grid.count)
    for k, start in enumerate(grid.times()):
        day = start.astimezone(JST).date()
        if day not in by_day:
            by_day[day] = float(tariff.on(day).energy_yen_per_kwh(day))
        values[k] = by_day[day]
    return Series(grid, values, Unit.YEN_PER_KWH)
