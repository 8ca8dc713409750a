"""Whatever the panel: no fact of a reference comes from after its issue, and resampling keeps the energy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.core.calendar import SiteCalendar
from energy.core.series import Grid, Series, Unit
from forecasting.backtest import NINE_LEVELS, conformal, last_week, mean_of_four_weeks, mean_of_month
from forecasting.days import DayKinds
from forecasting.panel import Panel
from forecasting.references import day_features
from forecasting.resample import coarser, finer, finer_by_sun

DAYS = 50


@st.composite
def panels(draw: st.DrawFn) -> tuple[Panel, int]:
    """A panel with gaps and weather, and a row to forecast."""
    slots = draw(st.sampled_from([4, 6, 8]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    gaps = draw(st.floats(0.0, 0.3))
    fields = {name: rng.normal(10.0, 4.0, (DAYS, slots)) for name in ("load", "measured", "forecast")}
    for values in (fields["load"], fields["measured"]):
        values[rng.random((DAYS, slots)) < gaps] = np.nan
    panel = Panel(
        kind=draw(st.sampled_from(["load", "pv"])),
        start=datetime(2026, 1, 5, tzinfo=UTC),
        actual=fields["load"],
        days=DayKinds.of(SiteCalendar(), date(2026, 1, 5), DAYS),
        lead=draw(st.integers(1, 3)),
        issue_slot=draw(st.integers(0, slots)),
        measured_weather={"temp_c": fields["measured"]},
        forecast_weather={"ghi_w_m2": fields["forecast"]},
        capacity=30.0,
    )
    return panel, draw(st.integers(32, DAYS - 1))


@given(panels())
def test_a_day_seen_from_its_issue_has_the_same_facts(made: tuple[Panel, int]) -> None:
    panel, row = made
    known = panel.known_at_issue(row)
    whole, cut = day_features(panel), day_features(known)
    assert list(whole) == list(cut)
    for name, values in whole.items():
        np.testing.assert_allclose(cut[name][row], values[row], equal_nan=True, err_msg=name)


@given(panels())
def test_a_rule_of_thumb_says_the_same_when_it_cannot_see_the_future(made: tuple[Panel, int]) -> None:
    panel, row = made
    known = panel.known_at_issue(row)
    wanted = range(row, row + 1)
    for rule in (last_week, mean_of_four_weeks, mean_of_month):
        np.testing.assert_allclose(rule(known, wanted), rule(panel, wanted), equal_nan=True)


@given(panels())
def test_quantiles_of_a_point_are_in_order_and_know_only_days_that_were_over(made: tuple[Panel, int]) -> None:
    panel, row = made
    points = np.abs(np.nan_to_num(panel.actual, nan=5.0)) + 1.0
    wanted = range(row, row + 1)
    found = conformal(panel, points, wanted, NINE_LEVELS)
    later = Panel(
        **{
            name: getattr(panel, name) for name in ("kind", "start", "days", "lead", "issue_slot", "capacity")
        },
        actual=np.vstack([panel.actual[: row - panel.lead], 1e6 + panel.actual[row - panel.lead :]]),
    )
    np.testing.assert_allclose(conformal(later, points, wanted, NINE_LEVELS), found, equal_nan=True)
    order = np.diff(found, axis=0)
    assert ((order >= 0.0) | np.isnan(order)).all()


@given(
    st.lists(st.floats(0.0, 1000.0), min_size=24, max_size=24),
    st.sampled_from([15, 20, 30]),
    st.floats(-60.0, 60.0),
    st.integers(1, 365),
)
def test_resampling_keeps_the_energy(values: list[float], minutes: int, latitude: float, day: int) -> None:
    step = timedelta(minutes=minutes)
    hours = np.array(values)
    assert coarser(finer(hours, 3), 3) == pytest.approx(hours)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    series = Series(Grid(start, 24, timedelta(hours=1)), hours, Unit.W_PER_M2)
    fine = finer_by_sun(series, step, latitude=latitude, longitude=140.0)
    assert coarser(fine.values, 60 // minutes) == pytest.approx(hours)
    assert (fine.values >= 0.0).all()
