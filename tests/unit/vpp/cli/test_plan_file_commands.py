"""``vpp plan make|check|explain|diff|bench`` on problem files, good and bad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy.core.plan import plan_from_json, problem_from_json
from tests.unit.vpp.cli.calling import vpp

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "problem.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPP_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "templates"))


def example() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    return document


def written(folder: Path, document: dict[str, Any], name: str = "problem.json") -> str:
    path = folder / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_make_says_in_words_what_cannot_be_kept_and_what_would_help() -> None:
    status, out, _ = vpp("plan", "make", "--problem", str(EXAMPLE))
    assert status == 0
    assert "example: plan by the optimiser" in out
    assert "ev-2: promised 80 % at Wed 25 Nov 01:00, now 21 %, can add at most 14 %" in out
    assert "try: move the departure to Wed 25 Nov 04:30, or accept 35 %" in out
    status, out, _ = vpp("plan", "make", "--problem", str(EXAMPLE), lang="ja")
    assert status == 0
    assert "80 % の約束、現在 21 %" in out


def test_make_gives_the_plan_and_its_softened_promises_as_json(tmp_path: Path) -> None:
    status, out, err = vpp(
        "plan", "make", "--problem", str(EXAMPLE), "--out", str(tmp_path / "plan.json"), "--json"
    )
    assert (status, err) == (0, "")
    document = json.loads(out)
    assert [one["kind"] for one in document["softened"]].count("departure") == 1
    plan = plan_from_json((tmp_path / "plan.json").read_bytes())
    assert plan.source == document["source"] == "optimal"
    assert len(plan.setpoints) == len(document["setpoints"]) == 4 * 48


def test_make_keeps_all_promises_where_it_can(tmp_path: Path) -> None:
    document = example()
    document["cars"] = document["cars"][:1]
    status, out, _ = vpp("plan", "make", "--problem", written(tmp_path, document))
    assert status == 0
    assert "Every promise is kept." in out


def test_no_time_gives_a_plan_by_rules_then_the_plan_in_force_and_says_so(tmp_path: Path) -> None:
    late = ("--problem", str(EXAMPLE), "--time-limit", "0")
    status, out, _ = vpp("plan", "make", *late)
    assert status == 6
    assert "plan by rules" in out
    document = example()
    document["cars"] = document["cars"][:1]
    problem = written(tmp_path, document)
    force = str(tmp_path / "force.json")
    assert vpp("plan", "make", "--problem", problem, "--out", force)[0] == 0
    late = ("--problem", problem, "--time-limit", "0", "--previous", force)
    status, out, _ = vpp("plan", "make", *late, "--json")
    assert status == 6
    assert json.loads(out)["source"] == "shifted"


def test_check_passes_a_good_plan_and_names_what_a_changed_one_breaks(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    vpp("plan", "make", "--problem", str(EXAMPLE), "--out", str(path))
    status, out, _ = vpp("plan", "check", "--problem", str(EXAMPLE), "--plan", str(path), "--json")
    assert (status, json.loads(out)) == (0, {"valid": True, "source": "optimal", "violations": []})
    document = json.loads(path.read_text(encoding="utf-8"))
    document["setpoints"][10]["power_kw"] += 9.0
    status, out, _ = vpp(
        "plan",
        "check",
        "--problem",
        str(EXAMPLE),
        "--plan",
        written(tmp_path, document, "bad.json"),
        "--json",
    )
    found = json.loads(out)
    assert status == 4
    assert not found["valid"]
    assert {"power", "balance"} <= {one["kind"] for one in found["violations"]}
    status, out, _ = vpp("plan", "check", "--problem", str(EXAMPLE), "--plan", str(tmp_path / "bad.json"))
    assert "ev-1 at Wed 25 Nov 05:00: above the charger" in out


def test_explain_gives_a_sentence_per_setpoint_and_what_more_would_cost() -> None:
    status, out, _ = vpp("plan", "explain", "--problem", str(EXAMPLE), "17:30")
    assert status == 0
    assert "Wed 25 Nov 17:30-18:00: ev-1 gives back 6.0 kW because supply is tight" in out
    assert "One more kW of load at Wed 25 Nov 17:30 would cost 12 yen." in out
    status, out, _ = vpp("plan", "explain", "--problem", str(EXAMPLE), "05:00", "ev-1", "--json")
    document = json.loads(out)
    assert [point["asset"] for point in document["setpoints"]] == ["ev-1"]
    costs = {(one["kind"], one["asset"]): one["cost_yen"] for one in document["what_if"]}
    # 10 % of 40 kWh at 18.2 yen through a charger of 93 %; the stored energy is worth something afterwards
    assert 0.0 <= costs["charge", "ev-1"] <= 4.0 / 0.93 * 24.5


def test_explain_reads_a_plan_that_was_made_before(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    vpp("plan", "make", "--problem", str(EXAMPLE), "--out", str(path))
    fresh = vpp("plan", "explain", "--problem", str(EXAMPLE), "12:00", "hall")
    stored = vpp("plan", "explain", "--problem", str(EXAMPLE), "12:00", "hall", "--plan", str(path))
    assert fresh == stored
    assert fresh[0] == 0


def test_explain_without_a_problem_needs_a_slot_and_an_asset() -> None:
    status, _, err = vpp("plan", "explain")
    assert status == 2
    assert "vpp plan explain SLOT ASSET" in err


@pytest.mark.parametrize(
    ("words", "told", "status"),
    [
        (("17:30", "nobody"), "no asset 'nobody'", 2),
        (("25:99",), "25:99", 3),
        (("2020-01-01T00:00",), "lies outside the plan", 3),
        (("soon, please",), "is not a slot", 2),
    ],
)
def test_explain_refuses_what_is_not_in_the_plan(words: tuple[str, ...], told: str, status: int) -> None:
    got, _, err = vpp("plan", "explain", "--problem", str(EXAMPLE), *words)
    assert got == status
    assert told in err


def test_diff_is_empty_against_itself_and_tells_what_a_dearer_evening_changes(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    vpp("plan", "make", "--problem", str(EXAMPLE), "--out", str(path))
    status, out, _ = vpp("plan", "diff", "--problem", str(EXAMPLE), "--against", str(path))
    assert status == 0
    assert "No setpoint differs." in out
    document = example()
    document["tight"] = [False] * 48
    document["cars"][0]["discharge_value_yen_per_kwh"] = [0.0] * 48
    document["cars"][1]["discharge_value_yen_per_kwh"] = [0.0] * 48
    calm = written(tmp_path, document, "calm.json")
    status, out, _ = vpp("plan", "diff", "--problem", str(EXAMPLE), "--against", calm, "--json")
    found = json.loads(out)
    assert status == 0
    assert {change["asset"] for change in found["changes"]} >= {"ev-1", "ev-2"}
    assert any(change["after_reason"] == "event" for change in found["changes"])
    status, out, _ = vpp("plan", "diff", "--problem", str(EXAMPLE), "--against", calm)
    assert "0 -> 6.0 kW out" in out


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: p["load_p50_kw"].__setitem__(3, float("nan")), "load: load_p50_kw[3] is nan"),
        (lambda p: p["load_p50_kw"].__setitem__(3, None), "load_p50_kw.3"),
        (lambda p: p["load_p50_kw"].pop(), "load_p50_kw has 47 values"),
        (
            lambda p: p["cars"][0]["promises"].append({"index": 60, "soc_kwh": 5.0}),
            "lies outside the horizon",
        ),
        (lambda p: p["cars"][0]["promises"][0].update(soc_kwh=99.0), "promised are 99.0 kWh"),
        (lambda p: p["zones"][0]["low_c"].__setitem__(5, 40.0), "band is upside down at [5]"),
        (lambda p: p["price_yen_per_kwh"].__setitem__(0, 1e9), "price_yen_per_kwh[0] is 1e+09"),
        (lambda p: p["cars"][0].update(capacity_kwh=0.0), "capacity_kwh is 0.0, not above 0"),
        (lambda p: p["cars"][1].update(id="ev-1"), "2 assets have this id"),
        (lambda p: p["grid"].update(count=5000), "5000 intervals are more than 1488"),
        (lambda p: p["grid"].update(count=0), "the horizon is empty"),
        (lambda p: p["grid"].update(step="PT7M"), "not whole half-hours"),
        (lambda p: p["limits"].update(max_export_kw=10.0), "one must be 0"),
        (lambda p: p["limits"].update(contract_kv=1.0), "limits.contract_kv; did you mean contract_kw?"),
        (lambda p: p.pop("limits"), "limits: Field required"),
        (lambda p: p["grid"].update(start="yesterday"), "grid.start"),
        (lambda p: p["cars"][0].update(soc0_kwh="full"), "cars.0.soc0_kwh"),
    ],
)
def test_a_problem_that_cannot_be_planned_is_refused_by_name(
    change: Change, told: str, tmp_path: Path
) -> None:
    document = example()
    change(document)
    status, out, err = vpp("plan", "make", "--problem", written(tmp_path, document))
    assert (status, out) == (3, "")
    assert told in err
    assert "try:" in err


def test_a_horizon_of_one_slot_is_planned(tmp_path: Path) -> None:
    document = example()
    document["grid"]["count"] = 1
    for part in (document, *document["cars"], *document["zones"], *document["pv"]):
        for name, value in part.items():
            if isinstance(value, list) and len(value) == 48:
                part[name] = value[:1]
    for car in document["cars"]:
        car["promises"] = []
    status, out, _ = vpp("plan", "make", "--problem", written(tmp_path, document), "--json")
    assert status == 0
    assert len(json.loads(out)["setpoints"]) == 4


def test_files_that_are_no_problem_are_refused(tmp_path: Path) -> None:
    for content, told in (
        (b"\xff\xfe", "cannot be read"),
        (b"{", "is not JSON"),
        (b"[]", "is not a problem"),
    ):
        path = tmp_path / "file.json"
        path.write_bytes(content)
        status, _, err = vpp("plan", "make", "--problem", str(path))
        assert status == 3
        assert told in err
    status, _, err = vpp("plan", "make", "--problem", str(tmp_path / "none.json"))
    assert status == 3
    assert "cannot be read" in err


def test_a_time_limit_below_zero_is_refused() -> None:
    status, _, err = vpp("plan", "make", "--problem", str(EXAMPLE), "--time-limit", "-1")
    assert status == 2
    assert "--time-limit" in err


def test_the_example_is_what_its_script_writes() -> None:
    assert problem_from_json(EXAMPLE.read_bytes()).site == "example"


def test_a_cache_folder_that_cannot_be_used_costs_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("VPP_CACHE_DIR", str(blocked))
    assert vpp("plan", "make", "--problem", str(EXAMPLE))[0] == 0


def test_bench_refuses_a_bad_instance_and_measures_a_good_one(tmp_path: Path) -> None:
    good = str(EXAMPLE.with_name("instance.json"))
    status, out, _ = vpp("plan", "bench", "--instance", good, "--rounds", "1", "--json")
    assert status == 0
    assert json.loads(out)["status"] == "optimal"
    bad = json.loads(Path(good).read_text(encoding="utf-8"))
    bad["evs"][0]["arrival"] = bad["evs"][0]["departure"]
    status, _, err = vpp("plan", "bench", "--instance", written(tmp_path, bad))
    assert status == 3
    assert "evs.0 arrives at" in err


def test_make_divides_half_hours_and_stays_with_the_plan_in_force(tmp_path: Path) -> None:
    first, second, saved = (str(tmp_path / name) for name in ("first.json", "second.json", "problem.json"))
    assert vpp("plan", "make", "--problem", str(EXAMPLE), "--out", first)[0] == 0
    status, _, _ = vpp(
        "plan", "make", "--problem", str(EXAMPLE), "--divide", "6,2", "--previous", first,
        "--change-yen", "2", "--save", saved, "--out", second,
    )  # fmt: skip
    assert status == 0
    assert vpp("plan", "check", "--problem", saved, "--plan", second)[0] == 0
    task, plan = problem_from_json(Path(saved).read_bytes()), plan_from_json(Path(second).read_bytes())
    assert task.divisions[:3] == (6, 2, 1)
    assert task.change_yen_per_kwh == 2.0
    assert [len(point.steps_kw) for point in plan.of(task.cars[0].id)[:3]] == [6, 2, 0]
    status, out, _ = vpp("plan", "explain", "--problem", saved, "--plan", second, "--json")
    assert status == 0
    assert {"load", "charge"} >= {one["kind"] for one in json.loads(out)["what_if"]}
    assert vpp("plan", "check", "--problem", str(EXAMPLE), "--plan", second)[0] != 0  # of another problem


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--divide", "six"), "does not say how to divide"),
        (("--divide", "0"), "cannot be divided"),
        (("--divide", ",".join("1" * 60)), "cannot be divided"),
        (("--change-yen", "2"), "needs a plan in force"),
        (("--change-yen", "-2"), "is no price"),
    ],
)
def test_make_refuses_what_it_cannot_understand(options: tuple[str, ...], told: str) -> None:
    status, out, err = vpp("plan", "make", "--problem", str(EXAMPLE), *options)
    assert status in (2, 3, 4)
    assert out == ""
    assert told in err


def test_explain_says_what_binds_beyond_cars_and_rooms(tmp_path: Path) -> None:
    document = example()
    names = [car["id"] for car in document["cars"]]
    document["feeders"] = [{"id": "west", "members": names, "limit_kw": 4.0, "back_kw": 4.0}]
    document["events"] = [
        {
            "id": "dr", "first": 36, "last": 40, "baseline_kw": document["load_p50_kw"][36:40],
            "reward_yen_per_kwh": 50.0, "most_kw": 20.0,
        }
    ]  # fmt: skip
    task = written(tmp_path, document)
    status, out, _ = vpp("plan", "explain", "--problem", task)
    assert status == 0
    assert "because the feeder west carries no more than 4" in out
    assert "the event dr" in out
    status, out, _ = vpp("plan", "explain", "--problem", task, lang="ja")
    assert "幹線westに流せるのは4" in out
    assert "要請dr" in out
    status, out, _ = vpp("plan", "make", "--problem", task)
    assert "Events earn" in out
