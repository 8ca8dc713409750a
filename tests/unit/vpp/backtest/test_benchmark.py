"""The benchmark: its table of cases, what is kept of references, ratios, throughput."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from energy.core.errors import ConfigError, DataError
from energy.core.series import FloatArray
from forecasting.backtest import NINE_LEVELS, compare, last_week, of_points
from forecasting.panel import Panel
from forecasting.references import lightgbm_is_installed, reference_models
from tests.unit.forecasting.told import told
from vpp.backtest.bench import (
    BenchCase,
    ReferenceFile,
    bench_cases,
    bench_json,
    case_key,
    published,
    run_bench,
)
from vpp.backtest.case import Case
from vpp.backtest.panel import build_panel
from vpp.backtest.run import our_model, rules_of_thumb, run_case
from vpp.backtest.throughput import measure_throughput, variation, year_of

ALL = ("steel", "cham1", "cham3", "cham5", "tetouan", "fr", "vic", "vic_pw", "tetouan_pw", "pv1", "pv2")


def say_nothing(case: str, model: str) -> None:
    """Nobody watches."""


def data_dir() -> Path:
    named = os.environ.get("VPP_DATA_DIR")
    if not named or not Path(named).is_dir():
        pytest.skip("VPP_DATA_DIR does not name the folder of published files")
    return Path(named)


def issue_told(panel: Panel, row: int, levels: tuple[float, ...]) -> FloatArray:
    return told(panel, range(row, row + 1), levels=levels).values[:, 0]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    rng = np.random.default_rng(1)
    rows = ["time,load"]
    for hour in range(24 * 120):
        day, clock = divmod(hour, 24)
        when = date(2026, 1, 1) + timedelta(days=day)
        load = 50.0 + 20.0 * (8 <= clock < 18 and when.weekday() < 5) + rng.normal(0.0, 2.0)
        rows.append(f"{when} {clock:02d}:00,{load:.3f}")
    path = tmp_path / "plant.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return Case(
        file=path,
        time="time",
        value="load",
        slot_minutes=60,
        first=date(2026, 4, 1),
        last=date(2026, 4, 14),
        tuning=(date(2026, 3, 1), date(2026, 3, 31)),
    )


def test_all_published_cases_are_there_and_tuning_ends_before_the_test() -> None:
    cases = bench_cases(Path("data"))
    assert tuple(cases) == ALL
    for case in cases.values():
        assert case.tuning is not None
        assert case.tuning[1] < case.first
    assert {name for name, case in cases.items() if case.bound} == {"vic_pw", "tetouan_pw"}
    with pytest.raises(ConfigError, match="no case 'steal'"):
        bench_cases(Path("data"), ["steal"])


def test_the_result_has_the_keys_that_are_promised(case: Case) -> None:
    found = run_case("plant", case, {**rules_of_thumb("load"), "vpp": told}).as_json()
    models = found["models"]
    assert isinstance(models, list)
    assert [row["model"] for row in models] == ["persistence", "same_weekday_mean", "vpp"]
    wanted = {"model", "nmae", "nrmse", "pinball", "cover80", "width80", "peak_err", "fit_s", "predict_ms"}
    assert all(wanted <= set(row) for row in models)
    assert found["split"] == {
        "history_from": "2026-01-01",
        "from": "2026-04-01",
        "to": "2026-04-14",
        "issue": "day before 12:00",
        "days_are": "standard time of Asia/Tokyo",
        "tuning": False,
    }
    json.dumps(found)


def test_references_are_run_once_and_then_read(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpp.backtest.bench.lightgbm_is_installed", lambda: False)
    kept = tmp_path / "references.jsonl"
    asked: list[str] = []
    first = run_bench(
        {"plant": case},
        told,
        kept=ReferenceFile(kept),
        tuning=False,
        say=lambda _, model: asked.append(model),
    )
    assert asked == ["naive_week", "mean4w", "ridge_slot", "vpp"]
    asked.clear()
    again = run_bench(
        {"plant": case},
        told,
        kept=ReferenceFile(kept),
        tuning=False,
        say=lambda _, model: asked.append(model),
    )
    assert asked == ["vpp"]
    assert again[0].rows[:-1] == first[0].rows[:-1]


def test_what_is_kept_belongs_to_one_case_and_window(case: Case) -> None:
    key = case_key("plant", case, tuning=False)
    assert case_key("plant", replace(case, file=Path("elsewhere/plant.csv")), tuning=False) == key
    assert case_key("plant", case, tuning=True) != key
    assert case_key("plant", replace(case, issue="09:00"), tuning=False) != key


def test_a_broken_line_of_kept_references_is_named(tmp_path: Path) -> None:
    path = tmp_path / "references.jsonl"
    path.write_text('{"key": "a", "row": {"model": "x"}}\n{"key": "b"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="no reference") as caught:
        ReferenceFile(path)
    assert "line 2" in caught.value.where


def bench_case(**changes: object) -> BenchCase:
    rows = (
        {"model": "lgbm_q", "pinball": 0.20, "nmae": 0.50, "peak_err": 1.0},
        {"model": "ridge_slot", "pinball": 0.25, "nmae": 0.40, "peak_err": None},
        {"model": "vpp", "pinball": 0.16, "nmae": 0.38, "peak_err": 0.9},
    )
    settings: dict[str, object] = {"name": "plant", "result": {"bound": False}, "rows": rows, **changes}
    return BenchCase(**settings)  # type: ignore[arg-type]


def test_the_best_reference_is_chosen_by_each_figure() -> None:
    one = bench_case()
    assert (one.ratio("pinball"), one.ratio("nmae")) == (pytest.approx(0.8), pytest.approx(0.95))
    best = one.best("nmae")
    assert best is not None
    assert (best.model, best.published) == ("ridge_slot", False)


def test_a_published_figure_counts_also_beside_a_run_of_the_same_method() -> None:
    one = bench_case(published={"openstef": {"nmae": 0.39, "pinball": 0.22}, "lgbm_q": {"pinball": 0.18}})
    best = {figure: one.best(figure) for figure in ("pinball", "nmae", "peak_err")}
    assert [(found.model, found.published) for found in best.values() if found is not None] == [
        ("lgbm_q", True),
        ("openstef", True),
        ("lgbm_q", False),
    ]


def test_geometric_means_keep_bounds_apart() -> None:
    half = bench_case(rows=({"model": "a", "pinball": 1.0}, {"model": "vpp", "pinball": 0.5}))
    double = bench_case(rows=({"model": "a", "pinball": 1.0}, {"model": "vpp", "pinball": 2.0}))
    bound = bench_case(
        rows=({"model": "a", "pinball": 1.0}, {"model": "vpp", "pinball": 0.1}), result={"bound": True}
    )
    means = bench_json([half, double, bound], tuning=False)["geometric_mean"]
    assert means == {
        "results": {"pinball": 1.0, "nmae": None, "peak_err": None},
        "bounds": {"pinball": 0.1, "nmae": None, "peak_err": None},
    }


def test_published_figures_belong_to_cases_that_exist() -> None:
    assert published("steel")["openstef"] == {"nmae": pytest.approx(0.465), "pinball": pytest.approx(0.202)}
    assert {name for name in ALL if published(name)} == set(ALL) - {"tetouan_pw"}


def test_sites_are_varied_but_keep_their_weekdays(case: Case) -> None:
    year = year_of(build_panel(case))
    site = variation(year, np.random.default_rng(0))
    assert site.actual.shape == (366, 24)
    assert not np.allclose(site.actual, year.actual)
    noon = site.actual[:, 12] / site.actual.mean()
    assert noon[year.days.weekday < 5].mean() > 1.15 * noon[year.days.weekday >= 5].mean()


def test_throughput_counts_every_site_in_every_process(case: Case) -> None:
    found = measure_throughput({"plant": case}, issue_told, sites=12, workers=2)
    assert (found.sites, found.workers, found.series) == (12, 2, ("plant",))
    assert found.models_per_minute == pytest.approx(60.0 * 12 / found.seconds)
    assert found.peak_mb > 0.0
    with pytest.raises(ConfigError, match="nothing to measure"):
        measure_throughput({"plant": case}, issue_told, sites=0, workers=2)


@pytest.mark.parametrize(("first", "last"), [(4, 6), (12, 14)])
def test_with_a_few_days_of_history_like_days_speak_and_say_so(case: Case, first: int, last: int) -> None:
    early = replace(case, first=date(2026, 1, first), last=date(2026, 1, last))
    (score,) = run_case("plant", early, {"vpp": our_model()}).scores
    assert score.method.startswith("like days for 3 of 3 days")
    assert score.unforecast == 0
    assert score.nmae < 0.3


def test_the_combined_model_takes_over_when_it_has_three_weeks(case: Case) -> None:
    early = replace(case, first=date(2026, 1, 20), last=date(2026, 1, 26))
    (score,) = run_case("plant", early, {"vpp": our_model()}).scores
    assert score.method.startswith("vpp; like days for")


# Figures of an independent script under the same protocol, x 100: nMAE, nRMSE, pinball, share inside, peak.
INDEPENDENT = {
    ("steel", "naive_week"): (53.062, 101.235, 22.512, 76.992, 142.998),
    ("steel", "mean4w"): (45.420, 84.986, 18.827, 77.541, 130.845),
    ("cham5", "naive_week"): (13.939, 46.024, 6.432, 84.135, 40.727),
    ("fr", "mean4w"): (61.509, 112.443, 26.283, 76.249, 184.685),
    ("vic", "mean4w"): (5.846, 9.165, 2.404, 73.244, 8.543),
    ("tetouan", "naive_week"): (4.710, 6.737, 2.017, 84.665, 4.478),
    ("pv1", "mean28"): (5.769, 10.956, 2.160, 86.985, 12.676),
    ("pv2", "naive_week"): (8.401, 17.190, 3.453, 86.704, 14.131),
}


@pytest.mark.parametrize(("name", "model"), list(INDEPENDENT))
def test_the_protocol_gives_the_figures_of_an_independent_script(name: str, model: str) -> None:
    case = bench_cases(data_dir(), [name])[name]
    found = build_panel(case)
    rule = reference_models(found.panel, boosting=False)[model]
    (score,) = compare(found.panel, found.rows, {model: rule}, first_day=found.first_day)
    figures = (score.nmae, score.nrmse, score.pinball, score.cover80, score.peak_err)
    assert [round(100.0 * one, 3) for one in figures] == pytest.approx(INDEPENDENT[name, model], abs=0.0015)


def test_the_ridge_reaches_its_published_figures() -> None:
    case = bench_cases(data_dir(), ["steel"])["steel"]
    found = build_panel(case)
    ridge = reference_models(found.panel, boosting=False)["ridge_slot"]
    (score,) = compare(found.panel, found.rows, {"ridge": ridge}, first_day=found.first_day)
    assert score.pinball == pytest.approx(published("steel")["ridge_slot"]["pinball"], rel=0.02)


def test_lightgbm_is_asked_for_only_where_it_is(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vpp.backtest.bench.lightgbm_is_installed", lambda: False)
    (found,) = run_bench({"plant": case}, None, kept=ReferenceFile(None), tuning=True, say=say_nothing)
    assert [row["model"] for row in found.rows] == ["naive_week", "mean4w", "ridge_slot"]
    assert isinstance(lightgbm_is_installed(), bool)


def test_perfect_weather_marks_every_line(case: Case) -> None:
    found = build_panel(case)
    scores = compare(
        found.panel,
        found.rows,
        {"week": of_points(last_week, "week"), "vpp": told},
        first_day=found.first_day,
        bound=True,
        levels=NINE_LEVELS,
    )
    assert all(score.bound for score in scores)
