"""``vpp cars``: files of sessions checked, and drivers forecast from what was known."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pytest
from typer.testing import CliRunner, Result

from energy.core.errors import ConfigError, ExitStatus
from forecasting.sessions import Fault, Mend
from vpp.cli.cars import app
from vpp.console import Console
from vpp.i18n import Messages

MAPPING = (
    "user_column: user\narrival_column: from\ndeparture_column: to\nenergy_column: kwh\nzone: Asia/Tokyo\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six weeks of two drivers on working days, one row of seconds, one in the future of the forecast."""
    folder = tmp_path_factory.mktemp("cars")
    rows = ["user,from,to,kwh", "a,2026-05-01 08:00:00,2026-05-01 08:00:20,0"]
    for offset in range(42):
        day = date(2026, 4, 20) + timedelta(days=offset)
        if day.weekday() < 5:
            rows += [
                f"a,{day} 08:{10 + offset % 7}:00,{day} 17:30:00,9.5",
                f"b,{day} 10:00:00,{day} 19:{10 + offset % 9}:00,14.0",
            ]
    data, mapping = folder / "sessions.csv", folder / "mapping.yaml"
    data.write_text("\n".join(rows) + "\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    return data, mapping


def call(*arguments: object, lang: Literal["ja", "en"] = "en") -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments], obj=Console(lang), standalone_mode=False)


def test_a_check_counts_what_is_left_out_in_words(files: tuple[Path, Path]) -> None:
    data, mapping = files
    found = call("check", data, "--mapping", mapping)
    assert "60 sessions of 2 users" in found.stdout
    assert "shorter than the shortest stay" in found.stdout
    assert "短すぎる" in call("check", data, "--mapping", mapping, lang="ja").stdout
    report = json.loads(call("check", data, "--mapping", mapping, "--json").stdout)
    assert report["refused"] == {Fault.SECONDS.value: 1}


def test_a_row_that_cannot_be_read_is_told_and_makes_the_check_partial(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    data, mapping = files
    bad = tmp_path / "bad.csv"
    bad.write_text(data.read_text(encoding="utf-8") + "a,soon,later,1\n", encoding="utf-8")
    found = call("check", bad, "--mapping", mapping, "--skip-bad")
    assert found.return_value == ExitStatus.PARTIAL
    assert "line 63, from" in found.stdout


def test_a_forecast_of_a_past_day_is_made_at_noon_of_the_day_before(files: tuple[Path, Path]) -> None:
    data, mapping = files
    found = call("forecast", data, "--mapping", mapping, "--day", "2026-05-26", "--json")
    page = json.loads(found.stdout)
    assert page["issued_at"] == "2026-05-25T03:00:00+00:00"
    first = page["drivers"][0]
    assert (first["user"], first["method"]) == ("a", "own-like-days")
    assert first["probability"] > 0.8
    assert first["arrives_min"]["p50"] == pytest.approx(8 * 60 + 13, abs=8)
    assert len(page["park"]["plugged"]["p50"]) == 48
    words = call("forecast", data, "--mapping", mapping, "--day", "2026-05-26").stdout
    assert "from own days of that kind" in words
    assert words.splitlines()[-1].startswith("Fullest at about")


def test_a_closed_day_is_a_day_of_rest(files: tuple[Path, Path]) -> None:
    data, mapping = files
    asked = ("forecast", data, "--mapping", mapping, "--day", "2026-05-26", "--json")
    # These drivers come on national holidays too: without "none" closed days would look worked
    closed = json.loads(call(*asked, "--holidays", "none", "--closed", "2026-05-26").stdout)
    assert max(one["probability"] for one in closed["drivers"]) < 0.3
    assert min(one["probability"] for one in json.loads(call(*asked).stdout)["drivers"]) > 0.8


def test_a_day_that_is_none_is_refused_with_the_form(files: tuple[Path, Path]) -> None:
    data, mapping = files
    found = call("forecast", data, "--mapping", mapping, "--day", "tomorrow")
    assert isinstance(found.exception, ConfigError)
    assert "2026-06-02" in found.exception.hint


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_reason_has_words_in_both_languages(lang: Literal["ja", "en"]) -> None:
    for reason in (*Fault, *Mend):
        assert Messages(lang).text(f"cars.reason_{reason.value.replace('-', '_')}")
