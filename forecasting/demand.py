"""Forecast of a site's load: the uncontrollable demand of the next days as P10, P50 and P90.

How much history there is decides the method, and the forecast says which one really ran (``model``):

==============================  ==========================================================================
at least 21 whole days          ``demand-pool``: experts and quantile forests (:mod:`forecasting.dayahead`);
                                ``demand-pool-weather`` with forecast temperature, where the past says
                                that it helps (:mod:`forecasting.load_weather`)
7 to 20 days                    ``demand-day-type``: the last working days or days of rest as they were
2 to 6 days                     ``demand-same-time``: the days so far as they were
less                            :class:`~energy.core.errors.ForecastError` that says what is missing
==============================  ==========================================================================

P50 is a median: half of the slots end above it. Sums of medians are not expected energy, and the peak of P50
is below the peak to expect; plan peaks with P90 or :mod:`forecasting.peak`. Everything is deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight
from forecasting.dayahead import LEAST_DAYS, MAX_DAYS, DayAheadModel, learn, least_days
from forecasting.days import (
    DayKinds,
    IntArray,
    clean_load,
    day_and_slot,
    local_first_day,
    require_past,
    require_slots,
    to_days,
)
from forecasting.intraday import LEADS, Intraday
from forecasting.load_weather import LEAST_GAIN, temperature_gain
from forecasting.panel import Panel
from forecasting.past import filled_from_past
from forecasting.thin import thin_quantiles

__all__ = ["LEVELS", "REACH_DAYS", "DemandModel", "FittedDemand", "Tier"]

Tier = Literal["pool", "day-type", "same-time"]

LEVELS = (0.1, 0.5, 0.9)
DAY_TYPE_DAYS = 7  # a week shows at least one day of rest
SAME_TIME_DAYS = 2  # one day more than none: the first error can be measured
USABLE_SLOTS = 40  # a day with fewer readings is no example
STALE_DAYS = 7  # without load for a week there is nothing to continue
REACH_DAYS = 8  # today and a week more
ISSUE_SLOTS = (18, 24)  # 09:00 and 12:00: from then on tomorrow is forecast with the morning known
PAST_DAYS = 240  # days of the base forecast from which the correction of the next hours is learned


class DemandModel:
    """Makes a load forecaster from a site's history.

    Parameters
    ----------
    calendar : SiteCalendar
        Which days the site rests; the strongest single piece of knowledge about a factory.
    """

    def __init__(self, calendar: SiteCalendar) -> None:
        self._calendar = calendar

    def fit(self, history: Series, *, issued_at: datetime, outdoor_c: Series | None = None) -> FittedDemand:
        """Take the load known at an instant, and learn from it for today and tomorrow.

        Parameters
        ----------
        history : Series
            Load on slots, NaN where missing; nothing at or after ``issued_at``. [kW]
        issued_at : datetime
            The instant from which the model looks back.
        outdoor_c : Series, optional
            Outdoor temperature over the same days: past forecasts if there are any, else measured. It is used
            if it would have forecast past days better by a tenth; then only days with a temperature are
            learned from. [degC]

        Raises
        ------
        ForecastError
            If ``history`` knows the future, or holds fewer than two whole days.
        """
        issued = require_aware(issued_at)
        _check_load(history, issued, "the load history")
        today, _ = day_and_slot(issued)
        first = max(local_first_day(history), today - timedelta(days=MAX_DAYS))
        count = (today - first).days + 1
        load = _measured(history, first, count)
        temperature, gain = None, None
        if outdoor_c is not None:
            require_past(outdoor_c, issued, "the outdoor temperature")
            temperature = to_days(outdoor_c, first, count)
            rest = DayKinds.of(self._calendar, first, count).rest
            gain = temperature_gain(load.mean(axis=1), temperature.mean(axis=1), rest)
            temperature = temperature if gain is not None and gain >= LEAST_GAIN else None
        usable = int(((~np.isnan(load)).sum(axis=1) >= USABLE_SLOTS)[: count - 1].sum())
        return FittedDemand(
            calendar=self._calendar,
            first_day=first,
            load_kw=load,
            outdoor_c=temperature,
            temperature_gain=gain,
            fitted_at=issued,
            tier=_tier(usable, history, issued),
            usable_days=usable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedDemand:
    """A model that has seen a history; made by :meth:`DemandModel.fit`.

    What is needed for a day and an hour of issue is learned when it is first asked for, and kept.

    Parameters
    ----------
    first_day : date
        Japanese date of the first row of ``load_kw``.
    load_kw : ndarray, shape (n_days, 48)
        History as learned from. [kW]
    tier : str
        ``pool``, ``day-type`` or ``same-time``.
    usable_days : int
        Whole days learned from.
    outdoor_c : ndarray, shape (n_days, 48), or None
        Temperature of the same days, if it helps. [degC]
    temperature_gain : float or None
        What it would have gained on past days, if that could be said. [-]
    """

    calendar: SiteCalendar
    first_day: date
    load_kw: FloatArray
    outdoor_c: FloatArray | None
    temperature_gain: float | None
    fitted_at: datetime
    tier: Tier
    usable_days: int
    _models: dict[tuple[object, ...], DayAheadModel] = field(default_factory=dict, repr=False, compare=False)
    _days: dict[tuple[object, ...], FloatArray] = field(default_factory=dict, repr=False, compare=False)
    # with the model they were learned from: kept alive, its id stays its own
    _hours: dict[tuple[object, ...], tuple[DayAheadModel, Intraday | None]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def predict(
        self, recent: Series, grid: Grid, *, issued_at: datetime, outdoor_c: Series | None = None
    ) -> QuantileForecast:
        """P10, P50 and P90 of the load.

        Parameters
        ----------
        recent : Series
            Load of the last eight days or more up to ``issued_at``, NaN where missing. It replaces the
            history where both speak. [kW]
        grid : Grid
            Slots wanted: not before the one in progress, at most to the seventh day after today (Japanese).
        issued_at : datetime
            Nothing known later is used.
        outdoor_c : Series, optional
            Forecast temperature from today's midnight (Japan) or earlier, with past values; used, if the
            model was fitted with temperature, for each day that it covers to its end. [degC]

        Raises
        ------
        ForecastError
            If ``recent`` knows the future, if there was no load for a week, or ``grid`` lies out of reach.

        Notes
        -----
        Today is forecast from whole days; tomorrow too, and from 09:00 and 12:00 on with the morning known.
        Over the next eight hours the errors of the day so far are carried on (:mod:`forecasting.intraday`).
        """
        values, model, facts = self._quantiles(recent, grid, require_aware(issued_at), outdoor_c, LEVELS)
        return QuantileForecast(
            target="demand_kw",
            issued_at=issued_at,
            grid=grid,
            unit=Unit.KW,
            p10=values[0],
            p50=values[1],
            p90=values[2],
            model=model,
            facts=facts,
        )

    def quantiles(
        self,
        recent: Series,
        grid: Grid,
        *,
        issued_at: datetime,
        levels: tuple[float, ...],
        outdoor_c: Series | None = None,
    ) -> FloatArray:
        """Any quantiles, shape (n_levels, grid.count), for back-tests and scenarios. [kW]"""
        return self._quantiles(recent, grid, require_aware(issued_at), outdoor_c, levels)[0]

    def _quantiles(
        self,
        recent: Series,
        grid: Grid,
        issued: datetime,
        outdoor_c: Series | None,
        levels: tuple[float, ...],
    ) -> tuple[FloatArray, str, dict[str, object]]:
        _check_load(recent, issued, "the recent load")
        require_slots(grid, "the forecast grid")
        if issued < self.fitted_at:
            raise ForecastError(
                "the model has seen what this forecast must not know",
                where=f"fitted at {self.fitted_at.isoformat()}, issued at {issued.isoformat()}",
                hint="fit a model with what was known then",
            )
        today, slot = day_and_slot(issued)
        ahead = _slots_ahead(grid, issued, today)
        here = (today - self.first_day).days
        load = self._known(recent, here)
        if np.isnan(load[max(0, here - STALE_DAYS) : here + 1]).all():
            raise ForecastError(
                "the load has been silent for a week",
                where=f"no value in the {STALE_DAYS} days before {issued.isoformat()}",
                hint="check the meter and the import (vpp data gaps); the last accepted forecast may be used",
            )
        outdoor = self._temperature(outdoor_c, here)
        measured = load[here - 1 : here + 1].reshape(-1)[slot : slot + SLOTS_PER_DAY]
        wanted = range(int(ahead[0]) // SLOTS_PER_DAY, int(ahead[-1]) // SLOTS_PER_DAY + 1)
        values = np.full((len(levels), wanted.stop * SLOTS_PER_DAY), np.nan)
        for offset in wanted:
            at = slice(offset * SLOTS_PER_DAY, (offset + 1) * SLOTS_PER_DAY)
            values[:, at] = self._day(load, outdoor, here, slot, offset, levels)
        if self.tier == "pool" and int(ahead[0]) < slot + LEADS:
            values = self._next_hours(values, load, outdoor, here, slot, levels)
        name = "+".join(dict.fromkeys(self._method(outdoor, here, offset) for offset in wanted))
        facts: dict[str, object] = {
            "usable_days": self.usable_days,
            "history_from": self.first_day.isoformat(),
            "fitted_at": self.fitted_at.isoformat(),
            "missing_last_day": int(np.isnan(measured).sum()),
        }
        if self.temperature_gain is not None:
            facts["temperature_gain"] = round(self.temperature_gain, 3)
        facts |= self._step_facts(here)
        return values[:, ahead], name, facts

    def _step_facts(self, here: int) -> dict[str, object]:
        """The step in the level that the models of an issue day believe in, if there is one."""
        for key, model in self._models.items():
            if key[0] == here and model.step is not None:
                since = model.panel.start.astimezone(JST).date() + timedelta(days=model.step.row)
                return {"level_step_kw": round(model.step.offset, 1), "level_step_since": since.isoformat()}
        return {}

    def _learned(self, offset: int) -> bool:
        """Whether the history suffices for forests so many days after the issue day."""
        return self.tier == "pool" and self.usable_days >= least_days(offset + 1)

    def _known(self, recent: Series, here: int) -> FloatArray:
        """History with ``recent`` laid over it, up to the issue day and the week after it."""
        count = here + REACH_DAYS
        load = np.full((count, SLOTS_PER_DAY), np.nan)
        kept = min(count, len(self.load_kw))
        load[:kept] = self.load_kw[:kept]
        newer = _measured(recent, self.first_day, count)
        covered = to_days(Series(recent.grid, np.ones(recent.grid.count), recent.unit), self.first_day, count)
        return np.where(np.isnan(covered), load, newer)

    def _method(self, outdoor: FloatArray | None, here: int, offset: int) -> str:
        """Name of what forecasts the day ``offset`` days after the issue day."""
        if self.tier != "pool":
            return f"demand-{self.tier}"
        if not self._learned(offset):  # too few days for so far ahead
            return "demand-day-type"
        return "demand-pool" if self._weather(outdoor, here, offset) is None else "demand-pool-weather"

    def _temperature(self, outdoor_c: Series | None, here: int) -> FloatArray | None:
        """Temperatures of all days as far as they are known, if they were learned with."""
        if self.outdoor_c is None or outdoor_c is None:
            return None
        count = here + REACH_DAYS
        outdoor = np.full((count, SLOTS_PER_DAY), np.nan)
        kept = min(count, len(self.outdoor_c))
        outdoor[:kept] = self.outdoor_c[:kept]
        given = to_days(outdoor_c, self.first_day, count)
        return np.where(np.isnan(given), outdoor, given)

    def _weather(self, outdoor: FloatArray | None, here: int, offset: int) -> FloatArray | None:
        """Temperatures up to a day, gaps of the past filled, if they are known from today to its end."""
        if outdoor is None or np.isnan(outdoor[here : here + offset + 1]).any():
            return None
        return filled_from_past(outdoor[: here + offset + 1], self._kinds(here + offset + 1))[0]

    def _day(
        self,
        load: FloatArray,
        outdoor: FloatArray | None,
        here: int,
        slot: int,
        offset: int,
        levels: tuple[float, ...],
    ) -> FloatArray:
        """Quantiles of the day ``offset`` days after the issue day, before the day so far is looked at."""
        row = here + offset
        if not self._learned(offset):
            rest = self._kinds(row + 1).rest
            return thin_quantiles(load[:here], rest, row, levels, by_type=self.tier != "same-time")
        issue_slot = max([0, *(one for one in ISSUE_SLOTS if one <= slot)]) if offset == 1 else 0
        model = self._model(load, outdoor, here, issue_slot, offset)
        key = (id(model), levels)
        if key not in self._days:
            self._days[key] = model.quantiles(levels)
        return self._days[key]

    def _model(
        self, load: FloatArray, outdoor: FloatArray | None, here: int, issue_slot: int, offset: int
    ) -> DayAheadModel:
        """The model of one distance, learned from what was known at its issue slot of the issue day."""
        row = here + offset
        actual = load[: row + 1].copy()
        actual[here:] = np.nan
        actual[here, :issue_slot] = load[here, :issue_slot]
        told = self._weather(outdoor, here, offset)
        weather = {} if told is None else {"temp_c": told}
        first = 0
        if outdoor is not None and told is not None:  # days before the first temperature are not learned from
            first = int((~np.isnan(outdoor)).any(axis=1).argmax())
        known = (actual[: here + 1].tobytes(), *(values.tobytes() for values in weather.values()))
        key = (here, offset, issue_slot, hash(known))
        if key not in self._models:
            for old in [one for one in self._models if one[:3] == key[:3] or one[0] != here]:
                del self._models[old]
            whole = issue_slot == 0
            panel = Panel(
                kind="load",
                start=jst_midnight(self.first_day),
                actual=actual,
                days=self._kinds(row + 1),
                lead=offset + 1 if whole else offset,
                issue_slot=SLOTS_PER_DAY if whole else issue_slot,
                forecast_weather=weather,
            )
            self._days.clear()
            self._models[key] = learn(panel.part(first, row + 1), row - first)
        return self._models[key]

    def _next_hours(
        self,
        values: FloatArray,
        load: FloatArray,
        outdoor: FloatArray | None,
        here: int,
        slot: int,
        levels: tuple[float, ...],
    ) -> FloatArray:
        """The next eight hours, with the errors of the day so far carried on as far as they usually go."""
        today = self._model(load, outdoor, here, 0, 0)
        days = min(PAST_DAYS, min(self.usable_days, today.panel.count - 1) - LEAST_DAYS)
        key = (id(today), days)
        if key not in self._hours:
            self._hours.clear()
            past = today.past_quantiles(days, LEVELS) if days > 0 else np.empty((3, 0, SLOTS_PER_DAY))
            rest = self._kinds(here).rest[here - days : here]
            self._hours[key] = (today, Intraday.learn(load[here - days : here], past, rest))
        hours = self._hours[key][1]
        if hours is None:
            return values
        base = np.concatenate(
            [
                today.past_quantiles(1, LEVELS)[:, 0],
                self._day(load, outdoor, here, slot, 0, LEVELS),
                self._day(load, outdoor, here, slot, 1, LEVELS),
            ],
            axis=1,
        )
        measured = load[here - 1 : here + 1].reshape(-1)[slot : slot + SLOTS_PER_DAY]
        rest = self._kinds(here + 2).rest[here - 1 :]
        errors = hours.errors_kw(measured, base, rest, slot, levels)
        out = values.copy()
        stop = min(slot + errors.shape[1], out.shape[1])
        now = slice(SLOTS_PER_DAY + slot, SLOTS_PER_DAY + stop)
        out[:, slot:stop] = np.maximum(base[1, now] + errors[:, : stop - slot], 0.0)
        return out

    def _kinds(self, count: int) -> DayKinds:
        return DayKinds.of(self.calendar, self.first_day, count)


def _tier(usable: int, history: Series, issued: datetime) -> Tier:
    if usable >= LEAST_DAYS:
        return "pool"
    if usable >= DAY_TYPE_DAYS:
        return "day-type"
    if usable >= SAME_TIME_DAYS:
        return "same-time"
    known = int((~np.isnan(history.values)).sum())
    frozen = known - int((~np.isnan(clean_load(history.values))).sum())
    raise ForecastError(
        "too little load to forecast from",
        where=f"{usable} whole day(s) before {issued.isoformat()}, {known / 2:g} h of values in all, "
        f"{frozen / 2:g} h of them impossible (one value for a day or longer)",
        hint=f"import at least {SAME_TIME_DAYS} whole days (midnight to midnight), better three weeks",
        needed_days=SAME_TIME_DAYS,
        whole_days=usable,
    )


def _measured(series: Series, first: date, count: int) -> FloatArray:
    return to_days(Series(series.grid, clean_load(series.values), Unit.KW), first, count)


def _check_load(series: Series, issued: datetime, name: str) -> None:
    if series.unit is not Unit.KW:
        raise AlignmentError(f"{name} is not in kW", unit=series.unit, hint="convert energy with kw_of_kwh")
    require_slots(series.grid, name)
    require_past(series, issued, name)


def _slots_ahead(grid: Grid, issued: datetime, today: date) -> IntArray:
    """Positions of the grid's slots, counted from midnight of the issue day in Japan."""
    if grid.start < Slot.containing(issued).start:
        raise ForecastError(
            "a forecast does not look back",
            where=f"grid from {grid.start.isoformat()}, issued at {issued.isoformat()}",
            hint="begin the grid with the slot in progress",
        )
    first = (grid.start - jst_midnight(today)) // SLOT_LENGTH
    if first + grid.count > REACH_DAYS * SLOTS_PER_DAY:
        raise ForecastError(
            "the forecast reaches too far",
            where=f"grid to {grid.end.isoformat()}, issued at {issued.isoformat()}",
            hint="end the grid with the seventh day after today (Japanese days) at the latest",
        )
    return np.arange(first, first + grid.count)
