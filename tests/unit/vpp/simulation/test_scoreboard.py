"""The scoreboard goes on where it was cut off, and refuses what cannot be run."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import vpp.simulation.scoreboard
from energy.core.errors import ConfigError
from tests.unit.vpp.simulation.test_standings import row
from vpp.simulation.results import Controller
from vpp.simulation.scoreboard import BoardRequest, _week_rows
from vpp.simulation.standings import BoardRow

WEEK = date(2026, 8, 3)


class Counted:
    """A week that takes no time, and notes who was run."""

    ran: list[Controller]

    def __init__(self, *_about: object) -> None:
        pass

    def row(self, controller: Controller) -> BoardRow:
        Counted.ran.append(controller)
        if controller == "optimal" and len(Counted.ran) == 2:
            raise KeyboardInterrupt
        return row(controller, WEEK, 1, 100)


def request_for(folder: Path, *controllers: Controller) -> BoardRequest:
    return BoardRequest(
        scenario="kitakata", weeks=(WEEK,), days=1, seeds=(1,), state=folder, controllers=controllers
    )


def test_a_run_that_was_cut_off_goes_on_with_who_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counted.ran = []
    monkeypatch.setattr(vpp.simulation.scoreboard, "BoardWeek", Counted)
    request = request_for(tmp_path, "none", "optimal", "perfect")
    with pytest.raises(KeyboardInterrupt):
        _week_rows(request, WEEK, 1)
    rows = _week_rows(request, WEEK, 1)
    assert Counted.ran == ["none", "optimal", "optimal", "perfect"]
    assert [one.controller for one in rows] == ["none", "optimal", "perfect"]
    assert _week_rows(request, WEEK, 1) == rows  # nothing is run a third time
    assert len(Counted.ran) == 4


@pytest.mark.parametrize("damage", ["", "{", '{"fingerprint": "another", "rows": []}', '{"rows": 3}'])
def test_a_damaged_file_or_one_of_another_scenario_is_made_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counted.ran = []
    monkeypatch.setattr(vpp.simulation.scoreboard, "BoardWeek", Counted)
    request = request_for(tmp_path, "none")
    _week_rows(request, WEEK, 1)
    (file,) = tmp_path.iterdir()
    file.write_text(damage, encoding="utf-8")
    _week_rows(request, WEEK, 1)
    assert Counted.ran == ["none", "none"]
    assert json.loads(file.read_text(encoding="utf-8"))["rows"]


def test_perfect_foresight_of_one_day_is_scored_with_its_peak_for_twelve_months(tmp_path: Path) -> None:
    (one,) = _week_rows(request_for(tmp_path, "perfect"), WEEK, 1)
    assert one.cost_yen == pytest.approx(
        one.energy_yen + one.peak_yen + 1000 * one.comfort_degc_h - 24 * one.stored_kwh_change, abs=2
    )
    assert one.peak_yen == pytest.approx(max(0.0, one.peak_kw - 230) * 20_400, abs=20_400 * 0.006)


def test_too_many_days_and_nothing_to_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="days must be"):
        BoardRequest(scenario="kitakata", weeks=(WEEK,), days=40, seeds=(1,), state=tmp_path)
    with pytest.raises(ConfigError, match="nothing to run"):
        BoardRequest(scenario="kitakata", weeks=(), days=5, seeds=(1,), state=tmp_path)
