"""Rooms that learn: refitted every night from what the store knows, used in plans only where that is better.

A room of the site's file says ``learn: true``. Each night its last weeks are fitted
(:func:`forecasting.room.fit_room`) and judged (:func:`forecasting.room_use.judge`); what came of it is kept,
one document a night, so that a restart goes on with it and everybody can see why a value is or is not used.
Plans read the newest. The declared values stay in the file; nothing of it is written over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import TypeAdapter

from energy.core.assets import CopCurve, HvacZone
from energy.core.errors import VppError
from energy.core.series import FloatArray, Grid, Unit
from energy.core.site import Season, Site
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from energy.store import Snapshot, Store
from vpp.site.climate import band_applies, changes_over, season_at
from vpp.site.recorder import SiteSeries

if TYPE_CHECKING:
    from forecasting.room_record import RoomRecord

__all__ = [
    "FIT_DAYS",
    "LEARN_HOUR",
    "ROOM_FIT",
    "RoomStanding",
    "RoomState",
    "RoomValues",
    "learn_rooms",
    "learns_at",
    "room_history",
    "room_record",
    "site_as_learned",
    "standing_of",
]

ROOM_FIT: Final = "room-fit"
"""Kind of the documents; key ``SITE/ROOM/DAY``, the Japanese day on whose night it was learned."""
FIT_DAYS: Final = 28  # long enough for four weekends, short enough for one season
KEPT_DAYS: Final = (
    60  # what was learned in a season outlives weeks in which the unit rests, not the next season
)
LEARN_HOUR: Final = 3  # local; the readings of the day before are in by then


class RoomState(StrEnum):
    """What plans reckon with."""

    LEARNED = "learned"
    """What was learned in this night."""
    KEPT = "kept"
    """What was learned in an earlier night: since then the data cannot tell."""
    DECLARED = "declared"
    """What the site's file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomValues:
    """What a plan reckons a room with: the physical part of an :class:`~energy.core.assets.HvacZone`."""

    capacitance_kwh_per_k: float
    loss_kw_per_k: float
    base_gain_kw: float
    occupied_gain_kw: float
    solar_aperture_m2: float
    cooling_cop: CopCurve
    heating_cop: CopCurve

    @classmethod
    def of(cls, zone: HvacZone) -> RoomValues:
        """Those of a room."""
        return cls(
            capacitance_kwh_per_k=zone.capacitance_kwh_per_k,
            loss_kw_per_k=zone.loss_kw_per_k,
            base_gain_kw=zone.base_gain_kw,
            occupied_gain_kw=zone.occupied_gain_kw,
            solar_aperture_m2=zone.solar_aperture_m2,
            cooling_cop=zone.cooling_cop,
            heating_cop=zone.heating_cop,
        )

    def zone(self, zone: HvacZone) -> HvacZone:
        """A room with these values; comfort, unit and names stay its own."""
        return replace(
            zone,
            capacitance_kwh_per_k=self.capacitance_kwh_per_k,
            loss_kw_per_k=self.loss_kw_per_k,
            base_gain_kw=self.base_gain_kw,
            occupied_gain_kw=self.occupied_gain_kw,
            solar_aperture_m2=self.solar_aperture_m2,
            cooling_cop=self.cooling_cop,
            heating_cop=self.heating_cop,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomStanding:
    """What one night made of a room.

    Parameters
    ----------
    why : str
        :class:`forecasting.room_use.UseWhy`; ``unmeasured`` where a series has no reading, ``unreadable``
        where the readings cannot be what they say.
    facts : mapping of str to str
        What the reason is about.
    since : date or None
        Night in which the values in use were learned.
    declared : RoomValues
        What the site's file said that night; another file is another room, and nothing learned holds for it.
    values : RoomValues or None
        What plans reckon with; None for what is declared.
    learned_k, declared_k : float or None
        Errors on the days kept away, 1 to 8 h ahead. [K]
    parameters : mapping of str to (value, low, high, unit)
        What the fit told, with intervals of nine in ten.
    """

    site: str
    room: str
    day: date
    state: RoomState
    why: str
    declared: RoomValues
    facts: Mapping[str, str] = field(default_factory=dict)
    since: date | None = None
    values: RoomValues | None = None
    days_used: int = 0
    learned_k: float | None = None
    declared_k: float | None = None
    parameters: Mapping[str, tuple[float, float, float, str]] = field(default_factory=dict)

    def to_json(self) -> str:
        """As one JSON document."""
        return _STANDING.dump_json(self).decode()


_STANDING: Final = TypeAdapter(RoomStanding)


# -- what is in use ------------------------------------------------------------------------------------------


def room_history(known: Snapshot, site: str, room: str) -> list[RoomStanding]:
    """What each night made of a room, oldest first."""
    documents = known.documents(ROOM_FIT, prefix=f"{site}/{room}/")
    return [_STANDING.validate_json(one.body) for one in documents]


def standing_of(known: Snapshot, site: Site, zone: HvacZone) -> RoomStanding | None:
    """The newest night of a room that learns, if the site's file still says of the room what it said then.

    None where the room does not learn or nothing was tried yet.
    """
    if not zone.learn:
        return None
    documents = known.documents(ROOM_FIT, prefix=f"{site.id}/{zone.id}/")
    if not documents:
        return None
    newest: RoomStanding = _STANDING.validate_json(documents[-1].body)
    return newest if newest.declared == RoomValues.of(zone) else None


def site_as_learned(site: Site, known: Snapshot) -> Site:
    """The site with the rooms that plans reckon with; the very same site where nothing learned is in use."""
    found = {zone.id: standing_of(known, site, zone) for zone in site.zones if zone.learn}
    used = {name: one.values for name, one in found.items() if one is not None and one.values is not None}
    if not used:
        return site
    return replace(
        site, zones=tuple(used[zone.id].zone(zone) if zone.id in used else zone for zone in site.zones)
    )


# -- learning ------------------------------------------------------------------------------------------------


def learns_at(slot: datetime) -> bool:
    """Whether rooms learn at the beginning of a half hour."""
    local = slot.astimezone(JST)
    return (local.hour, local.minute) == (LEARN_HOUR, 0)


def learn_rooms(store: Store, site: Site, now: datetime) -> tuple[RoomStanding, ...]:
    """Fit and judge the rooms that learn and have not learned today; what came of it is kept.

    Calling it again on the same day does nothing: a run that was cut off goes on with the next room.
    """
    today = now.astimezone(JST).date()
    made = []
    for zone in (one for one in site.zones if one.learn):
        key = f"{site.id}/{zone.id}/{today.isoformat()}"
        known = store.as_of(now)
        if known.document(ROOM_FIT, key) is None:
            standing = _tonight(known, site, zone, today)
            store.put_document(ROOM_FIT, key, known_at=now, body=standing.to_json())
            made.append(standing)
    return tuple(made)


def _tonight(known: Snapshot, site: Site, zone: HvacZone, today: date) -> RoomStanding:
    from forecasting.room import Rating, fit_room  # SciPy is slow to load, and reading needs none of it
    from forecasting.room_fit import COOL_AT_C, HEAT_AT_C
    from forecasting.room_use import UseWhy, judge

    blank = RoomStanding(
        site=site.id,
        room=zone.id,
        day=today,
        state=RoomState.DECLARED,
        why="unreadable",
        declared=RoomValues.of(zone),
    )
    try:
        record = room_record(known, site, zone, jst_midnight(today))
        for name, values in (("room_c", record.room_c), ("energy_kwh", record.hvac_kw)):
            if np.isnan(values).all():
                return _or_before(replace(blank, why="unmeasured", facts={"name": name}), known, site, zone)
        rating = Rating(cooling=zone.cooling_cop.at(COOL_AT_C), heating=zone.heating_cop.at(HEAT_AT_C))
        fit = fit_room(record, rating=rating)
        judged = judge(record, fit, zone, occupied=partial(band_applies, site, zone))
    except VppError as error:
        return replace(blank, facts={"why": str(error)})
    told = replace(
        blank,
        why=judged.why.value,
        facts=dict(judged.facts),
        days_used=fit.days_used,
        learned_k=judged.learned_k,
        declared_k=judged.declared_k,
        parameters={name: (one.value, one.low, one.high, one.unit) for name, one in fit.parameters.items()},
    )
    if judged.zone is not None:
        return replace(told, state=RoomState.LEARNED, since=today, values=RoomValues.of(judged.zone))
    if judged.why in (UseWhy.NOT_KNOWN, UseWhy.UNPROVED):
        return _or_before(told, known, site, zone)
    return told


def _or_before(told: RoomStanding, known: Snapshot, site: Site, zone: HvacZone) -> RoomStanding:
    """What was learned before, for a while: readings that say nothing contradict nothing."""
    before = standing_of(known, site, zone)
    if before is None or before.since is None or (told.day - before.since).days > KEPT_DAYS:
        return told
    return replace(told, state=RoomState.KEPT, since=before.since, values=before.values)


def room_record(known: Snapshot, site: Site, zone: HvacZone, end: datetime) -> RoomRecord:
    """A room's last weeks as the store knows them, on half hours.

    The stored temperature of a half hour is that of its end, so it begins the next one. Where nobody measured
    the weather, the newest forecast of it stands in.
    """
    from forecasting.room_record import RoomRecord

    grid = Grid(end - timedelta(days=FIT_DAYS), FIT_DAYS * SLOTS_PER_DAY)
    names = SiteSeries(site.id)

    def read(asset: str, quantity: str, unit: Unit, at: Grid = grid) -> FloatArray:
        return known.series(names[asset, quantity], at, unit).values

    def weather(measured: str, forecast: str, unit: Unit) -> FloatArray:
        seen = read("weather", measured, unit)
        return np.where(np.isnan(seen), read("weather", forecast, unit), seen)

    own = zone.id if site.meter_of(zone) is not None else "hvac"
    power = read(own, "energy_kwh", Unit.KWH) / grid.hours
    ghi = weather("ghi_w_m2", "ghi_forecast_w_m2", Unit.W_PER_M2)
    return RoomRecord(
        grid=grid,
        room_c=read(zone.id, "room_c", Unit.CELSIUS, Grid(grid.start - SLOT_LENGTH, grid.count)),
        outdoor_c=weather("outdoor_c", "outdoor_forecast_c", Unit.CELSIUS),
        hvac_kw=power,
        mode=_modes(site, grid, power, read(zone.id, "mode", Unit.RATIO)),
        ghi_w_m2=None if np.isnan(ghi).all() else ghi,
        calendar=site.calendar.calendar(),
        label=0.0,
    )


def _modes(site: Site, grid: Grid, power: FloatArray, read: FloatArray) -> FloatArray:
    """What the unit did: as it said, else by season; unknown on days on which it may do both, or neither."""
    signs = {Season.HEATING: 1.0, Season.COOLING: -1.0, Season.OFF: np.nan}
    modes = np.empty(grid.count)
    for k, at in enumerate(grid.times()):
        either = changes_over(site, at)
        modes[k] = np.nan if either else signs[season_at(site, at)]
    modes = np.where(np.isnan(read) | (read == 0.0), modes, read)  # off at the end says nothing of before
    return np.where(power <= 0.0, 0.0, modes)
