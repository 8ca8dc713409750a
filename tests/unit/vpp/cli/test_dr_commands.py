"""``vpp dr``: a baseline as JSON and lines, refusals, the alarm, and the error before a site enrols."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

EXAMPLES = ROOT / "examples"
METER = ["--meter", f"{EXAMPLES}/meter.csv"]
EVENT = ["--event", "2026-11-25T16:00/2026-11-25T19:00"]
PAST = ["--events", f"{EXAMPLES}/events.csv", "--holidays", f"{EXAMPLES}/holidays.csv"]


def test_a_baseline_has_the_keys_that_were_promised() -> None:
    status, out, err = vpp("dr", "baseline", *METER, *EVENT, *PAST, "--json")
    assert status == 0, err
    told = json.loads(out)
    assert list(told) == ["method", "days_used", "days_excluded", "slots", "reduction_kwh", "mean_kw"]
    assert told["method"] == "high4of5"
    assert told["days_used"] == ["2026-11-19", "2026-11-18", "2026-11-16", "2026-11-13"]
    assert {"date": "2026-11-20", "why": "event"} in told["days_excluded"]
    assert {"date": "2026-11-24", "why": "other_day_type"} in told["days_excluded"]  # agreed as a day of rest
    first = told["slots"][0]
    assert list(first) == [
        *("start", "baseline_kwh", "adjustment_kwh", "adjusted_kwh", "actual_kwh", "reduction_kwh")
    ]
    assert first["start"] == "2026-11-25T16:00:00+09:00"
    for slot in told["slots"]:
        assert slot["adjusted_kwh"] - slot["actual_kwh"] == pytest.approx(slot["reduction_kwh"])
    assert told["reduction_kwh"] == pytest.approx(sum(slot["reduction_kwh"] for slot in told["slots"]))
    assert told["mean_kw"] == pytest.approx(told["reduction_kwh"] / 3)
    assert "UNVERIFIED number: dr_baseline_adjustment.window_from_h = 5 h" in err


def test_an_end_without_a_day_is_on_the_day_of_the_start() -> None:
    short = vpp("dr", "baseline", *METER, "--event", "2026-11-25T16:00/19:00", *PAST, "--json")
    assert short == vpp("dr", "baseline", *METER, *EVENT, *PAST, "--json")


def test_the_adjustment_can_be_left_out_and_then_changes_nothing() -> None:
    _, out, _ = vpp("dr", "baseline", *METER, *EVENT, *PAST, "--adjust", "none", "--json")
    assert {slot["adjustment_kwh"] for slot in json.loads(out)["slots"]} == {0}


def test_without_enough_days_there_is_no_baseline_and_status_3() -> None:
    status, out, err = vpp("dr", "baseline", *METER, "--event", "2026-11-04T16:00/19:00")
    assert (status, out) == (3, "")
    assert "there is no baseline" in err
    assert "nothing is paid automatically" in err


@pytest.mark.parametrize(
    ("event", "status", "complaint"),
    [
        ("2026-11-25T16:00", 2, "is no event"),
        ("2026-11-25T16:10/19:00", 2, "not on a half hour"),
        ("2026-11-25T19:00/16:00", 3, "from one half hour to a day"),
        ("soon/later", 2, "is not an instant"),
        ("2026-12-25T16:00/19:00", 3, "lacks 6 of 6 half hours of the event"),
    ],
)
def test_an_event_that_cannot_be_is_refused_by_name(event: str, status: int, complaint: str) -> None:
    ended, out, err = vpp("dr", "baseline", *METER, "--event", event)
    assert (ended, out) == (status, "")
    assert complaint in err


def test_a_past_event_that_ends_before_it_starts_is_refused(tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("start,end\n2026-11-20T19:00,2026-11-20T16:00\n", encoding="utf-8")
    status, _, err = vpp("dr", "baseline", *METER, *EVENT, "--events", str(events))
    assert status == 3
    assert "line 2, end" in err


def test_a_raised_window_is_pointed_out_to_the_operator(tmp_path: Path) -> None:
    raised = tmp_path / "meter.csv"
    lines = (EXAMPLES / "meter.csv").read_text(encoding="utf-8").splitlines()
    for k, line in enumerate(lines):
        stamp, _, kwh = line.partition(",")
        if stamp.startswith("2026-11-25T") and "11:30" <= stamp[11:16] <= "14:00":
            lines[k] = f"{stamp},{float(kwh) + 12}"
    raised.write_text("\n".join(lines), encoding="utf-8")
    plain, loud = (
        vpp("dr", "baseline", "--meter", str(path), *EVENT, *PAST, "--json")
        for path in (EXAMPLES / "meter.csv", raised)
    )
    assert "LOOK" not in plain[2]
    assert "LOOK" in loud[2]
    more = json.loads(loud[1])["reduction_kwh"] - json.loads(plain[1])["reduction_kwh"]
    assert more == pytest.approx(6 * 12)


def test_a_site_whose_error_is_too_large_may_not_enrol() -> None:
    words = ["dr", "check", *METER, "--hours", "16:00-19:00", "--from", "2026-11-16", "--to", "2026-11-27"]
    status, out, _ = vpp(*words, "--events", f"{EXAMPLES}/events.csv", "--json")
    told = json.loads(out)
    assert (status, told["may_enrol"]) == (6, False)
    assert told["rrmse"] > told["limit"] == 0.2
    assert "2026-11-20" not in told["days"]
    status, out, _ = vpp(*words, "--from", "2026-11-02", "--to", "2026-11-03")
    assert status == 6
    assert "None of the 2 days" in out


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_shipped_example_is_shown(lang: str) -> None:
    status, out, _ = vpp("dr", "baseline", *METER, *EVENT, *PAST, lang=lang)
    assert status == 0
    assert len(out.splitlines()) == 16
