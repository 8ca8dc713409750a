"""What another target demand would mean, from what was metered: how often, how far, and what it is worth.

No plan is made anew. The half hours of the last days are held against each target: those above it would have
had to come down by the difference. Beside it stands what a year at that target is worth in the basic charge
at this month's price, if no half hour of those twelve months is higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from energy.core.series import FloatArray, Grid, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, SLOT_LENGTH, Slot
from energy.core.units import round_half_up
from energy.market.demand import PeakMemory, exact, yen_per_kw_month
from energy.store import Snapshot
from vpp.site.ahead import ahead_of
from vpp.site.recorder import SiteSeries

__all__ = ["DAYS", "TargetLine", "TargetTable", "target_table"]

DAYS: Final = 31
_STEP_KW: Final = 10.0
_AROUND: Final = 4
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLine:
    """One target. [kW, kWh, yen]

    Parameters
    ----------
    above : int
        Half hours that were higher.
    worst_kw : float
        By how much the highest was.
    worst_at : datetime or None
        When that was.
    energy_kwh : float
        What would have had to be moved or left out.
    ahead : int or None
        Half hours of the plan of the next day that are higher; None without a plan.
    yen_year : Decimal or None
        Basic charge of twelve months less, against what is remembered now; None where it cannot be said.
    """

    target_kw: float
    above: int
    worst_kw: float
    worst_at: datetime | None
    energy_kwh: float
    ahead: int | None
    yen_year: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """Targets around the one that is set.

    Parameters
    ----------
    metered, missing : int
        Half hours of the last days with and without a reading.
    memory_kw : float
        Highest demand of twelve months. [kW]
    cars_kw : float
        What all cars together can give back at most. [kW]
    """

    set_kw: float
    memory_kw: float
    cars_kw: float
    metered: int
    missing: int
    lines: tuple[TargetLine, ...]


def target_table(known: Snapshot, site: Site, now: datetime, *, asked_kw: float | None = None) -> TargetTable:
    """Targets in steps of 10 kW around the one that is set, and one that was asked for."""
    end = Slot.containing(now).start
    grid = Grid(end - timedelta(days=DAYS), DAYS * 48)
    demand = 2.0 * known.series(SiteSeries(site.id)["meter", "import_kwh"], grid, Unit.KWH).values
    plan = ahead_of(known, site.id, now)
    coming: FloatArray | None = None
    if plan is not None:
        day = zip(plan.import_kw, plan.slots(), strict=True)
        coming = np.array([kw for kw, start in day if end <= start < end + timedelta(days=1)])
    month = f"{now.astimezone(JST):%Y-%m}"
    memory = PeakMemory(dict(site.peak_memory_kw))
    set_kw = site.target_demand_kw
    targets = {set_kw + _STEP_KW * k for k in range(-_AROUND, _AROUND + 1)}
    if asked_kw is not None:
        targets.add(asked_kw)
    lines = tuple(
        _line(
            grid, demand, target, coming=coming, yen_year=_worth(site, month, memory.peak_kw(month), target)
        )
        for target in sorted(one for one in targets if 0.0 < one <= site.contract_kw)
    )
    return TargetTable(
        set_kw=set_kw,
        memory_kw=float(memory.peak_kw(month)),
        cars_kw=sum(site.charger_of(vehicle).max_discharge_kw for vehicle in site.vehicles),
        metered=int(np.isfinite(demand).sum()),
        missing=_missing(known, site, demand, grid),
        lines=lines,
    )


def _missing(known: Snapshot, site: Site, demand: FloatArray, grid: Grid) -> int:
    """Half hours without a reading since the meter was first read."""
    span = known.span(SiteSeries(site.id)["meter", "import_kwh"])
    if span is None:
        return 0
    first = max(0, (Slot.containing(span[0]).start - grid.start) // SLOT_LENGTH)
    return int(np.isnan(demand[first:]).sum())


def _line(
    grid: Grid, demand: FloatArray, target: float, *, coming: FloatArray | None, yen_year: Decimal | None
) -> TargetLine:
    above = np.where(np.isfinite(demand), demand, 0.0) - target
    worst = int(np.argmax(above)) if len(above) else 0
    over = above[above > 0.0]
    return TargetLine(
        target_kw=target,
        above=len(over),
        worst_kw=float(over.max()) if len(over) else 0.0,
        worst_at=grid.time(worst) if len(over) else None,
        energy_kwh=float(over.sum()) * SLOT_HOURS,
        ahead=None if coming is None else int((coming > target + 0.05).sum()),
        yen_year=yen_year,
    )


def _worth(site: Site, month: str, memory_kw: Decimal, target: float) -> Decimal | None:
    """Basic charge of twelve months at a target instead of what is remembered now. [yen]"""
    if site.tariff.contract_kw is not None or memory_kw <= 0:
        return None
    less_kw = round_half_up(memory_kw) - round_half_up(exact(target))
    return less_kw * yen_per_kw_month(site.tariff, month) * _MONTHS
