"""Our snow coverage beside pvlib's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pvlib
import pytest

from energy.core.assets import PvArray
from energy.core.series import Grid
from energy.core.slots import parse_jst
from forecasting.pv_physics import PvWeather, SnowState, plane_irradiance, sun_position

LATITUDE, LONGITUDE = 37.65, 139.87  # Kitakata
ARRAY = PvArray(id="pv-roof", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=15.0, azimuth_deg=180.0)


# pvlib 0.16 asks pandas for the frequency in a way that pandas 3.1 announces to change.
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_snow_coverage_equals_that_of_pvlib() -> None:
    grid = Grid(parse_jst("2026-01-10 00:00"), 6 * 48)
    rng = np.random.default_rng(4)
    sun = sun_position(grid, latitude=LATITUDE, longitude=LONGITUDE)
    ghi = 900.0 * sun.elevation_sine * np.repeat(rng.uniform(0.1, 1.0, 6), 48)
    sky = PvWeather.from_ghi(grid, ghi, np.zeros(grid.count), latitude=LATITUDE, longitude=LONGITUDE)
    temp = -4.0 + 6.0 * np.sin(np.arange(grid.count) / 20.0)
    falling = np.where(rng.uniform(size=grid.count) < 0.03, 1.0, 0.1)
    weather = PvWeather(grid, sky.ghi, sky.dni, sky.dhi, temp, snowfall_cm=falling)
    ours = SnowState(0.4).ahead(ARRAY, weather, latitude=LATITUDE, longitude=LONGITUDE)
    index = pd.DatetimeIndex(grid.times())
    theirs = pvlib.snow.coverage_nrel(
        pd.Series(falling, index=index),
        pd.Series(plane_irradiance(ARRAY, weather, sun), index=index),
        pd.Series(temp, index=index),
        ARRAY.tilt_deg,
        initial_coverage=0.4,
    )
    assert temp[0] < 0.0, "nothing slides in the first interval, where pvlib does not count it"
    np.testing.assert_allclose(ours, theirs.to_numpy(), atol=1e-12)
    assert 0.0 < ours.mean() < 1.0
