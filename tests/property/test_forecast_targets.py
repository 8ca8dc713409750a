"""Region, fleet, net load, peak: sums agree, quantiles are in order, limits hold, order given is nothing."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.assets import PvArray
from energy.core.calendar import SiteCalendar
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.climatology import PvClimatology, clear_sky_kw
from forecasting.fleet import fleet_forecast
from forecasting.netload import net_load
from forecasting.peak import daily_peak
from forecasting.region import RegionHistory, RegionMethod, region_forecast
from forecasting.scenarios import ErrorDays
from forecasting.trace import minimum_trace_gain

FIRST = date(2026, 4, 1)
CALENDAR = SiteCalendar()
Errors = dict[str, ErrorDays]
targets = settings(derandomize=True, max_examples=40, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def any_band(rng: np.random.Generator, slots: int) -> FloatArray:
    """Any P10, P50 and P90 of a load: small and large, with zeros and steps. [kW]"""
    middle = rng.uniform(0.0, 200.0) * rng.lognormal(0.0, rng.uniform(0.0, 1.0), slots)
    middle[rng.uniform(size=slots) < rng.choice([0.0, 0.2])] = 0.0
    low, high = rng.uniform(0.0, 1.0, slots), rng.uniform(0.0, 2.0, slots)
    return np.stack([middle * (1.0 - low), middle, middle * (1.0 + high)])


def forecasts(rng: np.random.Generator, names: list[str], *, days: int, start: int, slots: int) -> dict:
    midnight = jst_midnight(FIRST + timedelta(days=days + 1))
    grid = Grid(midnight + start * timedelta(minutes=30), slots)
    issued = midnight - timedelta(hours=12)
    return {
        name: QuantileForecast("demand_kw", issued, grid, Unit.KW, *any_band(rng, slots), model="any")
        for name in names
    }


def histories(rng: np.random.Generator, names: list[str], days: int) -> tuple[Errors, ErrorDays | None]:
    """Some sites late or silent, gaps here and there; the total is that of the sites with a history."""
    out, actuals = {}, []
    for name in names:
        began = int(rng.choice([0, 0, days // 2]))
        if days - began < 1 or rng.uniform() < 0.15:
            continue
        actual = np.stack([any_band(rng, 48)[1] for _ in range(days - began)])
        forecast = np.maximum(actual + rng.normal(0.0, 10.0, actual.shape), 0.0)
        seen = np.where(rng.uniform(size=actual.shape) < 0.02, np.nan, actual)
        run = tuple(FIRST + timedelta(days=k) for k in range(began, days))
        out[name] = ErrorDays(days=run, forecast_kw=forecast, actual_kw=seen)
        actuals.append(np.vstack([np.zeros((began, 48)), actual]))
    if not actuals or rng.uniform() < 0.2:
        return out, None
    total = np.sum(actuals, axis=0)
    said = np.maximum(total + rng.normal(0.0, 20.0, total.shape), 0.0)
    run = tuple(FIRST + timedelta(days=k) for k in range(days))
    return out, ErrorDays(days=run, forecast_kw=said, actual_kw=total)


def in_order(made: QuantileForecast) -> bool:
    return bool((made.p10 <= made.p50).all() and (made.p50 <= made.p90).all())


@targets
@given(
    seed=seeds,
    sites=st.integers(1, 6),
    days=st.sampled_from([0, 5, 12, 40]),
    start=st.integers(0, 47),
    slots=st.sampled_from([1, 30, 96]),
    method=st.sampled_from(list(RegionMethod)),
    metered=st.booleans(),
)
def test_sites_add_up_to_the_total_in_any_order_and_nothing_is_negative(
    seed: int, sites: int, days: int, start: int, slots: int, method: RegionMethod, metered: bool
) -> None:
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in range(sites)]
    made = forecasts(rng, [*names, "total"], days=days, start=start, slots=slots)
    total = made.pop("total") if metered else None
    made.pop("total", None)
    past, past_total = histories(rng, names, days)
    history = RegionHistory(sites=past, total=past_total)
    found = region_forecast(made, total, history=history, calendar=CALENDAR, method=method)
    assert list(found.sites) == names
    np.testing.assert_allclose(
        np.sum([site.p50 for site in found.sites.values()], axis=0), found.total.p50, rtol=1e-12, atol=1e-9
    )
    for forecast in (*found.sites.values(), found.total):
        assert in_order(forecast)
        assert (forecast.p10 >= 0.0).all()
        assert np.isfinite(forecast.p90).all()
    mixed = list(rng.permutation(names))
    again = region_forecast(
        {name: made[name] for name in mixed},
        total,
        history=RegionHistory(sites={name: past[name] for name in mixed if name in past}, total=past_total),
        calendar=CALENDAR,
        method=method,
    )
    np.testing.assert_array_equal(again.total.p90, found.total.p90)
    for name in names:
        np.testing.assert_array_equal(again.sites[name].p50, found.sites[name].p50)


@targets
@given(seed=seeds, members=st.integers(2, 8), days=st.integers(0, 30), slots=st.integers(1, 12))
def test_the_gains_close_the_gap_whatever_the_errors(seed: int, members: int, days: int, slots: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.normal(size=(members, days, slots)) * rng.choice([0.0, 1.0, 100.0], size=(members, 1, 1))
    errors[rng.uniform(size=errors.shape) < 0.1] = np.nan
    errors[rng.uniform(size=members) < 0.2] = np.nan
    gain = minimum_trace_gain(errors, rng.uniform(0.1, 1.0, days), rng.uniform(0.0, 100.0, members))
    assert np.isfinite(gain).all()
    assert abs(gain[0] - gain[1:].sum() - 1.0) < 1e-9


@targets
@given(seed=seeds, arrays=st.integers(1, 5), days=st.sampled_from([0, 15]))
def test_a_fleet_stays_between_night_and_its_inverters(seed: int, arrays: int, days: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"a{k}" for k in range(arrays)]
    made = forecasts(rng, names, days=days, start=0, slots=48)
    errors, _ = histories(rng, names, days)
    ceiling = {name: float(made[name].p90.max()) for name in names}
    found = fleet_forecast(made, errors=errors, inverter_kw=ceiling)
    dark = np.all([forecast.p90 == 0.0 for forecast in made.values()], axis=0)
    assert in_order(found)
    assert (found.p10 >= 0.0).all()
    assert (found.p90[dark] == 0.0).all()
    assert found.p90.max() <= sum(ceiling.values()) + 1e-9


@targets
@given(seed=seeds, days=st.sampled_from([0, 9, 25]), joint=st.booleans())
def test_net_load_is_in_order_and_turns_round_with_its_sides(seed: int, days: int, joint: bool) -> None:
    rng = np.random.default_rng(seed)
    made = forecasts(rng, ["demand", "sun"], days=days, start=5, slots=60)
    past = histories(rng, list(made), days)[0] if joint else {}
    errors = {name: past.get(name) for name in made}
    demand, sun = made["demand"], made["sun"]
    one = net_load(demand, sun, demand_errors=errors["demand"], generation_errors=errors["sun"])
    two = net_load(sun, demand, demand_errors=errors["sun"], generation_errors=errors["demand"])
    assert in_order(one)
    # Equal values with different weights may change places in the sorting; nothing else may differ.
    loose = 0.02 * float((one.p90 - one.p10).max()) if one.model == "net-joint-days" else 0.0
    np.testing.assert_allclose(one.p50, -two.p50, atol=1e-9 + loose)
    np.testing.assert_allclose(one.p90, -two.p10, atol=1e-9 + loose)


@targets
@given(
    seed=seeds, days=st.sampled_from([0, 11, 40]), start=st.integers(0, 47), measured=st.floats(0.0, 300.0)
)
def test_a_peak_is_in_order_and_at_least_what_was_measured(
    seed: int, days: int, start: int, measured: float
) -> None:
    rng = np.random.default_rng(seed)
    made = forecasts(rng, ["site"], days=days, start=start, slots=48 - start)["site"]
    errors = histories(rng, ["site"], days)[0].get("site")
    found = daily_peak(made, errors, calendar=CALENDAR, measured_kw=measured)
    assert (np.diff(found.peak_kw) >= 0.0).all()
    assert measured <= found.p10 <= found.p50 <= found.p90
    assert np.isclose(found.slot_probability.sum(), 1.0)
    assert (found.slot_probability >= 0.0).all()
    chances = [found.probability_above(target) for target in (0.0, measured, found.p50, found.p90, 1e9)]
    assert all(later <= earlier for earlier, later in pairwise(chances))


@targets
@given(
    seed=seeds,
    latitude=st.floats(-55.0, 65.0),
    tilt=st.floats(0.0, 90.0),
    azimuth=st.floats(0.0, 359.0),
    days=st.integers(0, 20),
    slot=st.integers(0, 47),
)
def test_pv_without_weather_keeps_night_and_inverter_and_reads_no_future(
    seed: int, latitude: float, tilt: float, azimuth: float, days: int, slot: int
) -> None:
    rng = np.random.default_rng(seed)
    array = PvArray(id="pv", capacity_kw=60.0, inverter_kw=50.0, tilt_deg=tilt, azimuth_deg=azimuth)
    grid = Grid(jst_midnight(FIRST), (days + 2) * 48)
    sky = clear_sky_kw(array, grid, latitude=latitude, longitude=139.9)
    metered = np.clip(sky * rng.uniform(0.0, 1.4, grid.count), 0.0, 50.0)
    at = days * 48 + slot
    now, model = grid.time(at), PvClimatology(array, latitude=latitude, longitude=139.9)
    found = []
    for values in (metered, np.where(np.arange(grid.count) >= at, 1e9, metered)):
        known = Series(grid, values, Unit.KW).between(grid.start, now)
        found.append(model.predict(known, Grid(now, 72), issued_at=now))
    dark = clear_sky_kw(array, Grid(now, 72), latitude=latitude, longitude=139.9) == 0.0
    assert in_order(found[0])
    assert (found[0].p90[dark] == 0.0).all()
    assert (found[0].p10 >= 0.0).all()
    assert (found[0].p90 <= 50.0).all()
    np.testing.assert_array_equal(found[0].p90, found[1].p90)
