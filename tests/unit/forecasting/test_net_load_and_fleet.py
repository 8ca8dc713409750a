"""Net load and fleets: what two or more forecasts make together."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import Grid, Unit
from energy.core.slots import jst_midnight
from forecasting.fleet import fleet_forecast
from forecasting.netload import net_load
from forecasting.scenarios import ErrorDays

FIRST = date(2026, 6, 1)
TARGET = FIRST + timedelta(days=61)
SIGMA_P90 = 1.2816  # P90 of the normal distribution: Abramowitz and Stegun (1964), table 26.1


def made(p50: float, sigma: float, *, slots: int = 48, unit: Unit = Unit.KW) -> QuantileForecast:
    midnight = jst_midnight(TARGET)
    middle, band = np.full(slots, p50), SIGMA_P90 * sigma
    low = np.maximum(middle - band, 0.0)
    return QuantileForecast(
        "x", midnight - timedelta(hours=12), Grid(midnight, slots), unit, low, middle, middle + band, "m"
    )


def errors(sign: float = 1.0, *, days: int = 60, seed: int = 0) -> ErrorDays:
    """Errors that are the same for the same seed, up to a sign."""
    noise = sign * np.random.default_rng(seed).normal(0.0, 5.0, (days, 48))
    return ErrorDays(
        days=tuple(FIRST + timedelta(days=k) for k in range(days)),
        forecast_kw=np.full((days, 48), 400.0),
        actual_kw=400.0 + noise,
    )


def test_independent_net_load_is_the_convolution_of_both() -> None:
    net = net_load(made(100.0, 10.0), made(40.0, 5.0))
    assert net.model == "net-independent"
    assert net.target == "power_kw"
    spread = SIGMA_P90 * np.hypot(10.0, 5.0)
    np.testing.assert_allclose(net.p50, 60.0, atol=0.1)
    np.testing.assert_allclose(net.p90, 60.0 + spread, rtol=0.01)
    np.testing.assert_allclose(net.p10, 60.0 - spread, rtol=0.01)


def test_export_is_negative() -> None:
    net = net_load(made(20.0, 2.0), made(50.0, 5.0))
    np.testing.assert_allclose(net.p50, -30.0, atol=0.1)
    assert (net.p90 < 0.0).all()


def test_errors_that_cancel_make_the_band_narrow_and_opposite_ones_make_it_wide() -> None:
    demand, sun = made(100.0, 10.0), made(60.0, 8.0)
    cancel = net_load(demand, sun, demand_errors=errors(), generation_errors=errors())
    oppose = net_load(demand, sun, demand_errors=errors(), generation_errors=errors(-1.0))
    assert cancel.model == oppose.model == "net-joint-days"
    assert cancel.facts["error_days"] == 60
    np.testing.assert_allclose(cancel.p90 - cancel.p50, SIGMA_P90 * 2.0, atol=0.2)
    np.testing.assert_allclose(oppose.p90 - oppose.p50, SIGMA_P90 * 18.0, rtol=0.05)


def test_too_few_common_days_make_the_two_independent() -> None:
    early, late = errors(days=20), errors(days=60).on([FIRST + timedelta(days=k) for k in range(11, 60)])
    net = net_load(made(100.0, 10.0), made(60.0, 8.0), demand_errors=early, generation_errors=late)
    assert net.model == "net-independent"
    assert net.facts["error_days"] == 0


def test_net_load_refuses_forecasts_that_do_not_fit() -> None:
    with pytest.raises(AlignmentError, match="the generation"):
        net_load(made(100.0, 10.0), made(60.0, 8.0, slots=40))
    with pytest.raises(AlignmentError, match="unit"):
        net_load(made(100.0, 10.0), made(60.0, 8.0, unit=Unit.KWH))


def test_a_fleet_under_one_cloud_has_the_sum_of_the_bands_and_a_spread_one_less() -> None:
    arrays = {name: made(100.0, 10.0) for name in ("a", "b", "c", "d")}
    together = fleet_forecast(arrays, errors=dict.fromkeys(arrays, errors()))
    apart = fleet_forecast(arrays, errors={name: errors(seed=k) for k, name in enumerate(arrays)})
    assert together.model == "fleet-joint-days"
    np.testing.assert_allclose(together.p90 - together.p50, 4 * SIGMA_P90 * 10.0, rtol=0.03)
    # Independent errors grow with the root of their number: sqrt(4) = 2.
    assert float((apart.p90 - apart.p50).mean()) == pytest.approx(2 * SIGMA_P90 * 10.0, rel=0.1)


def test_a_fleet_without_past_days_is_as_broad_as_can_be_by_name() -> None:
    found = fleet_forecast({"a": made(100.0, 10.0), "b": made(50.0, 5.0)})
    assert found.model == "fleet-comonotone"
    np.testing.assert_allclose(found.p90, 150.0 + SIGMA_P90 * 15.0, rtol=0.01)
    assert found.facts["without_errors"] == ["a", "b"]


def test_a_fleet_never_exceeds_its_inverters_and_gives_nothing_at_night() -> None:
    night = made(0.0, 0.0)
    found = fleet_forecast({"a": night, "b": night})
    assert (found.p90 == 0.0).all()
    capped = fleet_forecast(
        {"a": made(95.0, 10.0), "b": made(95.0, 10.0)}, inverter_kw={"a": 100.0, "b": 98.0}
    )
    np.testing.assert_allclose(capped.p90, 198.0)


def test_a_fleet_refuses_strangers_and_emptiness() -> None:
    with pytest.raises(ForecastError, match="no forecasts"):
        fleet_forecast({})
    with pytest.raises(ForecastError, match="does not have") as caught:
        fleet_forecast({"a": made(1.0, 0.1)}, inverter_kw={"roof": 5.0})
    assert "roof" in caught.value.where
