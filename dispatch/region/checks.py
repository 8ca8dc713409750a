"""Verifies a region's plan without the master and its tables: own arithmetic, limit by limit."""

from __future__ import annotations

import math

from dispatch.region.outcome import RegionPlan
from energy.core.errors import InvalidPlanError

__all__ = ["require_region", "shared_yen"]

_KW = 0.02
_YEN = 1e-6


def shared_yen(plan: RegionPlan, *, hours: float) -> tuple[float, dict[tuple[str, int], float]]:
    """What the shared limits cost, and how far each promise is missed by name and half-hour. [yen, kW]"""
    yen, missed = 0.0, dict[tuple[str, int], float]()
    for limit in plan.limits:
        table = plan.droppable_kw if limit.droppable else plan.power_kw
        mine = table[limit.members]
        for k, slot in enumerate(limit.slots.tolist()):
            total = math.fsum(mine[:, slot].tolist())
            over = total - float(limit.level_kw[k])
            price = float(limit.above_yen[k]) if over > 0.0 else float(limit.below_yen[k])
            yen += hours * price * abs(over)
            if limit.promise and price > 0.0 and abs(over) > _KW:
                missed[limit.name, slot] = abs(over)
    return yen, missed


def require_region(plan: RegionPlan, *, hours: float) -> RegionPlan:
    """Give the plan back if it says what it costs and names every promise that it misses.

    Raises
    ------
    InvalidPlanError
        If a missed promise is not named, the cost does not add up, or it undercuts its own lower bound.
    """
    yen, missed = shared_yen(plan, hours=hours)
    named = {(short.name, short.slot): short.amount_kw for short in plan.shortfalls}
    wrong = [
        f"{name} [{slot}] misses {by:.3f} kW unsaid"
        for (name, slot), by in missed.items()
        if named.get((name, slot), 0.0) < by - _KW
    ]
    total = math.fsum(plan.site_yen.tolist()) + yen
    slack = _YEN * max(1.0, abs(total))
    if abs(total - plan.upper_yen) > slack:
        wrong.append(f"costs {total:.2f} yen, not {plan.upper_yen:.2f}")
    if plan.lower_yen > plan.upper_yen + slack:
        wrong.append(f"costs {plan.upper_yen:.2f} yen, less than its own bound {plan.lower_yen:.2f}")
    if wrong:
        raise InvalidPlanError(
            f"the region's plan is wrong in {len(wrong)} place(s)",
            where=wrong[0],
            hint="keep the plan in force and report it with the seed",
            violations=tuple(wrong),
        )
    return plan
