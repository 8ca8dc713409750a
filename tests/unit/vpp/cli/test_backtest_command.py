"""``vpp forecast backtest`` and ``bench`` as a person calls them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.unit.forecasting.told import told
from vpp.cli.main import app
from vpp.console import Console, guarded


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("vpp.backtest.run.our_model", lambda: told)
    rng = np.random.default_rng(2)
    rows = ["日時,需要,気温"]
    for hour in range(24 * 100):
        day, clock = divmod(hour, 24)
        when = date(2026, 1, 1) + timedelta(days=day)
        load = 50.0 + 20.0 * (8 <= clock < 18) + rng.normal(0.0, 2.0)
        rows.append(f"{when} {clock:02d}:00,{load:.2f},{rng.normal(5.0, 3.0):.1f}")
    path = tmp_path / "plant.csv"
    path.write_bytes("\n".join(rows).encode("cp932"))
    return path


def run(*words: str, lang: str = "en") -> int:
    return guarded(lambda: app(["--lang", lang, *words], standalone_mode=False), lambda: Console("en"))


def asked(file: Path, *more: str) -> list[str]:
    usual = ["forecast", "backtest", "--file", str(file), "--time", "日時", "--value", "需要"]
    window = ["--from", "2026-03-15", "--to", "2026-03-31", "--slot-minutes", "60", "--holidays", "JP"]
    return [*usual, *window, *more]


def test_json_holds_the_models_in_order(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*asked(file, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["case"] == "plant.csv"
    assert [row["model"] for row in found["models"]] == ["persistence", "same_weekday_mean", "vpp"]
    assert found["models"][2]["fit_s"] == 0.1
    assert found["days"] == 17
    assert not found["bound"]


@pytest.mark.parametrize(("lang", "words"), [("en", "pinball"), ("ja", "ピンボール")])
def test_a_person_gets_a_sentence_and_a_table(
    file: Path, capsys: pytest.CaptureFixture[str], lang: str, words: str
) -> None:
    assert run(*asked(file), lang=lang) == 0
    shown = capsys.readouterr().out
    assert "17" in shown.splitlines()[0]
    assert words in shown
    assert (
        sum(line.startswith(("persistence", "same_weekday_mean", "vpp")) for line in shown.splitlines()) == 3
    )


def test_perfect_weather_is_marked_on_every_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*asked(file, "--weather", "気温", "--weather-known", "perfect")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("bound" in line for line in lines)
    assert any(line.startswith("vpp *") for line in lines)
    assert run(*asked(file, "--weather", "気温", "--weather-known", "perfect", "--json")) == 0
    assert all(row["bound"] for row in json.loads(capsys.readouterr().out)["models"])


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        (["--weather", "気温"], 2, "nothing in the file says which"),
        (["--weather-known", "none"], 2, "no columns of weather"),
        (["--weather", "気圧", "--weather-known", "none"], 3, "no column '気圧'"),
        (["--from", "2026-02-30"], 2, "--from cannot be used"),
        (["--tz", "Asia/Tokio"], 2, "Asia/Tokyo"),
        (["--capacity", "-1"], 2, "--capacity cannot be used"),
        (["--from", "2026-08-01", "--to", "2026-08-02"], 3, "2026-01-01 to 2026-04-10"),
    ],
)
def test_a_mistake_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], more: list[str], status: int, says: str
) -> None:
    assert run(*asked(file, *more)) == status
    assert says in capsys.readouterr().err


def test_the_benchmark_needs_its_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("forecast", "bench", "--data", str(tmp_path / "none")) == 2
    assert "no such folder" in capsys.readouterr().err
    assert run("forecast", "bench", "--data", str(tmp_path), "--case", "steal") == 2
    assert "no case 'steal'" in capsys.readouterr().err
