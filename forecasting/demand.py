"""Forecast of a site's load: the uncontrollable demand of the next two days as P10, P50 and P90.

How much history there is decides the method, and the forecast says which one really ran (``model``):

==============================  ==========================================================================
at least 21 whole days          ``demand-pool``: ridge per slot, analogue days and medians of like days,
                                weighted by their own past errors; ``demand-pool-weather`` with temperature
7 to 20 days                    ``demand-day-type``: medians of working days and of days of rest
2 to 6 days                     ``demand-same-time``: mean of the same time on the days so far
less                            :class:`~energy.core.errors.ForecastError` that says what is missing
==============================  ==========================================================================

P50 is a median: half of the slots end above it. Sums of medians are not expected energy, and the peak of P50
is below the peak to expect; plan peaks with P90. Everything is deterministic: no random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight
from forecasting.days import (
    BoolArray,
    DayKinds,
    IntArray,
    clean_load,
    day_and_slot,
    local_first_day,
    require_past,
    require_slots,
    to_days,
)
from forecasting.experts import DayTable
from forecasting.pool import LEADS, DayBase, DayExperts, Pool, Tier, day_base, day_experts, learn

__all__ = ["LEVELS", "DemandModel", "FittedDemand"]

LEVELS = (0.1, 0.5, 0.9)
POOL_DAYS = 21  # below it a ridge has fewer days than features
DAY_TYPE_DAYS = 7  # a week shows at least one day of rest
SAME_TIME_DAYS = 2  # one day more than none: the first error can be measured
MAX_DAYS = 400  # a year and a month; older days are not learned from
STALE_DAYS = 7  # without load for a week there is nothing to continue


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
        """Learn from the load known at an instant.

        Parameters
        ----------
        history : Series
            Load on slots, NaN where missing; nothing at or after ``issued_at``. [kW]
        issued_at : datetime
            The instant from which the model looks back.
        outdoor_c : Series, optional
            Measured outdoor temperature over the same days. [degC]

        Raises
        ------
        ForecastError
            If ``history`` knows the future, or holds fewer than two whole days.
        """
        issued = require_aware(issued_at)
        _check_load(history, issued, "the load history")
        today, _ = day_and_slot(issued)
        first = max(local_first_day(history), today - timedelta(days=MAX_DAYS))
        count = (today - first).days + 1 + (len(LEADS) - 1)
        kinds = DayKinds.of(self._calendar, first, count)
        load = _measured(history, first, count)
        temperature = None
        if outdoor_c is not None:
            require_past(outdoor_c, issued, "the outdoor temperature")
            temperature = to_days(outdoor_c, first, count)
        table = DayTable.of(load, kinds, temperature)
        past = count - len(LEADS)
        usable = int(table.usable[:past].sum())
        tier = _tier(usable, history, issued)
        plain, weather = learn(table, tier, past)
        return FittedDemand(
            calendar=self._calendar,
            first_day=first,
            load_kw=load,
            outdoor_c=temperature,
            fitted_at=issued,
            tier=tier,
            usable_days=usable,
            plain=plain,
            weather=weather,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedDemand:
    """A model that has seen a history; made by :meth:`DemandModel.fit`.

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
    """

    calendar: SiteCalendar
    first_day: date
    load_kw: FloatArray
    outdoor_c: FloatArray | None
    fitted_at: datetime
    tier: Tier
    usable_days: int
    plain: Pool
    weather: Pool | None
    _bases: dict[tuple[object, ...], DayBase] = field(default_factory=dict, repr=False, compare=False)
    _said: dict[tuple[object, ...], Mapping[int, DayExperts]] = field(
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
            Slots wanted: not before the one in progress, not after the day after tomorrow (Japanese days).
        issued_at : datetime
            Nothing known later is used.
        outdoor_c : Series, optional
            Forecast temperature; used if the model was fitted with temperature and it covers ``grid``. May
            begin earlier, with measured values. [degC]

        Raises
        ------
        ForecastError
            If ``recent`` knows the future, if there was no load for a week, or ``grid`` lies out of reach.

        Notes
        -----
        The base is made once a day from whole days; P10 and P90 add the quantiles of its errors in like
        situations. For the next hours P50 also continues the errors of the last hours as far as they usually
        go on, with the quantiles of the errors that are then still made (:mod:`forecasting.intraday`).
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
        load, outdoor, with_weather = self._known(recent, grid, today, outdoor_c)
        here = (today - self.first_day).days
        if np.isnan(load[max(0, here - STALE_DAYS) : here + 1]).all():
            raise ForecastError(
                "the load has been silent for a week",
                where=f"no value in the {STALE_DAYS} days before {issued.isoformat()}",
                hint="check the meter and the import (vpp data gaps); the last accepted forecast may be used",
            )
        pool = self.weather if with_weather and self.weather is not None else self.plain
        day = self._day_base(pool, load, outdoor, here, levels)
        measured = load[here - 1 : here + 1].reshape(-1)[slot : slot + SLOTS_PER_DAY]
        rest = DayKinds.of(self.calendar, today - timedelta(days=1), len(day.base_kw)).rest
        values = np.maximum(_near(pool, day, measured, rest, slot, levels)[:, ahead], 0.0)
        name = "demand-pool-weather" if pool is self.weather else f"demand-{self.tier}"
        facts: dict[str, object] = {
            "usable_days": self.usable_days,
            "history_from": self.first_day.isoformat(),
            "fitted_at": self.fitted_at.isoformat(),
            "missing_last_day": int(np.isnan(measured).sum()),
        }
        return values, name, facts

    def _known(
        self, recent: Series, grid: Grid, today: date, outdoor_c: Series | None
    ) -> tuple[FloatArray, FloatArray | None, bool]:
        """History with ``recent`` laid over it, the temperatures, and whether these cover the grid."""
        count = (today - self.first_day).days + len(LEADS)
        load = np.full((count, SLOTS_PER_DAY), np.nan)
        kept = min(count, len(self.load_kw))
        load[:kept] = self.load_kw[:kept]
        newer = _measured(recent, self.first_day, count)
        covered = to_days(Series(recent.grid, np.ones(recent.grid.count), recent.unit), self.first_day, count)
        load = np.where(np.isnan(covered), load, newer)
        if self.outdoor_c is None or outdoor_c is None:
            return load, None, False
        outdoor = np.full((count, SLOTS_PER_DAY), np.nan)
        outdoor[:kept] = self.outdoor_c[:kept]
        given = to_days(outdoor_c, self.first_day, count)
        outdoor = np.where(np.isnan(given), outdoor, given)
        first = (grid.start - jst_midnight(self.first_day)) // SLOT_LENGTH
        complete = not np.isnan(outdoor.reshape(-1)[first : first + grid.count]).any()
        return load, outdoor, complete

    def _kinds(self, count: int) -> DayKinds:
        return DayKinds.of(self.calendar, self.first_day, count)

    def _day_base(
        self, pool: Pool, load: FloatArray, outdoor: FloatArray | None, here: int, levels: tuple[float, ...]
    ) -> DayBase:
        """Base forecast of the issue day; made once and kept until a whole day or the weather changes."""
        weather = outdoor if pool is self.weather else None
        days = (here, load[:here].tobytes())
        key = (*days, levels, None if weather is None else weather.tobytes())
        if key in self._bases:
            return self._bases[key]
        known = load.copy()
        known[here:] = np.nan  # the day in progress speaks only through the correction
        table = DayTable.of(known, self._kinds(len(load)), weather)
        experts = self._said.get(days)
        if experts is None:
            experts = day_experts(self.plain, table, self.tier, here)
            self._said.clear()
            self._said[days] = experts
        self._bases.clear()
        self._bases[key] = day_base(pool, experts, table, here, levels)
        return self._bases[key]


def _near(
    pool: Pool,
    day: DayBase,
    measured: FloatArray,
    rest: BoolArray,
    slot: int,
    levels: tuple[float, ...],
) -> FloatArray:
    """Quantiles of the issue day and the two after it, next hours corrected, shape (n_levels, 144). [kW]"""
    intraday, now = pool.intraday, SLOTS_PER_DAY + slot
    base = day.base_kw.reshape(-1)
    scale = intraday.sigma_kw[rest.astype(np.int64)].reshape(-1)
    out = base[None, SLOTS_PER_DAY:] + day.offsets_kw.transpose(1, 0, 2).reshape(len(levels), -1)
    next_ones = slice(now, now + intraday.leads)
    add = intraday.correction_kw(measured - base[slot:now], scale[slot:now], scale[next_ones], slot)
    if add.size:
        corrected = np.maximum(base[next_ones] + add, 0.0)
        days = np.repeat(rest, SLOTS_PER_DAY)[next_ones]
        out[:, slot : slot + add.size] = corrected + intraday.offsets_kw(corrected, days, slot, levels)
    return out


def _tier(usable: int, history: Series, issued: datetime) -> Tier:
    if usable >= POOL_DAYS:
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
    if first + grid.count > len(LEADS) * SLOTS_PER_DAY:
        raise ForecastError(
            "the forecast reaches too far",
            where=f"grid to {grid.end.isoformat()}, issued at {issued.isoformat()}",
            hint="end the grid with the day after tomorrow (Japanese days) at the latest",
        )
    return np.arange(first, first + grid.count)
