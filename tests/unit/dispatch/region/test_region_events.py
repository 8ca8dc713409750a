"""On the way: sites that change or fall silent, faults, targets out of reach, limits that clash."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from dispatch.region.checks import require_region
from dispatch.region.limits import SharedLimit
from dispatch.region.messages import Card
from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from dispatch.region.sites import Block, SiteInput
from energy.core.errors import DataError, PlanError
from energy.core.plan import Promise
from energy.core.series import FloatArray
from tests.unit.dispatch.region.region_helpers import Given, Watched, coordinator, drawn, region_request
from vpp.region.shared import RegionRules

QUICK = CoordinatorSettings(gap=5e-3, rounds=40)


def asked_sites(crew: Watched, since: int) -> list[int]:
    """How many sites were asked in each bidding call from a call on."""
    return [int((call[2][-1].group >= 0).sum()) for name, call in crew.calls[since:] if name == "bid_block"]


def sound(plan: RegionPlan) -> RegionPlan:
    require_region(plan, hours=0.5)
    assert plan.violation == 0.0
    return plan


def test_a_cloud_front_asks_only_the_roofs_under_it_before_the_prices_move() -> None:
    request = region_request(8)
    sites, crew = drawn(request), Watched()
    worked = coordinator(sites, request.grid, crew=crew)
    first = sound(worked.plan(QUICK))
    under = next(k for k, site in enumerate(sites) if site.problem.pv and site.coordinated)
    cloudy = replace(
        sites[under].problem,
        pv=tuple(
            replace(
                array,
                **{
                    name: tuple(0.3 * kw for kw in getattr(array, name))
                    for name in ("p10_kw", "p50_kw", "p90_kw")
                },
            )
            for array in sites[under].problem.pv
        ),
    )
    before = len(crew.calls)
    block = Block("cloudy", 0, 1, Given((replace(sites[under], problem=cloudy),)))
    worked.touch([block], [sites[under].problem.site])
    again = sound(worked.plan(QUICK))
    assert asked_sites(crew, before)[0] == 1
    assert again.gap <= QUICK.gap
    assert again.power_kw[under].sum() > first.power_kw[under].sum()


def test_a_site_that_falls_silent_is_named_and_the_others_go_on_from_their_bids() -> None:
    request = region_request(8)
    sites = drawn(request)
    worked = coordinator(sites, request.grid)
    worked.plan(QUICK)
    lost = max(range(8), key=lambda k: sum(sites[k].problem.load_p50_kw))
    worked.lose([sites[lost].problem.site])
    plan = sound(worked.plan(QUICK))
    assert plan.left_out == {sites[lost].problem.site: "offline"}
    assert not plan.power_kw[lost].any()
    assert plan.gap <= QUICK.gap
    with pytest.raises(DataError, match="no site"):
        worked.lose(["site-of-nobody"])


def test_a_missing_forecast_and_a_promise_that_nobody_can_keep_are_named_and_hold_nobody_up() -> None:
    request = region_request(6)
    sites = drawn(request)
    with_car = next(k for k, site in enumerate(sites) if site.problem.cars)
    silent = next(k for k in range(6) if k != with_car)
    car = sites[with_car].problem.cars[0]
    hurried = replace(
        car, soc0_kwh=car.floor_kwh, promises=(Promise(index=1, soc_kwh=car.ceiling_kwh),),
        plugged=tuple(t < 1 for t in range(48)), drive_kwh=(0.0,) * 48,
    )  # fmt: skip
    sites[with_car] = replace(sites[with_car], problem=replace(sites[with_car].problem, cars=(hurried,)))
    sites[silent] = replace(
        sites[silent], problem=replace(sites[silent].problem, load_p50_kw=(math.nan,) * 48)
    )
    plan = sound(coordinator(sites, request.grid).plan(QUICK))
    assert plan.left_out == {sites[silent].problem.site: "load"}
    assert "departure" in plan.broken[sites[with_car].problem.site]
    assert plan.gap <= QUICK.gap
    assert all(plan.power_kw[k].any() for k in range(6) if k != silent)


def test_a_target_beyond_what_exists_is_met_as_far_as_it_can_be_and_the_rest_is_named() -> None:
    request = region_request(8)
    alone = coordinator(drawn(request), request.grid, limits=RegionRules(seed=1, dr_share=0.0)).plan(QUICK)
    plan = sound(
        coordinator(drawn(request), request.grid, limits=RegionRules(seed=1, dr_kw=10_000.0)).plan(QUICK)
    )
    missed = [short for short in plan.shortfalls if short.kind == "dr"]
    assert [short.slot for short in missed] == [34, 35, 36, 37]
    joined = np.array([card.joins_dr for card in plan.cards])
    given = (alone.power_kw - plan.power_kw)[joined][:, 34:38].sum(axis=0)
    assert (given > 0.0).all()
    assert all(9_000.0 < short.amount_kw < 10_000.0 for short in missed)


def test_feeder_limits_that_contradict_each_other_give_named_shortfalls_and_a_plan() -> None:
    request = region_request(6)

    def clash(cards: tuple[Card, ...], alone: FloatArray, drop: FloatArray) -> list[SharedLimit]:
        everyone, slots = np.ones(len(cards), dtype=bool), np.arange(48)
        high, zero = np.full(48, 2000.0), np.zeros(48)
        return [
            SharedLimit(
                name="cable-most", kind="feeder", members=everyone, slots=slots,
                level_kw=np.full(48, 5.0), above_yen=high, below_yen=zero,
            ),
            SharedLimit(
                name="cable-least", kind="feeder", members=everyone, slots=slots,
                level_kw=np.full(48, 900.0), above_yen=zero, below_yen=high,
            ),
        ]  # fmt: skip

    plan = sound(coordinator(drawn(request), request.grid, limits=clash).plan(QUICK))
    assert {short.name for short in plan.shortfalls} == {"cable-most", "cable-least"}
    assert np.isfinite(plan.lower_yen)


def test_an_empty_region_has_a_plan_whose_shortfalls_are_named() -> None:
    grid = region_request(1).grid

    def wanted(cards: tuple[Card, ...], alone: FloatArray, drop: FloatArray) -> list[SharedLimit]:
        nobody, one = np.zeros(0, dtype=bool), np.ones(1)
        return [
            SharedLimit(
                name="dr", kind="dr", members=nobody, slots=np.array([3]),
                level_kw=-100.0 * one, above_yen=50.0 * one, below_yen=0.0 * one,
            )
        ]  # fmt: skip

    plan = sound(coordinator([], grid, limits=wanted).plan(QUICK))
    assert [(short.name, short.slot, short.amount_kw) for short in plan.shortfalls] == [("dr", 3, 100.0)]
    assert plan.upper_yen == pytest.approx(2500.0)
    assert plan.gap == 0.0


def test_a_limit_that_pays_for_being_off_is_refused_by_name() -> None:
    one = np.ones(1)
    with pytest.raises(PlanError, match="pays for being off"):
        SharedLimit(
            name="balance", kind="balance", members=np.ones(2, dtype=bool), slots=np.array([0]),
            level_kw=one, above_yen=-5.0 * one, below_yen=2.0 * one,
        )  # fmt: skip


def test_a_site_with_whole_stages_takes_one_of_its_bids_and_keeps_its_limits() -> None:
    request = region_request(6, exchangeable=True)
    sites: list[SiteInput] = []
    for site in drawn(request):
        zones = tuple(
            replace(zone, stages_kw=(0.5 * zone.max_electric_kw, zone.max_electric_kw))
            for zone in site.problem.zones
        )
        sites.append(replace(site, problem=replace(site.problem, zones=zones)))
    plan = sound(coordinator(sites, request.grid).plan(replace(QUICK, rounds=5)))
    assert plan.lower_yen <= plan.upper_yen
