"""Whole days of whole sites: what a user starts, what it prints, and what survives kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.days import Day, command, simulate
from tests.unit.vpp.cli.calling import vpp

pytestmark = pytest.mark.e2e

RUN_KEYS = [
    "controller",
    "bill_yen",
    "energy_yen",
    "demand_yen",
    "peak_kw",
    "contract_exceeded_slots",
    "comfort_degc_h",
    "comfort_worst_degc",
    "departures",
    "departures_missed",
    "soc_floor_violations",
    "export_kwh",
    "discharge_kwh",
    "coins",
    "energy_balance_error_kwh",
    "plans",
    "fallback_plans",
    "unconfirmed_commands",
    "wall_s",
]


def test_the_document_has_the_promised_shape(wednesday: Day) -> None:
    document = wednesday[1]
    assert (document["scenario"], document["start"], document["days"]) == ("kitakata", "2026-08-05", 1)
    runs = document["runs"]
    assert isinstance(runs, list)
    assert [run["controller"] for run in runs] == ["none", "rules", "optimal", "perfect"]
    for run in runs:
        assert list(run)[: len(RUN_KEYS)] == RUN_KEYS


def test_promises_and_limits_hold_on_a_whole_day(wednesday: Day) -> None:
    for run in wednesday[1]["runs"]:  # type: ignore[attr-defined] # plain JSON
        assert run["departures"] == 4, run["controller"]
        assert run["departures_missed"] == 0, run["controller"]
        assert run["soc_floor_violations"] == 0, run["controller"]
        assert run["export_kwh"] == 0, run["controller"]
        assert run["contract_exceeded_slots"] == 0, run["controller"]
        assert abs(run["energy_balance_error_kwh"]) < 0.01, run["controller"]
        assert run["unconfirmed_commands"] == 0, run["controller"]


def test_the_optimiser_beats_doing_nothing_and_perfect_foresight_beats_it(
    wednesday: Day,
) -> None:
    runs = {run["controller"]: run for run in wednesday[1]["runs"]}  # type: ignore[attr-defined] # plain JSON
    assert runs["perfect"]["score_yen"] < runs["optimal"]["score_yen"] < runs["none"]["score_yen"]
    assert runs["optimal"]["plans"] == 48
    assert runs["optimal"]["fallback_plans"] == 0
    assert runs["optimal"]["comfort_vs_none_degc"] <= 0.5


def test_only_the_commuter_earns_coins_and_the_journal_proves_it(
    wednesday: Day,
) -> None:
    folder, document = wednesday
    coins = next(run["coins"] for run in document["runs"] if run["controller"] == "optimal")  # type: ignore[attr-defined] # plain JSON
    assert coins > 0
    state = ("--state", str(folder / "state"), "--json")
    _, balances, _ = vpp("ledger", "balance", *state)
    assert json.loads(balances) == {"driver/driver-1": coins, "operator/issue": -coins}
    status, proved, _ = vpp("ledger", "verify", *state)
    assert status == 0
    assert json.loads(proved)["entries"] == 1


@pytest.mark.parametrize(("lang", "word"), [("ja", "通勤車"), ("en", "commuter")])
def test_the_tight_evening_is_explained_in_both_languages(wednesday: Day, lang: str, word: str) -> None:
    status, said, err = vpp(
        "plan", "explain", "16:00", "commuter", "--state", str(wednesday[0] / "state"), lang=lang
    )
    assert status == 0, err
    assert word in said


def test_another_site_needs_no_line_of_code(city_day: Day) -> None:
    runs = city_day[1]["runs"]
    assert isinstance(runs, list)
    for run in runs:
        assert run["departures"] == 3
        assert run["departures_missed"] == 0
        assert run["export_kwh"] == 0
        assert abs(run["energy_balance_error_kwh"]) < 0.01


def test_a_killed_run_goes_on_and_ends_like_one_that_was_not(wednesday: Day, tmp_path: Path) -> None:
    """kill -9 at random moments of a day with coins: nothing lost, nothing paid twice, the same document."""
    words = ("kitakata", "--days", "1", "--start", "2026-08-05", "--compare", "optimal")
    cut = tmp_path / "cut"
    cut.mkdir()
    moments = random.Random(20260805)
    kills = 0
    for _ in range(3):
        process = subprocess.Popen(
            command("simulate", *words, "--json", "--state", "state"),
            cwd=cut,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + moments.uniform(6.0, 12.0)
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills > 0
    found = simulate(cut, *words)

    def of_optimal(document: dict[str, object]) -> dict[str, object]:
        runs = document["runs"]
        assert isinstance(runs, list)
        (run,) = [one for one in runs if one["controller"] == "optimal"]
        # Time differs, and what is told beside "none" is only told where that ran too.
        return {key: value for key, value in run.items() if key not in ("wall_s", "comfort_vs_none_degc")}

    assert of_optimal(found) == of_optimal(wednesday[1])
    status, proved, _ = vpp("ledger", "verify", "--state", str(cut / "state"), "--json")
    assert status == 0
    assert json.loads(proved)["entries"] == 1
