"""Small panels whose truth is known: a works and a plant in the sun, of 24 slots a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray, Grid
from forecasting.days import DayKinds
from forecasting.panel import Panel
from forecasting.pv_physics import sun_position

FIRST = date(2026, 1, 5)  # a Monday
START = datetime(2026, 1, 5, tzinfo=UTC)
LATITUDE, LONGITUDE = 37.5, 10.0  # a place whose noon is near that of UTC
CAPACITY = 50.0
LEVELS = (0.1, 0.5, 0.9)


def kinds(days: int) -> DayKinds:
    return DayKinds.of(SiteCalendar(national_holidays=False), FIRST, days)


def load_panel(days: int = 50, *, seed: int = 3, **changes: object) -> Panel:
    """20 at rest, 100 from 08:00 to 18:00 on working days, 2 more for each degree above 20, and noise."""
    rng = np.random.default_rng(seed)
    row, slot = np.arange(days)[:, None], np.arange(24)[None]
    works = (row % 7 < 5) & (slot >= 8) & (slot < 18)
    temp = 20.0 + rng.normal(0.0, 4.0, (days, 1)) + 3.0 * np.sin((slot - 9) / 24.0 * 2.0 * np.pi)
    actual = np.where(works, 100.0, 20.0) + 2.0 * np.maximum(temp - 20.0, 0.0)
    made = Panel(
        kind="load",
        start=START,
        actual=actual + rng.normal(0.0, 3.0, (days, 24)),
        days=kinds(days),
        issue_slot=12,
        forecast_weather={"temp_c": temp},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pv_panel(days: int = 50, *, seed: int = 5, place: bool = True) -> Panel:
    """A plant that gives a share of its nameplate by the irradiance, which is forecast with small errors."""
    rng = np.random.default_rng(seed)
    quarter = Grid(START, days * 96, timedelta(minutes=15))
    sine = sun_position(quarter, latitude=LATITUDE, longitude=LONGITUDE).elevation_sine
    sine = np.maximum(sine, 0.0).reshape(days, 24, 4).mean(axis=2)
    ghi: FloatArray = 1000.0 * sine * rng.uniform(0.2, 1.0, (days, 1))
    power = np.clip(CAPACITY * ghi / 900.0 * rng.normal(1.0, 0.05, ghi.shape), 0.0, CAPACITY)
    return Panel(
        kind="pv",
        start=START,
        actual=power,
        days=kinds(days),
        issue_slot=24,
        forecast_weather={"ghi_w_m2": ghi * rng.normal(1.0, 0.1, ghi.shape)},
        capacity=CAPACITY,
        latitude=LATITUDE if place else None,
        longitude=LONGITUDE if place else None,
    )
