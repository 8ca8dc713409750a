"""A site's assets over yesterday and tomorrow: what each did, what it is meant to do, and which reason held.

Behind now stand measurements and the reasons that held in the end; ahead of now stands the newest plan. Cars
are metered one by one; of rooms only their temperature is measured, their power is what was ordered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from energy.core.assets import Trip, expand_trips
from energy.core.plan import Reason, ReasonCode
from energy.core.series import Grid, Unit
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, Slot
from energy.store import Snapshot
from vpp.i18n import AssetKind
from vpp.site.ahead import Ahead, ahead_of
from vpp.site.climate import comfort_band
from vpp.site.recorder import SiteSeries
from vpp.site.records import SLOT_RECORD, SlotRecord
from vpp.site.sitebook import named_assets

__all__ = ["AssetRow", "Doing", "Floats", "Span", "Watch", "records_of", "watch_site"]

Floats = tuple[float | None, ...]
BACK: Final = 48
AHEAD_SLOTS: Final = 48
_STILL_KW: Final = 0.1  # a charger that rests draws less

Doing = str
"""``charge``, ``give``, ``wait``, ``away`` of a car, ``run``, ``rest``, ``coast`` of a room, ``unknown``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Half hours in a row in which an asset did the same for the same reason.

    Parameters
    ----------
    kw : float or None
        Mean power, positive into the asset; None if nobody knows. [kW]
    share : float
        Of the asset's highest power. [-]
    reason : Reason or None
        Why; None where nobody planned.
    ahead : bool
        Whether it is a plan and not yet done.
    """

    start: datetime
    end: datetime
    doing: Doing
    kw: float | None
    share: float
    reason: Reason | None
    ahead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetRow:
    """One asset over the half hours of a :class:`Watch`.

    Parameters
    ----------
    state, expected : tuple of float or None
        State of charge [-] or temperature [degC] at the end of each half hour: measured, and as planned.
    band : tuple of (float, float) or None
        Where the temperature should be.
    promises : tuple of (datetime, float)
        Departures and the charge that was promised. [-]
    """

    asset: str
    kind: AssetKind
    state: Floats
    expected: Floats
    band: tuple[tuple[float, float] | None, ...]
    promises: tuple[tuple[datetime, float], ...]
    spans: tuple[Span, ...]

    def span_at(self, at: datetime) -> Span | None:
        """What it does at an instant."""
        return next((span for span in self.spans if span.start <= at < span.end), None)

    @property
    def newest(self) -> tuple[int, float] | None:
        """Number of the half hour at whose end the state was last measured, and the state."""
        known = [(k, value) for k, value in enumerate(self.state) if value is not None]
        return known[-1] if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A site over yesterday and tomorrow. [kW]"""

    now: datetime
    starts: tuple[datetime, ...]
    import_kw: Floats
    plan_kw: Floats
    target_kw: Floats
    pv_kw: Floats
    pv_plan_kw: Floats
    rows: tuple[AssetRow, ...]
    plan: Ahead | None

    @property
    def end(self) -> datetime:
        """First instant after it."""
        return self.starts[-1] + SLOT_LENGTH


def records_of(known: Snapshot, site: str, start: datetime, end: datetime) -> dict[datetime, SlotRecord]:
    """What was planned and why, by half hour."""
    found = {}
    for slot in Grid.between(start, end).times():
        document = known.document(SLOT_RECORD, f"{site}/{slot.isoformat()}")
        if document is not None:
            found[slot] = SlotRecord.from_json(document.body)
    return found


def watch_site(known: Snapshot, site: Site, now: datetime) -> Watch:
    """A site from a day before the half hour of an instant to a day after."""
    this = Slot.containing(now).start
    grid = Grid(this - BACK * SLOT_LENGTH, BACK + AHEAD_SLOTS)
    records = records_of(known, site.id, grid.start, this)
    plan = ahead_of(known, site.id, now)
    look = _Look(known, site, grid, now, records, plan)
    imported = look.measured("meter", "import_kwh", 2.0)
    sun = (None,) * grid.count if site.pv is None else look.measured(site.pv.id, "generation_kwh", 2.0)
    target = look.measured("guard", "target_kw")
    planned = look.planned(None if plan is None else plan.import_kw)
    held = None if plan is None else plan.target_kw
    names = named_assets(site)
    return Watch(
        now=now,
        starts=tuple(grid.times()),
        import_kw=imported,
        plan_kw=planned,
        target_kw=tuple(
            was if was is not None else (held if grid.time(k) >= this else None)
            for k, was in enumerate(target)
        ),
        pv_kw=sun,
        pv_plan_kw=look.planned(None if plan is None else plan.pv_kw),
        rows=tuple(look.row(asset, kind) for asset, (_, _, kind) in names.items() if kind in {"car", "zone"}),
        plan=plan,
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    """One half hour of one asset, before equal ones are joined."""

    start: datetime
    doing: Doing
    kw: float | None
    reason: Reason | None
    ahead: bool

    def key(self) -> tuple[object, ...]:
        return self.doing, None if self.reason is None else self.reason.code, self.ahead


@dataclass(frozen=True, slots=True)
class _Look:
    """Where rows come from."""

    known: Snapshot
    site: Site
    grid: Grid
    now: datetime
    records: Mapping[datetime, SlotRecord]
    plan: Ahead | None

    def measured(self, asset: str, quantity: str, times: float = 1.0) -> Floats:
        """A stored series; what is missing stays missing."""
        series = self.known.series(SiteSeries(self.site.id)[asset, quantity], self.grid, Unit.RATIO)
        return tuple(None if np.isnan(value) else float(value) * times for value in series.values)

    def planned(self, values: Floats | None) -> Floats:
        """Values of the plan from the half hour that runs on, whichever half hour it began in."""
        found: list[float | None] = [None] * self.grid.count
        if values is not None and self.plan is not None:
            for k, start in enumerate(self.plan.slots()):
                place = (start - self.grid.start) // SLOT_LENGTH
                if BACK <= place < self.grid.count:
                    found[place] = values[k]
        return tuple(found)

    def row(self, asset: str, kind: AssetKind) -> AssetRow:
        """One asset."""
        whole = self._expected(asset)
        band: tuple[tuple[float, float] | None, ...] = (None,) * self.grid.count
        if kind == "car":
            vehicle = next(one for one in self.site.vehicles if one.id == asset)
            charger = self.site.charger_of(vehicle)
            most = max(charger.max_charge_kw, charger.max_discharge_kw)
            state = self._plugged_soc(asset)
            expected = tuple(None if one is None else one / vehicle.capacity_kwh for one in whole)
            slots = list(self._car(asset))
            promises = tuple((trip.departs, trip.promise_soc) for trip in self._trips(asset))
        else:
            zone = next(one for one in self.site.zones if one.id == asset)
            most, state, expected = zone.max_electric_kw, self.measured(asset, "room_c"), whole
            slots, promises = list(self._zone(asset)), ()
            band = tuple(comfort_band(self.site, zone, start + SLOT_LENGTH) for start in self.grid.times())
        return AssetRow(
            asset=asset,
            kind=kind,
            state=state,
            expected=expected,
            band=band,
            promises=promises,
            spans=tuple(_joined(slots, most)),
        )

    def _expected(self, asset: str) -> Floats:
        told = None if self.plan is None else self.plan.assets.get(asset)
        return self.planned(None if told is None else told.expected)

    def _plugged_soc(self, asset: str) -> Floats:
        """Charge at the plug; a charger without a car shows none."""
        soc, plugged = self.measured(asset, "soc"), self.measured(asset, "plugged")
        return tuple(one if here == 1.0 else None for one, here in zip(soc, plugged, strict=True))

    def _trips(self, asset: str) -> list[Trip]:
        patterns = self.site.trips.get(asset, ())
        if not patterns:
            return []
        day = timedelta(days=1)
        trips = expand_trips(asset, patterns, self.grid.start - day, self.grid.end + day)
        return [trip for trip in trips if self.grid.start <= trip.departs < self.grid.end]

    def _ahead(self, asset: str) -> Iterator[tuple[datetime, float, Reason]]:
        """Half hours of the plan from the one that runs on."""
        told = None if self.plan is None else self.plan.assets.get(asset)
        if self.plan is None or told is None:
            return
        this = Slot.containing(self.now).start
        for k, start in enumerate(self.plan.slots()):
            if this <= start < self.grid.end:
                yield start, told.power_kw[k], self.plan.reason(asset, k)

    def _held(self, asset: str, start: datetime) -> tuple[float | None, Reason | None]:
        """Ordered power and the reason that held in the end, of a half hour that is over."""
        record = self.records.get(start)
        if record is None:
            return None, None
        point = next((one for one in record.planned if one.asset == asset), None)
        last = record.last_reasons.get(asset, None if point is None else point.reason)
        return (None if point is None else point.power_kw), last

    def _past(self) -> Iterator[tuple[int, datetime]]:
        this = Slot.containing(self.now).start
        return ((k, start) for k, start in enumerate(self.grid.times()) if start < this)

    def _car(self, asset: str) -> Iterator[_Slot]:
        charge, give = self.measured(asset, "charge_kwh", 2.0), self.measured(asset, "discharge_kwh", 2.0)
        plugged = self.measured(asset, "plugged")
        for k, start in self._past():
            into, out = charge[k], give[k]
            reason = self._held(asset, start)[1]
            if into is None or out is None:
                yield _Slot(start, "unknown", None, reason, ahead=False)
                continue
            doing = _car_doing(into - out, away=plugged[k] == 0.0)
            yield _Slot(start, doing, into - out, reason, ahead=False)
        for start, kw, reason in self._ahead(asset):
            yield _Slot(start, _car_doing(kw, away=reason.code is ReasonCode.AWAY), kw, reason, ahead=True)

    def _zone(self, asset: str) -> Iterator[_Slot]:
        for _, start in self._past():
            kw, reason = self._held(asset, start)
            yield _Slot(start, _zone_doing(kw, reason), kw, reason, ahead=False)
        for start, kw, reason in self._ahead(asset):
            yield _Slot(start, _zone_doing(kw, reason), kw, reason, ahead=True)


def _car_doing(kw: float, *, away: bool) -> Doing:
    if kw > _STILL_KW:
        return "charge"
    if kw < -_STILL_KW:
        return "give"
    return "away" if away else "wait"


def _zone_doing(kw: float | None, reason: Reason | None) -> Doing:
    if reason is not None and reason.code is ReasonCode.GUARD:
        return "coast"
    if kw is None:
        return "unknown"
    return "run" if kw > _STILL_KW else "rest"


def _joined(slots: list[_Slot], most_kw: float) -> Iterator[Span]:
    """Equal neighbours as one span."""
    run: list[list[_Slot]] = []
    for slot in slots:
        follows = run and run[-1][-1].start + SLOT_LENGTH == slot.start and run[-1][-1].key() == slot.key()
        if follows:
            run[-1].append(slot)
        else:
            run.append([slot])
    for group in run:
        powers = [slot.kw for slot in group if slot.kw is not None]
        mean = sum(powers) / len(powers) if powers else None
        yield Span(
            start=group[0].start,
            end=group[-1].start + SLOT_LENGTH,
            doing=group[0].doing,
            kw=mean,
            share=0.0 if mean is None or most_kw <= 0.0 else min(1.0, abs(mean) / most_kw),
            reason=max(group, key=lambda slot: abs(slot.kw or 0.0)).reason,
            ahead=group[0].ahead,
        )
