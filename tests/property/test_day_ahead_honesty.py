"""Whatever the panel: nothing after the issue matters, quantiles are in order and none is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.series import FloatArray
from forecasting.dayahead import issue, learn
from forecasting.panel import Panel
from tests.unit.forecasting.small_panels import CAPACITY, load_panel, pv_panel

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
DAYS = 44
few = settings(derandomize=True, max_examples=12, deadline=None)


@st.composite
def panels(draw: st.DrawFn) -> tuple[Panel, int]:
    """A load or a plant with gaps, jumps and weather, of any zone, lead and issue time, and a row."""
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    lead, issue_slot = draw(st.integers(0, 2)), draw(st.sampled_from([0, 1, 9, 18, 23, 24]))
    gaps = draw(st.sampled_from([0.0, 0.05, 0.15]))
    if draw(st.booleans()):
        panel = load_panel(DAYS, seed=seed)
        panel.actual[:] *= rng.lognormal(0.0, 0.5 * rng.random(), panel.actual.shape)
        panel.actual[rng.random(panel.actual.shape) < 0.02] = 0.0
        measured = {"temp_c": panel.forecast_weather["temp_c"] + rng.normal(0.0, 2.0, panel.actual.shape)}
        clock = np.where(np.arange(DAYS) < draw(st.integers(5, DAYS + 5)), 0, draw(st.sampled_from([-1, 1])))
        panel = replace(panel, measured_weather=measured, clock=clock)
    else:
        panel = pv_panel(DAYS, seed=seed, place=draw(st.booleans()))
    panel.actual[rng.random(panel.actual.shape) < gaps] = np.nan
    return replace(panel, lead=lead, issue_slot=issue_slot), draw(st.integers(38, DAYS - 1))


def poisoned(panel: Panel, row: int, poison: float) -> Panel:
    """Everything that was not known at the issue of a row, replaced."""
    known = panel.known_at_issue(row)

    def worse(values: FloatArray) -> FloatArray:
        out = np.array(values)
        out[row - panel.lead + 1 :] = poison
        out[row - panel.lead, panel.issue_slot :] = poison
        return out

    def later(values: FloatArray) -> FloatArray:
        out = np.array(values)
        out[row + 1 :] = poison
        return out

    return replace(
        known,
        actual=worse(panel.actual),
        measured_weather={name: worse(values) for name, values in panel.measured_weather.items()},
        forecast_weather={name: later(values) for name, values in panel.forecast_weather.items()},
    )


@few
@given(panels(), st.sampled_from([0.0, 1e9, float("nan")]))
def test_what_happens_after_the_issue_changes_no_day_ahead_forecast(
    made: tuple[Panel, int], poison: float
) -> None:
    panel, row = made
    np.testing.assert_array_equal(issue(panel, row, LEVELS), issue(poisoned(panel, row, poison), row, LEVELS))


@few
@given(panels())
def test_day_ahead_quantiles_are_in_order_within_limits_and_never_missing(made: tuple[Panel, int]) -> None:
    panel, row = made
    found = issue(panel, row, LEVELS)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= -1e-9).all()
    assert (found >= 0.0).all()
    assert found.max() <= (CAPACITY if panel.kind == "pv" else 5.0 * np.nanmax(panel.actual))


@few
@given(panels(), st.sampled_from([1e-3, 1e3]))
def test_a_forecast_follows_the_unit(made: tuple[Panel, int], unit: float) -> None:
    """The experts to the last digit; the forests up to their draw, which the last digit decides."""
    panel, row = made
    other = replace(
        panel,
        actual=unit * panel.actual,
        capacity=None if panel.capacity is None else unit * panel.capacity,
    )
    one, two = learn(panel, row), learn(other, row)
    np.testing.assert_allclose(
        two.prepared.base[-1], unit * one.prepared.base[-1], rtol=1e-3, atol=unit * 1e-3
    )
    found, scaled = one.quantiles(LEVELS), two.quantiles(LEVELS)
    mean = float(found[2].mean())
    assert np.abs(scaled / unit - found)[2].mean() < 0.1 * mean + 1e-9


@few
@given(panels(), st.integers(1, 12))
def test_answers_about_the_past_are_in_order_too(made: tuple[Panel, int], days: int) -> None:
    panel, row = made
    found = learn(panel, row).past_quantiles(days, LEVELS)
    assert found.shape == (len(LEVELS), days, 24)
    told = ~np.isnan(found)
    assert told.mean() > 0.5  # a day on which every tree was grown has no answer
    assert (np.diff(found, axis=0)[told[1:]] >= -1e-6).all()
