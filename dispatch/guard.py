"""The guard of the clocked half-hour: keeps the 30-minute demand under its target, minute by minute.

It knows the meter, the cars and the rooms, and nothing of plans, money or registers: values in, values
out. It works as well when the planner is dead. Demand is counted in clock-aligned windows (RULES-JP 2.1), so
what may still be used depends on what the window has used already (RULES-JP 2.3)::

    projected_kw = 2 * (E + p * (30 - t) / 60)
    allowed_kw = (T / 2 - E) / ((30 - t) / 60)

with t minutes gone, E kWh so far, p kW now, T kW target. Every minute the guard asks what the site would draw
if everything followed the plan, and gives the excess over ``allowed_kw`` to whoever is harmed least: charging
waits, then cars give back, then rooms coast towards the edge of their band, the roomiest first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from energy.core.units import AssetId

__all__ = ["AlarmLevel", "CarFlex", "DemandGuard", "GuardDecision", "GuardInput", "ZoneFlex"]

WINDOW_MIN = 30.0
# RULES-JP 2.3, practice: no load is shed in the first minutes of a window, where the projection is noise.
QUIET_MIN = 4.0
# Compressors must not be switched faster than this (RULES-JP 2.3: 3 to 5 minutes).
HOLD_MIN = 5.0
# Aim this far below the target, for readings that are a minute old and counters that are rounded.
MARGIN = 0.01
# Attention above this share of the target (RULES-JP 2.3).
ATTENTION = 0.9
# Rooms come back one after the other: compressors that start together draw more than they did before.
WAKE_APART_MIN = 2.0
# A room that coasted lately is taken later: each minute of it weighs like this much less room to drift. [K]
REST_K_PER_MIN = 0.02
# How fast the memory of having coasted fades. [min]
FORGET_MIN = 120.0
# While cars give way a room wakes only if they can give this many times what it drew: once for the room, and
# once for the next step of the load, when its compressor has only just started and must not stop.
CUSHION = 2.0


class AlarmLevel(StrEnum):
    """Alarm of a demand controller (デマンド警報)."""

    NONE = "none"
    ATTENTION = "attention"  # projected above 90 % of the target
    CAUTION = "caution"  # projected above the target
    LIMIT = "limit"  # the window's energy is used up


@dataclass(frozen=True, slots=True)
class CarFlex:
    """A car as the guard sees it; powers are positive into the car. [kW]

    Parameters
    ----------
    plan_kw : float
        What the plan wants.
    now_kw : float
        What it does.
    least_kw : float
        What the envelope allows at least: 0 to stop charging, negative to give back.
    """

    id: AssetId
    plan_kw: float
    now_kw: float
    least_kw: float


@dataclass(frozen=True, slots=True)
class ZoneFlex:
    """A room as the guard sees it.

    Parameters
    ----------
    running_kw : float
        Electric power of its unit now, as well as it is known. [kW]
    headroom_k : float
        How far the room is from the edge of its comfort band. [K]
    """

    id: AssetId
    running_kw: float
    headroom_k: float


@dataclass(frozen=True, slots=True)
class GuardInput:
    """One minute's view of the site.

    Parameters
    ----------
    elapsed_min : float
        Minutes since the window began, by the meter's clock, in [0, 30).
    imported_kwh : float
        Energy imported in the window so far. [kWh]
    import_kw : float
        Import now. [kW]
    blind : bool
        The readings are too old to act on: what was decided last stays, and nothing comes back.
    target_kw : float
        Target demand (目標デマンド). [kW]
    expected_kw : float or None
        What the site is expected to draw in this window, undisturbed; cars give way ahead of it, rooms do
        not. None without a forecast. [kW]
    """

    elapsed_min: float
    imported_kwh: float
    import_kw: float
    target_kw: float
    cars: Sequence[CarFlex] = ()
    zones: Sequence[ZoneFlex] = ()
    expected_kw: float | None = None
    blind: bool = False


@dataclass(frozen=True, slots=True)
class GuardDecision:
    """What the guard wants.

    Parameters
    ----------
    cars : dict
        Power of each car that must leave its plan. [kW]
    shed : tuple of AssetId
        Rooms that coast until told otherwise.
    unmet_kw : float
        What could not be shed: the target will be missed by it if nothing changes. [kW]
    """

    level: AlarmLevel
    projected_kw: float
    allowed_kw: float
    reduction_kw: float
    cars: dict[AssetId, float] = field(default_factory=dict)
    shed: tuple[AssetId, ...] = ()
    unmet_kw: float = 0.0


def projected_demand_kw(elapsed_min: float, imported_kwh: float, import_kw: float) -> float:
    """Demand of the window if the site goes on as now. [kW]

    Examples
    --------
    >>> projected_demand_kw(12, 60, 360)
    336.0
    """
    return 2.0 * (imported_kwh + import_kw * (WINDOW_MIN - elapsed_min) / 60.0)


def allowed_power_kw(elapsed_min: float, imported_kwh: float, target_kw: float) -> float:
    """Power that uses up the window's energy exactly at its end; negative if it is used up already. [kW]

    Examples
    --------
    >>> round(allowed_power_kw(12, 60, 320), 1)
    333.3
    """
    return (target_kw / 2.0 - imported_kwh) / ((WINDOW_MIN - elapsed_min) / 60.0)


@dataclass
class _Shed:
    """A room that coasts: what it drew when it was shed, and how long it has coasted."""

    saved_kw: float
    minutes: float


class DemandGuard:
    """Remembers which rooms coast, which did, and what it last said; the rest is decided afresh each time.

    Parameters
    ----------
    minutes_per_call : float
        Time between two calls. [min]
    """

    def __init__(self, *, minutes_per_call: float = 1.0) -> None:
        self._minutes = minutes_per_call
        self._coasting: dict[AssetId, _Shed] = {}
        self._awake: dict[AssetId, float] = {}  # minutes since a room was let go
        self._coasted: dict[AssetId, float] = {}  # minutes of coasting, fading
        self._woke_min = WAKE_APART_MIN  # since the last room was let go
        self._held: dict[AssetId, float] = {}  # cars as they were last told

    def state(self) -> dict[str, dict[str, list[float]]]:
        """What must survive a restart, as plain values: who coasts, who did, whose turn is next."""
        return {
            "coasting": {str(zone): [shed.saved_kw, shed.minutes] for zone, shed in self._coasting.items()},
            "awake": {str(zone): [minutes] for zone, minutes in self._awake.items()},
            "coasted": {str(zone): [minutes] for zone, minutes in self._coasted.items()},
            "cars": {str(car): [power_kw] for car, power_kw in self._held.items()},
            "woke": {"": [self._woke_min]},
        }

    def restore(self, state: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Go on from :meth:`state`."""
        self._coasting = {AssetId(zone): _Shed(*values) for zone, values in state["coasting"].items()}
        self._awake = {AssetId(zone): values[0] for zone, values in state["awake"].items()}
        self._coasted = {AssetId(zone): values[0] for zone, values in state["coasted"].items()}
        self._held = {AssetId(car): values[0] for car, values in state["cars"].items()}
        self._woke_min = state["woke"][""][0]

    @property
    def coasted_min(self) -> dict[AssetId, float]:
        """Minutes for which each room coasted, older ones counting less: how fairly the burden is shared."""
        return dict(self._coasted)

    def decide(self, site: GuardInput) -> GuardDecision:
        """What to change now.

        Raises
        ------
        ValueError
            If ``elapsed_min`` lies outside the window.
        """
        if not 0.0 <= site.elapsed_min < WINDOW_MIN:
            msg = f"elapsed_min {site.elapsed_min} lies outside the window of {WINDOW_MIN:g} minutes"
            raise ValueError(msg)
        self._let_pass()
        projected = projected_demand_kw(site.elapsed_min, site.imported_kwh, site.import_kw)
        allowed = allowed_power_kw(site.elapsed_min, site.imported_kwh, site.target_kw)
        if site.blind:
            return self._hold(site, projected, allowed)
        undisturbed = self._undisturbed_kw(site)
        affordable = self._affordable_kw(site.elapsed_min, allowed)
        cars, given = _ask_cars(site.cars, max(undisturbed, _ahead_kw(site, undisturbed)) - affordable)
        left = self._ask_zones(site, undisturbed - affordable - given, _cushion_kw(site.cars, given))
        self._held = cars
        return GuardDecision(
            level=_level(projected, allowed, site.target_kw),
            projected_kw=projected,
            allowed_kw=allowed,
            reduction_kw=max(0.0, site.import_kw - allowed),
            cars=cars,
            shed=tuple(sorted(self._coasting)),
            unmet_kw=max(0.0, left),
        )

    def _affordable_kw(self, elapsed_min: float, allowed_kw: float) -> float:  # noqa: ARG002 - for others
        """What the guard aims at; nothing is kept in hand for steps that have not come (ADR 0049). [kW]"""
        return allowed_kw * (1.0 - MARGIN)

    def _let_pass(self) -> None:
        """Let the time between two calls pass."""
        self._woke_min += self._minutes
        for shed in self._coasting.values():
            shed.minutes += self._minutes
        self._awake = {zone: minutes + self._minutes for zone, minutes in self._awake.items()}
        keep = math.exp(-self._minutes / FORGET_MIN)
        self._coasted = {zone: keep * minutes for zone, minutes in self._coasted.items()}
        for zone in self._coasting:
            self._coasted[zone] = self._coasted.get(zone, 0.0) + self._minutes

    def _hold(self, site: GuardInput, projected: float, allowed: float) -> GuardDecision:
        """Without eyes: cars stay as low as they were told, rooms coast on while their band allows."""
        known = {car.id: car for car in site.cars}
        rooms = {zone.id: zone for zone in site.zones}
        for zone in [zone for zone in self._coasting if zone in rooms and rooms[zone].headroom_k <= 0.0]:
            self._let_go(zone)
        return GuardDecision(
            level=_level(projected, allowed, site.target_kw),
            projected_kw=projected,
            allowed_kw=allowed,
            reduction_kw=max(0.0, site.import_kw - allowed),
            cars={
                name: min(known[name].plan_kw, max(power, known[name].least_kw))
                for name, power in self._held.items()
                if name in known
            },
            shed=tuple(sorted(self._coasting)),
        )

    def _let_go(self, zone: AssetId) -> None:
        del self._coasting[zone]
        self._awake[zone] = 0.0
        self._woke_min = 0.0

    def _undisturbed_kw(self, site: GuardInput) -> float:
        """What the site would draw if every car followed its plan and no room coasted. [kW]"""
        held_cars = sum(car.plan_kw - car.now_kw for car in site.cars)
        running = {zone.id: zone.running_kw for zone in site.zones}
        held_rooms = sum(max(0.0, shed.saved_kw - running.get(z, 0.0)) for z, shed in self._coasting.items())
        return site.import_kw + held_cars + held_rooms

    def _ask_zones(self, site: GuardInput, excess_kw: float, cushion_kw: float) -> float:
        """Let rooms coast until the excess is gone, wake those no longer needed; give what is left. [kW]"""
        left = excess_kw
        for zone in sorted(site.zones, key=self._turn):
            shed = self._coasting.get(zone.id)
            if shed is not None:
                if self._stays(zone, shed, left, cushion_kw):
                    left -= shed.saved_kw
                else:
                    self._let_go(zone.id)
            elif left > 0.0 and self._may_start(site, zone):
                self._coasting[zone.id] = _Shed(zone.running_kw, 0.0)
                left -= zone.running_kw
        return left

    def _turn(self, zone: ZoneFlex) -> float:
        """Whose turn it is: the roomiest first, those that coasted lately later."""
        return REST_K_PER_MIN * self._coasted.get(zone.id, 0.0) - zone.headroom_k

    def _stays(self, zone: ZoneFlex, shed: _Shed, left_kw: float, cushion_kw: float) -> bool:
        """Whether a room coasts on: needed, must rest, another starts just now, or cars are near the end."""
        if shed.minutes < HOLD_MIN:
            return True
        if zone.headroom_k <= 0.0:
            return False
        if cushion_kw < CUSHION * shed.saved_kw:
            return True
        return left_kw > 0.0 or self._woke_min < WAKE_APART_MIN

    def _may_start(self, site: GuardInput, zone: ZoneFlex) -> bool:
        """Not in the noisy first minutes, and not a compressor that has only just started."""
        rested = self._awake.get(zone.id, HOLD_MIN) >= HOLD_MIN
        return site.elapsed_min >= QUIET_MIN and rested and zone.headroom_k > 0.0 and zone.running_kw > 0.0


def _ahead_kw(site: GuardInput, undisturbed_kw: float) -> float:
    """What to be ready for: a rise that becomes less likely as the window runs out. [kW]

    A step that comes late in a window cannot be made up for; energy saved before it can. Giving way early
    costs a few kWh through a battery, a missed target costs twelve months of basic charge.
    """
    if site.expected_kw is None:
        return undisturbed_kw
    return undisturbed_kw + (site.expected_kw - undisturbed_kw) * (1.0 - site.elapsed_min / WINDOW_MIN)


def _ask_cars(cars: Sequence[CarFlex], excess_kw: float) -> tuple[dict[AssetId, float], float]:
    """Take the excess from the cars: first stop charging, then give back, equally by room to move.

    Gives the powers of the cars that must leave their plan, and what they give together. [kW]
    """
    wanted: dict[AssetId, float] = {}
    left = excess_kw
    for stage_kw in (0.0, -math.inf):
        power = {car.id: wanted.get(car.id, car.plan_kw) for car in cars}
        room = {car.id: max(0.0, power[car.id] - max(stage_kw, car.least_kw)) for car in cars}
        total = sum(room.values())
        if left <= 0.0 or total <= 0.0:
            continue
        share = min(1.0, left / total)
        wanted |= {name: power[name] - share * room[name] for name in room if room[name] > 0.0}
        left -= share * total
    return wanted, excess_kw - left if excess_kw > 0.0 else 0.0


def _cushion_kw(cars: Sequence[CarFlex], given_kw: float) -> float:
    """What cars that give way could still give; without bound while none does. [kW]"""
    if given_kw <= 0.0:
        return math.inf
    return sum(max(0.0, car.plan_kw - car.least_kw) for car in cars) - given_kw


def _level(projected_kw: float, allowed_kw: float, target_kw: float) -> AlarmLevel:
    if allowed_kw <= 0.0:
        return AlarmLevel.LIMIT
    if projected_kw > target_kw:
        return AlarmLevel.CAUTION
    return AlarmLevel.ATTENTION if projected_kw > ATTENTION * target_kw else AlarmLevel.NONE
