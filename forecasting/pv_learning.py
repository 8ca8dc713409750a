"""What a PV array's own meter teaches: shade and losses by slot, the spread of errors, their persistence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from energy.core.assets import PvArray
from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, Slot
from forecasting.days import BoolArray, IntArray, day_and_slot, require_past, require_slots
from forecasting.pv_physics import PvWeather, SunPosition, array_power_kw, sun_position
from forecasting.quantiles import least_absolute, trailing_mean

__all__ = [
    "COVERED_RATIO",
    "FAIR_SHARE",
    "LEVELS",
    "SPANS",
    "Correction",
    "History",
    "Place",
    "Sky",
    "check_generation",
    "learn_correction",
    "look_up",
    "pair_history",
    "ratio_table",
    "slot_gains",
]

LEVELS = (0.1, 0.5, 0.9)
HISTORY_DAYS = 120  # the sun of half a year ago has another height and another shade
HALF_LIFE_DAYS = 30.0
SHRINK_DAYS = 5.0  # a slot's own correction counts half after five days
FAIR_SHARE = 0.05  # of the inverter: below it a ratio of two small numbers says nothing
COVERED_RATIO = 0.15  # actual over physical below which modules are covered, if it is cold
_CLEAR_NODES = np.array([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75])  # clearness index forecast
_SUN_NODES = np.array([0.05, 0.2, 0.4, 0.6, 0.85])  # sine of the sun's elevation
_CLEAR_WIDTH, _SUN_WIDTH = 0.10, 0.20  # kernel widths between neighbouring nodes
# Cold start: broad ratios of actual to forecast power (P10, P50, P90), forecast overcast and forecast clear.
# Our assumption, replaced by the site's own errors within days (docs/explanation/forecasts.md).
_PRIOR_OVERCAST, _PRIOR_CLEAR = (0.25, 0.90, 2.50), (0.50, 1.00, 1.25)
_PRIOR_WEIGHT = 4.0  # days of own errors that weigh as much as the prior
SPANS = (1, 4)  # slots: the last half hour and the last two hours
_LEADS = (0, 1, 2, 3, 5, 8, 11)
_WORTH_IT = 0.98


@dataclass(frozen=True, slots=True)
class Place:
    """An array and where it stands."""

    array: PvArray
    latitude: float
    longitude: float

    def sky(self, weather: PvWeather) -> Sky:
        """What the weather means for the array."""
        sun = sun_position(weather.grid, latitude=self.latitude, longitude=self.longitude)
        return Sky(
            grid=weather.grid,
            physical_kw=array_power_kw(self.array, weather, sun),
            clearness=_clearness(weather.ghi, sun),
            elevation=sun.elevation_sine,
            temp_c=weather.temp_c,
        )


@dataclass(frozen=True, slots=True)
class Sky:
    """Physics of an array over a grid.

    Parameters
    ----------
    physical_kw : ndarray
        Power by the physics; 0 where the weather is missing. [kW]
    clearness : ndarray
        Share of the irradiance above the atmosphere that reaches the ground. [-]
    elevation : ndarray
        Sine of the sun's elevation. [-]
    temp_c : ndarray
        Air temperature. [degC]
    """

    grid: Grid
    physical_kw: FloatArray
    clearness: FloatArray
    elevation: FloatArray
    temp_c: FloatArray

    def after(self, count: int) -> Sky:
        """Without the first ``count`` intervals."""
        return Sky(
            Grid(self.grid.time(count), self.grid.count - count, self.grid.step),
            self.physical_kw[count:],
            self.clearness[count:],
            self.elevation[count:],
            self.temp_c[count:],
        )


@dataclass(frozen=True, slots=True)
class History:
    """Pairs of metered and physical power with what they depend on.

    ``told`` are the slots that were metered, not held back and not of a day under snow or an outage;
    ``learn`` those of them with a fair sun.
    """

    inverter_kw: float
    actual_kw: FloatArray
    physical_kw: FloatArray
    clearness: FloatArray
    elevation: FloatArray
    slot: IntArray
    day: IntArray
    learn: BoolArray
    weight: FloatArray
    sky: Sky
    told: BoolArray


@dataclass(frozen=True, slots=True)
class Correction:
    """How far the errors of the last two hours go on, by lead in slots; errors as a share of the inverter.

    Parameters
    ----------
    gain : ndarray, shape (2, 12)
        Share of the mean error of the last half hour and of the last two hours that is still there. [-]
    width : ndarray, shape (12,)
        Spread left, as a share of the spread without the correction. [-]
    """

    gain: FloatArray
    width: FloatArray


def pair_history(
    place: Place,
    generation: Series,
    weather: PvWeather,
    issued: datetime,
    curtailed: BoolArray | None,
    *,
    days: int = HISTORY_DAYS,
) -> History | None:
    """Metered and physical power side by side, where both are known; None if that is nowhere."""
    check_generation(generation, issued)
    if curtailed is not None and curtailed.shape != (generation.grid.count,):
        raise AlignmentError(
            "the curtailment mask does not fit", mask=curtailed.shape, generation=generation.grid.count
        )
    if weather.known_at is not None and weather.known_at > issued:
        raise ForecastError(
            "the weather of the history became known after the forecast is issued",
            where=f"known at {weather.known_at.isoformat()}, issued at {issued.isoformat()}",
            hint="give the forecasts that were in force for each slot: store.as_of",
        )
    end = min(generation.grid.end, weather.grid.end, Slot.containing(issued).start)
    start = max(generation.grid.start, weather.grid.start, end - timedelta(days=days))
    grid = Grid.between(start, end)
    if grid.count == 0:
        return None
    skipped = (grid.start - generation.grid.start) // SLOT_LENGTH
    stop = skipped + grid.count
    actual = generation.values[skipped:stop]
    sky = place.sky(weather.part(grid))
    physical = sky.physical_kw
    _, first = day_and_slot(grid.start)
    position = first + np.arange(grid.count)
    day = position // SLOTS_PER_DAY
    fair = physical >= FAIR_SHARE * place.array.inverter_kw
    learn = fair & ~np.isnan(actual)
    if curtailed is not None:
        learn &= ~curtailed[skipped:stop]
    dark = _dark_days(day, np.where(learn, actual, 0.0), np.where(learn, physical, 0.0))
    learn &= ~np.isin(day, dark)
    told = ~np.isnan(actual) & ~np.isin(day, dark)
    if curtailed is not None:
        told &= ~curtailed[skipped:stop]
    return History(
        inverter_kw=place.array.inverter_kw,
        actual_kw=actual,
        physical_kw=physical,
        clearness=sky.clearness,
        elevation=sky.elevation,
        slot=position % SLOTS_PER_DAY,
        day=day,
        learn=learn,
        weight=0.5 ** ((day[-1] - day) / HALF_LIFE_DAYS),
        sky=sky,
        told=told,
    )


def _dark_days(day: IntArray, actual: FloatArray, physical: FloatArray) -> IntArray:
    """Days on which the array gave next to nothing under a fair sun: snow or an outage, no shade."""
    got = np.bincount(day, weights=actual) if day.size else np.empty(0)
    due = np.bincount(day, weights=physical) if day.size else np.empty(0)
    return np.flatnonzero((due > 0.0) & (got < COVERED_RATIO * due))


def _clearness(ghi: FloatArray, sun: SunPosition) -> FloatArray:
    """Share of the irradiance above the atmosphere that reaches the ground. [-]"""
    above = sun.extra_w_per_m2 * np.maximum(sun.elevation_sine, 0.065)
    return np.asarray(np.clip(ghi / np.maximum(above, 1e-9), 0.0, 1.0))


def slot_gains(history: History) -> FloatArray:
    """Metered over physical power by slot of the day, drawn towards the whole array's ratio. [-]"""
    keep = history.learn
    if not keep.any():
        return np.ones(SLOTS_PER_DAY)
    ratio = history.actual_kw[keep] / history.physical_kw[keep]
    weight = history.weight[keep] * history.physical_kw[keep]
    slot = history.slot[keep]
    days = np.unique(history.day[keep]).size
    overall = _median(ratio, weight)
    general = (days * overall + SHRINK_DAYS) / (days + SHRINK_DAYS)
    out = np.full(SLOTS_PER_DAY, general)
    for s in np.unique(slot):
        near = np.abs(slot - s) <= 1
        seen = np.unique(history.day[keep][slot == s]).size
        own = _median(ratio[near], weight[near] * np.where(slot[near] == s, 1.0, 0.5))
        out[s] = (seen * own + SHRINK_DAYS * general) / (seen + SHRINK_DAYS)
    return np.asarray(np.clip(out, 0.0, 2.0))


def _median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values)
    upto = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(upto, 0.5 * upto[-1])])


def ratio_table(history: History | None, slot_gain: FloatArray) -> FloatArray:
    """P10, P50, P90 of actual over corrected physical power at the nodes, shape (3, n_clear, n_sun). [-]"""
    share = np.clip((_CLEAR_NODES - 0.15) / (0.65 - 0.15), 0.0, 1.0)[:, None]
    prior = np.stack(
        [(1.0 - share) * low + share * high for low, high in zip(_PRIOR_OVERCAST, _PRIOR_CLEAR, strict=True)]
    ).repeat(len(_SUN_NODES), axis=2)
    if history is None or not history.learn.any():
        return prior
    keep = history.learn
    corrected = np.maximum(history.physical_kw * slot_gain[history.slot], 1e-6)[keep]
    ratio = np.minimum(history.actual_kw[keep] / corrected, 5.0)
    order = np.argsort(ratio)
    ratio = ratio[order]
    clear, sun = history.clearness[keep][order], history.elevation[keep][order]
    weight = history.weight[keep][order]
    out = prior.copy()
    for i, node in enumerate(_CLEAR_NODES):
        near_clear = weight * np.exp(-0.5 * ((clear - node) / _CLEAR_WIDTH) ** 2)
        for j, height in enumerate(_SUN_NODES):
            mass = near_clear * np.exp(-0.5 * ((sun - height) / _SUN_WIDTH) ** 2)
            upto = np.cumsum(mass)
            if upto[-1] <= 1e-9:
                continue
            days = upto[-1] / 6.0  # about six slots of a day lie near one node
            own = np.interp(LEVELS, (upto - 0.5 * mass) / upto[-1], ratio)
            out[:, i, j] = (days * own + _PRIOR_WEIGHT * prior[:, i, j]) / (days + _PRIOR_WEIGHT)
    return out


def learn_correction(history: History, slot_gain: FloatArray) -> Correction | None:
    """Gain of the last errors by lead, within a day; None if there is too little to learn from."""
    u = (history.actual_kw - history.physical_kw * slot_gain[history.slot]) / history.inverter_kw
    u = np.where(history.learn, u, np.nan)
    if np.isfinite(u).sum() < 20 * 10:  # twenty days of ten daylight slots
        return None
    features = np.stack([trailing_mean(u, span) for span in SPANS], axis=1)
    gain, width = np.zeros((len(SPANS), len(_LEADS))), np.ones(len(_LEADS))
    at = np.arange(u.size - max(_LEADS))
    for k, lead in enumerate(_LEADS):
        target = u[at + lead]
        ok = (
            ~np.isnan(target)
            & ~np.isnan(features[at]).any(axis=1)
            & (history.day[at] == history.day[at + lead])
        )
        if ok.sum() < 100:
            break
        found, left, edge = least_absolute(features[at][ok], target[ok], np.ones(int(ok.sum())))
        if left > _WORTH_IT:
            break
        gain[:, k], width[k] = found, edge
    leads = np.arange(max(_LEADS) + 1)
    return Correction(
        gain=np.stack([np.interp(leads, _LEADS, row) for row in gain]),
        width=np.interp(leads, _LEADS, np.maximum.accumulate(width)),
    )


def look_up(table: FloatArray, clearness: FloatArray, elevation: FloatArray) -> FloatArray:
    """Bilinear interpolation of the ratio table, held at its edges, shape (3, n)."""
    i, a = _between(_CLEAR_NODES, clearness)
    j, b = _between(_SUN_NODES, elevation)
    low = (1.0 - b) * table[:, i, j] + b * table[:, i, j + 1]
    high = (1.0 - b) * table[:, i + 1, j] + b * table[:, i + 1, j + 1]
    return np.asarray((1.0 - a) * low + a * high)


def _between(nodes: FloatArray, at: FloatArray) -> tuple[IntArray, FloatArray]:
    left = np.clip(np.searchsorted(nodes, at) - 1, 0, nodes.size - 2)
    share = np.clip((at - nodes[left]) / (nodes[left + 1] - nodes[left]), 0.0, 1.0)
    return left.astype(np.int64), share


def check_generation(series: Series, issued: datetime) -> None:
    """Refuse generation in another unit, off the slots or from the future."""
    if series.unit is not Unit.KW:
        raise AlignmentError("generation is not in kW", unit=series.unit, hint="convert with kw_of_kwh")
    require_slots(series.grid, "the generation")
    require_past(series, issued, "the generation")
