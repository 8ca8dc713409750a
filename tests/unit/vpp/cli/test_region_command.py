"""``vpp region``: drawn, planned, offered and called from the command line, in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from energy.core.errors import ExitStatus
from vpp.cli.main import app
from vpp.region.draw import Request
from vpp.region.plan import RegionFile, read_region, write_region

SMALL = ["--sites", "6", "--seed", "5"]
QUICK = [*SMALL, "--executor", "inline", "--gap", "0.05"]
KEYS = {
    *("sites", "slots", "cars", "method", "total_s", "template_s", "lower_bound_yen", "upper_bound_yen"),
    *("gap", "max_violation", "peak_rss_mb", "workers", "cpu_s"),
}


def run(*words: str) -> int:
    from vpp.console import Console, guarded

    console = Console("en")

    def call() -> object:
        return app(list(words), standalone_mode=False)

    return guarded(call, lambda: console)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VPP_CACHE_DIR", str(Path(__file__).parents[4] / ".pytest_cache" / "vpp"))
    return tmp_path


def test_a_region_is_drawn_told_and_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, problems = folder / "region.json", folder / "problems"
    assert run("--lang", "en", "region", "make", *SMALL, "--out", str(out), "--problems", str(problems)) == 0
    said = capsys.readouterr()
    assert "6 sites of seed 5" in said.out
    assert "(shipped)" in said.out
    assert len(list(problems.glob("site-*.json"))) == 6
    assert read_region(out).request.sites == 6
    assert run("region", "make", *SMALL, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(told["kinds"].values()) == 6
    assert {pool["pool"] for pool in told["sources"]} >= {"home", "works", "visits"}


def test_a_plan_tells_bounds_gap_and_what_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    status = run("region", "plan", *QUICK, "--json")
    told = json.loads(capsys.readouterr().out)
    assert status == (ExitStatus.PARTIAL if told["shortfalls"] else ExitStatus.OK)
    assert told.keys() >= KEYS
    assert told["lower_bound_yen"] <= told["upper_bound_yen"] <= told["alone_yen"]
    assert told["gap"] <= 0.05
    assert told["max_violation"] == 0.0


def test_a_plan_is_told_in_both_languages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    region = folder / "region.json"
    write_region(region, RegionFile(request=Request(sites=6, seed=5, failures=0.5)))
    words = ["region", "plan", "--region", str(region), "--executor", "inline", "--gap", "0.05"]
    for lang, said in (
        ("en", ("Coordination saves", "takes no part", "Give what is missing and plan again")),
        ("ja", ("調整により", "計画に入りません", "補って計画し直してください")),
    ):
        run("--lang", lang, *words)
        out = capsys.readouterr().out
        assert all(words_said in out for words_said in said)


def test_a_target_out_of_reach_is_named_and_told_by_the_exit_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--lang", "en", "region", "plan", *QUICK, "--dr-kw", "5000") == ExitStatus.PARTIAL
    said = capsys.readouterr().out
    assert re.search(r"Not kept: dr in 4 half-hour\(s\), at most [\d.]+ kW", said)
    assert "cannot do more at that time. Ask for less (--dr-kw)" in said


def test_no_time_at_all_still_gives_a_plan_and_says_how_far_from_the_best_it_can_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("--lang", "en", "region", "plan", *QUICK, "--time-limit", "0") == ExitStatus.PARTIAL
    assert re.search(r"proven to be at most [\d.]+% above the best \(0 rounds", capsys.readouterr().out)
    assert run("region", "plan", *QUICK, "--time-limit", "0", "--json") == ExitStatus.PARTIAL
    told = json.loads(capsys.readouterr().out)
    assert told["gap"] > 0.005
    assert told["lower_bound_yen"] < told["upper_bound_yen"]


def test_an_offer_says_less_and_more_for_how_long_and_how_sure(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run("region", "offer", *QUICK, "--hours", "0.5,2", "--prices", "20,100", "--by-site", "--json") == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert len(told["points"]) == 8
    assert {(p["direction"], p["hours"]) for p in told["points"]} == {
        (d, h) for d in ("down", "up") for h in (0.5, 2.0)
    }
    assert all(0.0 <= p["firm_kw"] <= p["expected_kw"] for p in told["points"])
    assert told["delivery"]["source"] == "assumed"


def test_a_call_is_shared_and_remembered_and_a_second_one_is_fairer_than_chance(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = folder / "history.json"
    words = [
        "region",
        "dispatch",
        *QUICK,
        "--kw",
        "0.5",
        "--failing",
        "0",
        "--history",
        str(history),
        "--json",
    ]
    assert run(*words, "--dry-run") == 0
    assert not history.exists()
    capsys.readouterr()
    assert run(*words) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["shared_kw"] == 0.5
    assert min(first["planned_kw"]) >= 0.49
    assert first["max_violation"] == 0.0
    assert run(*words) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["gini_burden_after"] <= 1e-3  # an hour of the same sites: all give the same part
    assert run("--lang", "ja", *words[:-1]) == 0
    assert "ジニ係数" in capsys.readouterr().out


def test_a_call_beyond_the_offers_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("region", "dispatch", *QUICK, "--kw", "9000", "--json") == ExitStatus.PARTIAL
    told = json.loads(capsys.readouterr().out)
    assert told["missing_kw"] == pytest.approx(9000 - told["shared_kw"], abs=0.02)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["make", "--sites", "0"], ExitStatus.USAGE, "--sites 0"),
        (["make", "--day", "tomorrow"], ExitStatus.USAGE, "is not a day"),
        (["make", "--data", "no-such-folder"], ExitStatus.USAGE, "no such folder"),
        (["plan", *QUICK, "--gap", "2"], ExitStatus.USAGE, "cannot be reached"),
        (["plan", "--executor", "pigeon"], ExitStatus.USAGE, "no executor"),
        (["plan", "--region", "missing.json"], ExitStatus.DATA, "cannot be read"),
        (["offer", *QUICK, "--start", "17:10"], ExitStatus.USAGE, "no half-hour"),
        (["offer", *QUICK, "--hours", "0.4"], ExitStatus.USAGE, "half-hours"),
        (["dispatch", *QUICK, "--kw", "0"], ExitStatus.USAGE, "a call of 0"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    words: list[str], status: ExitStatus, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("region", *words) == status
    assert said in capsys.readouterr().err


def test_a_history_that_is_none_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = folder / "history.json"
    history.write_text("[]")
    assert run("region", "dispatch", *QUICK, "--kw", "1", "--history", str(history)) == ExitStatus.DATA
    assert "history of calls" in capsys.readouterr().err


WEEK = [*SMALL, "--days", "1", "--start", "2026-08-05"]


def test_a_week_is_simulated_told_and_reported_in_both_languages(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WEEK, "--warm-days", "0", "--executor", "inline", "--gap", "0.05", "--state", str(folder)]
    assert run("--lang", "en", "region", "simulate", *words) == ExitStatus.OK
    said = capsys.readouterr()
    assert "6 sites, 1 days: as one plant" in said.out
    assert "report.en.html" in said.err
    assert run("region", "simulate", *words, "--json") == ExitStatus.OK  # nothing is done again
    told = json.loads(capsys.readouterr().out)
    assert told["parts"]["together"]["departures_missed"] == 0
    pages = folder / "pages"
    assert run("region", "report", *WEEK, "--state", str(folder), "--out", str(pages)) == ExitStatus.OK
    assert {path.name for path in pages.iterdir()} == {"report.ja.html", "report.en.html"}


def test_a_report_of_nothing_says_what_to_run_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("region", "report", *WEEK, "--state", str(folder)) == ExitStatus.DATA
    assert "vpp region simulate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ('{"request": {"sites": 3, "seed": 1, "colour": 2}}', ExitStatus.DATA, "request.colour"),
        ('{"request": {"sites": 3, "seed": 1}, "rule": {}}', ExitStatus.DATA, "rule"),
        ('{"request": {"sites": 3, "seed": 1, "failures": 2}}', ExitStatus.USAGE, "--failures 2"),
    ],
)
def test_a_region_file_with_a_word_or_a_value_that_is_none_is_refused_by_name(
    folder: Path, content: str, status: ExitStatus, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    region = folder / "odd.json"
    region.write_text(content)
    assert run("region", "plan", "--region", str(region), "--executor", "inline") == status
    assert said in capsys.readouterr().err
