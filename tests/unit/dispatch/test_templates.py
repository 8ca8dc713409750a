"""Compiled models: many assets from one, on a shelf and back, and a shelf that cannot be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.blocks.site import build_site
from dispatch.compile import compile_core, compile_template
from dispatch.features import Features
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.solve import SolverSettings, solve
from dispatch.template import Affine, Structure, Template, tile
from dispatch.templates import TemplateCache, core_from_bytes, core_name, core_to_bytes
from energy.core.errors import PlanError
from energy.core.plan import Problem
from tests.unit.dispatch.problems import battery, car, factory, problem

TIES = TieBreaks()


class Shelf:
    """A shelf in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def write(self, name: str, content: bytes) -> None:
        self.kept[name] = content


def cost_of(site: Problem, template: Template) -> float:
    data = template.vector(values_of(site, peak_quantile_share=0.3, ties=TIES))
    return solve(template, data, SolverSettings()).objective_yen


def cost_by_pyomo(site: Problem) -> float:
    """The whole model with all its assets built by Pyomo and solved by its own way to HiGHS."""
    structure, values = structure_of(site), values_of(site, peak_quantile_share=0.3, ties=TIES)
    model = build_site(structure)
    for component in model.component_objects(pyo.Var, descend_into=True):
        head, mark, rest = component.name.partition("[")
        asset, _, name = rest.partition("]")
        path = f"{head}[*]{name}" if mark else component.name
        if path in values:
            value = np.asarray(values[path], dtype=float)
            row = value[int(asset) if len(value) > 1 else 0] if mark and value.ndim == 2 else value
            for member, number in zip(component.values(), np.broadcast_to(row, len(component)), strict=True):
                member.fix(float(number))
        elif component.local_name in ("charging", "importing"):
            component.fix(0)
    for block in model.component_objects(pyo.Block, descend_into=True):
        if block.local_name == "lazy":
            block.deactivate()
    pyo.SolverFactory("appsi_highs").solve(model)
    return float(pyo.value(model.objective))


@pytest.mark.parametrize("sign", [1, -1])
def test_repeated_and_reduced_model_costs_what_pyomos_own_way_costs(sign: int) -> None:
    site = replace(factory(24, zones=2, sign=sign), batteries=(battery(),))
    assert cost_of(site, compile_template(structure_of(site))) == pytest.approx(cost_by_pyomo(site), rel=1e-7)


def test_a_hundred_cars_compile_like_one() -> None:
    assert Structure(8, cars=100, pv=3).core == Structure(8, cars=1, pv=1)
    cache = TemplateCache()
    for cars in (1, 2, 100):
        assert cache.of(Structure(8, cars=cars)).columns.block("car", "charge_kw").shape == (cars, 8)
    assert cache.compiled == 1


def test_positions_of_repeated_assets_do_not_overlap_and_have_names() -> None:
    template = compile_template(Structure(3, cars=2, zones=1))
    places = [place for path in template.columns for place in template.columns[path].tolist()]
    assert sorted(places) == list(range(template.columns.size))
    third = int(template.columns["car[1].charge_kw"][2])
    assert template.columns.path_of(third) == "car[1].charge_kw[2]"
    assert template.columns["car[*].charge_kw"].tolist()[-1] == third


def test_what_no_battery_has_is_not_in_the_model() -> None:
    bare = compile_core(
        Structure(4, cars=1, features=Features(floors=False, trips=False, ready=False, ends=False))
    )
    whole = compile_core(Structure(4, cars=1))
    assert {"car[0].charge_kw", "car[0].kept_kwh"} <= set(bare.columns)
    assert set(whole.columns) - set(bare.columns) == {
        f"car[0].{name}" for name in ("below_kwh", "road_kwh", "unready_kwh", "unused_kwh", "lost_kwh")
    }


def test_assets_that_meet_in_one_equation_cannot_be_repeated() -> None:
    core = compile_core(Structure(2, cars=1, zones=1))
    row, column = int(core.rows["car[0].energy"][0]), int(core.columns["zone[0].hvac_kw"][0])
    index = core.index.copy()
    index[core.starts[row]] = column
    with pytest.raises(PlanError, match="two kinds of assets"):
        tile(replace(core, index=index), Structure(2, cars=2, zones=1))


def test_a_template_survives_the_shelf_unchanged() -> None:
    core = compile_core(Structure(6, cars=1, zones=1, pv=1, batteries=1))
    again = core_from_bytes(core_to_bytes(core))
    assert again is not None
    assert again.structure == core.structure
    assert again.columns == core.columns
    for name in ("starts", "index", "lazy", "binary"):
        assert np.array_equal(getattr(again, name), getattr(core, name))
    for name in ("value", "row_lower", "row_upper", "column_lower", "column_upper", "cost"):
        first, second = getattr(core, name), getattr(again, name)
        assert isinstance(second, Affine)
        assert np.array_equal(first.at(np.ones(core.data.size)), second.at(np.ones(core.data.size)))
    assert again.compile_s == 0.0


def test_a_new_process_finds_what_another_compiled() -> None:
    shelf, site = Shelf(), problem(100.0, 6, cars=(car(6),))
    first, second = TemplateCache(shelf=shelf), TemplateCache(shelf=shelf)
    cost = cost_of(site, first.of(structure_of(site)))
    assert cost_of(site, second.of(structure_of(site))) == cost
    assert (first.counts["compiled"], second.counts["compiled"], second.counts["shelf"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b"template 1", b"template 0"),
        lambda content: b"not a template at all\n" * 40,
    ],
    ids=["empty", "cut", "one bit", "another version", "foreign"],
)
def test_a_spoilt_file_is_compiled_again_and_replaced(spoil: object) -> None:
    shelf, structure = Shelf(), Structure(5, cars=1)
    TemplateCache(shelf=shelf).of(structure)
    good = dict(shelf.kept)
    (name,) = good
    shelf.kept[name] = spoil(good[name])  # type: ignore[operator]
    cache = TemplateCache(shelf=shelf)
    cache.of(structure)
    assert (cache.counts["broken"], cache.counts["compiled"]) == (1, 1)
    assert shelf.kept == good


def test_a_file_of_another_structure_is_not_used() -> None:
    shelf = Shelf()
    TemplateCache(shelf=shelf).of(Structure(5, cars=1))
    shelf.kept[core_name(Structure(6, cars=1))] = next(iter(shelf.kept.values()))
    cache = TemplateCache(shelf=shelf)
    assert cache.of(Structure(6, cars=1)).structure.intervals == 6
    assert cache.counts["broken"] == 1


def test_the_name_tells_structures_apart_but_not_numbers_of_assets() -> None:
    assert core_name(Structure(8, cars=1)) == core_name(Structure(8, cars=7))
    names = {
        core_name(structure)
        for structure in (
            Structure(8, cars=1),
            Structure(9, cars=1),
            Structure(8, cars=1, zones=1),
            Structure(8, cars=1, features=Features(trips=False)),
        )
    }
    assert len(names) == 4
