"""The water heater of ``docs/how-to/add-an-asset.md``: the page's own code is run, planned and checked."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from dispatch.checks import check_plan
from dispatch.fill import TieBreaks, structure_of
from dispatch.kinds import Kind, kind_of, register
from dispatch.optimise import find, schedule_of
from dispatch.planner import Planner
from dispatch.refine import refine
from dispatch.rules import rules_plan
from dispatch.schedule import settle
from dispatch.shortfalls import objective_yen
from dispatch.solve import SolverSettings
from dispatch.templates import TemplateCache
from energy.core.errors import ConfigError, DataError
from energy.core.plan import Problem, ReasonCode, problem_from_json, problem_to_json
from energy.core.plan_parts import Feeder, OtherAsset
from energy.core.units import AssetId
from tests.unit.dispatch.problems import car, limits, problem
from vpp.kinds import load_kinds

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "add-an-asset.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
BOILER = AssetId("boiler")


@pytest.fixture(scope="module", autouse=True)
def heater() -> type[Kind]:
    names: dict[str, type[Kind]] = {"__name__": "how_to"}  # type: ignore[dict-item] # a module's dictionary
    exec(compile("\n".join(CODE), "add-an-asset.md", "exec"), names)  # the page is ours
    return names["WaterHeater"]


def site(count: int = 8, /, **numbers: float) -> Problem:
    data = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
    draw = tuple(data["series"]["draw_kwh"] * (count // 4))
    boiler = OtherAsset(
        id=BOILER, kind=data["kind"], numbers={**data["numbers"], **numbers}, series={"draw_kwh": draw}
    )
    prices = tuple(10.0 if t % 4 == 2 else 30.0 for t in range(count))
    return problem(
        50.0, count, others=(boiler,), price_yen_per_kwh=prices, limits=limits(peak_memory_kw=300.0)
    )


def test_the_page_needs_less_than_sixty_lines() -> None:
    assert len(CODE) == 1
    assert len([line for line in CODE[0].splitlines() if line.strip()]) < 60


def test_the_heater_heats_when_it_is_cheap_and_nobody_is_left_cold() -> None:
    made = Planner().plan(site())
    assert made.source == "optimal"
    assert made.shortfalls == ()
    power = [point.power_kw for point in made.of(BOILER)]
    assert sum(power) * 0.5 == pytest.approx(1.0, abs=1e-5)  # 7 kWh are drawn, 6 are there
    heats = [t for t, kw in enumerate(power) if kw > 1e-6]
    assert set(heats) <= {2, 6}  # the cheap half-hours
    assert made.of(BOILER)[heats[0]].reason.code is ReasonCode.PRICE


def test_what_the_tank_cannot_give_is_named() -> None:
    made = Planner().plan(site(8, max_kw=0.0))
    assert [(short.asset, short.kind) for short in made.shortfalls] == [(BOILER, "supply")]
    assert made.shortfalls[0].amount == pytest.approx(1.0)


def test_model_and_arithmetic_agree_also_in_divided_half_hours_and_with_two_of_a_kind() -> None:
    one = site()
    other = replace(
        one.others[0], id=AssetId("second"), numbers={**one.others[0].numbers, "stored0_kwh": 1.0}
    )
    both = refine(replace(one, others=(one.others[0], other), cars=(car(8),)), (3, 2))
    ties = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)
    template = TemplateCache().of(structure_of(both))
    found = find(both, template, SolverSettings(), peak_quantile_share=0.9, ties=ties)
    assert found is not None
    schedule = settle(both, schedule_of(both, found))
    assert objective_yen(both, schedule, peak_quantile_share=0.9) == pytest.approx(found.objective_yen)
    assert check_plan(both, Planner().plan(both)) == ()


def test_a_feeder_holds_the_heater_too() -> None:
    cable = Feeder(id="west", members=(BOILER,), limit_kw=0.5, back_kw=0.0)
    made = Planner().plan(replace(site(8, stored0_kwh=5.5), feeders=(cable,)))
    assert max(point.power_kw for point in made.of(BOILER)) <= 0.5 + 1e-6


def test_a_wrong_power_is_seen_by_the_check() -> None:
    task = site()
    made = Planner().plan(task)
    points = tuple(
        replace(point, power_kw=9.0) if point.asset == BOILER and k == 0 else point
        for k, point in enumerate(made.setpoints)
    )
    assert {found.kind for found in check_plan(task, replace(made, setpoints=points))} >= {
        "power",
        "expected",
    }


def test_without_an_optimiser_the_tank_is_kept_full() -> None:
    states = [point.expected for point in rules_plan(site(8, stored0_kwh=12.0, max_kw=6.0)).of(BOILER)]
    assert states == [12.0] * 8


def test_a_problem_with_a_heater_goes_through_its_file() -> None:
    assert problem_from_json(problem_to_json(site())) == site()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "samovar"}, "no kind of asset is called 'samovar'"),
        ({"numbers": {}}, "needs cold_yen_per_kwh among its numbers"),
        ({"series": {"draw_kwh": (0.0,) * 3}}, "draw_kwh has 3 values"),
        ({"series": {"draw_kwh": (float("nan"),) * 8}}, r"draw_kwh\[0\] is nan"),
        ({"series": {"draw_kwh": (0.0,) * 8, "wind": (0.0,) * 8}}, "knows no wind among its series"),
    ],
)
def test_a_wrong_heater_is_refused_by_name(change: dict[str, object], told: str) -> None:
    task = site()
    wrong = replace(task.others[0], **change)  # type: ignore[arg-type] # named by the caller
    with pytest.raises(DataError, match=told):
        Planner().plan(replace(task, others=(wrong,)))


def test_a_kind_may_not_take_the_name_of_one_of_ours(heater: type[Kind]) -> None:
    clash = type("Clash", (heater,), {"name": "car"})
    with pytest.raises(DataError, match="cannot be called 'car'"):
        register(clash())
    with pytest.raises(DataError, match="no kind of asset"):
        kind_of("nothing")


def test_kinds_of_other_distributions_are_found_by_their_entry_points(
    monkeypatch: pytest.MonkeyPatch, heater: type[Kind]
) -> None:
    def points(group: str) -> list[EntryPoint]:
        return [EntryPoint("water_heater", "my_kinds:WaterHeater", group)]

    monkeypatch.setattr("vpp.kinds.entry_points", points)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_kinds()
    monkeypatch.setattr(EntryPoint, "load", lambda _: heater)
    assert load_kinds() == ("water_heater",)
    monkeypatch.setattr(EntryPoint, "load", lambda _: np.zeros)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_kinds()
    monkeypatch.setattr(EntryPoint, "load", lambda _: object)
    with pytest.raises(ConfigError, match="is no kind"):
        load_kinds()
