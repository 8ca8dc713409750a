"""What a person reads who asks why a forecast is what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from energy.store import open_store
from tests.unit.vpp.forecasts.test_reasons import DAY, NOON, SITE, put, usual_load
from vpp.cli.main import app
from vpp.console import Console, guarded
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import LOAD, Horizon

OK, USAGE, DATA = 0, 2, 3

Vpp = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty days of load, and the day-ahead issue of a Tuesday by the desk itself."""
    path = tmp_path_factory.mktemp("site") / "site.db"
    with open_store(f"sqlite:///{path}", durability="process") as store:
        put(store, LOAD, "demand_kw", usual_load())
        desk = ForecastDesk(replace(SITE, pv=None), store)
        with store.transaction():
            desk.keep_one(Horizon.DAY_AHEAD, NOON, LOAD)
    return path


@pytest.fixture
def vpp(database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vpp:
    monkeypatch.setenv("VPP_DB", str(database))

    def call(*words: str, lang: str = "en") -> tuple[int, str, str]:
        status = guarded(
            lambda: app(
                args=["--lang", lang, "forecast", "explain", *words], prog_name="vpp", standalone_mode=False
            ),
            lambda: Console("en"),
        )
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


def test_the_first_sentence_says_how_much_and_against_what(vpp: Vpp) -> None:
    status, out, err = vpp(DAY.isoformat())
    lines = out.splitlines()
    assert (status, err) == (OK, "")
    assert lines[0].startswith("Load (without HVAC and cars), Tue 16 Jun: ")
    assert lines[0].endswith("of Tue 9 Jun, a week before.")
    assert lines[1] == "Issued on Mon 15 Jun 12:00 by demand-pool."
    assert "Mind:" not in out  # the model gives the very forecast that is on record
    assert lines[-2:] == [
        "The same as then: day type.",
        "Not looked at by this method: sunshine, outdoor temperature.",
    ]


def test_the_document_adds_up_slot_by_slot(vpp: Vpp) -> None:
    told = json.loads(vpp(DAY.isoformat(), "--json", "--against", "usual")[1])
    assert told["of_record"] is True
    assert told["days"] == [(DAY - timedelta(weeks=weeks)).isoformat() for weeks in (1, 2, 3, 4)]
    total = sum(effect["mean_kw"] for effect in told["effects"])
    assert told["compared_kw"] + total == pytest.approx(told["forecast_kw"], abs=1e-6)
    assert [len(effect["by_slot_kw"]) for effect in told["effects"]] == [48] * len(told["effects"])


def test_one_half_hour_can_be_asked_for_in_japanese(vpp: Vpp) -> None:
    status, out, _ = vpp(DAY.isoformat(), "--slot", "14:30", lang="ja")
    assert status == OK
    assert "6月16日(火) 14:30-15:00" in out.splitlines()[0]
    assert "前週の6月9日(火)" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("2026-06-30",), DATA, "no day-ahead forecast of load is stored for 2026-06-30"),
        ((DAY.isoformat(), "--target", "roof"), DATA, "no day-ahead forecast of roof"),
        ((DAY.isoformat(), "--slot", "14:15"), USAGE, "begins no half hour"),
        (("tomorrow",), USAGE, "is not an instant"),
        ((DAY.isoformat(), "--against", "yesterday"), USAGE, "yesterday"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_three_lines(
    vpp: Vpp, words: tuple[str, ...], status: int, says: str
) -> None:
    found, out, err = vpp(*words)
    assert (found, out) == (status, "")
    assert says in err.splitlines()[0]
