"""Whatever the data: quantiles in order, powers within limits, and nothing from after the issue matters."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.assets import PvArray, Trip
from energy.core.calendar import SiteCalendar
from energy.core.errors import ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.baselines import Baseline, baseline
from forecasting.demand import DemandModel
from forecasting.ev import car_availability
from forecasting.pv import PvModel, PvWeather, pv_power_kw
from forecasting.pv_physics import sun_position
from forecasting.quantiles import weighted_quantiles

FIRST = date(2026, 4, 1)
CALENDAR = SiteCalendar()
honest = settings(derandomize=True, max_examples=40, deadline=None)
learned = settings(derandomize=True, max_examples=12, deadline=None)  # where forests are grown


def rough_load(rng: np.random.Generator, slots: int, gaps: float) -> FloatArray:
    """Any load: levels, jumps, zeros, spikes and gaps."""
    k = np.arange(slots)
    values = rng.uniform(0.0, 200.0) * (0.2 + (np.sin(k / 48 * 2 * np.pi) > rng.uniform(-1, 1)))
    values = values * rng.lognormal(0.0, rng.uniform(0.0, 1.0), slots)
    values[rng.uniform(size=slots) < 0.02] = 0.0
    values[rng.uniform(size=slots) < gaps] = np.nan
    return np.asarray(values)


@learned
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.integers(3, 50),
    slot=st.integers(0, 47),
    gaps=st.sampled_from([0.0, 0.05, 0.15]),
)
def test_load_quantiles_are_ordered_and_never_negative_and_never_missing(
    seed: int, days: int, slot: int, gaps: float
) -> None:
    rng = np.random.default_rng(seed)
    load = Series(
        Grid(jst_midnight(FIRST), days * 48 + slot), rough_load(rng, days * 48 + slot, gaps), Unit.KW
    )
    now = load.grid.end
    whole = (~np.isnan(load.values[: days * 48].reshape(days, 48))).sum(axis=1) >= 40
    if whole.sum() < 2:
        with pytest.raises(ForecastError, match="too little load"):
            DemandModel(CALENDAR).fit(load, issued_at=now)
        return
    fitted = DemandModel(CALENDAR).fit(load, issued_at=now)
    forecast = fitted.predict(load, Grid(now, 96), issued_at=now)
    assert (forecast.p10 >= 0.0).all()
    assert (forecast.p10 <= forecast.p50 + 1e-9).all()
    assert (forecast.p50 <= forecast.p90 + 1e-9).all()
    assert np.isfinite(forecast.p90).all()
    assert forecast.p90.max() <= 20.0 * np.nanmax(load.values) + 1.0


@learned
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.sampled_from([5, 15, 25, 45]),
    slot=st.sampled_from([0, 1, 17, 18, 24, 36, 47]),
    poison=st.sampled_from([0.0, 1e9, float("nan")]),
    warm=st.booleans(),
)
def test_what_happens_after_the_issue_changes_no_load_forecast(
    seed: int, days: int, slot: int, poison: float, warm: bool
) -> None:
    rng = np.random.default_rng(seed)
    start = jst_midnight(FIRST)
    now = start + timedelta(days=days, minutes=30 * slot)
    truth = rough_load(rng, (days + 4) * 48, 0.02)
    grid = Grid(start, truth.size)
    outdoor = Series(grid, rng.normal(20.0, 8.0, truth.size), Unit.CELSIUS)
    forecasts = []
    for values in (truth, np.where(np.arange(truth.size) >= days * 48 + slot, poison, truth)):
        known = Series(grid, values, Unit.KW).between(start, now)
        fitted = DemandModel(CALENDAR).fit(
            known, issued_at=now, outdoor_c=outdoor.between(start, now) if warm else None
        )
        forecasts.append(
            fitted.predict(known, Grid(now, 130), issued_at=now, outdoor_c=outdoor if warm else None)
        )
    assert "weather" not in forecasts[0].model  # a random temperature is not trusted
    np.testing.assert_array_equal(forecasts[0].p10, forecasts[1].p10)
    np.testing.assert_array_equal(forecasts[0].p90, forecasts[1].p90)


@learned
@given(
    seed=st.integers(0, 2**32 - 1), day=st.sampled_from([25, 38]), slot=st.sampled_from([0, 17, 24, 46, 47])
)
def test_model_fitted_at_midnight_and_later_poisoned_predicts_the_same(
    seed: int, day: int, slot: int
) -> None:
    """A stale copy of the whole series in one process must not leak through the model's cache."""
    rng = np.random.default_rng(seed)
    truth = Series(Grid(jst_midnight(FIRST), 40 * 48), rough_load(rng, 40 * 48, 0.0), Unit.KW)
    start = jst_midnight(FIRST)
    midnight, now = start + timedelta(days=day), start + timedelta(days=day, minutes=30 * slot)
    fitted = DemandModel(CALENDAR).fit(truth.between(start, midnight), issued_at=midnight)
    later = truth.between(start, now + timedelta(minutes=30))
    fitted.predict(later, Grid(now + timedelta(minutes=30), 4), issued_at=now + timedelta(minutes=30))
    used = fitted.predict(truth.between(start, now), Grid(now, 96), issued_at=now)
    fresh = DemandModel(CALENDAR).fit(truth.between(start, midnight), issued_at=midnight)
    np.testing.assert_array_equal(
        used.p50, fresh.predict(truth.between(start, now), Grid(now, 96), issued_at=now).p50
    )


@honest
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(Baseline)), at=st.integers(15 * 48, 20 * 48))
def test_baselines_do_not_read_a_poisoned_future(seed: int, name: Baseline, at: int) -> None:
    truth = np.random.default_rng(seed).uniform(0.0, 100.0, 22 * 48)
    poisoned = np.where(np.arange(truth.size) >= at, 1e9, truth)
    grid = Grid(jst_midnight(FIRST), truth.size)
    now = grid.time(at)
    clean, dirty = (
        baseline(name, Series(grid, values, Unit.KW), Grid(now, 96), issued_at=now)
        for values in (truth, poisoned)
    )
    np.testing.assert_array_equal(clean, dirty)


def sky(rng: np.random.Generator, grid: Grid, latitude: float, longitude: float) -> PvWeather:
    sine = sun_position(grid, latitude=latitude, longitude=longitude).elevation_sine
    ghi = 1100.0 * sine * rng.uniform(0.0, 1.1, grid.count)
    snowfall = np.where(rng.uniform(size=grid.count) < 0.05, 2.0, 0.0)
    temp = rng.uniform(-15.0, 38.0) + rng.normal(0.0, 2.0, grid.count)
    return PvWeather.from_ghi(grid, ghi, temp, latitude=latitude, longitude=longitude, snowfall_cm=snowfall)


@honest
@given(
    seed=st.integers(0, 2**32 - 1),
    latitude=st.floats(-55.0, 65.0),
    tilt=st.floats(0.0, 90.0),
    azimuth=st.floats(0.0, 359.0),
    oversize=st.floats(0.7, 2.0),
)
def test_pv_stays_between_night_and_the_inverter_in_order(
    seed: int, latitude: float, tilt: float, azimuth: float, oversize: float
) -> None:
    rng = np.random.default_rng(seed)
    array = PvArray(
        id="pv", capacity_kw=50.0 * oversize, inverter_kw=50.0, tilt_deg=tilt, azimuth_deg=azimuth
    )
    start, days = jst_midnight(FIRST), 12
    grid = Grid(start, (days + 2) * 48)
    weather = sky(rng, grid, latitude, 139.9)
    physical = pv_power_kw(array, weather, latitude=latitude, longitude=139.9)
    night = sun_position(grid, latitude=latitude, longitude=139.9).elevation_sine == 0.0
    assert (physical >= 0.0).all()
    assert (physical <= 50.0).all()
    assert (physical[night] == 0.0).all()
    now = start + timedelta(days=days, minutes=30 * int(rng.integers(0, 48)))
    metered = np.clip(physical * rng.uniform(0.0, 1.4, grid.count), 0.0, 50.0)
    forecasts = []
    for after in (
        metered,
        np.where(np.arange(grid.count) >= (now - start) / timedelta(minutes=30), 1e9, metered),
    ):
        known = Series(grid, after, Unit.KW).between(start, now)
        fitted = PvModel(array, latitude=latitude, longitude=139.9).fit(known, weather, issued_at=now)
        forecasts.append(fitted.predict(weather, known, Grid(now, 48), issued_at=now))
    found = forecasts[0]
    dark = sun_position(Grid(now, 48), latitude=latitude, longitude=139.9).elevation_sine == 0.0
    assert (found.p90[dark] == 0.0).all()
    assert (found.p90 <= 50.0).all()
    assert (found.p10 >= 0.0).all()
    np.testing.assert_array_equal(found.p50, forecasts[1].p50)


@honest
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    weights=st.lists(st.floats(0.01, 10.0), min_size=30, max_size=30),
)
def test_weighted_quantiles_are_ordered_and_inside_the_sample(
    values: list[float], weights: list[float]
) -> None:
    column = np.array(values)[:, None]
    found = weighted_quantiles(column, np.array(weights[: len(values)])[:, None], np.array([0.1, 0.5, 0.9]))[
        :, 0
    ]
    assert (np.diff(found) >= 0.0).all()
    assert min(values) <= found[0]
    assert found[-1] <= max(values)


@honest
@given(
    gaps=st.lists(st.integers(10, 900), min_size=1, max_size=6),
    lengths=st.lists(st.integers(1, 600), min_size=6, max_size=6),
    count=st.integers(1, 120),
)
def test_car_drives_on_the_grid_what_lies_on_it_and_never_while_plugged(
    gaps: list[int], lengths: list[int], count: int
) -> None:
    start = jst_midnight(FIRST)
    grid = Grid(start, count)
    at, trips = start - timedelta(hours=6), []
    for gap, length in zip(gaps, lengths, strict=False):
        departs = at + timedelta(minutes=gap)
        at = departs + timedelta(minutes=length)
        trips.append(Trip(vehicle="ev-1", departs=departs, returns=at, energy_kwh=5.0, promise_soc=0.7))
    found = car_availability(trips, grid)
    inside = sum(
        5.0
        * max(timedelta(0), min(trip.returns, grid.end) - max(trip.departs, start))
        / (trip.returns - trip.departs)
        for trip in trips
    )
    assert sum(found.drive_kwh) == pytest.approx(inside)
    assert all(kwh == 0.0 for here, kwh in zip(found.plugged, found.drive_kwh, strict=True) if here)
    assert all(0 <= index <= count for index, _ in found.departures)
    assert [index for index, _ in found.departures] == sorted(index for index, _ in found.departures)
