"""``vpp simulate --seeds``: the scoreboard from the command line, and what is refused."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import vpp.simulation.scoreboard
from tests.unit.vpp.cli.calling import vpp as call
from tests.unit.vpp.simulation.test_standings import row
from vpp.simulation.scoreboard import Progress
from vpp.simulation.standings import BoardRow

WEEKS = "2026-01-12,2026-07-20"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[vpp.simulation.scoreboard.BoardRequest]:
    """Requests of scoreboards that take no time."""
    seen: list[vpp.simulation.scoreboard.BoardRequest] = []

    def at_once(request: vpp.simulation.scoreboard.BoardRequest, _progress: Progress) -> tuple[BoardRow, ...]:
        seen.append(request)
        return tuple(
            row(name, week, seed, 100 * seed + 10 * k)
            for week in request.weeks
            for seed in request.seeds
            for k, name in enumerate(reversed(request.controllers))
        )

    monkeypatch.setattr(vpp.simulation.scoreboard, "run_board", at_once)
    return seen


def test_weeks_and_seeds_are_run_by_six_ways_of_control(
    asked: list[vpp.simulation.scoreboard.BoardRequest], tmp_path: Path
) -> None:
    words = ("simulate", "kitakata", "--days", "5", "--start", WEEKS, "--seeds", "3", "--json")
    status, out, err = call(*words, "--state", str(tmp_path))
    assert status == 0, err
    (request,) = asked
    assert request.weeks == (date(2026, 1, 12), date(2026, 7, 20))
    assert request.seeds == (1, 2, 3)
    assert request.controllers == vpp.simulation.scoreboard.BOARD
    document = json.loads(out)
    assert document["n"] == 6
    assert len(document["rows"]) == 36
    assert document["controllers"]["optimal"]["cost_yen"]["mean"] == pytest.approx(210.0)
    assert document["gap"]["share"] == pytest.approx(0.5)  # mpc 20, optimal 10, perfect 0 above


def test_the_table_comes_in_both_languages(
    asked: list[vpp.simulation.scoreboard.BoardRequest], tmp_path: Path
) -> None:
    words = ("simulate", "kitakata", "--seeds", "2", "--start", WEEKS, "--state", str(tmp_path))
    for lang, title in (("en", "Perfect foresight"), ("ja", "完全予見")):
        status, out, _ = call(*words, lang=lang)
        assert status == 0
        assert title in out
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "-1"), "1 to 1000"),
        (("--seeds", "3", "--days", "60"), "days must be"),
        (("--seeds", "3", "--start", "yesterday"), "not a day"),
        (("--seeds", "3", "--compare", "none,best"), "no controller 'best'"),
        (("--seeds", "3", "--start", ","), "nothing to run"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_what_cannot_be_run_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    status, out, err = call("simulate", "kitakata", *words, "--state", str(tmp_path))
    assert status == 2
    assert out == ""
    assert said in err
