"""A window of half-hours as it really comes to pass at one site, and the rules that it keeps by itself.

The plan says what cars, batteries, rooms and the sun shall do; the site obeys as far as it can. What it never
leaves to a plan: a car that would otherwise miss its departure charges, a room that would leave its band is
held there, and of what would break the contract the air conditioners and then the cars give way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.schedule import Schedule
from dispatch.terms import room_terms
from energy.core.plan import CarProblem, Problem
from energy.core.series import FloatArray
from vpp.region.week.horizon import SiteState
from vpp.region.week.truth import SiteDay

__all__ = ["Lived", "live"]

HOURS = 0.5
_KWH = 0.05  # of a promise: below the resolution of a car's display
_KELVIN = 1e-6
_WATT = 1e-3


@dataclass(slots=True)
class Lived:
    """What came to pass at a site.

    Parameters
    ----------
    power_kw, sun_kw, load_kw : ndarray, shape (slots,)
        Power at the connection, of the array as used, of all that consumed. [kW]
    yen : float
        Energy bought less energy sold, at the site's own prices. [yen]
    wear_yen : float
        Of what batteries gave. [yen]
    discomfort_kh, unheld_kh : float
        Outside the comfort bands; of it while the unit was at its limit, such as a cool morning of a summer
        that no cooling can warm. [K h]
    gave_kwh : float
        What cars gave back. [kWh]
    kept, missed, hopeless : int
        Departures that were kept; that were missed and could have been kept; that nobody could have kept.
    over_contract_kw : float
        The most above the contract. [kW]
    """

    power_kw: FloatArray
    sun_kw: FloatArray
    load_kw: FloatArray
    yen: float = 0.0
    wear_yen: float = 0.0
    discomfort_kh: float = 0.0
    unheld_kh: float = 0.0
    gave_kwh: float = 0.0
    kept: int = 0
    missed: int = 0
    hopeless: int = 0
    over_contract_kw: float = 0.0


@dataclass(slots=True)
class _Car:
    """A car while it is played."""

    car: CarProblem
    soc: float
    best: float
    leaves: dict[int, float]  # half-hour of the window or later: energy promised
    plugged: np.ndarray  # what comes, to the end of the day after the window's
    drive: FloatArray

    def least_kw(self, t: int) -> float:
        """What it must take now so that full power suffices afterwards. [kW]"""
        ahead = [at for at in self.leaves if at > t]
        if not ahead or not self.plugged[t]:
            return 0.0
        at = min(ahead)
        slots = float(self.plugged[t + 1 : at].sum())
        later = HOURS * self.car.charge_efficiency * self.car.max_charge_kw * slots
        short = self.leaves[at] + float(self.drive[t:at].sum()) - self.soc - later
        return min(self.car.max_charge_kw, max(0.0, short / (HOURS * self.car.charge_efficiency)))

    def possible_kw(self, t: int, wanted: float, *, may_give: bool) -> float:
        """The part of a power that it can take or give. [kW]"""
        if not self.plugged[t]:
            return 0.0
        room = max(0.0, self.car.ceiling_kwh - self.soc) / (HOURS * self.car.charge_efficiency)
        spare = max(0.0, self.soc - self.car.floor_kwh) * self.car.discharge_efficiency / HOURS
        least = -min(self.car.max_discharge_kw, spare) if may_give else 0.0
        return float(np.clip(wanted, least, min(self.car.max_charge_kw, room)))

    def move(self, t: int, power_kw: float) -> None:
        """Go to the end of a half-hour; a trip begins with its departure."""
        eta_c, eta_d = self.car.charge_efficiency, self.car.discharge_efficiency
        gain = HOURS * (power_kw * eta_c if power_kw > 0.0 else power_kw / eta_d)
        top = HOURS * eta_c * self.car.max_charge_kw if self.plugged[t] else 0.0
        self.soc = max(0.0, self.soc + gain - self.drive[t])
        self.best = max(self.soc, min(self.car.ceiling_kwh, self.best + top) - self.drive[t])
        if self.drive[t] > 0.0:
            self.best = self.soc


def live(
    problem: Problem, schedule: Schedule | None, state: SiteState, days: tuple[SiteDay, SiteDay], *,
    first: int, count: int,
) -> Lived:  # fmt: skip
    """Play the first ``count`` half-hours of a plan that begins at half-hour ``first`` of a day.

    Parameters
    ----------
    problem : Problem
        What the plan was made for; prices and limits hold, its forecasts do not.
    schedule : Schedule, optional
        The plan; without one cars charge when they come, rooms are held, batteries rest.
    state : SiteState
        Is moved on.
    days : tuple of SiteDay
        The day and the next.
    """
    cars = [_car(k, problem, state, days, first) for k in range(len(problem.cars))]
    truth = _Truth(days, first, count)
    lived = Lived(np.empty(count), np.empty(count), np.empty(count))
    for t in range(count):
        _departures(cars, t, lived)
        _half_hour(t, problem, schedule, state, cars=cars, truth=truth, lived=lived)
    state.car_kwh, state.best_kwh = [car.soc for car in cars], [car.best for car in cars]
    return lived


class _Truth:
    """Load, sun and rooms' surroundings as they come."""

    def __init__(self, days: tuple[SiteDay, SiteDay], first: int, count: int) -> None:
        rows = slice(first, first + count)
        here, then = (day.site.problem for day in days)
        self.load = np.concatenate([days[0].load_kw, days[1].load_kw])[rows]
        suns = [sum((np.array(a.p50_kw) for a in day.pv), np.zeros(48)) for day in (here, then)]
        self.sun = np.concatenate(suns)[rows]
        self.zones = [(room_terms(here, a), a) for a in here.zones]
        later = [(room_terms(then, b), b) for b in then.zones]
        self.rooms = [_Room.of(x, y, rows) for x, y in zip(self.zones, later, strict=True)]


@dataclass(frozen=True, slots=True)
class _Room:
    """A room's coefficients and band by half-hour."""

    decay: FloatArray
    drift_c: FloatArray
    kelvin_per_kw: FloatArray
    max_kw: FloatArray
    low_c: FloatArray
    high_c: FloatArray

    @classmethod
    def of(cls, here: tuple, then: tuple, rows: slice) -> _Room:  # type: ignore[type-arg]
        """Both days joined and cut."""
        (a, za), (b, zb) = here, then

        def cut(x: object, y: object) -> FloatArray:
            return np.concatenate([np.asarray(x, dtype=float), np.asarray(y, dtype=float)])[rows]

        return cls(
            cut(a.decay, b.decay), cut(a.drift_c, b.drift_c), cut(a.kelvin_per_kw, b.kelvin_per_kw),
            cut(a.max_kw, b.max_kw), cut(za.low_c, zb.low_c), cut(za.high_c, zb.high_c),
        )  # fmt: skip

    def held_kw(self, t: int, temp_c: float, wanted_kw: float) -> float:
        """The power nearest to the wanted one that ends inside the band, as far as the unit can. [kW]"""
        most, gain = float(self.max_kw[t]), float(self.kelvin_per_kw[t])
        wanted = float(np.clip(wanted_kw, 0.0, most))
        if gain == 0.0:
            return wanted
        rests = float(self.decay[t] * temp_c + self.drift_c[t])
        edges = sorted(((float(self.low_c[t]) - rests) / gain, (float(self.high_c[t]) - rests) / gain))
        return float(np.clip(np.clip(wanted, edges[0], edges[1]), 0.0, most))

    def after(self, t: int, temp_c: float, power_kw: float) -> float:
        """Temperature at the end of a half-hour. [degC]"""
        return float(self.decay[t] * temp_c + self.drift_c[t] + self.kelvin_per_kw[t] * power_kw)


def _car(k: int, problem: Problem, state: SiteState, days: tuple[SiteDay, SiteDay], first: int) -> _Car:
    plugged = np.concatenate([day.plugged[k] for day in days])[first:]
    drive = np.concatenate([day.drive_kwh[k] for day in days])[first:]
    leaves = {}
    for back, day in zip((0, 48), days, strict=True):
        for one in day.site.problem.cars[k].promises:
            leaves[one.index + back - first] = one.soc_kwh
    return _Car(problem.cars[k], state.car_kwh[k], state.best_kwh[k], leaves, plugged, drive)


def _departures(cars: list[_Car], t: int, lived: Lived) -> None:
    """Look at what cars hold that leave at the start of a half-hour."""
    for car in cars:
        wanted = car.leaves.get(t)
        if wanted is None:
            continue
        if car.soc >= wanted - _KWH:
            lived.kept += 1
        elif car.best < wanted - _KWH:
            lived.hopeless += 1
        else:
            lived.missed += 1


def _half_hour(
    t: int, problem: Problem, schedule: Schedule | None, state: SiteState, *,
    cars: list[_Car], truth: _Truth, lived: Lived,
) -> None:  # fmt: skip
    """One half-hour: what is wanted, what must be, what fits, and where it leads."""
    charge = [_wanted(car, k, t, schedule) for k, car in enumerate(cars)]
    least = [car.possible_kw(t, car.least_kw(t), may_give=False) for car in cars]
    rooms = [
        room.held_kw(t, temp, 0.0 if schedule is None else float(schedule.hvac_kw[k, t]))
        for k, (room, temp) in enumerate(zip(truth.rooms, state.room_c, strict=True))
    ]
    battery = [
        0.0 if schedule is None else _battery_kw(problem, k, kwh, float(schedule.battery_kw[k, t]))
        for k, kwh in enumerate(state.battery_kwh)
    ]
    sun = float(truth.sun[t]) * _used(problem, schedule, t)
    total = float(truth.load[t]) + sum(charge) + sum(rooms) + sum(battery) - sun
    over = total - problem.limits.contract_kw
    if over > 0.0:
        over = _give_way(over, battery, [0.0] * len(battery))
        held = [room.held_kw(t, temp, 0.0) for room, temp in zip(truth.rooms, state.room_c, strict=True)]
        over = _give_way(over, rooms, held)
        over = _give_way(over, charge, least)
        lived.over_contract_kw = max(lived.over_contract_kw, over)
    flexible = sum(charge) + sum(rooms) + sum(battery)
    fed = sun - float(truth.load[t]) - flexible - problem.limits.max_export_kw
    sun -= min(sun, max(0.0, fed))
    power = float(truth.load[t]) + flexible - sun
    _move(t, problem, state, cars=cars, truth=truth, charge=charge, rooms=rooms, battery=battery, lived=lived)
    price = problem.price_yen_per_kwh[t]
    sold = problem.sell_yen_per_kwh[t] if problem.sell_yen_per_kwh else 0.0
    lived.yen += HOURS * (price * max(0.0, power) - sold * max(0.0, -power))
    lived.power_kw[t], lived.sun_kw[t] = power, sun
    lived.load_kw[t] = power + sun
    state.peak_kw = max(state.peak_kw, power)


def _wanted(car: _Car, k: int, t: int, schedule: Schedule | None) -> float:
    """What the plan wants of a car, and at least what its departure needs. [kW]"""
    if schedule is None:
        ahead = [at for at in car.leaves if at > t]
        short = car.leaves[min(ahead)] - car.soc if ahead else 0.0
        wanted = short / (HOURS * car.car.charge_efficiency)
        return car.possible_kw(t, max(0.0, wanted), may_give=False)
    may = bool(car.car.may_discharge[t])
    return car.possible_kw(t, max(float(schedule.car_kw[k, t]), car.least_kw(t)), may_give=may)


def _battery_kw(problem: Problem, k: int, soc: float, wanted: float) -> float:
    one = problem.batteries[k]
    room = max(0.0, one.capacity_kwh - soc) / (HOURS * one.charge_efficiency)
    spare = max(0.0, soc - one.reserve_kwh) * one.discharge_efficiency / HOURS
    return float(np.clip(wanted, -min(one.max_discharge_kw, spare), min(one.max_charge_kw, room)))


def _used(problem: Problem, schedule: Schedule | None, t: int) -> float:
    """Share of the sun that the plan uses. [-]"""
    offered = sum(array.p50_kw[t] for array in problem.pv)
    if schedule is None or offered <= 0.0:
        return 1.0
    return min(1.0, float(schedule.pv_kw[:, t].sum()) / offered)


def _give_way(over: float, powers: list[float], least: list[float]) -> float:
    """Lower powers in place, each down to its least; what is still above the contract. [kW]"""
    for k, low in enumerate(least):
        cut = min(max(0.0, over), max(0.0, powers[k] - low))
        powers[k] -= cut
        over -= cut
    return max(0.0, over)


def _move(
    t: int, problem: Problem, state: SiteState, *,
    cars: list[_Car], truth: _Truth, charge: list[float], rooms: list[float], battery: list[float],
    lived: Lived,
) -> None:  # fmt: skip
    """Everything that is stored, at the end of the half-hour."""
    for car, power in zip(cars, charge, strict=True):
        car.move(t, power)
        lived.gave_kwh += HOURS * max(0.0, -power)
        lived.wear_yen += HOURS * max(0.0, -power) * car.car.wear_yen_per_kwh
    for k, (room, power) in enumerate(zip(truth.rooms, rooms, strict=True)):
        temp = state.room_c[k] = room.after(t, state.room_c[k], power)
        outside = max(0.0, float(room.low_c[t]) - temp, temp - float(room.high_c[t]))
        if outside > _KELVIN:
            lived.discomfort_kh += HOURS * outside
            lived.unheld_kh += HOURS * outside * (power <= _WATT or power >= room.max_kw[t] - _WATT)
    for k, (one, power) in enumerate(zip(problem.batteries, battery, strict=True)):
        gain = power * one.charge_efficiency if power > 0.0 else power / one.discharge_efficiency
        state.battery_kwh[k] += HOURS * gain
        lived.wear_yen += HOURS * max(0.0, -power) * one.wear_yen_per_kwh
