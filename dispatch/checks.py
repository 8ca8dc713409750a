"""Verifies a plan against its problem without the optimiser: own arithmetic, no Pyomo, no HiGHS.

A plan that leaves :mod:`dispatch` has passed. Soft limits may be missed only where the plan says so itself.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dispatch.terms import assets, storages
from energy.core.errors import InvalidPlanError
from energy.core.plan import CarProblem, Plan, Problem, StorageProblem, ZoneProblem
from energy.core.series import FloatArray
from energy.core.slots import Slot
from energy.core.units import AssetId

__all__ = ["Violation", "check_plan", "require_valid"]

_KW = 1e-4  # powers are printed to a watt; a tenth of it is rounding
_KWH = 1e-3
_KELVIN = 1e-3
_SITE = AssetId("site")


@dataclass(frozen=True, slots=True)
class Violation:
    """One limit that a plan breaks.

    Parameters
    ----------
    kind : str
        ``completeness``, ``number``, ``power``, ``away``, ``opted_out``, ``floor``, ``ceiling``,
        ``departure``, ``comfort``, ``sun``, ``export``, ``contract``, ``balance``, ``expected`` or
        ``target``.
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
    return tuple(_Check(problem, plan).run())


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
    flows = plan.trajectory
    for name in ("import_kw", "load_kw", "pv_kw", "curtailed_kw"):
        values = getattr(flows, name)
        if len(values) != problem.grid.count or not all(map(math.isfinite, values)):
            yield Violation("number", _SITE, -1, 0.0, f"trajectory.{name} is not one number per interval")
    for name in ("target_demand_kw", "objective_yen"):
        if not math.isfinite(getattr(plan, name)):
            yield Violation("number", _SITE, -1, 0.0, f"{name} is not a number")
    for point in plan.setpoints:
        numbers = (point.power_kw, 0.0 if point.expected is None else point.expected)
        if not all(map(math.isfinite, numbers)):
            yield Violation(
                "number", point.asset, -1, 0.0, f"setpoint of {point.slot.label()} is not a number"
            )


class _Check:
    """One plan with its powers as arrays."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem, self.plan = problem, plan
        self.n = problem.grid.count
        power: dict[AssetId, list[tuple[Slot, float, float | None]]] = defaultdict(list)
        for point in plan.setpoints:
            power[point.asset].append((point.slot, point.power_kw, point.expected))
        self.power: dict[AssetId, FloatArray] = {}
        self.expected: dict[AssetId, FloatArray] = {}
        for asset, rows in power.items():
            rows.sort(key=lambda row: row[0])
            self.power[asset] = np.array([row[1] for row in rows])
            self.expected[asset] = np.array([np.nan if row[2] is None else row[2] for row in rows])
        self.step_h = problem.grid.step.total_seconds() / 3600.0
        self.h = np.full(self.n, self.step_h)
        if problem.limits.demand_so_far_kwh > 0.0:  # made inside the first slot: its powers hold for the rest
            self.h[0] -= (problem.made_at - problem.grid.start).total_seconds() / 3600.0

    def run(self) -> Iterator[Violation]:
        for storage in storages(self.problem):
            yield from self._storage(storage)
        for zone in self.problem.zones:
            yield from self._zone(zone)
        for array in self.problem.pv:
            used = -self.power[array.id]
            yield from self._above(array.id, "sun", used - np.asarray(array.p50_kw), _KW, "more than the sun")
            yield from self._above(array.id, "sun", -used, _KW, "a PV array does not consume")
        yield from self._site()

    def _above(
        self, asset: AssetId, kind: str, excess: FloatArray, tolerance: float, text: str
    ) -> Iterator[Violation]:
        for t in np.flatnonzero(excess > tolerance):
            amount = float(excess[t])
            yield Violation(kind, asset, int(t), amount, f"{text} (by {amount:.4g})")

    def _declared(self, asset: AssetId, kind: str, index: int | None = None) -> float:
        """Largest amount of a kind that the plan itself declares missing."""
        return max(
            (
                short.amount
                for short in self.plan.shortfalls
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
        soc = np.empty(self.n)
        level = storage.soc0_kwh
        for t in range(self.n):
            charged = max(power[t], 0.0) * storage.charge_efficiency
            drawn = max(-power[t], 0.0) / storage.discharge_efficiency
            level = max(0.0, level + self.h[t] * (charged - drawn) - drive[t])
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
        wrong = np.where(np.isnan(self.expected[asset]), np.inf, np.abs(self.expected[asset] - path))
        yield from self._above(asset, "expected", wrong, tolerance, "the expected state is not what follows")

    def _zone(self, zone: ZoneProblem) -> Iterator[Violation]:
        power, room = self.power[zone.id], np.empty(self.n)
        runs = np.asarray(zone.mode_sign) != 0
        limit = np.where(runs, zone.max_electric_kw, 0.0)
        yield from self._above(zone.id, "power", power - limit, _KW, "above the unit's power")
        yield from self._above(zone.id, "power", -power, _KW, "an air conditioner does not generate")
        u, c, level = zone.loss_kw_per_k, zone.capacitance_kwh_per_k, zone.temp0_c
        for t in range(self.n):
            heat = zone.gain_kw[t] + zone.mode_sign[t] * zone.cop[t] * power[t]
            if u > 0.0:
                rest = self.problem.outdoor_c[t] + heat / u
                level = rest + (level - rest) * math.exp(-u * self.h[t] / c)
            else:
                level += heat * self.h[t] / c
            room[t] = level
        yield from self._match(zone.id, room, _KELVIN)
        outside = np.maximum(np.asarray(zone.low_c) - room, room - np.asarray(zone.high_c))
        outside -= self._declared(zone.id, "comfort")
        yield from self._above(
            zone.id, "comfort", outside, 2 * _KELVIN, "undeclared outside the comfort band"
        )

    def _site(self) -> Iterator[Violation]:
        problem, flows, limits = self.problem, self.plan.trajectory, self.problem.limits
        load, imported = np.asarray(problem.load_p50_kw), np.asarray(flows.import_kw)
        balance = load + sum(self.power.values(), np.zeros(self.n))
        yield from self._above(
            _SITE, "balance", np.abs(imported - balance), _KW, "the balance does not close"
        )
        yield from self._above(
            _SITE, "balance", np.abs(np.asarray(flows.load_kw) - load), _KW, "another load"
        )
        used = -sum((self.power[array.id] for array in problem.pv), np.zeros(self.n))
        sun = sum((np.asarray(array.p50_kw) for array in problem.pv), np.zeros(self.n))
        fixed = [array for array in problem.pv if not array.curtailable]
        for array in fixed:
            held = np.asarray(array.p50_kw) + self.power[array.id]
            yield from self._above(array.id, "sun", held, _KW, "held back, which nothing can")
        told = np.abs(np.asarray(flows.pv_kw) - used) + np.abs(np.asarray(flows.curtailed_kw) - (sun - used))
        yield from self._above(_SITE, "balance", told, 2 * _KW, "used and curtailed sun do not add up")
        least = np.full(self.n, -limits.max_export_kw)
        if limits.max_export_kw == 0.0:
            least = np.minimum(limits.import_margin_kw, load)
        least = least - self._declared(_SITE, "export")
        yield from self._above(_SITE, "export", least - imported, 2 * _KW, "below the no-export margin")
        demand = imported * self.h / self.step_h
        demand[0] += limits.demand_so_far_kwh / self.step_h
        over = demand - limits.contract_kw - self._declared(_SITE, "contract")
        yield from self._above(_SITE, "contract", over, 2e-3, "undeclared above the contract")
        price = np.where(imported < 0.0, problem.sell_yen_per_kwh or 0.0, problem.price_yen_per_kwh)
        energy = float(np.sum(self.h * price * imported))
        if abs(energy - flows.energy_yen) > 1e-2 + 1e-6 * abs(energy):
            yield Violation(
                "balance", _SITE, -1, energy - flows.energy_yen, "the energy cost does not add up"
            )
        lowest = min(limits.peak_memory_kw, limits.contract_kw)
        if self.plan.target_demand_kw < lowest - 0.1:
            yield Violation("target", _SITE, -1, lowest, "the target lies below a peak that is already paid")
