"""Thousands of simulated half hours under the guard, and two bounds that know nothing of it.

``python -m tests.soak.guard_soak [half hours] [seed]`` prints one table. The load jumps, the meter errs, its
readings come late or not at all; four cars and eight rooms give way. A target that was missed counts against
the guard unless

- *physics* left no choice: whoever had known the whole window beforehand, with every car giving back and all
  units off from its first second to its last, would have missed it too (:meth:`Site._foreseen_kw`); or
- *nobody could see it* in time: an ideal controller (:class:`Ideal`) that has the same readings at the same
  instants, reads the load off them without error, turns every car and every unit as finely and as fast as it
  likes, and gives whatever the window asks for, missed it too.

Both are computed from the load, the plans of the cars, the state at the window's beginning and the instants
at which readings came. They use no code of the guard and nothing that the guard did within the window.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from dispatch.guard import CarFlex, DemandGuard, GuardInput, ZoneFlex
from dispatch.guard_meter import WindowMeter
from energy.core.units import AssetId

CYCLE_S = 20
CYCLES = 1800 // CYCLE_S
TARGET_KW = 230.0
CAR_KW, CAR_KWH, FLOOR = 6.0, 40.0, 0.3
EDGE_C, SETPOINT_C = 27.3, 26.0
HEAT_KWH_PER_K, COP = 12.0, 3.3
USUAL_KW = (5.0, 5.0, 5.0, 5.0, 4.0, 4.0, 4.0, 4.0)
BLIND_S = 90.0
TOLERANCE = 0.005  # of the target: the meter errs by one percent at each reading
START = datetime(2026, 8, 3, tzinfo=UTC)


@dataclass
class Room:
    """A room with a thermostat; its unit draws what keeps the setpoint, more when it is warm."""

    usual_kw: float
    temp_c: float = SETPOINT_C
    coasting: bool = False
    power_kw: float = 0.0

    def step(self, hours: float) -> None:
        wanted = self.usual_kw * (1.0 + 2.0 * (self.temp_c - SETPOINT_C))
        limit = 0.0 if self.coasting and self.temp_c < EDGE_C else 2.0 * self.usual_kw
        self.power_kw = min(max(wanted, 0.0), limit)
        self.temp_c += COP * (self.usual_kw - self.power_kw) / HEAT_KWH_PER_K * hours


@dataclass
class Report:
    """What is counted."""

    windows: int = 0
    missed: int = 0
    physics: int = 0
    unseen: int = 0
    ideal: int = 0
    avoidable: list[tuple[int, float, float]] = field(default_factory=list)
    uncontrolled: int = 0
    worst_kw: float = 0.0
    overshoot_kw: float = 0.0
    wakes_together: int = 0
    short_rests: int = 0
    coasted_min: np.ndarray = field(default_factory=lambda: np.zeros(8))
    withheld_kwh: np.ndarray = field(default_factory=lambda: np.zeros(4))
    readings: Counter[str] = field(default_factory=Counter)


class Site:
    """Load, cars, rooms and a meter whose readings travel."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.guard = DemandGuard(minutes_per_call=CYCLE_S / 60.0)
        self.meter = WindowMeter()
        self.rooms = [Room(usual) for usual in USUAL_KW]
        self.soc_kwh = np.full(4, 0.8 * CAR_KWH)
        self.plan_kw = np.zeros(4)
        self.car_kw = np.zeros(4)
        self.now = START
        self.counter = 0.0
        self.load_kw = self.base_kw = 160.0
        self.travelling: list[tuple[datetime, datetime, float, float]] = []
        self.past: dict[datetime, tuple[np.ndarray, list[float], list[float]]] = {}
        self.deaf_until = START
        self.seen_at: datetime | None = None
        self.report = Report()
        self.minutes_since: dict[int, float] = {}
        self.known_at: list[datetime] = []
        self.drew_kw = [0.0] * len(self.rooms)

    def window(self) -> None:
        """One half hour: steps of load, plans of cars, readings, the guard, and the verdict."""
        rng, hours = self.rng, CYCLE_S / 3600.0
        self.base_kw = float(np.clip(0.7 * self.base_kw + 0.3 * 165.0 + rng.normal(0.0, 12.0), 120.0, 215.0))
        self.load_kw = self.base_kw + float(rng.normal(0.0, 3.0))
        self.plan_kw = np.where(rng.random(4) < 0.5, CAR_KW, 0.0) * (self.soc_kwh < 0.95 * CAR_KWH)
        steps = {int(k): float(rng.normal(0.0, 35.0)) for k in rng.integers(0, CYCLES, int(rng.poisson(1.2)))}
        begun = (self.soc_kwh.copy(), [room.temp_c for room in self.rooms])
        loads, energy = [], 0.0
        self.known_at = []
        for cycle in range(CYCLES):
            self.load_kw = max(20.0, self.load_kw + steps.get(cycle, 0.0) + float(rng.normal(0.0, 0.8)))
            self._decide(cycle)
            for room in self.rooms:
                room.step(hours)
            full = (self.soc_kwh >= CAR_KWH) & (self.car_kw > 0.0)
            self.car_kw = np.where(full, 0.0, self.car_kw)
            self.soc_kwh += np.where(self.car_kw > 0.0, 0.92 * self.car_kw, self.car_kw / 0.92) * hours
            import_kw = max(0.0, self.load_kw + self.car_kw.sum() + sum(one.power_kw for one in self.rooms))
            energy += import_kw * hours
            self.counter += import_kw * hours
            loads.append(self.load_kw)
            self.now += timedelta(seconds=CYCLE_S)
            self._read(import_kw)
            self.report.coasted_min += np.array([one.coasting for one in self.rooms]) * CYCLE_S / 60.0
            self.report.withheld_kwh += np.maximum(0.0, self.plan_kw - self.car_kw) * hours
        self._judge(2.0 * energy, np.array(loads), begun)
        self.soc_kwh = np.clip(self.soc_kwh + rng.uniform(0.0, 1.5, 4), 0.0, 0.95 * CAR_KWH)
        self.past = {at: one for at, one in self.past.items() if self.now - at < timedelta(minutes=20)}

    def _read(self, import_kw: float) -> None:
        """The meter is read; the reading is lost, late or both."""
        rng = self.rng
        self.past[self.now] = (
            self.car_kw.copy(),
            [one.power_kw for one in self.rooms],
            [EDGE_C - one.temp_c for one in self.rooms],
        )
        if rng.random() < 0.002:
            self.deaf_until = self.now + timedelta(seconds=float(rng.uniform(60.0, 240.0)))
        lost = rng.random() < 0.05 or self.now < self.deaf_until
        late = 0.0 if rng.random() < 0.6 else float(rng.exponential(15.0))
        self.report.readings["lost" if lost else "late" if late > CYCLE_S else "in time"] += 1
        if not lost:
            noisy = import_kw * (1.0 + float(rng.normal(0.0, 0.01)))
            counter = math.floor(self.counter * 100.0) / 100.0
            self.travelling.append((self.now + timedelta(seconds=late), self.now, counter, noisy))

    def _decide(self, cycle: int) -> None:
        for arrived in [one for one in self.travelling if one[0] <= self.now]:
            self.travelling.remove(arrived)
            self.meter.observe(*arrived[1:])
            self.seen_at = max(self.seen_at or arrived[1], arrived[1])
        self.known_at.append(self.seen_at or START)
        seen = self.meter.read(self.now)
        if seen is None or self.seen_at not in self.past:
            self.car_kw = np.minimum(self.plan_kw, self.car_kw)
            return
        car_kw, room_kw, headroom = self.past[self.seen_at]
        least = np.where(self.soc_kwh > FLOOR * CAR_KWH, -CAR_KW, 0.0)
        decision = self.guard.decide(
            GuardInput(
                elapsed_min=seen.elapsed_min,
                imported_kwh=seen.imported_kwh,
                import_kw=seen.import_kw,
                target_kw=TARGET_KW,
                cars=[
                    CarFlex(AssetId(f"car-{k}"), float(self.plan_kw[k]), float(car_kw[k]), float(least[k]))
                    for k in range(4)
                ],
                zones=[
                    ZoneFlex(AssetId(f"room-{k}"), room_kw[k], headroom[k]) for k in range(len(self.rooms))
                ],
                blind=seen.age_s > BLIND_S,
            )
        )
        self.car_kw = np.array(
            [decision.cars.get(AssetId(f"car-{k}"), float(self.plan_kw[k])) for k in range(4)]
        )
        if seen.age_s <= BLIND_S:
            self._count_cars(decision.allowed_kw, seen.import_kw, car_kw, room_kw)
        self._count_rooms({str(one) for one in decision.shed}, room_kw, headroom)

    def _count_cars(self, allowed: float, import_kw: float, car_kw: np.ndarray, room_kw: list[float]) -> None:
        """What the cars were cut beyond what the reading asked for: the first step must not overshoot."""
        cut = float(self.plan_kw.sum() - self.car_kw.sum())
        held = sum(
            max(0.0, self.drew_kw[k] - drew) for k, drew in enumerate(room_kw) if self.rooms[k].coasting
        )
        need = import_kw + float((self.plan_kw - car_kw).sum()) + held - 0.99 * allowed
        if cut > 0.01:
            self.report.overshoot_kw = max(self.report.overshoot_kw, cut - max(0.0, need))

    def _count_rooms(self, shed: set[str], room_kw: list[float], headroom: list[float]) -> None:
        """Compressors that start together (rooms at the edge of their band may), or switch too soon."""
        woken = 0
        for k, room in enumerate(self.rooms):
            self.minutes_since[k] = self.minutes_since.get(k, 60.0) + CYCLE_S / 60.0
            now = f"room-{k}" in shed
            if now != room.coasting:
                self.report.short_rests += self.minutes_since[k] < 5.0 - 1e-6
                woken += room.coasting and headroom[k] > 0.0
                if now:
                    self.drew_kw[k] = room_kw[k]
                self.minutes_since[k] = 0.0
            room.coasting = now
        self.report.wakes_together += woken > 1

    def _judge(self, demand_kw: float, loads: np.ndarray, begun: tuple[np.ndarray, list[float]]) -> None:
        report = self.report
        report.windows += 1
        free = loads + self.plan_kw.sum() + sum(one.usual_kw for one in self.rooms)
        report.uncontrolled += bool(free.mean() > TARGET_KW)
        limit_kw = TARGET_KW * (1.0 + TOLERANCE)
        first = self.now - timedelta(minutes=30)
        seen = [math.floor((at - first).total_seconds() / CYCLE_S) - 1 for at in self.known_at]
        ideal_kw = Ideal(loads, self.plan_kw, begun).demand_kw(seen)
        report.ideal += ideal_kw > limit_kw
        if demand_kw <= limit_kw:
            return
        report.missed += 1
        report.worst_kw = max(report.worst_kw, demand_kw - TARGET_KW)
        if self._foreseen_kw(loads, begun) > limit_kw:
            report.physics += 1
        elif ideal_kw > limit_kw:
            report.unseen += 1
        else:
            report.avoidable.append((report.windows, demand_kw, ideal_kw))

    def _foreseen_kw(self, loads: np.ndarray, begun: tuple[np.ndarray, list[float]]) -> float:
        """Lower bound of the demand, whoever controls and whatever is known. [kW]

        The integral of the load, less all that the cars can give from their charge above the floor, plus what
        the rooms need after they have drifted to their edge with the units off. Minimum times, ramps and the
        connection without export can only raise it; charging and planned cooling only as well.
        """
        soc, temps = begun
        car_kwh = np.minimum(CAR_KW * 0.5, 0.92 * np.maximum(0.0, soc - FLOOR * CAR_KWH)).sum()
        room_kwh = 0.0
        for room, temp in zip(self.rooms, temps, strict=True):
            off_h = max(0.0, (EDGE_C - temp) * HEAT_KWH_PER_K / (COP * room.usual_kw))
            room_kwh += room.usual_kw * max(0.0, 0.5 - off_h)
        return 2.0 * (float(loads.sum()) * CYCLE_S / 3600.0 - float(car_kwh) + room_kwh)


class Ideal:
    """A controller without faults that sees what the guard could see, and not before.

    At each cycle it knows the load up to the newest reading that has come, takes it to stay as it was then,
    and gives what brings the window one percent below its target: charging first, then giving back, then
    rooms, all by the same share. It has no minimum times, no steps, no error of the meter, no quiet minutes.
    """

    def __init__(self, loads: np.ndarray, plan_kw: np.ndarray, begun: tuple[np.ndarray, list[float]]) -> None:
        self.loads, self.plan_kw = loads, plan_kw
        self.soc_kwh = begun[0].copy()
        self.temps = np.array(begun[1])
        self.usual_kw = np.array(USUAL_KW)
        self.flexible: list[float] = []  # what cars and rooms drew in each cycle

    def demand_kw(self, seen: list[int]) -> float:
        """Demand of the window. [kW]

        Parameters
        ----------
        seen : list of int
            By cycle: the last cycle that a reading has told of; -1 if none of this window.
        """
        for cycle in range(CYCLES):
            self._one(cycle, seen[cycle])
        return float((self.loads + np.array(self.flexible)).mean())

    def _one(self, cycle: int, seen: int) -> None:
        hours = CYCLE_S / 3600.0
        wanted = np.clip(self.usual_kw * (1.0 + 2.0 * (self.temps - SETPOINT_C)), 0.0, 2.0 * self.usual_kw)
        least = np.where(self.temps >= EDGE_C, np.minimum(self.usual_kw, wanted), 0.0)
        low = np.where(self.soc_kwh > FLOOR * CAR_KWH, -CAR_KW, 0.0)
        needed = self._needed_kw(cycle, seen, float(self.plan_kw.sum() + wanted.sum()))
        cars, needed = _given(self.plan_kw, np.minimum(self.plan_kw, 0.0), needed)
        cars, needed = _given(cars, low, needed)
        rooms, _ = _given(wanted, least, needed)
        self.soc_kwh += np.where(cars > 0.0, 0.92 * cars, cars / 0.92) * hours
        self.temps += COP * (self.usual_kw - rooms) / HEAT_KWH_PER_K * hours
        self.flexible.append(float(cars.sum() + rooms.sum()))

    def _needed_kw(self, cycle: int, seen: int, undisturbed_kw: float) -> float:
        """By how much cars and rooms must stay below what they want for the rest of the window. [kW]"""
        hours = CYCLE_S / 3600.0
        load_kw = float(self.loads[max(seen, 0)])  # the load as the last reading showed it
        known = float(self.loads[: seen + 1].sum()) + load_kw * (cycle - seen - 1)
        used = (known + sum(self.flexible)) * hours
        allowed_kw = (TARGET_KW / 2.0 - used) / ((CYCLES - cycle) * hours)
        return load_kw + undisturbed_kw - 0.99 * allowed_kw


def _given(powers: np.ndarray, least: np.ndarray, needed_kw: float) -> tuple[np.ndarray, float]:
    """Powers after all have given the same share of what they can, and what is still needed. [kW]"""
    room = np.maximum(0.0, powers - least)
    if needed_kw <= 0.0 or room.sum() <= 0.0:
        return powers, needed_kw
    share = min(1.0, needed_kw / float(room.sum()))
    return powers - share * room, needed_kw - share * float(room.sum())


def jain(shares: np.ndarray) -> float:
    """Fairness of shares: 1 if all bear the same, 1/n if one bears all (Jain 1984, DEC-TR-301). [-]"""
    return float(shares.sum() ** 2 / (shares.size * (shares**2).sum())) if shares.sum() > 0.0 else 1.0


def run(windows: int, seed: int = 292) -> Report:
    """Simulate half hours."""
    site = Site(seed)
    for _ in range(windows):
        site.window()
    return site.report


def main(windows: int, seed: int) -> None:
    report = run(windows, seed)
    readings = " / ".join(str(report.readings[kind]) for kind in ("in time", "late", "lost"))
    rows = (
        ("half hours", report.windows),
        (
            "readings in time / late / lost",
            readings,
        ),
        ("above the target without a guard", report.uncontrolled),
        ("above it with the ideal controller", report.ideal),
        ("above the target with the guard", report.missed),
        ("  physics left no choice", report.physics),
        ("  an ideal controller missed it too", report.unseen),
        ("  avoidable", len(report.avoidable)),
        ("minutes of coasting, a room and half hour", f"{report.coasted_min.mean() / report.windows:.2f}"),
        ("worst excess [kW]", f"{report.worst_kw:.1f}"),
        ("cars cut beyond need, highest [kW]", f"{report.overshoot_kw:.2f}"),
        ("rooms woken together", report.wakes_together),
        ("compressors switched within 5 min", report.short_rests),
        ("fairness of rooms (Jain)", f"{jain(report.coasted_min):.3f}"),
        ("fairness of cars (Jain)", f"{jain(report.withheld_kwh):.3f}"),
    )
    for name, value in rows:
        print(f"| {name:41s} | {value!s:>26s} |")
    for window, demand, bound in report.avoidable[:10]:
        print(f"avoidable: window {window}, {demand:.1f} kW, could have been {bound:.1f} kW", file=sys.stderr)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 292)
