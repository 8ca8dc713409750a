"""The walk over a panel: rules of thumb by hand, quantiles of their errors, references, and no look ahead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.backtest import (
    NINE_LEVELS,
    compare,
    conformal,
    last_week,
    latest_known,
    mean_of_four_weeks,
    mean_of_month,
    of_points,
)
from forecasting.days import DayKinds
from forecasting.panel import Panel
from forecasting.references import day_features, lightgbm_is_installed, reference_models
from tests.unit.forecasting.told import Told

FIRST = date(2026, 1, 5)
NAN = float("nan")


def panel(days: int = 120, slots: int = 24, *, seed: int = 3, **changes: object) -> Panel:
    """A load with weekdays, a slow drift and noise."""
    rng = np.random.default_rng(seed)
    row, slot = np.arange(days)[:, None], np.arange(slots)[None, :]
    shape = 50.0 + 40.0 * ((row % 7 < 5) & (slot >= slots // 3) & (slot < 3 * slots // 4)) + 0.1 * row
    made = Panel(
        kind="load",
        start=datetime(2026, 1, 5, tzinfo=UTC),
        actual=shape + rng.normal(0.0, 4.0, (days, slots)),
        days=DayKinds.of(SiteCalendar(national_holidays=False), FIRST, days),
        issue_slot=slots // 2,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_rules_of_thumb_are_what_their_names_say() -> None:
    case = panel(60)
    y = case.actual
    assert last_week(case, range(30, 32)) == pytest.approx(y[23:25])
    assert mean_of_four_weeks(case, range(40, 41))[0] == pytest.approx((y[33] + y[26] + y[19] + y[12]) / 4)
    newest = latest_known(case, range(40, 41))[0]
    assert newest == pytest.approx(np.r_[y[39, :12], y[38, 12:]])
    month = mean_of_month(case, range(40, 42))
    assert month[0] == pytest.approx(y[11:39].mean(axis=0))  # day 39 is not over at the issue of day 40
    assert month[1] == pytest.approx(month[0])


def test_what_is_missing_is_left_out_of_a_mean_and_missing_in_a_copy() -> None:
    case = panel(60)
    case.actual[33, 5] = NAN
    assert np.isnan(last_week(case, range(40, 41))[0, 5])
    y = case.actual
    assert mean_of_four_weeks(case, range(40, 41))[0, 5] == pytest.approx(
        (y[26, 5] + y[19, 5] + y[12, 5]) / 3
    )
    assert np.isnan(last_week(case, range(3, 4))).all()


def test_a_forecast_made_a_week_ahead_copies_a_week_that_was_over() -> None:
    case = panel(60, lead=7)
    assert last_week(case, range(30, 31))[0] == pytest.approx(case.actual[16])


def test_quantiles_of_a_point_are_those_of_its_errors_nearby() -> None:
    case = panel(90)
    points = np.full(case.actual.shape, 60.0)
    (p90,) = conformal(case, points, range(80, 81), (0.9,))
    errors = (case.actual - 60.0)[
        23:79, 4:7
    ].ravel()  # 56 days up to two days before, slot 5 and its neighbours
    assert p90[0, 5] == pytest.approx(60.0 + np.quantile(errors, 0.9))


def test_too_few_errors_give_no_quantile() -> None:
    case = panel(30)
    points = np.full(case.actual.shape, NAN)
    points[20:] = 60.0
    assert np.isnan(conformal(case, points, range(24, 25), NINE_LEVELS)).all()


def test_scores_of_a_known_error_are_known() -> None:
    case = panel(40)
    rows = range(30, 40)
    y = case.actual[30:40]
    spread = np.linspace(-8.0, 8.0, 9)[:, None, None]
    (score,) = compare(case, rows, {"vpp": lambda *_, **__: Told(y + 2.0 + spread)}, first_day=FIRST)
    assert score.nmae == pytest.approx(2.0 / y.mean())
    assert score.nrmse == pytest.approx(2.0 / y.mean())
    assert score.peak_err == pytest.approx(2.0 / y.mean())
    assert score.width80 == pytest.approx(16.0 / y.mean())
    assert (score.cover80, score.days, score.missing, score.unforecast) == (1.0, 10, 0, 0)
    assert (score.fit_s, score.predict_ms, score.method) == (0.1, 3.0, "told")
    # quantile at distance d and level q: q * -d above, (1 - q) * d below; the middle lies 2 too high
    distances = 2.0 + spread.ravel()
    losses = [max(-q * d, (1.0 - q) * d) for q, d in zip(NINE_LEVELS, distances, strict=True)]
    assert score.pinball == pytest.approx(float(np.mean(losses)) / y.mean())


def test_the_share_inside_is_told_month_by_month() -> None:
    case = panel(60)
    rows = range(20, 40)  # 25 January to 13 February
    band = np.repeat(case.actual[None, 20:40], 9, axis=0)
    band[:, 7:] += 1000.0  # from 1 February on, wrong
    (score,) = compare(case, rows, {"vpp": lambda *_, **__: Told(band)}, first_day=FIRST)
    assert score.cover80_by_month == {"2026-01": 1.0, "2026-02": 0.0}


def test_a_hole_in_the_forecast_of_a_model_is_an_error_and_not_scored_away() -> None:
    case = panel(60)
    values = np.zeros((9, 2, 24))
    values[3, 1, 7] = NAN
    with pytest.raises(ForecastError, match="vpp left 1 values"):
        compare(case, range(50, 52), {"vpp": lambda *_, **__: Told(values)}, first_day=FIRST)


def test_days_that_do_not_exist_cannot_be_scored() -> None:
    case = panel(20)
    with pytest.raises(ForecastError, match="nothing to score"):
        compare(case, range(18, 25), {}, first_day=FIRST)
    case.actual[10:] = NAN
    with pytest.raises(ForecastError, match="nothing happened"):
        compare(case, range(12, 14), {}, first_day=FIRST)


def test_slots_without_actual_and_without_forecast_are_counted_apart() -> None:
    case = panel(90)
    case.actual[80, :6] = NAN
    case.actual[75, 3] = NAN
    (score,) = compare(case, range(80, 84), {"week": of_points(last_week, "week")}, first_day=FIRST)
    assert (score.missing, score.unforecast) == (6, 1)


def test_pv_is_scored_by_its_nameplate_and_stays_inside_it() -> None:
    slots = np.arange(24)
    sun = np.maximum(0.0, np.sin((slots - 6) * np.pi / 12.0))
    rng = np.random.default_rng(0)
    actual = 5.0 * sun[None] * rng.uniform(0.2, 1.0, (90, 1))
    case = panel(90, kind="pv", capacity=5.0, actual=actual)
    walk = of_points(last_week, "week")(case, range(80, 90), levels=NINE_LEVELS)
    assert walk.values.min() >= 0.0
    assert walk.values.max() <= 5.0
    (score,) = compare(case, range(80, 90), {"week": of_points(last_week, "week")}, first_day=FIRST)
    assert score.nmae == pytest.approx(np.abs(actual[80:90] - actual[73:83]).mean() / 5.0)
    assert score.cover80_sun < score.cover80  # the night is always inside


@pytest.mark.parametrize("issue_slot", [0, 12, 24])
def test_the_facts_of_a_day_do_not_change_with_what_came_after_its_issue(issue_slot: int) -> None:
    weather = {"temp_c": np.random.default_rng(1).normal(size=(60, 24))}
    case = panel(60, issue_slot=issue_slot, measured_weather=weather)
    row = 45
    poisoned = case.known_at_issue(row)
    facts = {name: values[row] for name, values in day_features(case).items()}
    again = {name: values[row] for name, values in day_features(poisoned).items()}
    for name, values in facts.items():
        np.testing.assert_allclose(again[name], values, equal_nan=True, err_msg=name)


def references(case: Panel) -> list[str]:
    return list(reference_models(case, boosting=lightgbm_is_installed()))


@pytest.mark.parametrize("name", ["naive_week", "mean4w", "ridge_slot", "lgbm_mae", "lgbm_q"])
def test_no_reference_looks_ahead(name: str) -> None:
    case = panel(70, slots=6, issue_slot=3)
    if name not in references(case):
        pytest.skip("LightGBM is not installed: pip install -e '.[bench]'")
    row = 62
    poisoned = replace(case, actual=np.array(case.actual))
    poisoned.actual[row] = 1e6
    poisoned.actual[row - 1, 3:] = 1e6

    def made(one: Panel) -> FloatArray:
        return reference_models(one)[name](one, range(row, row + 1), levels=(0.1, 0.5, 0.9)).values

    np.testing.assert_allclose(made(poisoned), made(case), equal_nan=True)


def test_the_ridge_sees_more_than_the_rules_of_thumb() -> None:
    case = panel(150)
    models = reference_models(case, boosting=False)
    scores = {one.model: one for one in compare(case, range(120, 150), models, first_day=FIRST)}
    assert scores["ridge_slot"].nmae < scores["mean4w"].nmae < scores["naive_week"].nmae
    assert set(models) == {"naive_week", "mean4w", "ridge_slot"}
