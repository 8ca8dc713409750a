"""The demand monitor (デマンド監視): the half hour that runs, as its meter counts it, and how it will end.

What factory staff know from the panel on their wall: the demand used so far, where it ends if nothing
changes, the target, the contract, the minutes left, and how many kW must go. It is read from the minutes that
the store keeps (:mod:`vpp.site.minutes`); a meter that is silent is said to be, and nothing is projected from
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from dispatch.guard import ATTENTION, WINDOW_MIN, allowed_power_kw, projected_demand_kw
from dispatch.guard_meter import WindowMeter
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, Slot
from energy.store import Across, Snapshot, StoredValue
from vpp.site.ahead import AHEAD, ahead_key, ahead_of, target_of
from vpp.site.minutes import COUNTER, MINUTE, POWER
from vpp.site.recorder import SiteSeries

__all__ = ["STALE", "DemandNow", "Level", "Mark", "demand_from", "demand_now", "target_at", "targets_at"]

STALE: Final = timedelta(seconds=90)
"""Control has the same patience (``vpp.loop.control.FRESH``): one missed minute is forgiven, two are not."""
_HALF: Final = SLOT_LENGTH / timedelta(hours=1)


class Level(StrEnum):
    """What the monitor says."""

    SILENT = "silent"
    """The meter does not answer: nothing is known of this half hour."""
    CALM = "calm"
    ATTENTION = "attention"
    """Ends above 90 % of the target (RULES-JP 2.3)."""
    ALARM = "alarm"
    """Ends above the target if nothing changes."""
    OVER = "over"
    """The energy of the target is used up."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Energy of the running half hour at one reading, as demand. [min, kW]"""

    minute: float
    demand_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandNow:
    """The half hour that runs.

    Parameters
    ----------
    so_far_kw : float or None
        Demand that is used already: twice the energy since the half hour began. [kW]
    projected_kw : float or None
        Demand at its end if the site goes on as now. [kW]
    shed_kw : float or None
        What must go now for the target to hold, or all that flows if that is not enough any more. [kW]
    room_kw : float or None
        What may still come. [kW]
    heard_at : datetime or None
        When the meter was last read.
    last_kw : float or None
        Demand of the half hour before, as metered. [kW]
    marks : tuple of Mark
        The way so far, for the picture.
    """

    slot: Slot
    now: datetime
    target_kw: float
    contract_kw: float
    level: Level
    so_far_kw: float | None = None
    now_kw: float | None = None
    projected_kw: float | None = None
    shed_kw: float | None = None
    room_kw: float | None = None
    heard_at: datetime | None = None
    last_kw: float | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def elapsed_min(self) -> float:
        """Since the half hour began. [min]"""
        return (self.now - self.slot.start) / timedelta(minutes=1)

    @property
    def left_min(self) -> float:
        """Until it ends. [min]"""
        return WINDOW_MIN - self.elapsed_min

    @property
    def silent_for(self) -> timedelta | None:
        """How long the meter has not been read; None if it never was."""
        return None if self.heard_at is None else self.now - self.heard_at


def target_at(known: Snapshot, site: Site, at: datetime) -> float:
    """Target of a half hour: that of the plan in force, else the last one held, else the one that was set."""
    start = Slot.containing(at).start
    plan = ahead_of(known, site.id, at)
    if plan is not None and plan.start == start:
        return plan.target_kw
    held = known.latest(SiteSeries(site.id)["guard", "target_kw"], before=start + SLOT_LENGTH)
    recent = held is not None and start - held.at <= 2 * SLOT_LENGTH
    return held.value if recent and held is not None and held.value is not None else site.target_demand_kw


def targets_at(across: Across, sites: Sequence[Site], at: datetime) -> Mapping[str, float]:
    """The same for many sites with a few questions; by site. [kW]"""
    start = Slot.containing(at).start
    plans = across.documents(AHEAD, [ahead_key(site.id, start) for site in sites])
    held = across.values("/guard/target_kw", start - 2 * SLOT_LENGTH, start + SLOT_LENGTH)
    found = {}
    for site in sites:
        plan = plans.get(ahead_key(site.id, start))
        kept = held.get(SiteSeries(site.id)["guard", "target_kw"], [])
        if plan is not None:
            found[site.id] = target_of(plan.body)
        elif kept and kept[-1].value is not None:
            found[site.id] = kept[-1].value
        else:
            found[site.id] = site.target_demand_kw
    return found


def demand_now(known: Snapshot, site: Site, now: datetime) -> DemandNow:
    """The half hour that runs at an instant, from what is known then."""
    slot, names = Slot.containing(now), SiteSeries(site.id)
    since, until = slot.start - SLOT_LENGTH, now + MINUTE
    told = demand_from(
        site,
        now,
        target_kw=target_at(known, site, now),
        counter=known.values(names[COUNTER], since, until),
        power=known.values(names[POWER], since, until),
    )
    before = known.values(names["meter", "import_kwh"], since, slot.start)
    last = before[0].value if before else None
    heard = told.heard_at or _last_heard(known, names, now)
    return replace(told, last_kw=None if last is None else last / _HALF, heard_at=heard)


def demand_from(
    site: Site,
    now: datetime,
    *,
    target_kw: float,
    counter: Sequence[StoredValue],
    power: Sequence[StoredValue],
) -> DemandNow:
    """The half hour that runs, from the minutes of its meter since the half hour before it began."""
    slot = Slot.containing(now)
    shown = {one.at: one.value for one in power}
    meter, marks = WindowMeter(), []
    readings = [
        (one.known_at, one.value, shown.get(one.at) or 0.0) for one in counter if one.value is not None
    ]
    for taken_at, value, power_kw in readings:
        meter.observe(taken_at, value, power_kw)
        inside = meter.read(taken_at)
        if taken_at > slot.start and inside is not None:
            minute = (taken_at - slot.start) / timedelta(minutes=1)
            marks.append(Mark(minute, inside.imported_kwh / _HALF))
    heard = readings[-1][0] if readings else None
    told = DemandNow(
        slot=slot,
        now=now,
        target_kw=target_kw,
        contract_kw=site.contract_kw,
        level=Level.SILENT,
        heard_at=heard,
        marks=tuple(marks),
    )
    window = meter.read(now)
    if window is None or heard is None or now - heard > STALE:
        return told
    return _counted(told, window.elapsed_min, window.imported_kwh, max(0.0, window.import_kw))


def _last_heard(known: Snapshot, names: SiteSeries, now: datetime) -> datetime | None:
    newest = known.latest(names[COUNTER], before=now)
    return None if newest is None else newest.known_at


def _counted(told: DemandNow, elapsed_min: float, imported_kwh: float, import_kw: float) -> DemandNow:
    """The monitor with what the meter says."""
    projected = projected_demand_kw(elapsed_min, imported_kwh, import_kw)
    allowed = allowed_power_kw(elapsed_min, imported_kwh, told.target_kw)
    level = Level.CALM
    if allowed <= 0.0:
        level = Level.OVER
    elif projected > told.target_kw:
        level = Level.ALARM
    elif projected > ATTENTION * told.target_kw:
        level = Level.ATTENTION
    return replace(
        told,
        level=level,
        so_far_kw=imported_kwh / _HALF,
        now_kw=import_kw,
        projected_kw=projected,
        shed_kw=min(import_kw, max(0.0, import_kw - allowed)),
        room_kw=max(0.0, allowed - import_kw),
    )
