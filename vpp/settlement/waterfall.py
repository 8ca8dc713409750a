"""From the yen that a plan promised to the yen of the bill, cause by cause, exactly.

The promised import of a month becomes the metered one in steps: the forecast of the load is replaced by the
load, then the sun, the rooms, the cars, and last what no sub-meter explains. Each step's energy is priced by
the same tariff that makes the bill, in whole millionths of a kWh and decimals: the steps add up to
the difference of the two bills; the basic charge (peak) and the rounding of the bills are steps of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

import numpy as np

from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY
from energy.core.tariff import Tariff
from energy.market.bill import Bill, period_bill
from energy.market.demand import PeakMemory
from energy.market.prices import MICRO, IntArray, day_charges, micro

__all__ = ["STEPS", "Flows", "Step", "bill_steps", "flows_of", "whole_yen"]

STEPS = ("load", "pv", "rooms", "cars", "rest")
"""Steps of energy in their order; ``peak`` and ``rounding`` follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flows:
    """Energies of a site per slot. [kWh / 1e6]

    Parameters
    ----------
    imported : ndarray of int
        Billed energy, never below 0.
    load, pv, rooms, charge, discharge : ndarray of int
        What it was used for and came from.
    """

    imported: IntArray
    load: IntArray
    pv: IntArray
    rooms: IntArray
    charge: IntArray
    discharge: IntArray

    def rest(self) -> IntArray:
        """What the parts do not explain: energy sent out, a plan's own rounding, a missing sub-meter."""
        return self.imported - (self.load - self.pv + self.rooms + self.charge - self.discharge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cause of the difference.

    Parameters
    ----------
    name : str
        One of :data:`STEPS`, or ``peak``, ``rounding``, ``imbalance``, ``dr_delivery``, ...
    yen : Decimal
        What it made the month dearer (+) or cheaper (-), exact. [yen]
    facts : dict of str to str
        Numbers of its sentence.
    """

    name: str
    yen: Decimal
    facts: dict[str, str]


def bill_steps(
    tariff: Tariff,
    grid: Grid,
    promised: Flows,
    metered: Flows,
    memory: PeakMemory,
    *,
    others: IntArray | None = None,
) -> tuple[Bill, Bill, list[Step]]:
    """Bills of the promised and the metered month, and the steps between them; they add up exactly.

    Parameters
    ----------
    grid : Grid
        Whole Japanese days.
    memory : PeakMemory
        Demand of the months before.
    others : ndarray of int, optional
        What others than the retailer send: so much of the import is not on the bill. [kWh / 1e6]
    """

    def billed(imported: IntArray) -> IntArray:
        return imported if others is None else imported - np.minimum(others, np.maximum(imported, 0))

    plan, real = (
        period_bill(
            tariff,
            Series(grid, billed(flows.imported) / MICRO, Unit.KWH),
            memory,
            metered_kwh=Series(grid, flows.imported / MICRO, Unit.KWH),
        )
        for flows in (promised, metered)
    )
    changes: Mapping[str, IntArray] = {
        "load": metered.load - promised.load,
        "pv": -(metered.pv - promised.pv),
        "rooms": metered.rooms - promised.rooms,
        "cars": (metered.charge - promised.charge) - (metered.discharge - promised.discharge),
        "rest": metered.rest() - promised.rest(),
    }
    first = _energy_yen(tariff, grid, billed(promised.imported))
    steps, at, before = [], promised.imported, first
    for name in STEPS:
        at = at + changes[name]
        after = _energy_yen(tariff, grid, billed(at))
        steps.append(Step(name=name, yen=after - before, facts={"kwh": _kwh(int(changes[name].sum()))}))
        before = after
    peak = _basic_yen(real) - _basic_yen(plan)
    facts = {"planned": str(plan.max_demand_kw), "metered": str(real.max_demand_kw)}
    facts |= {"contract": str(real.contract_kw)}
    steps.append(Step(name="peak", yen=peak, facts=facts))
    rounding = _rounded_off(real, before) - _rounded_off(plan, first)
    steps.append(Step(name="rounding", yen=rounding, facts={}))
    return plan, real, steps


def _basic_yen(bill: Bill) -> Decimal:
    """Basic charge to a millionth of a millionth of a yen: thirds of a month have no last digit."""
    return bill.basic_yen.quantize(Decimal("1e-12"))


def _rounded_off(bill: Bill, energy_yen: Decimal) -> Decimal:
    """What the rounding of a bill adds; never above 0."""
    return bill.total_yen - (_basic_yen(bill) + energy_yen)


def _energy_yen(tariff: Tariff, grid: Grid, parts: IntArray) -> Decimal:
    """Energy, adjustment and levy of some days, nothing rounded."""
    total, used = Decimal(0), Decimal(0)
    days: list[date] = [slot.local_date for slot in grid.slots()][::SLOTS_PER_DAY]
    for day, kwh in zip(days, parts.reshape(-1, SLOTS_PER_DAY), strict=True):
        used = Decimal(0) if day.day == 1 else used
        charges = day_charges(tariff, day, kwh, used_kwh=used)
        used += charges.kwh
        total += charges.energy_yen + charges.adjustment_yen + charges.levy_yen
    return total


def _kwh(parts: int) -> str:
    return f"{parts / MICRO:+,.1f}".replace("-", "−")


def whole_yen(yen: Sequence[Decimal]) -> list[int]:
    """Whole yen of exact amounts that sum to a whole yen: the sum stays, by largest remainder.

    Raises
    ------
    ValueError
        If they do not sum to a whole yen.

    Examples
    --------
    >>> whole_yen([Decimal("1.5"), Decimal("-0.75"), Decimal("2.25")])
    [2, -1, 2]
    """
    total = sum(yen, Decimal(0))
    if total != total.to_integral_value():
        msg = f"the amounts sum to {total}, not to a whole yen"
        raise ValueError(msg)
    whole = [int(one.to_integral_value(rounding=ROUND_FLOOR)) for one in yen]
    order = sorted(range(len(yen)), key=lambda k: (whole[k] - yen[k], k))
    for k in order[: int(total) - sum(whole)]:
        whole[k] += 1
    return whole


def flows_of(values: Mapping[str, FloatArray]) -> Flows:
    """Flows from energies in kWh, each brought to whole millionths."""
    return Flows(**{name: micro(np.asarray(one, dtype=np.float64)) for name, one in values.items()})
