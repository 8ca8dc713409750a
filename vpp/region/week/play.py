"""A window of half-hours as it really comes to pass at one site, and the rules that it keeps by itself.

The plan says what cars, batteries, rooms and the sun shall do; the site obeys as far as it can. What it never
leaves to a plan: a car that would otherwise miss its departure charges, a room that would leave its band is
held there, and of what would break the contract the air conditioners and then the cars give way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dispatch.schedule import Schedule
from dispatch.terms import room_terms
from energy.core.plan import CarProblem, Problem
from energy.core.series import FloatArray
from vpp.region.week.horizon import SiteState
from vpp.region.week.truth import SiteDay

__all__ = ["Lived", "Living"]

HOURS = 0.5
_KWH = 0.05  # of a promise: below the resolution of a car's display
_KELVIN = 1e-6
_WATT = 1e-3
_IN_TIME = 0.5  # of a charger's power must suffice for what is put off


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
    cars_kw : ndarray, shape (slots,)
        Of all chargers together. [kW]
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
    cars_kw: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(slots=True)
class _Car:
    """A car while it is played."""

    car: CarProblem
    soc: float
    best: float
    leaves: dict[int, float]  # half-hour of the window or later: energy promised
    plugged: np.ndarray  # what comes, to the end of the day after the window's
    drive: FloatArray

    def least_kw(self, t: int, *, share: float = 1.0) -> float:
        """What it must take now so that full power, or a share of it, suffices afterwards. [kW]"""
        ahead = [at for at in self.leaves if at > t]
        if not ahead or not self.plugged[t]:
            return 0.0
        at = min(ahead)
        slots = float(self.plugged[t + 1 : at].sum())
        later = share * HOURS * self.car.charge_efficiency * self.car.max_charge_kw * slots
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


class Living:
    """A site in a window of ``count`` half-hours that begins at half-hour ``first`` of a day.

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

    def __init__(
        self, problem: Problem, schedule: Schedule | None, state: SiteState, days: tuple[SiteDay, SiteDay], *,
        first: int, count: int,
    ) -> None:  # fmt: skip
        self._problem, self._schedule, self._state, self._count = problem, schedule, state, count
        self._cars = [_car(k, problem, state, days, first) for k in range(len(problem.cars))]
        self._truth = _Truth(days, first, count)
        self._t = 0
        power, sun, load, cars = np.empty((4, count))
        self.lived = Lived(power, sun, load, cars_kw=cars)

    def half_hour(self, less_kw: float = 0.0) -> None:
        """Live one half-hour.

        Parameters
        ----------
        less_kw : float
            What the site shall take less than its plan, >= 0; it does so as far as :meth:`room_kw` says. [kW]
        """
        _departures(self._cars, self._t, self.lived)
        _half_hour(
            self._t, self._problem, self._schedule, self._state,
            cars=self._cars, truth=self._truth, lived=self.lived, less_kw=less_kw,
        )  # fmt: skip
        self._t += 1
        self._state.car_kwh = [car.soc for car in self._cars]
        self._state.best_kwh = [car.best for car in self._cars]

    def room_kw(self) -> float:
        """How much less than its plan the site can take in the next half-hour. [kW]

        Cars put off what half of their charger's power can still bring in time, and give where their drivers
        and the plan's floor allow; batteries give down to their reserve; rooms go to the edge of their band.
        """
        if self._schedule is None or self._t >= self._count:
            return 0.0
        here = (self._t, self._problem, self._schedule, self._state)
        wants = _wants(*here, cars=self._cars, truth=self._truth)
        least = _least(self._t, wants, self._problem, self._state, cars=self._cars, truth=self._truth)
        return max(0.0, sum(wants.all) - sum(least.all))


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


@dataclass(slots=True)
class _Wants:
    """Powers of what can be moved, before anything has to give way. [kW]"""

    charge: list[float]
    rooms: list[float]
    battery: list[float]

    @property
    def all(self) -> list[float]:
        """Cars, rooms, batteries."""
        return [*self.charge, *self.rooms, *self.battery]


def _wants(
    t: int, problem: Problem, schedule: Schedule | None, state: SiteState, *,
    cars: list[_Car], truth: _Truth,
) -> _Wants:  # fmt: skip
    """What the plan wants and what must be."""
    rooms = [
        room.held_kw(t, temp, 0.0 if schedule is None else float(schedule.hvac_kw[k, t]))
        for k, (room, temp) in enumerate(zip(truth.rooms, state.room_c, strict=True))
    ]
    battery = [
        0.0 if schedule is None else _battery_kw(problem, k, kwh, float(schedule.battery_kw[k, t]))
        for k, kwh in enumerate(state.battery_kwh)
    ]
    return _Wants([_wanted(car, k, t, schedule) for k, car in enumerate(cars)], rooms, battery)


def _least(
    t: int, wants: _Wants, problem: Problem, state: SiteState, *, cars: list[_Car], truth: _Truth
) -> _Wants:  # fmt: skip
    """The least that breaks no promise, leaves no band and rests with no reserve. [kW]"""
    charge = []
    for car, kw in zip(cars, wants.charge, strict=True):
        rest = -car.car.max_discharge_kw if car.car.may_discharge[t] else min(0.0, kw)
        low = car.possible_kw(t, max(rest, car.least_kw(t, share=_IN_TIME)), may_give=True)
        charge.append(min(kw, low))
    rooms = [
        min(kw, room.held_kw(t, temp, 0.0))
        for room, temp, kw in zip(truth.rooms, state.room_c, wants.rooms, strict=True)
    ]
    battery = [
        min(kw, _battery_kw(problem, k, kwh, -problem.batteries[k].max_discharge_kw))
        for k, (kwh, kw) in enumerate(zip(state.battery_kwh, wants.battery, strict=True))
    ]
    return _Wants(charge, rooms, battery)


def _lowered(wants: _Wants, less_kw: float, least: _Wants) -> _Wants:
    """What is wanted, lowered: each part by the same share of what it can give up."""
    powers, room = wants.all, [kw - low for kw, low in zip(wants.all, least.all, strict=True)]
    total = sum(room)
    share = min(1.0, less_kw / total) if total > 0.0 else 0.0
    moved = [kw - share * one for kw, one in zip(powers, room, strict=True)]
    cars, rooms = len(wants.charge), len(wants.rooms)
    return _Wants(moved[:cars], moved[cars : cars + rooms], moved[cars + rooms :])


def _half_hour(
    t: int, problem: Problem, schedule: Schedule | None, state: SiteState, *,
    cars: list[_Car], truth: _Truth, lived: Lived, less_kw: float,
) -> None:  # fmt: skip
    """One half-hour: what is wanted, what must be, what fits, and where it leads."""
    least = [car.possible_kw(t, car.least_kw(t), may_give=False) for car in cars]
    wants = _wants(t, problem, schedule, state, cars=cars, truth=truth)
    sun = float(truth.sun[t]) * _used(problem, schedule, t)
    still = float(truth.load[t]) - sun
    if less_kw > 0.0:
        low = _least(t, wants, problem, state, cars=cars, truth=truth)
        wants = _lowered(wants, less_kw, low)
    charge, rooms, battery = wants.charge, wants.rooms, wants.battery
    total = still + sum(charge) + sum(rooms) + sum(battery)
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
    lived.power_kw[t], lived.sun_kw[t], lived.cars_kw[t] = power, sun, sum(charge)
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
