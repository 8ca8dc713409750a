"""Plans as they were agreed upon; `VPP_TEST_UPDATE_GOLDEN=1 pytest` writes them anew for a person to read.

The optimal plan may choose among equals differently with another solver version, so of it only the money, the
target and the shortfalls are golden; of the plan by rules every setpoint is.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dispatch.planner import Planner
from dispatch.rules import charge_on_arrival_plan, rules_plan
from energy.core.plan import Plan, Problem
from tests.unit.dispatch.problems import factory, limits

GOLDEN = Path(__file__).parents[2] / "golden" / "dispatch"


def winter_day() -> Problem:
    """Half a day of the factory in winter, with a peak that binds."""
    return replace(factory(24, zones=2, first_hour=6.0), limits=limits(peak_memory_kw=120.0))


def figures(plan: Plan) -> dict[str, Any]:
    return {
        "source": plan.source.value,
        "objective_yen": round(plan.objective_yen, 1),
        "energy_yen": round(plan.trajectory.energy_yen, 1),
        "peak_yen": round(plan.trajectory.peak_yen, 1),
        "highest_import_kw": round(max(plan.trajectory.import_kw), 2),
        "target_demand_kw": plan.target_demand_kw,
        "shortfalls": [[s.asset, s.kind, s.index, round(s.amount, 2)] for s in plan.shortfalls],
    }


def setpoints(plan: Plan) -> dict[str, Any]:
    return {
        point_id: [[round(p.power_kw, 2), p.reason.code.value] for p in plan.of(point_id)]
        for point_id in sorted({point.asset for point in plan.setpoints})
    }


def _table(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def compact(document: dict[str, Any]) -> str:
    """JSON with one line per entry, so that a diff reads like a table."""
    lines = [
        f" {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items() if not _table(value)
    ]
    for asset, points in ((key, value) for key, value in document.items() if _table(value)):
        rows = ",\n".join(f"   {json.dumps(point)}" for point in points)
        lines.append(f" {json.dumps(asset)}: [\n{rows}\n ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


@pytest.mark.parametrize("name", ["optimal", "rules", "arrival"])
def test_plan_of_a_winter_day_is_the_golden_one(name: str) -> None:
    site = winter_day()
    makers = {"optimal": Planner().plan, "rules": rules_plan, "arrival": charge_on_arrival_plan}
    plan = makers[name](site)
    document = figures(plan) if name == "optimal" else {**figures(plan), **setpoints(plan)}
    path = GOLDEN / f"winter-day.{name}.json"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN") == "1":
        path.write_text(compact(document), encoding="utf-8")
    assert document == json.loads(path.read_text(encoding="utf-8")), "see the top of this file"
