"""Forecast of what a PV array will give: physics, corrected by what the array's own meter has shown.

The physics (:mod:`forecasting.pv_physics`) turns a weather forecast into power. From metered history the
model learns, per slot of the day, what the site sheet does not say (shade, dirt, losses), and how far the sun
strays from a forecast of this clearness and elevation. Snow is a state: while it lies, P10 is 0.
Curtailed slots teach nothing about the sun. Without history the physics speaks alone, with broad bands
(``pv-physics``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np

from energy.core.assets import PvArray
from energy.core.clock import require_aware
from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot
from forecasting.dayahead import MAX_DAYS
from forecasting.days import BoolArray, day_and_slot, require_slots
from forecasting.pv_days import PvDays, days_of
from forecasting.pv_learning import (
    COVERED_RATIO,
    FAIR_SHARE,
    SPANS,
    Correction,
    History,
    Place,
    Sky,
    check_generation,
    learn_correction,
    look_up,
    pair_history,
    ratio_table,
    slot_gains,
)
from forecasting.pv_physics import PvWeather, SnowState, decompose, pv_power_kw

__all__ = [
    "FittedPv",
    "PvModel",
    "PvWeather",
    "RoofState",
    "SnowState",
    "decompose",
    "pv_power_kw",
]

PARTIAL_RATIO = 0.5
JUDGED = timedelta(days=2)  # the roof is judged by its last two days
COLD_C = 5.0  # rain turns to snow between 0 and 5 degC: Auer (1974), Weatherwise 27, 67


class RoofState(StrEnum):
    """What the meter says about the modules."""

    CLEAR = "clear"
    PARTIAL = "partial"
    COVERED = "covered"


class PvModel:
    """Makes a PV forecaster.

    Parameters
    ----------
    array : PvArray
        The array as built.
    latitude, longitude : float
        North and east positive. [deg]
    """

    def __init__(self, array: PvArray, *, latitude: float, longitude: float) -> None:
        self._array = array
        self._latitude = latitude
        self._longitude = longitude

    def fit(
        self,
        generation_kw: Series | None,
        weather: PvWeather | None,
        *,
        issued_at: datetime,
        curtailed: BoolArray | None = None,
    ) -> FittedPv:
        """Learn from metered generation and the weather forecasts as they were known.

        Parameters
        ----------
        generation_kw : Series or None
            Metered generation on slots, >= 0, NaN where missing, nothing at or after ``issued_at``; None for
            a new site. [kW]
        weather : PvWeather or None
            The forecasts that were in force for the same slots (not the weather that came); NaN where there
            was none.
        issued_at : datetime
            The instant from which the model looks back.
        curtailed : ndarray of bool, shape (generation_kw.grid.count,), optional
            Slots in which the array was held back: their values are lower bounds and are not learned from.

        Raises
        ------
        ForecastError
            If a value is not from the past.
        AlignmentError
            If the grids do not fit.
        """
        issued = require_aware(issued_at)
        if generation_kw is None or weather is None or generation_kw.grid.count == 0:
            return self._fitted(issued, None)
        place = self._place()
        history = pair_history(place, generation_kw, weather, issued, curtailed)
        whole = pair_history(place, generation_kw, weather, issued, curtailed, days=MAX_DAYS)
        return self._fitted(issued, history, None if whole is None else PvDays.of(place, whole, weather))

    def _place(self) -> Place:
        return Place(self._array, self._latitude, self._longitude)

    def _fitted(self, issued: datetime, history: History | None, ahead: PvDays | None = None) -> FittedPv:
        slot_gain = np.ones(SLOTS_PER_DAY) if history is None else slot_gains(history)
        days = 0 if history is None else int(np.unique(history.day[history.learn]).size)
        return FittedPv(
            place=self._place(),
            fitted_at=issued,
            learned_days=days,
            slot_gain=slot_gain,
            ratio=ratio_table(history, slot_gain),
            correction=None if history is None else learn_correction(history, slot_gain),
            known=None if history is None else history.sky,
            ahead=ahead,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedPv:
    """A PV model of one array; made by :meth:`PvModel.fit`.

    Parameters
    ----------
    learned_days : int
        Days with usable slots; 0 is a cold start.
    slot_gain : ndarray, shape (48,)
        Metered over physical power by slot of the Japanese day. [-]
    ratio : ndarray, shape (3, n_clear, n_sun)
        P10, P50, P90 of actual over forecast at nodes of clearness and elevation. [-]
    ahead : PvDays or None
        Whole days learned by the day-ahead engine; None if they are too few.
    """

    place: Place
    fitted_at: datetime
    learned_days: int
    slot_gain: FloatArray
    ratio: FloatArray
    correction: Correction | None
    known: Sky | None
    ahead: PvDays | None

    def predict(
        self, weather: PvWeather, recent: Series | None, grid: Grid, *, issued_at: datetime
    ) -> QuantileForecast:
        """P10, P50 and P90 of the generation if nobody curtails it.

        Parameters
        ----------
        weather : PvWeather
            Forecast that covers ``grid``; if it begins earlier, the past part serves to judge ``recent``.
        recent : Series or None
            Metered generation up to ``issued_at``, two days or more; NaN where missing or curtailed. [kW]
        grid : Grid
            Slots wanted, from the one in progress on.
        issued_at : datetime
            Nothing metered later is used.

        Raises
        ------
        ForecastError
            If ``recent`` or the weather is from the future, or ``grid`` begins in the past.
        GapError
            If the weather does not cover the grid.

        Notes
        -----
        ``P_q = physical * slot_gain * ratio_q(clearness, elevation)``, moved by the errors of the last two
        hours, 0 at night, at most ``inverter_kw``. From tomorrow on the day-ahead engine speaks where it has
        learned enough and the weather is known to the end of the day (``pv-days``). Under snow P10 = 0 and
        P50 loses the covered share.
        """
        issued = require_aware(issued_at)
        _check_request(weather, recent, grid, issued)
        _check_age(self.fitted_at, issued)
        used = weather.over(grid)
        whole = self.place.sky(weather.part(_with_past(weather.grid, grid)))
        sky = whole.after(whole.grid.count - grid.count)
        judged = self._judged(whole, recent, issued)
        state, seen = roof_state(judged, self.place.array.inverter_kw)
        values = np.maximum(self._expected(sky) * look_up(self.ratio, sky.clearness, sky.elevation), 0.0)
        if state is RoofState.CLEAR:
            values = self._moved(values, judged, grid, issued)
        values, by_days = self._by_days(values, weather, grid, issued)
        values = self._snowed(values, used, state, seen)
        values = np.where(sky.physical_kw > 0.0, np.clip(values, 0.0, self.place.array.inverter_kw), 0.0)
        values = np.maximum.accumulate(values, axis=0)
        return QuantileForecast(
            target=f"{self.place.array.id}/generation_kw",
            issued_at=issued,
            grid=grid,
            unit=Unit.KW,
            p10=values[0],
            p50=values[1],
            p90=values[2],
            model=self._name(by_days),
            facts={
                "learned_days": self.learned_days,
                "roof": state.value,
                "recent_ratio": None if seen is None else round(seen, 3),
            },
        )

    def _by_days(
        self, values: FloatArray, weather: PvWeather, grid: Grid, issued: datetime
    ) -> tuple[FloatArray, BoolArray]:
        """Quantiles with the days after today from the engine, and which slots those are."""
        said, out = np.zeros(grid.count, dtype=np.bool_), values.copy()
        if self.ahead is None:
            return values, said
        today = issued.astimezone(JST).date()
        for day, here, there in days_of(grid):
            found = self.ahead.quantiles(day, weather) if day > today else None
            if found is not None:
                out[:, here], said[here] = found[:, there], True
        return out, said

    def _name(self, by_days: BoolArray) -> str:
        """Methods in the order in which they speak."""
        own = "pv-learned" if self.learned_days else "pv-physics"
        return "+".join(dict.fromkeys("pv-days" if said else own for said in by_days))

    def _expected(self, sky: Sky) -> FloatArray:
        """Physical power with the slot's own correction. [kW]"""
        slots = (day_and_slot(sky.grid.start)[1] + np.arange(sky.grid.count)) % SLOTS_PER_DAY
        return np.asarray(sky.physical_kw * self.slot_gain[slots])

    def _judged(self, sky: Sky, recent: Series | None, issued: datetime) -> _Judged | None:
        """Metered and physical power of the last two days, where both are known."""
        if recent is None:
            return None
        end = Slot.containing(issued).start
        start = max(recent.grid.start, end - JUDGED)
        count = min((end - start) // SLOT_LENGTH, (recent.grid.end - start) // SLOT_LENGTH)
        if count <= 0:
            return None
        grid = Grid(start, count)
        expected, temp = np.zeros(count), np.full(count, np.nan)
        for known in (self.known, sky):
            if known is not None:
                _lay(expected, grid, known.grid, self._expected(known))
                _lay(temp, grid, known.grid, known.temp_c)
        skip = (start - recent.grid.start) // SLOT_LENGTH
        return _Judged(
            actual_kw=recent.values[skip : skip + count],
            expected_kw=expected,
            temp_c=temp,
            lag=(end - grid.end) // SLOT_LENGTH,
        )

    def _moved(self, values: FloatArray, judged: _Judged | None, grid: Grid, issued: datetime) -> FloatArray:
        """Quantiles moved by the errors of the last two hours of daylight, as far as they usually go on."""
        if self.correction is None or judged is None or judged.lag > 0:
            return values
        inverter = self.place.array.inverter_kw
        error = (judged.actual_kw - judged.expected_kw) / inverter
        error = np.where(judged.expected_kw >= FAIR_SHARE * inverter, error, np.nan)[-max(SPANS) :]
        if error.size == 0 or np.isnan(error[-1]):
            return values
        means = np.array([np.nanmean(error[-span:]) for span in SPANS])
        lead = (grid.start - Slot.containing(issued).start) // SLOT_LENGTH + np.arange(grid.count)
        near = lead < self.correction.width.size
        at = np.minimum(lead, self.correction.width.size - 1)
        add = np.where(near, means @ self.correction.gain[:, at], 0.0) * inverter
        width = np.where(near, self.correction.width[at], 1.0)
        middle = np.maximum(values[1] + add, 0.0)
        return np.asarray(np.maximum([middle + width * (row - values[1]) for row in values], 0.0))

    def _snowed(
        self, values: FloatArray, weather: PvWeather, state: RoofState, seen: float | None
    ) -> FloatArray:
        """Quantiles under snow: P10 nothing, P50 without the covered share, P90 as if it slid off at once."""
        covered_now = {RoofState.CLEAR: 0.0, RoofState.PARTIAL: 1.0 - (seen or 0.0), RoofState.COVERED: 1.0}[
            state
        ]
        coverage = SnowState(covered_now).ahead(
            self.place.array, weather, latitude=self.place.latitude, longitude=self.place.longitude
        )
        if not (coverage > 0.0).any():
            return values
        low = np.where(coverage > 0.0, 0.0, values[0])
        return np.stack([low, values[1] * (1.0 - coverage), values[2]])


def _check_age(fitted_at: datetime, issued: datetime) -> None:
    if issued < fitted_at:
        raise ForecastError(
            "the model has seen what this forecast must not know",
            where=f"fitted at {fitted_at.isoformat()}, issued at {issued.isoformat()}",
            hint="fit a model with what was known then",
        )


def _check_request(weather: PvWeather, recent: Series | None, grid: Grid, issued: datetime) -> None:
    """Refuse what is not known yet, and slots that are over."""
    require_slots(grid, "the forecast grid")
    if grid.start < Slot.containing(issued).start:
        raise ForecastError(
            "a forecast does not look back",
            where=f"grid from {grid.start.isoformat()}, issued at {issued.isoformat()}",
            hint="begin the grid with the slot in progress",
        )
    if weather.known_at is not None and weather.known_at > issued:
        raise ForecastError(
            "the weather forecast is younger than the forecast made from it",
            where=f"known at {weather.known_at.isoformat()}, issued at {issued.isoformat()}",
            hint="use the weather run that was known: store.as_of(issued_at)",
        )
    if recent is not None:
        check_generation(recent, issued)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The last two days: metered, expected [kW], air temperature [degC], slots missing at the end."""

    actual_kw: FloatArray
    expected_kw: FloatArray
    temp_c: FloatArray
    lag: int


def roof_state(judged: _Judged | None, inverter_kw: float) -> tuple[RoofState, float | None]:
    """State of the modules from the last eight slots with a fair sun, and their ratio of actual to expected.

    Only cold weather makes snow of a low ratio: in summer it is an outage or a switched-off inverter.
    """
    if judged is None:
        return RoofState.CLEAR, None
    fair = (judged.expected_kw >= FAIR_SHARE * inverter_kw) & ~np.isnan(judged.actual_kw)
    last = np.flatnonzero(fair)[-8:]
    if last.size < 4:
        return RoofState.CLEAR, None
    ratio = float(judged.actual_kw[last].sum() / judged.expected_kw[last].sum())
    air = judged.temp_c[max(0, last[0] - SLOTS_PER_DAY) : last[-1] + 1]
    cold = bool((air <= COLD_C).any())
    if not cold or ratio >= PARTIAL_RATIO:
        return RoofState.CLEAR, ratio
    return (RoofState.COVERED if ratio < COVERED_RATIO else RoofState.PARTIAL), ratio


def _with_past(weather: Grid, grid: Grid) -> Grid:
    """The grid, begun as much earlier as the weather reaches back, at most two days."""
    steps = min((grid.start - weather.start) // SLOT_LENGTH, JUDGED // SLOT_LENGTH)
    return Grid(grid.time(-steps), grid.count + steps)


def _lay(target: FloatArray, onto: Grid, grid: Grid, values: FloatArray) -> None:
    """Copy the part of ``values`` that lies on ``onto``."""
    offset = (grid.start - onto.start) // SLOT_LENGTH
    begin, stop = max(0, offset), min(onto.count, offset + grid.count)
    if begin < stop:
        target[begin:stop] = values[begin - offset : stop - offset]
