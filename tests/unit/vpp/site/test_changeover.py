"""Days that heat in the morning and cool in the afternoon: the direction of each interval, and its worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dispatch.planner import Planner
from energy.core.forecast import QuantileForecast
from energy.core.plan import Problem
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import parse_jst
from energy.core.units import AssetId
from vpp.simulation.scenario import load_scenario
from vpp.site.changeover import cooling_now, with_changeover
from vpp.site.planning import Outlook, Reserves, SiteState, build_problem

SITE = load_scenario("kitakata")[0].site
NOW = parse_jst("2026-04-08 00:00")
BAND_K = Reserves().band_k


def spring_day(start: str = "2026-04-08 00:00", *, room_c: float = 18.0) -> Problem:
    """A clear spring day: 2 degrees at night, 16 in the afternoon."""
    grid = Grid(parse_jst(start), 48)
    hour = np.arange(48) / 2.0
    sun = np.clip(np.sin((hour - 6.0) / 12.0 * np.pi), 0.0, 1.0)

    def certain(values: FloatArray) -> QuantileForecast:
        return QuantileForecast("load", grid.start, grid, Unit.KW, values, values, values, "test")

    state = SiteState(
        soc_kwh={AssetId(car.id): 0.7 * car.capacity_kwh for car in SITE.vehicles},
        absent=frozenset(),
        room_c={AssetId(zone.id): room_c for zone in SITE.zones},
        peak_memory_kw=230.0,
    )
    outlook = Outlook(
        load=certain(np.full(48, 120.0)),
        pv=certain(80.0 * sun),
        outdoor_c=9.0 + 7.0 * np.sin((hour - 9.0) / 12.0 * np.pi),
        ghi_w_m2=800.0 * sun,
    )
    return build_problem(SITE, state, outlook, now=grid.start, trips=(), events=(), coin=None)


def comfort_short_k_h(problem: Problem) -> float:
    plan = Planner().plan(problem)
    return 0.5 * sum(short.amount for short in plan.shortfalls if short.kind == "comfort")


def test_a_spring_room_heats_in_the_morning_and_cools_in_the_afternoon() -> None:
    room = with_changeover(spring_day(), SITE, band_k=BAND_K).zones[0]
    assert set(room.mode_sign) == {-1, 1}
    assert room.mode_sign[12] == 1  # 06:00
    assert room.mode_sign[32] == -1  # 16:00


def test_the_plan_of_a_spring_day_leaves_no_room_outside_its_band() -> None:
    before = spring_day()
    assert comfort_short_k_h(before) > 20.0  # heating alone, with the band of winter
    assert comfort_short_k_h(with_changeover(before, SITE, band_k=BAND_K)) == pytest.approx(0.0, abs=0.05)


def test_a_warm_room_is_cooled_at_once() -> None:
    problem = with_changeover(spring_day("2026-04-08 13:00", room_c=27.0), SITE, band_k=BAND_K)
    assert cooling_now(problem) == {AssetId(zone.id) for zone in SITE.zones}


def test_a_day_of_one_season_stays_as_it_was() -> None:
    winter = spring_day("2026-01-21 00:00")
    assert with_changeover(winter, SITE, band_k=BAND_K) is winter
    assert cooling_now(winter) == frozenset()


def test_a_site_that_does_not_change_over_keeps_its_calendar() -> None:
    rigid = replace(SITE, calendar=replace(SITE.calendar, changeover_months=()))
    problem = spring_day()
    assert with_changeover(problem, rigid, band_k=BAND_K) is problem
