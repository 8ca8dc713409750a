"""What would change: two plans beside each other, and what one more kW or 10 % more charge would cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from dispatch.planner import Planner
from energy.core.plan import CarProblem, Plan, Problem, Setpoint
from energy.core.units import AssetId

__all__ = ["Change", "PlanDiff", "WhatIf", "diff_plans", "what_if"]

_NOTICED_KW = 0.05  # less is no change that anybody would see


@dataclass(frozen=True, slots=True)
class Change:
    """One setpoint that differs."""

    before: Setpoint
    after: Setpoint

    def to_json(self) -> dict[str, object]:
        """The facts under English keys."""
        return {
            "asset": self.after.asset,
            "slot": self.after.slot.start.isoformat(),
            "before_kw": self.before.power_kw,
            "after_kw": self.after.power_kw,
            "before_reason": self.before.reason.code.value,
            "after_reason": self.after.reason.code.value,
        }


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What differs between two plans, over the intervals that both have.

    Parameters
    ----------
    changes : tuple of Change
        Setpoints that differ by more than 0.05 kW, in order of time.
    only_before, only_after : tuple
        Assets that only one of them knows.
    """

    before: Plan
    after: Plan
    changes: tuple[Change, ...]
    only_before: tuple[AssetId, ...]
    only_after: tuple[AssetId, ...]
    shared: int

    def to_json(self) -> dict[str, object]:
        """The facts under English keys."""
        return {
            "shared_intervals": self.shared,
            "objective_yen": {"before": self.before.objective_yen, "after": self.after.objective_yen},
            "energy_yen": {
                "before": self.before.trajectory.energy_yen,
                "after": self.after.trajectory.energy_yen,
            },
            "highest_import_kw": {
                "before": max(self.before.trajectory.import_kw),
                "after": max(self.after.trajectory.import_kw),
            },
            "target_demand_kw": {
                "before": self.before.target_demand_kw,
                "after": self.after.target_demand_kw,
            },
            "source": {"before": self.before.source.value, "after": self.after.source.value},
            "shortfalls": {"before": len(self.before.shortfalls), "after": len(self.after.shortfalls)},
            "only_before": list(self.only_before),
            "only_after": list(self.only_after),
            "changes": [change.to_json() for change in self.changes],
        }


def diff_plans(before: Plan, after: Plan) -> PlanDiff:
    """Put two plans beside each other."""
    old = {(point.asset, point.slot): point for point in before.setpoints}
    new = {(point.asset, point.slot): point for point in after.setpoints}
    changes = [
        Change(old[key], point)
        for key, point in new.items()
        if key in old and abs(old[key].power_kw - point.power_kw) > _NOTICED_KW
    ]
    changes.sort(key=lambda change: (change.after.slot, change.after.asset))
    old_assets, new_assets = {asset for asset, _ in old}, {asset for asset, _ in new}
    shared = len(set(before.grid.times()) & set(after.grid.times()))
    return PlanDiff(
        before,
        after,
        tuple(changes),
        tuple(sorted(old_assets - new_assets)),
        tuple(sorted(new_assets - old_assets)),
        shared,
    )


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a change of the problem would cost: the difference of two optimal plans.

    Parameters
    ----------
    kind : str
        ``load``: one more kW of load in an interval; ``charge``: 10 % of the capacity more at a departure.
    cost_yen : float
        What the whole plan would cost more. [yen]
    within_yen : float
        How well that is known: what the gaps of both plans leave open. [yen]
    """

    kind: str
    asset: str
    index: int
    cost_yen: float
    within_yen: float = 0.0

    def to_json(self) -> dict[str, object]:
        """The facts under English keys."""
        return asdict(self)


def what_if(problem: Problem, plan: Plan, planner: Planner, *, index: int) -> list[WhatIf]:
    """What one more kW of load in an interval, and 10 % more charge at each next departure, would cost.

    Each is planned anew: the answer holds for that step and not only for the first watt of it.

    Parameters
    ----------
    index : int
        First interval of a half-hour of the problem.
    """

    def cost(kind: str, asset: str, at: int, again: Plan) -> WhatIf:
        open_yen = sum((one.gap or 0.0) * abs(one.objective_yen) for one in (plan, again))
        return WhatIf(kind, asset, at, again.objective_yen - plan.objective_yen, round(open_yen, 2))

    found = [cost("load", "site", index, planner.plan(_more_load(problem, index)))]
    for k, car in enumerate(problem.cars):
        changed = _more_charge(car, index)
        if changed is None:
            continue
        at, other = changed
        again = planner.plan(replace(problem, cars=(*problem.cars[:k], other, *problem.cars[k + 1 :])))
        found.append(cost("charge", car.id, at, again))
    return found


def _more_load(problem: Problem, index: int) -> Problem:
    end = index + problem.parts[problem.slot_of(index)]

    def more(values: tuple[float, ...]) -> tuple[float, ...]:
        return (*values[:index], *(value + 1.0 for value in values[index:end]), *values[end:])

    return replace(
        problem,
        load_p10_kw=more(problem.load_p10_kw),
        load_p50_kw=more(problem.load_p50_kw),
        load_p90_kw=more(problem.load_p90_kw),
    )


def _more_charge(car: CarProblem, index: int) -> tuple[int, CarProblem] | None:
    """The car with 10 % of its capacity more at its next departure; None if there is none or no room."""
    ahead = sorted((p for p in car.promises if p.index > index), key=lambda p: p.index)
    if not ahead:
        return None
    wanted = ahead[0].soc_kwh + 0.1 * car.capacity_kwh
    if wanted > car.ceiling_kwh:
        return None
    promises = tuple(replace(p, soc_kwh=wanted) if p is ahead[0] else p for p in car.promises)
    return ahead[0].index, replace(car, promises=promises)
