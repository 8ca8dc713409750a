"""PV: features and experts of every day from forecast weather and the plant's own past.

No sheet of the plant is needed: a ridge regression on the irradiance of planes that look in several
directions learns the orientation, and the forests learn the rest. Where the place is known the sun's path is
computed; where it is not, the highest values of the last weeks stand for a clear sky.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from energy.core.series import FloatArray, Grid
from forecasting.day_experts import RIDGE_FIRST, walk_ridge
from forecasting.days import BoolArray
from forecasting.forest import ForestOptions
from forecasting.panel import Panel
from forecasting.past import Past, filled_from_past
from forecasting.prepared import Prepared
from forecasting.pv_physics import sun_position

__all__ = ["PV_FOREST", "prepare_pv"]

PV_FOREST = ForestOptions(trees=40, part=0.6, leaf=2, share=0.4, newest=24, half_life_days=400.0)
PENALTIES = (1.0, 10.0)
SUN = "ghi_w_m2"  # name of the irradiance among the forecast weather
RIDGE_WEATHER = ("cloud_percent", "humidity_percent", "temp_c")  # what dims the sun or warms the cells
SOLAR_CONSTANT = 1361.0  # W/m2: Kopp and Lean (2011), Geophys. Res. Lett. 38, L01706
DARK_SINE = 0.005  # of the sun's height: 0.3 degrees; below it a plant gives nothing worth forecasting
FAIR_W_M2 = 30.0  # extraterrestrial irradiance below which clearness is not defined
CLEAR_DAYS = 21  # days whose highest value stands for a clear sky
USUAL_DAYS = 14
_TILTS, _TURNS = (20.0, 40.0), (-60.0, 0.0, 60.0)  # degrees; the turns from the direction of the noon sun
_SUB = timedelta(minutes=15)  # the sun moves within an hour: its height is a mean of quarter hours


@dataclass(frozen=True, slots=True)
class _Sun:
    """Mean sine of the sun's height [-], azimuth from the noon sun [rad], both by quarter hours and slot."""

    sine: FloatArray
    fine_sine: FloatArray
    fine_azimuth: FloatArray


def prepare_pv(panel: Panel) -> Prepared:
    """Features and experts of all rows; the last row is the one to be forecast."""
    capacity = panel.capacity if panel.capacity is not None else float(np.nanmax(panel.actual))
    scale = capacity or 1.0
    filled, _ = filled_from_past(panel.actual, panel.days)
    past = Past(filled / scale, panel.lead, panel.issue_slot)
    sun = _sun(panel)
    ghi = _irradiance(panel)
    dark = _dark(panel, sun)
    actual = np.where(dark, np.nan, panel.actual / scale)
    planes, clearness = _planes(sun, ghi, past)
    base = _ridge(panel, planes, clearness, actual, past)
    base = np.where(dark, 0.0, np.clip(base, 0.0, 1.0))
    weather = [np.nan_to_num(_held(values)) for values in panel.forecast_weather.values()]
    columns = [*weather, *_neighbours([ghi, clearness, *weather]), *_daily([ghi, clearness, *weather])]
    columns += [*planes, clearness, *_sun_columns(panel, sun), *_own(past, dark)]
    features = np.nan_to_num(np.stack([*columns, base], axis=-1))
    return Prepared(
        scale=scale,
        features=(features, features),
        targets=(actual, actual - base),
        offsets=(np.zeros_like(base), base),
        base=base * scale,
        first_row=RIDGE_FIRST + past.newest_whole,
        options=PV_FOREST,
        dark=dark,
    )


def _sun(panel: Panel) -> _Sun | None:
    if panel.latitude is None or panel.longitude is None:
        return None
    n, slots = panel.actual.shape
    per_slot = timedelta(days=1) // slots // _SUB
    grid = Grid(panel.start, n * slots * per_slot, _SUB)
    position = sun_position(grid, latitude=panel.latitude, longitude=panel.longitude)
    sine = np.maximum(position.elevation_sine, 0.0).reshape(n, slots, per_slot)
    noon = 180.0 if panel.latitude >= 0.0 else 0.0
    azimuth = np.radians(position.azimuth_deg - noon).reshape(n, slots, per_slot)
    return _Sun(sine.mean(axis=2), sine, azimuth)


def _irradiance(panel: Panel) -> FloatArray:
    """The forecast irradiance, or what follows the plant's output best; zeros without weather. [W/m2]"""
    weather = panel.forecast_weather
    if SUN in weather:
        return np.maximum(np.nan_to_num(_held(weather[SUN])), 0.0)
    found, best = np.zeros_like(panel.actual), 0.3  # a weaker correlation says nothing
    for values in weather.values():
        both = ~np.isnan(values) & ~np.isnan(panel.actual)
        if both.sum() < 10 * panel.slots_per_day or values[both].std() == 0.0:
            continue
        likeness = float(np.corrcoef(values[both], panel.actual[both])[0, 1])
        if likeness > best:
            found, best = np.maximum(np.nan_to_num(_held(values)), 0.0), likeness
    return found


def _dark(panel: Panel, sun: _Sun | None) -> BoolArray:
    """Slots without sun: below the horizon, or, without a place, never lit in the days known."""
    if sun is not None:
        return np.asarray(sun.sine <= DARK_SINE)
    with np.errstate(invalid="ignore"):
        lit = np.nanmax(np.nan_to_num(panel.actual), axis=0) > 0.0
    return np.broadcast_to(~lit, panel.actual.shape).copy()


def _planes(sun: _Sun | None, ghi: FloatArray, past: Past) -> tuple[list[FloatArray], FloatArray]:
    """Irradiance of planes in several directions [kW/m2], and clearness [-]."""
    if sun is None:
        highest = np.max([past.ago(past.newest_whole + k) for k in range(CLEAR_DAYS)], axis=0)
        return [highest, ghi / 1000.0], ghi / np.maximum(ghi.max(axis=0, keepdims=True), FAIR_W_M2)
    above = SOLAR_CONSTANT * sun.sine
    clearness = np.where(sun.sine > 0.02, np.clip(ghi / np.maximum(above, FAIR_W_M2), 0.0, 1.2), 0.0)
    diffuse = _diffuse_share(clearness) * ghi
    beam = (ghi - diffuse) / np.maximum(sun.sine, 0.05)
    cosine = np.sqrt(np.maximum(1.0 - sun.fine_sine**2, 0.0))
    planes = []
    for tilt in np.radians(_TILTS):
        for turn in np.radians(_TURNS):
            facing = np.cos(tilt) * sun.fine_sine + np.sin(tilt) * cosine * np.cos(sun.fine_azimuth - turn)
            lit = np.where(sun.fine_sine > 0.0, np.maximum(facing, 0.0), 0.0).mean(axis=2)
            planes.append((beam * lit + diffuse * (1.0 + np.cos(tilt)) / 2.0) / 1000.0)
    return planes, clearness


def _diffuse_share(kt: FloatArray) -> FloatArray:
    """Diffuse share of the global irradiance from clearness: Erbs, Klein and Duffie (1982), eq. 1. [-]"""
    middle = 0.9511 - 0.1604 * kt + 4.388 * kt**2 - 16.638 * kt**3 + 12.336 * kt**4
    return np.asarray(np.where(kt <= 0.22, 1.0 - 0.09 * kt, np.where(kt <= 0.8, middle, 0.165)))


def _ridge(
    panel: Panel, planes: list[FloatArray], clearness: FloatArray, actual: FloatArray, past: Past
) -> FloatArray:
    """Power from the irradiance of the planes, alone and times clearness; mean of two penalties. [-]"""
    columns = [*planes, *(plane * clearness for plane in planes), clearness]
    for name in RIDGE_WEATHER:
        if name in panel.forecast_weather:
            values = np.nan_to_num(_held(panel.forecast_weather[name]))
            standard = (values - values.mean()) / (float(values.std()) or 1.0)
            columns += [standard, *(standard * plane for plane in planes[:: len(_TURNS)])]
    found = walk_ridge(
        np.stack(columns, axis=-1),
        actual,
        past.newest_whole,
        last=panel.count - 1,
        penalties=PENALTIES,
    )
    return np.asarray(np.nan_to_num(found.mean(axis=0)))


def _neighbours(parts: list[FloatArray]) -> list[FloatArray]:
    """Values of the slots before and after, within the day."""
    out = []
    for values in parts:
        out += [
            np.concatenate([values[:, :1], values[:, :-1]], axis=1),
            np.concatenate([values[:, 1:], values[:, -1:]], axis=1),
        ]
    return out


def _daily(parts: list[FloatArray]) -> list[FloatArray]:
    """Means of the day."""
    return [np.repeat(values.mean(axis=1, keepdims=True), values.shape[1], axis=1) for values in parts]


def _sun_columns(panel: Panel, sun: _Sun | None) -> list[FloatArray]:
    n, slots = panel.actual.shape
    time_of_day = np.repeat((np.arange(slots) / slots)[None], n, axis=0)
    season = [np.repeat(panel.days.season[:, [k]], slots, axis=1) for k in (0, 1)]
    if sun is None:
        return [time_of_day, *season]
    return [time_of_day, *season, sun.sine, sun.fine_azimuth.mean(axis=2) * (sun.sine > 0.0)]


def _own(past: Past, dark: BoolArray) -> list[FloatArray]:
    """What the plant gave: the newest whole day, its mean, the usual and the highest of the last weeks."""
    newest = past.ago(past.newest_whole)
    weeks = np.stack([past.ago(past.newest_whole + k) for k in range(CLEAR_DAYS)])
    mean = np.repeat(newest.mean(axis=1, keepdims=True), dark.shape[1], axis=1)
    return [newest, mean, weeks[:USUAL_DAYS].mean(axis=0), weeks.max(axis=0)]


def _held(values: FloatArray) -> FloatArray:
    """Missing weather replaced by the last value before it."""
    flat = values.reshape(-1)
    known = ~np.isnan(flat)
    at = np.maximum.accumulate(np.where(known, np.arange(flat.size), 0))
    return np.asarray(flat[at].reshape(values.shape))
