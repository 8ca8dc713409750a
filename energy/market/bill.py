"""The high-voltage electricity bill, to the yen (RULES-JP 2.2).

::

    basic  = contract_kw * unit * (185 - PF) / 100
    energy = kwh * unit(season)
    adjust = kwh * adjustment                          may be negative
    levy   = floor(kwh * levy_unit)
    total  = floor(basic + energy + adjust) + levy

One bill is one Japanese calendar month, which is also the month of its meter reading; both floors act once
per month. Energy, adjustment and levy come from :mod:`energy.market.prices`, which also makes the optimiser's
prices. Demand above an agreed contract power costs the basic charge times a factor (超過金).
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np

from energy.core.errors import AlignmentError, ConfigError, DataError
from energy.core.series import Series, Unit
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.core.tariff import Tariff
from energy.core.units import floor_int, round_half_up
from energy.market.demand import (
    PeakMemory,
    demand_kw,
    exact,
    first_day,
    month_of,
    split_by_month,
)
from energy.market.prices import MICRO, DayCharges, IntArray, day_charges, micro
from energy.market.rule_table import RuleFact
from energy.market.rules import bill_practice, bill_rules, facts_on

__all__ = ["Bill", "bills_by_month", "month_bill", "period_bill"]


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
    power_factor_percent : int or None
        Power factor of the basic charge; None if it does not depend on it. [%]
    basic_yen, energy_yen, adjustment_yen : Decimal
        Basic (demand) charge with what demand above an agreed contract costs, energy charge, and adjustment
        by fuel, market and support; before rounding. [yen]
    levy_yen, total_yen : int
        Levy and total, rounded down per month. [yen]
    facts : tuple of str
        One line per month that shows the calculation.
    rules : tuple of RuleFact
        Dated rules that made it; prices of the contract itself are not rules.
    """

    contract_kw: int
    max_demand_kw: int
    kwh: Decimal
    power_factor_percent: int | None
    basic_yen: Decimal
    energy_yen: Decimal
    adjustment_yen: Decimal
    levy_yen: int
    total_yen: int
    facts: tuple[str, ...]
    rules: tuple[RuleFact, ...] = ()


def _bill(
    uses: Sequence[DayCharges], *, month: str, contract_kw: int, max_demand_kw: int, tariff: Tariff
) -> Bill:
    """Bill of some days of one month."""
    practice = bill_practice(first_day(month))
    in_month = calendar.monthrange(*first_day(month).timetuple()[:2])[1]
    kwh = sum((use.kwh for use in uses), Decimal(0))
    unused = kwh == 0 and len(uses) == in_month
    share = practice.unused_month_basic_share if unused else Decimal(1)
    unit_days = sum((use.prices.basic_yen_per_kw_month for use in uses), Decimal(0)) * tariff.basic_factor()
    fixed_days = sum((use.prices.basic_yen_per_month for use in uses), Decimal(0))
    excess_kw = 0 if tariff.contract_kw is None else max(0, max_demand_kw - contract_kw)
    basic = (contract_kw * unit_days + fixed_days) * share / in_month
    excess = excess_kw * unit_days * practice.excess_factor / in_month
    energy = sum((use.energy_yen for use in uses), Decimal(0))
    adjustment = sum((use.adjustment_yen for use in uses), Decimal(0))
    levy = floor_int(sum((use.levy_yen for use in uses), Decimal(0)))
    total = floor_int(basic + excess + energy + adjustment) + levy
    term = "" if tariff.power_factor_percent is None else f" x (185 - {tariff.power_factor_percent}) %"
    how = (
        f"{month}: {contract_kw} kW{term} x {len(uses)}/{in_month} days; "
        f"{kwh.normalize():f} kWh; basic {basic:.2f} + energy {energy:.2f} + adjustment {adjustment:.2f} "
        f"+ levy {levy} = {total} yen"
    )
    rules = facts_on("high_voltage_bill", first_day(month)) if tariff.contract_kw is None else []
    facts = [how]
    if unused:
        facts.append(f"{month}: nothing was used, so the basic charge counts {share}")
        rules += facts_on("bill_practice.unused_month_basic_share", first_day(month))
    if excess:
        facts.append(f"{month}: {excess_kw} kW above the agreed contract cost {excess:.2f} yen more")
        rules += facts_on("bill_practice.excess_factor", first_day(month))
    measured_below = bill_rules(first_day(month)).measured_contract_below_kw
    if tariff.contract_kw is None and contract_kw >= measured_below:
        facts.append(
            f"{month}: from {measured_below} kW on a contract is negotiated; "
            f"{contract_kw} kW is billed here by the highest demand"
        )
    return Bill(
        contract_kw=contract_kw,
        max_demand_kw=max_demand_kw,
        kwh=kwh,
        power_factor_percent=tariff.power_factor_percent,
        basic_yen=basic + excess,
        energy_yen=energy,
        adjustment_yen=adjustment,
        levy_yen=levy,
        total_yen=total,
        facts=tuple(facts),
        rules=tuple(rules),
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
    if prices.bands or prices.market is not None:
        raise ConfigError(
            f"the prices of {month} depend on the hour",
            where=f"tariff {tariff.name_en!r} has bands or follows the market",
            hint="bill this month from its 30-minute series (period_bill)",
        )
    whole, none = np.zeros(SLOTS_PER_DAY, dtype=np.int64), np.zeros(SLOTS_PER_DAY, dtype=np.int64)
    whole[0] = int((kwh * MICRO).to_integral_value())
    uses = [day_charges(tariff, day, whole if day == start else none, used_kwh=Decimal(0)) for day in dates]
    if power_factor_percent is not None:
        tariff = replace(tariff, power_factor_percent=power_factor_percent)
    demand = contract_kw if max_demand_kw is None else max_demand_kw
    return _bill(uses, month=month, contract_kw=contract_kw, max_demand_kw=demand, tariff=tariff)


def _whole_days(import_kwh: Series) -> list[date]:
    """The Japanese days of a series of slots, which must be whole."""
    grid = import_kwh.grid
    if import_kwh.unit is not Unit.KWH:
        raise AlignmentError(
            "a bill is made of energy", unit=import_kwh.unit, hint="pass imported kWh per slot"
        )
    first = grid.start.astimezone(JST).date()
    grid.slots()  # refuses another step
    if grid.count % SLOTS_PER_DAY or grid.start != jst_midnight(first) or not grid.count:
        raise AlignmentError(
            "a bill covers whole Japanese days",
            where=f"{grid.start.isoformat()} and {grid.count} slots",
            hint="begin at 00:00 Japanese time and pass a multiple of 48 slots",
        )
    return [first + timedelta(days=offset) for offset in range(grid.count // SLOTS_PER_DAY)]


def bills_by_month(
    tariff: Tariff,
    import_kwh: Series,
    memory: PeakMemory,
    *,
    spot: Series | None = None,
    metered_kwh: Series | None = None,
) -> list[Bill]:
    """Bills of the months that a stretch of whole days touches, in order.

    Parameters
    ----------
    tariff : Tariff
        The contract; its power factor is used.
    import_kwh : Series
        Imported energy per slot, complete, from a Japanese midnight on, a multiple of 48 slots. [kWh]
    memory : PeakMemory
        Highest demand of the months before, and of the first month's days before this stretch.
    spot : Series, optional
        Market price of the same slots, for tariffs that follow it. [yen/kWh]
    metered_kwh : Series, optional
        What the meter counted on the same slots, where somebody else supplies part of it: the demand goes by
        the meter, the energy by ``import_kwh``. [kWh]

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
        If the tariff has no prices for a day, needs market prices that are not given, or has steps and the
        stretch begins inside a month.
    """
    days = _whole_days(import_kwh)
    complete = import_kwh.require_complete("imported energy")
    charges = _charges(tariff, days, complete, spot)
    bills = []
    metered = complete if metered_kwh is None else metered_kwh.require_complete("metered energy")
    for month, demand in split_by_month(demand_kw(metered)).items():
        peak = exact(float(demand.values.max()))
        memory = memory.with_peak(month, peak)
        bills.append(
            _bill(
                charges[month],
                month=month,
                contract_kw=memory.contract_kw(month) if tariff.contract_kw is None else tariff.contract_kw,
                max_demand_kw=round_half_up(peak),
                tariff=tariff,
            )
        )
    return bills


def _charges(
    tariff: Tariff, days: Sequence[date], import_kwh: Series, spot: Series | None
) -> dict[str, list[DayCharges]]:
    """Charges of each day, by month."""
    if tariff.on(days[0]).steps and days[0].day != 1:
        raise ConfigError(
            f"steps of the month's energy cannot be billed from {days[0]} on",
            where=f"tariff {tariff.name_en!r} has steps",
            hint="pass the month from its first day",
        )
    market: list[IntArray | None] = [None] * len(days)
    if spot is not None:
        covered = spot.between(import_kwh.grid.start, import_kwh.grid.end).require_complete("market price")
        market = list(micro(covered.values).reshape(len(days), SLOTS_PER_DAY))
    charges: dict[str, list[DayCharges]] = {}
    used = Decimal(0)
    for day, kwh, prices in zip(
        days, micro(import_kwh.values).reshape(len(days), SLOTS_PER_DAY), market, strict=True
    ):
        used = Decimal(0) if day.day == 1 else used
        charge = day_charges(tariff, day, kwh, used_kwh=used, spot=prices)
        used += charge.kwh
        charges.setdefault(month_of(day), []).append(charge)
    return charges


def period_bill(
    tariff: Tariff,
    import_kwh: Series,
    memory: PeakMemory,
    *,
    spot: Series | None = None,
    metered_kwh: Series | None = None,
) -> Bill:
    """Bill of any number of whole days: the sum of :func:`bills_by_month`, with the same arguments."""
    bills = bills_by_month(tariff, import_kwh, memory, spot=spot, metered_kwh=metered_kwh)
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
        rules=tuple(dict.fromkeys(rule for bill in bills for rule in bill.rules)),
    )
