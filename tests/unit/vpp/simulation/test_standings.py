"""Means, standard errors and the gap of a scoreboard, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import pytest

from energy.core.errors import DataError
from vpp.report.terminal import render_standings
from vpp.simulation.results import Controller
from vpp.simulation.standings import BoardRow, standings

WINTER, SUMMER = date(2026, 1, 12), date(2026, 7, 20)


def row(controller: Controller, week: date, seed: int, cost_yen: int) -> BoardRow:
    return BoardRow(
        controller=controller,
        week=week,
        seed=seed,
        energy_yen=cost_yen,
        bill_yen=cost_yen,
        peak_kw=cost_yen / 1000.0,
        peak_yen=0,
        comfort_degc_h=0.0,
        departures=10,
        departures_missed=0,
        limits_broken=0,
        stored_kwh_change=0.0,
        cost_yen=cost_yen,
        guard_actions=0,
        fallback_plans=0,
        wall_s=1.0,
    )


def two_weeks_of_two_seeds() -> list[BoardRow]:
    costs: dict[Controller, tuple[int, int, int, int]] = {
        "mpc": (1000, 1200, 400, 600),
        "optimal": (700, 800, 300, 500),
        "perfect": (600, 700, 200, 400),
    }
    places = [(WINTER, 1), (WINTER, 2), (SUMMER, 1), (SUMMER, 2)]
    return [
        row(name, *place, cost)
        for name, four in costs.items()
        for place, cost in zip(places, four, strict=True)
    ]


def test_the_mean_is_that_of_the_weeks_and_the_error_that_between_seeds() -> None:
    mpc = standings(two_weeks_of_two_seeds()).figures["mpc"]["cost_yen"]
    assert mpc.mean == pytest.approx(800.0)  # (1100 + 500) / 2
    # each week: variance of (a, a + 200) is 20,000, of its mean 10,000; half the root of their sum
    assert mpc.se == pytest.approx(math.sqrt(20_000) / 2)


def test_the_gap_is_closed_by_the_share_of_the_costs() -> None:
    board = standings(two_weeks_of_two_seeds())
    assert board.gap is not None
    assert board.gap.share == pytest.approx((3200 - 2300) / (3200 - 1900))
    by_seed = [(1800 - 1300) / (1800 - 1100), (1400 - 1000) / (1400 - 800)]
    assert board.gap.se == pytest.approx(abs(by_seed[0] - by_seed[1]) / 2)
    assert board.gap_by_week[WINTER].share == pytest.approx((2200 - 1500) / (2200 - 1300))


def test_one_seed_has_no_error_and_says_so() -> None:
    rows = [one for one in two_weeks_of_two_seeds() if one.seed == 1]
    board = standings(rows)
    assert board.figures["optimal"]["cost_yen"].se is None
    assert board.gap is not None
    assert board.gap.se is None
    assert "±" not in render_standings(board, "en").split("\n", 1)[1]


def test_no_gap_is_said_where_one_of_the_three_was_not_run_or_there_is_none() -> None:
    rows = two_weeks_of_two_seeds()
    assert standings([one for one in rows if one.controller != "perfect"]).gap is None
    level = [replace(one, cost_yen=500) for one in rows]
    gap = standings(level).gap
    assert gap is not None
    assert gap.share is None


def test_weeks_that_are_not_complete_are_not_compared() -> None:
    with pytest.raises(DataError, match="not complete"):
        standings(two_weeks_of_two_seeds()[:-1])


@pytest.mark.parametrize(("lang", "words"), [("en", "is closed"), ("ja", "縮めました")])
def test_the_table_shows_everyone_and_the_gap(lang: str, words: str) -> None:
    shown = render_standings(standings(two_weeks_of_two_seeds()), lang)  # type: ignore[arg-type]
    assert words in shown
    assert "69" in shown
    assert "0 / 40" in shown
