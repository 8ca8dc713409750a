"""Regional demand: sites and total agree, and who errs more gives way more."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import jst_midnight
from forecasting.region import RegionForecast, RegionHistory, RegionMethod, region_forecast
from forecasting.scenarios import ErrorDays
from forecasting.trace import minimum_trace_gain, second_moments, shrunk_correlation

FIRST = date(2026, 6, 1)
DAYS = 40
TARGET = FIRST + timedelta(days=DAYS + 1)


def made(
    values: float | FloatArray, *, slots: int = 48, band: float = 5.0, start: int = 0
) -> QuantileForecast:
    midnight = jst_midnight(TARGET)
    p50 = np.broadcast_to(np.asarray(values, dtype=np.float64), (slots,))
    grid = Grid(midnight + start * timedelta(minutes=30), slots)
    low = np.maximum(p50 - band, 0.0)
    issued = midnight - timedelta(hours=12)
    return QuantileForecast("demand_kw", issued, grid, Unit.KW, low, p50, p50 + band, "test")


def errors(actual: FloatArray, size: float, *, seed: int, first: date = FIRST) -> ErrorDays:
    rng = np.random.default_rng(seed)
    return ErrorDays(
        days=tuple(first + timedelta(days=k) for k in range(len(actual))),
        forecast_kw=actual + rng.normal(0.0, size, actual.shape),
        actual_kw=actual,
    )


def loads(count: int = 3, days: int = DAYS) -> list[FloatArray]:
    rng = np.random.default_rng(9)
    return [100.0 + 20.0 * rng.normal(size=(days, 48)).clip(-3, 3) for _ in range(count)]


def region(sizes: list[float], total_size: float) -> RegionHistory:
    actual = loads(len(sizes))
    sites = {f"s{k}": errors(actual[k], size, seed=k) for k, size in enumerate(sizes)}
    return RegionHistory(sites=sites, total=errors(np.sum(actual, axis=0), total_size, seed=99))


def sum_of_sites(found: RegionForecast) -> FloatArray:
    return np.asarray(np.sum([site.p50 for site in found.sites.values()], axis=0))


def test_gain_is_that_of_the_published_formula() -> None:
    rng = np.random.default_rng(1)
    past, weight, level = rng.normal(size=(4, 60, 12)), rng.uniform(0.5, 1.0, 60), np.full(4, 100.0)
    past[0] += past[1:].sum(axis=0)
    w = second_moments(past, weight, level)
    s = np.vstack([np.ones(3), np.eye(3)])
    inverse = np.linalg.inv(w)
    published = s @ np.linalg.inv(s.T @ inverse @ s) @ s.T @ inverse
    base = rng.uniform(50.0, 100.0, 4)
    ours = base - minimum_trace_gain(past, weight, level) * (base[0] - base[1:].sum())
    np.testing.assert_allclose(ours, published @ base)


def test_gain_of_independent_errors_is_split_by_their_variances() -> None:
    rng = np.random.default_rng(0)
    past = rng.normal(size=(3, 4000, 1)) * np.array([2.0, 1.0, 1.0])[:, None, None]
    gain = minimum_trace_gain(past, np.ones(4000), np.full(3, 10.0))
    np.testing.assert_allclose(gain, [4 / 6, -1 / 6, -1 / 6], atol=0.03)


def test_shrinkage_is_strong_for_noise_and_weak_for_errors_that_go_together() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(6, 15, 1))
    together = noise[:1] + 0.01 * rng.normal(size=(6, 200, 1))[:, :15]
    unit = [values / np.sqrt((values**2).sum(axis=(1, 2), keepdims=True)) for values in (noise, together)]
    assert shrunk_correlation(unit[0], np.ones(15))[1] > 0.5
    assert shrunk_correlation(unit[1], np.ones(15))[1] < 0.2
    assert shrunk_correlation(unit[1][:, :2], np.ones(2))[1] == 1.0


def test_sites_and_total_agree_exactly_and_the_total_lies_between() -> None:
    found = region_forecast(
        {"s0": made(100.0), "s1": made(100.0), "s2": made(100.0)},
        made(330.0),
        history=region([5.0, 5.0, 5.0], 9.0),
    )
    np.testing.assert_allclose(sum_of_sites(found), found.total.p50, atol=1e-9)
    assert (found.total.p50 > 300.0).all()
    assert (found.total.p50 < 330.0).all()
    assert found.total.model == "region-mint"
    assert found.sites["s1"].facts["site_model"] == "test"


def test_who_errs_more_gives_way_more() -> None:
    found = region_forecast(
        {"s0": made(100.0), "s1": made(100.0), "s2": made(100.0)},
        made(330.0),
        history=region([1.0, 20.0, 5.0], 10.0),
    )
    moved = [float(found.sites[name].p50.mean()) - 100.0 for name in ("s0", "s1", "s2")]
    assert moved[1] > 4.0 * moved[2] > 4.0 * moved[0] >= 0.0


def test_a_site_that_never_errs_keeps_its_forecast() -> None:
    found = region_forecast(
        {"s0": made(100.0), "s1": made(100.0)}, made(230.0), history=region([0.0, 10.0], 10.0)
    )
    np.testing.assert_allclose(found.sites["s0"].p50, 100.0)


def test_reconciled_total_errs_less_than_either_way_alone() -> None:
    """The lesson of Wickramasuriya et al. (2019) on made-up independent errors, seen out of sample."""
    history = region([10.0, 10.0, 10.0], 17.0)
    rng, truth, worst = np.random.default_rng(5), 300.0, dict.fromkeys(RegionMethod, 0.0)
    for _ in range(20):
        sites = {f"s{k}": made(100.0 + rng.normal(0.0, 10.0, 48)) for k in range(3)}
        total = made(truth + rng.normal(0.0, 17.0, 48))
        for method in RegionMethod:
            found = region_forecast(sites, total, history=history, method=method)
            worst[method] += float(np.abs(found.total.p50 - truth).mean())
    others = min(worst[RegionMethod.BOTTOM_UP], worst[RegionMethod.TOP_DOWN])
    assert worst[RegionMethod.RECONCILED] < 0.85 * others


def test_without_a_total_meter_the_total_is_the_sum_by_name() -> None:
    found = region_forecast({"s0": made(60.0), "s1": made(40.0)}, history=region([5.0, 5.0], 1.0))
    assert found.total.model == "region-bottom-up"
    assert found.total.facts["total_meter"] is False
    np.testing.assert_allclose(found.total.p50, 100.0)
    assert (found.total.p90 - found.total.p50 < 9.0).all()  # 10 if both erred together


def test_top_down_shares_the_total_in_proportion() -> None:
    still = np.where(np.arange(48) < 10, 0.0, 1.0)
    found = region_forecast(
        {"s0": made(30.0 * still), "s1": made(10.0 * still)}, made(80.0), method=RegionMethod.TOP_DOWN
    )
    np.testing.assert_allclose(found.sites["s0"].p50, 60.0)  # where nobody expects anything: as all day
    np.testing.assert_allclose(found.sites["s1"].p50, 20.0)
    np.testing.assert_allclose(found.total.p50, 80.0)


def test_a_single_site_and_its_second_meter_meet() -> None:
    found = region_forecast({"s0": made(100.0)}, made(120.0), history=region([10.0], 10.0))
    np.testing.assert_allclose(found.sites["s0"].p50, found.total.p50)
    assert 105.0 < float(found.total.p50.mean()) < 115.0


def test_sites_without_history_or_with_a_late_start_are_named() -> None:
    history = region([5.0, 5.0], 9.0)
    late = errors(loads(1, 15)[0], 5.0, seed=3, first=FIRST + timedelta(days=DAYS - 15))
    both = RegionHistory(sites={**history.sites, "late": late}, total=history.total)
    sites = {name: made(100.0) for name in ("s0", "s1", "late", "new")}
    # The total of the past knew nothing of the late site, so that only days before its start can be compared.
    found = region_forecast(sites, made(420.0), history=both)
    np.testing.assert_allclose(sum_of_sites(found), found.total.p50, atol=1e-9)
    assert found.total.facts["without_errors"] == ["new"]
    assert found.total.facts["filled_days"] == {"late": DAYS - 15}
    assert found.total.facts["errors_of_total"] == "its own"
    assert 400.0 < float(found.total.p50.mean()) < 420.0


def test_without_any_history_the_levels_decide_and_the_errors_move_together() -> None:
    found = region_forecast({"s0": made(90.0), "s1": made(10.0)}, made(120.0))
    assert found.total.facts["dependence"] == "comonotone"
    assert found.total.facts["errors_of_total"] == "none"
    moved = [float(found.sites[name].p50[0] - at) for name, at in (("s0", 90.0), ("s1", 10.0))]
    assert moved[0] == pytest.approx(81.0 * moved[1])  # as the squares of the levels
    assert float(found.total.p90[0] - found.total.p50[0]) == pytest.approx(7.5, abs=0.1)  # mean of 10 and 5


def test_two_days_are_put_together_day_by_day() -> None:
    sites = {"s0": made(100.0, slots=60, start=20), "s1": made(50.0, slots=60, start=20)}
    found = region_forecast(sites, made(160.0, slots=60, start=20), history=region([5.0, 5.0], 5.0))
    assert found.total.grid.count == 60
    np.testing.assert_allclose(sum_of_sites(found), found.total.p50, atol=1e-9)


def test_a_total_of_other_customers_is_refused() -> None:
    history = region([5.0, 5.0, 5.0], 9.0)
    two = RegionHistory(sites={name: history.sites[name] for name in ("s0", "s1")}, total=history.total)
    with pytest.raises(ForecastError, match="not the total of these sites") as caught:
        region_forecast({"s0": made(100.0), "s1": made(100.0)}, made(300.0), history=two)
    assert "one more site" in caught.value.hint


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ForecastError, match="no forecasts"):
        region_forecast({}, made(1.0))
    with pytest.raises(AlignmentError, match="grid, unit or issue"):
        region_forecast({"s0": made(1.0), "s1": made(1.0, slots=47)})
    with pytest.raises(AlignmentError, match="the total"):
        region_forecast({"s0": made(1.0)}, made(1.0, slots=47))
    future = errors(loads(1, 3)[0], 1.0, seed=0, first=TARGET - timedelta(days=2))
    with pytest.raises(ForecastError, match="look into the future"):
        region_forecast({"s0": made(1.0)}, history=RegionHistory(sites={"s0": future}))
