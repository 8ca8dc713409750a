"""Verifies a plan against its problem without the optimiser: own arithmetic, no Pyomo, no HiGHS.

A plan that leaves :mod:`dispatch` has passed. Soft limits may be missed only where the plan says so itself.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dispatch.kinds import kind_of
from dispatch.terms import assets, storages
from energy.core.errors import InvalidPlanError
from energy.core.plan import CarProblem, Plan, Problem, Shortfall, StorageProblem, Trajectory, ZoneProblem
from energy.core.plan_parts import OtherAsset
from energy.core.series import FloatArray
from energy.core.slots import Slot
from energy.core.units import AssetId

__all__ = ["Told", "Violation", "check_plan", "check_told", "require_valid"]

_KW = 1e-4  # powers are printed to a watt; a tenth of it is rounding
_KWH = 1e-3
_KELVIN = 1e-3
_STAGE = 1e-3
_SITE = AssetId("site")


@dataclass(frozen=True, slots=True)
class Violation:
    """One limit that a plan breaks.

    Parameters
    ----------
    kind : str
        ``completeness``, ``number``, ``power``, ``away``, ``opted_out``, ``floor``, ``ceiling``,
        ``departure``, ``comfort``, ``stage``, ``minimum_time``, ``feeder``, ``supply``, ``sun``, ``export``,
        ``contract``, ``recovery``, ``balance``, ``expected`` or ``target``.
    index : int
        Interval, -1 for the plan as a whole.
    amount : float
        By how much, in the unit of the kind.
    """

    kind: str
    asset: AssetId
    index: int
    amount: float
    text: str

    def __str__(self) -> str:
        return f"{self.asset} [{self.index}] {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a plan says, as arrays by asset: its setpoints before anybody writes them down.

    Parameters
    ----------
    power_kw : dict
        Power in each interval, positive into the asset. [kW]
    mean_kw : dict
        The same as the mean of each half-hour. [kW]
    expected : dict
        State at the end of each half-hour, NaN for an asset without one. [kWh, degC]
    """

    power_kw: dict[AssetId, FloatArray]
    mean_kw: dict[AssetId, FloatArray]
    expected: dict[AssetId, FloatArray]
    trajectory: Trajectory
    target_demand_kw: float
    shortfalls: tuple[Shortfall, ...]


def require_valid(problem: Problem, plan: Plan) -> Plan:
    """Give the plan back if it passes.

    Raises
    ------
    InvalidPlanError
        With all violations in ``details["violations"]``.
    """
    violations = check_plan(problem, plan)
    if violations:
        raise InvalidPlanError(
            f"the {plan.source} plan breaks {len(violations)} limit(s)",
            where=str(violations[0]),
            hint="keep the plan in force; save the problem (vpp plan make --save) and report it",
            violations=tuple(str(violation) for violation in violations),
        )
    return plan


def check_plan(problem: Problem, plan: Plan) -> tuple[Violation, ...]:
    """Everything that a plan does not keep; empty for a good plan.

    Checked are: one setpoint per asset and interval, finite numbers, powers within limits, states of charge
    and room temperatures recomputed from the powers, floors, promises, comfort, no export, contract, the
    balance, and that whatever soft limit is missed is declared as a shortfall of at least that amount.
    """
    incomplete = tuple(_complete(problem, plan))
    if incomplete:
        return incomplete
    return tuple(_Check(problem, _read(plan)).run())


def check_told(problem: Problem, told: Told) -> tuple[Violation, ...]:
    """The same of a plan of which nobody has made setpoints: it is verified, and sent to nobody."""
    incomplete = (*_whole(problem, told), *_sound_flows(problem, told.trajectory, told.target_demand_kw))
    return incomplete or tuple(_Check(problem, told).run())


def _read(plan: Plan) -> Told:
    """The setpoints of a complete plan as arrays."""
    rows: dict[AssetId, list[tuple[Slot, tuple[float, ...], float | None, float]]] = defaultdict(list)
    for point in plan.setpoints:
        steps = point.steps_kw or (point.power_kw,)
        rows[point.asset].append((point.slot, steps, point.expected, point.power_kw))
    for mine in rows.values():
        mine.sort(key=lambda row: row[0])
    return Told(
        power_kw={asset: np.array([kw for row in mine for kw in row[1]]) for asset, mine in rows.items()},
        mean_kw={asset: np.array([row[3] for row in mine]) for asset, mine in rows.items()},
        expected={
            asset: np.array([np.nan if row[2] is None else row[2] for row in mine])
            for asset, mine in rows.items()
        },
        trajectory=plan.trajectory,
        target_demand_kw=plan.target_demand_kw,
        shortfalls=plan.shortfalls,
    )


def _whole(problem: Problem, told: Told) -> Iterator[Violation]:
    """Assets that are not told of, or that nobody has, and powers that are not one number per interval."""
    names = {part.id for part in assets(problem)}
    slots = problem.grid.count
    for table, length in ((told.power_kw, problem.count), (told.mean_kw, slots), (told.expected, slots)):
        for asset in names ^ table.keys():
            yield Violation("completeness", asset, -1, 0.0, "is not told of, or nobody asked for it")
        for asset in names & table.keys():
            if table[asset].shape != (length,):
                yield Violation("completeness", asset, -1, 0.0, f"needs {length} values")
    for table in (told.power_kw, told.mean_kw):
        for asset, values in table.items():
            if not np.isfinite(values).all():
                yield Violation("number", asset, -1, 0.0, "a power is not a number")


def _complete(problem: Problem, plan: Plan) -> Iterator[Violation]:
    names = [part.id for part in assets(problem)]
    starts = {Slot(problem.grid.time(t)): t for t in range(problem.grid.count)}
    seen = Counter((point.asset, starts.get(point.slot, -1)) for point in plan.setpoints)
    if plan.grid != problem.grid or plan.site != problem.site:
        yield Violation("completeness", _SITE, -1, 0.0, "the plan is made for another site or grid")
    for asset in names:
        for t in range(problem.grid.count):
            if seen.pop((asset, t), 0) != 1:
                yield Violation("completeness", asset, t, 0.0, "needs exactly one setpoint")
    for asset, t in seen:
        yield Violation("completeness", asset, t, 0.0, "nobody asked for this setpoint")
    yield from _sound_flows(problem, plan.trajectory, plan.target_demand_kw)
    if not math.isfinite(plan.objective_yen):
        yield Violation("number", _SITE, -1, 0.0, "objective_yen is not a number")
    yield from _sound_setpoints(problem, plan, starts)


def _sound_flows(problem: Problem, flows: Trajectory, target_kw: float) -> Iterator[Violation]:
    for name in ("import_kw", "load_kw", "pv_kw", "curtailed_kw"):
        values = getattr(flows, name)
        if len(values) != problem.grid.count or not all(map(math.isfinite, values)):
            yield Violation("number", _SITE, -1, 0.0, f"trajectory.{name} is not one number per interval")
    if not math.isfinite(target_kw):
        yield Violation("number", _SITE, -1, 0.0, "target_demand_kw is not a number")


def _sound_setpoints(problem: Problem, plan: Plan, starts: dict[Slot, int]) -> Iterator[Violation]:
    for point in plan.setpoints:
        wanted = problem.parts[starts[point.slot]] if point.slot in starts else 1
        if len(point.steps_kw) != (wanted if wanted > 1 else 0):
            text = f"setpoint of {point.slot.label()} has {len(point.steps_kw)} steps, not {wanted}"
            yield Violation("completeness", point.asset, -1, 0.0, text)
        numbers = (point.power_kw, 0.0 if point.expected is None else point.expected, *point.steps_kw)
        if not all(map(math.isfinite, numbers)):
            yield Violation(
                "number", point.asset, -1, 0.0, f"setpoint of {point.slot.label()} is not a number"
            )


class _Check:
    """One plan, as arrays."""

    def __init__(self, problem: Problem, told: Told) -> None:
        self.problem, self.told = problem, told
        self.power, self.mean, self.expected = told.power_kw, told.mean_kw, told.expected
        self.n = problem.count
        self.parts = np.asarray(problem.parts)
        self.last = np.cumsum(self.parts) - 1  # last interval of each half-hour
        self.first = self.last - self.parts + 1
        self.step_h = problem.grid.step.total_seconds() / 3600.0
        ahead = np.full(problem.grid.count, self.step_h)
        if problem.limits.demand_so_far_kwh > 0.0:  # made inside the first slot: its powers hold for the rest
            ahead[0] -= (problem.made_at - problem.grid.start).total_seconds() / 3600.0
        self.ahead = ahead
        self.h = np.concatenate([np.full(k, a / k) for k, a in zip(problem.parts, ahead, strict=True)])

    def _halves(self, values: FloatArray) -> FloatArray:
        """Mean over what lies ahead of each half-hour."""
        total = np.add.reduceat(values * self.h, self.first)
        mean: FloatArray = total / self.ahead
        return mean

    def run(self) -> Iterator[Violation]:
        for storage in storages(self.problem):
            yield from self._storage(storage)
        for zone in self.problem.zones:
            yield from self._zone(zone)
        for array in self.problem.pv:
            used = -self.power[array.id]
            yield from self._above(array.id, "sun", used - np.asarray(array.p50_kw), _KW, "more than the sun")
            yield from self._above(array.id, "sun", -used, _KW, "a PV array does not consume")
        for other in self.problem.others:
            yield from self._other(other)
        for asset, power in self.power.items():
            wrong = np.abs(self._halves(power) - self.mean[asset])
            yield from self._above(asset, "balance", wrong[self._slots()], _KW, "not the mean of its steps")
        yield from self._feeders()
        yield from self._site()

    def _slots(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.parts)), self.parts)

    def _above(
        self, asset: AssetId, kind: str, excess: FloatArray, tolerance: float, text: str
    ) -> Iterator[Violation]:
        for t in (excess > tolerance).nonzero()[0]:
            amount = float(excess[t])
            yield Violation(kind, asset, int(t), amount, f"{text} (by {amount:.4g})")

    def _declared(self, asset: AssetId, kind: str, index: int | None = None) -> float:
        """Largest amount of a kind that the plan itself declares missing."""
        return max(
            (
                short.amount
                for short in self.told.shortfalls
                if short.asset == asset and short.kind == kind and index in (None, short.index)
            ),
            default=0.0,
        )

    def _storage(self, storage: CarProblem | StorageProblem) -> Iterator[Violation]:
        power = self.power[storage.id]
        car = storage if isinstance(storage, CarProblem) else None
        drive = np.asarray(car.drive_kwh) if car else np.zeros(self.n)
        floor = storage.floor_kwh if isinstance(storage, CarProblem) else storage.reserve_kwh
        ceiling = max(car.ceiling_kwh, car.soc0_kwh) if car else storage.capacity_kwh
        yield from self._above(storage.id, "power", power - storage.max_charge_kw, _KW, "above the charger")
        yield from self._above(
            storage.id, "power", -power - storage.max_discharge_kw, _KW, "beyond the charger"
        )
        if car:
            here = np.asarray(car.plugged, dtype=bool)
            may = np.asarray(car.may_discharge, dtype=bool)
            yield from self._above(car.id, "away", np.abs(power) * ~here, _KW, "power of a car that is away")
            yield from self._above(car.id, "opted_out", -power * ~may, _KW, "gives back against its driver")
            low = np.where(np.abs(power) > _KW, car.min_power_kw - np.abs(power), 0.0)
            yield from self._above(car.id, "stage", low, _KW, "below the charger's least power")
        soc, level = np.empty(self.n), storage.soc0_kwh
        rows = zip(power.tolist(), self.h.tolist(), drive.tolist(), strict=True)
        for t, (kw, h, driven) in enumerate(rows):
            charged = max(kw, 0.0) * storage.charge_efficiency
            drawn = max(-kw, 0.0) / storage.discharge_efficiency
            level = max(0.0, level + h * (charged - drawn) - driven)
            soc[t] = level
        given = power < -_KW
        yield from self._above(
            storage.id, "floor", np.where(given, floor - soc, 0.0), _KWH, "given below the floor"
        )
        yield from self._above(storage.id, "ceiling", soc - ceiling, _KWH, "fuller than its ceiling")
        declared = self._declared(storage.id, "floor")
        yield from self._above(
            storage.id, "floor", floor - soc - declared, 2 * _KWH, "undeclared below the floor"
        )
        yield from self._match(storage.id, soc, _KWH)
        for promise in car.promises if car else ():
            assert car is not None
            stored = soc[promise.index - 1] if promise.index > 0 else car.soc0_kwh
            missing = float(promise.soc_kwh - stored - self._declared(car.id, "departure", promise.index))
            if missing > 2 * _KWH:
                text = f"leaves with {stored:.2f} kWh, promised {promise.soc_kwh:.2f}, undeclared"
                yield Violation("departure", car.id, promise.index, missing, text)

    def _match(self, asset: AssetId, path: FloatArray, tolerance: float) -> Iterator[Violation]:
        ends = path[self.last]
        wrong = np.where(np.isnan(self.expected[asset]), np.inf, np.abs(self.expected[asset] - ends))
        text = "the expected state is not what follows"
        yield from self._above(asset, "expected", wrong[self._slots()], tolerance, text)

    def _zone(self, zone: ZoneProblem) -> Iterator[Violation]:
        power, room = self.power[zone.id], np.empty(self.n)
        runs = np.asarray(zone.mode_sign) != 0
        limit = np.where(runs, zone.max_electric_kw, 0.0)
        yield from self._above(zone.id, "power", power - limit, _KW, "above the unit's power")
        yield from self._above(zone.id, "power", -power, _KW, "an air conditioner does not generate")
        u, c, level = zone.loss_kw_per_k, zone.capacitance_kwh_per_k, zone.temp0_c
        for t, (kw, h) in enumerate(zip(power.tolist(), self.h.tolist(), strict=True)):
            heats = 1.0 - zone.defrost[t] if zone.defrost else 1.0
            heat = zone.gain_kw[t] + zone.mode_sign[t] * zone.cop[t] * heats * kw
            if u > 0.0:
                rest = self.problem.outdoor_c[t] + heat / u
                level = rest + (level - rest) * math.exp(-u * h / c)
            else:
                level += heat * h / c
            room[t] = level
        yield from self._match(zone.id, room, _KELVIN)
        yield from self._unit(zone, power, runs)
        outside = np.maximum(np.asarray(zone.low_c) - room, room - np.asarray(zone.high_c))
        outside -= self._declared(zone.id, "comfort")
        yield from self._above(
            zone.id, "comfort", outside, 2 * _KELVIN, "undeclared outside the comfort band"
        )

    def _unit(self, zone: ZoneProblem, power: FloatArray, runs: np.ndarray) -> Iterator[Violation]:
        """Powers that a unit can run at, and how long it runs and rests."""
        if zone.least_kw:
            low = np.minimum(zone.least_kw, np.where(runs, zone.max_electric_kw, 0.0)) - power
            yield from self._above(zone.id, "power", low, _KW, "below what the unit takes anyway")
        if not zone.stages_kw and zone.min_power_kw <= 0.0:
            return
        levels = np.array([0.0, *zone.stages_kw])
        on, since, at = zone.was_on, -zone.in_state_h, 0.0
        until = self.n if zone.whole_steps is None else min(self.n, zone.whole_steps)
        for t in range(until):
            if not runs[t]:
                on, since, at = False, at - 24.0, at + self.h[t]
                continue
            if zone.stages_kw:
                away = float(np.min(np.abs(levels - power[t])))
            else:
                away = max(0.0, zone.min_power_kw - power[t]) if power[t] > _KW else 0.0
            if away > _STAGE:
                yield Violation("stage", zone.id, t, away, f"{power[t]:.3f} kW is no power of the unit")
            if (power[t] > _KW) != on:
                taken = bool(zone.least_kw) and zone.least_kw[t] > 0.0  # whoever wants it
                least = zone.min_on_h if on else 0.0 if taken else zone.min_off_h
                if at - since < least - 1e-6:
                    text = f"{'ran' if on else 'rested'} for {60.0 * (at - since):.1f} min only"
                    yield Violation("minimum_time", zone.id, t, float(least - at + since), text)
                on, since = not on, at
            at += self.h[t]

    def _other(self, other: OtherAsset) -> Iterator[Violation]:
        kind, power = kind_of(other.kind), self.power[other.id]
        wrong = np.abs(power - kind.trim(self.problem, other, power))
        yield from self._above(other.id, "power", wrong, _KW, "more or less than it can take")
        state = kind.state(self.problem, other, power)
        yield from self._match(other.id, state, _KWH)
        lacking = kind.missing_kwh(self.problem, other, power) - self._declared(other.id, "supply")
        yield from self._above(other.id, "supply", lacking, 2 * _KWH, "undeclared missing")

    def _feeders(self) -> Iterator[Violation]:
        problem, none = self.problem, np.zeros(self.n)
        fixed = {array.id: np.asarray(array.p50_kw) for array in problem.pv if not array.curtailable}
        held = {zone.id: np.asarray(zone.least_kw) for zone in problem.zones if zone.least_kw}
        for feeder in problem.feeders:
            load = np.asarray(feeder.load_kw) if feeder.load_kw else none
            through = sum((self.power[name] for name in feeder.members), none)
            forced = sum((held.get(name, none) for name in feeder.members), none)
            free = sum((fixed.get(name, none) for name in feeder.members), none)
            most = np.maximum(feeder.limit_kw - load, forced)
            least = np.maximum(feeder.back_kw + load, free)
            name = AssetId(feeder.id)
            yield from self._above(
                name, "feeder", through - np.maximum(most, 0.0), 2 * _KW, "more than the feeder carries"
            )
            yield from self._above(name, "feeder", -through - least, 2 * _KW, "more back than it carries")

    def _agreed(self, demand: FloatArray) -> Iterator[Violation]:
        """Events and the submitted plan: what they bring, and the demand after an event."""
        problem, flows, earned, beside = self.problem, self.told.trajectory, 0.0, 0.0
        for event in problem.events:
            shift, window = 0.0, event.adjustment
            if window is not None:
                usual = dict(zip(range(window.first, window.last), window.usual_kw, strict=True))
                moved = sum(float(demand[s]) - kw for s, kw in usual.items())
                shift = min(window.most_kw, (moved + window.so_far_kw) / window.slots)
            weights = (window.weights if window is not None else ()) or (1.0,) * len(event.baseline_kw)
            rows = zip(range(event.first, event.last), event.baseline_kw, weights, strict=True)
            paid = sum(min(event.most_kw, kw + lift * shift - float(demand[s])) for s, kw, lift in rows)
            if paid > 0.0 or event.negative_counts:
                earned += self.step_h * event.reward_yen_per_kwh * paid
            after = zip(range(event.last, len(demand)), event.recovery_kw, strict=False)
            for s, limit in after:
                over = float(demand[s]) - limit - self._declared(_SITE, "recovery")
                if over > 2e-3:
                    yield Violation(
                        "recovery", _SITE, problem.first_of(s), over, "undeclared above what was agreed"
                    )
        if problem.submitted is not None:
            given = problem.submitted
            prices = zip(given.short_yen_per_kwh, given.long_yen_per_kwh, strict=True)
            for had, wanted, (short, long) in zip(demand, given.import_kw, prices, strict=True):
                beside += self.step_h * abs(float(had) - wanted) * (short if had > wanted else long)
        for name, told, found in (
            ("event", flows.event_yen, earned),
            ("imbalance", flows.imbalance_yen, beside),
        ):
            if abs(told - found) > 1e-1 + 1e-5 * abs(found):
                yield Violation(
                    "balance", _SITE, -1, float(found - told), f"the {name} money does not add up"
                )

    def _site(self) -> Iterator[Violation]:
        problem, flows, limits = self.problem, self.told.trajectory, self.problem.limits
        load, slots = np.asarray(problem.load_p50_kw), self._slots()
        imported = load + sum(self.power.values(), np.zeros(self.n))
        told = np.asarray(flows.import_kw)
        yield from self._above(
            _SITE, "balance", np.abs(told - self._halves(imported))[slots], _KW, "the balance does not close"
        )
        other = np.abs(np.asarray(flows.load_kw) - self._halves(load))
        yield from self._above(_SITE, "balance", other[slots], _KW, "another load")
        used = -sum((self.power[array.id] for array in problem.pv), np.zeros(self.n))
        sun = sum((np.asarray(array.p50_kw) for array in problem.pv), np.zeros(self.n))
        fixed = [array for array in problem.pv if not array.curtailable]
        for array in fixed:
            held = np.asarray(array.p50_kw) + self.power[array.id]
            yield from self._above(array.id, "sun", held, _KW, "held back, which nothing can")
        spare = np.abs(np.asarray(flows.curtailed_kw) - self._halves(sun - used))
        spare += np.abs(np.asarray(flows.pv_kw) - self._halves(used))
        yield from self._above(
            _SITE, "balance", spare[slots], 2 * _KW, "used and curtailed sun do not add up"
        )
        least = np.full(self.n, -limits.max_export_kw)
        if limits.max_export_kw == 0.0:
            least = np.minimum(limits.import_margin_kw, load)
        least = least - self._declared(_SITE, "export")
        yield from self._above(_SITE, "export", least - imported, 2 * _KW, "below the no-export margin")
        demand = np.add.reduceat(imported * self.h, self.first) / self.step_h
        demand[0] += limits.demand_so_far_kwh / self.step_h
        over = demand - limits.contract_kw - self._declared(_SITE, "contract")
        yield from self._above(_SITE, "contract", over[slots], 2e-3, "undeclared above the contract")
        yield from self._agreed(demand)
        price = np.where(imported < 0.0, problem.sell_yen_per_kwh or 0.0, problem.price_yen_per_kwh)
        energy = float(np.sum(self.h * price * imported))
        if abs(energy - flows.energy_yen) > 1e-2 + 1e-6 * abs(energy):
            yield Violation(
                "balance", _SITE, -1, energy - flows.energy_yen, "the energy cost does not add up"
            )
        lowest = min(limits.peak_memory_kw, limits.contract_kw)
        if self.told.target_demand_kw < lowest - 0.1:
            yield Violation("target", _SITE, -1, lowest, "the target lies below a peak that is already paid")
