"""Scenarios from whole past days of forecast errors: what several slots or several sites do together.

Errors of neighbouring slots and of neighbouring sites go together: on a hot day all are too low from noon to
evening. Quantiles per slot and site do not say so; whole past days of errors do. A past day is used for all
slots and all sites at once (the Schaake shuffle), so that nothing about the dependence is assumed and nothing
is drawn by chance: the past days are the scenarios, weighted by age and day type.

References
----------
.. [1] Clark, M.; Gangopadhyay, S.; Hay, L.; Rajagopalan, B.; Wilby, R. (2004). "The Schaake shuffle: a
   method for reconstructing space-time variability in forecasted precipitation and temperature fields".
   Journal of Hydrometeorology 5 (1), 243-262.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import JST, SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray, day_and_slot, require_slots, to_days
from forecasting.quantiles import weighted_quantiles

__all__ = [
    "ErrorDays",
    "JointDays",
    "age_weights",
    "day_weights",
    "drawn",
    "joint_days",
    "midpoint_levels",
    "normal_score",
    "pieces",
    "quantiles_of",
    "require_alike",
    "rest_days",
]

HALF_LIFE = (
    90.0  # days; with the next three tuned on April to June 2018 of the steel works (forecasting.peak)
)
OTHER_TYPE = 0.1  # weight of a day of the other type (work or rest)
WINDOW = 365  # days; older errors are not looked at
FEWEST_DAYS = 10  # below it P10 and P90 would be single days
WHOLE_DAY = 40  # slots of a day that must be known for it to count; the others take the mean error of the day

_NORMAL = NormalDist()
_NODES = np.linspace(0.0005, 0.9995, 2000)
_SCORES = np.array([_NORMAL.inv_cdf(float(node)) for node in _NODES])
_P90_SCORE = _NORMAL.inv_cdf(0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDays:
    """Forecasts of past days as they were issued, beside what came.

    The forecasts must be out of sample, and of the same lead as the forecast they are to serve: errors made
    an hour ahead say nothing about tomorrow.

    Parameters
    ----------
    days : tuple of date
        Japanese dates, increasing; gaps are allowed.
    forecast_kw : ndarray, shape (n_days, 48)
        P50 as issued, >= 0; NaN where none was. [kW]
    actual_kw : ndarray, shape (n_days, 48)
        What came, >= 0; NaN where missing. [kW]

    Raises
    ------
    AlignmentError
        If the arrays do not fit the days, or the days are not in order.
    """

    days: tuple[date, ...]
    forecast_kw: FloatArray
    actual_kw: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.days), SLOTS_PER_DAY)
        for name in ("forecast_kw", "actual_kw"):
            values = np.array(getattr(self, name), dtype=np.float64).reshape(-1, SLOTS_PER_DAY)
            if values.shape != shape:
                raise AlignmentError(
                    f"{name} does not fit its days", values=values.shape, days=len(self.days)
                )
            values = np.maximum(values, 0.0)  # NaN stays
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if any(later <= earlier for earlier, later in pairwise(self.days)):
            raise AlignmentError("error days are not in order", hint="sort them, one row per day")

    @classmethod
    def of(cls, forecasts: Sequence[QuantileForecast], actual: Series) -> ErrorDays:
        """Error days from issued forecasts, each of one whole Japanese day, and the metered series. [kW]

        Raises
        ------
        AlignmentError
            If a forecast is not of one whole day.
        """
        rows = sorted(forecasts, key=lambda made: made.grid.start)
        days = []
        for made in rows:
            day, slot = day_and_slot(made.grid.start)
            require_slots(made.grid, "a past forecast")
            if slot or made.grid.count != SLOTS_PER_DAY:
                raise AlignmentError(
                    "a past forecast is not of one whole day", start=made.grid.start.isoformat()
                )
            days.append(day)
        came = [to_days(actual, day, 1)[0] for day in days]
        empty = np.empty((0, SLOTS_PER_DAY))
        return cls(
            days=tuple(days),
            forecast_kw=np.stack([made.p50 for made in rows]) if rows else empty,
            actual_kw=np.stack(came) if came else empty,
        )

    @property
    def error_kw(self) -> FloatArray:
        """Actual minus forecast, NaN where unknown. [kW]"""
        return self.actual_kw - self.forecast_kw

    @property
    def root_error(self) -> FloatArray:
        """Errors on the scale of square roots, on which they hardly depend on the level. [kW**0.5]"""
        return np.sqrt(self.actual_kw) - np.sqrt(self.forecast_kw)

    @property
    def whole(self) -> IntArray:
        """Rows of which at least 40 of the 48 slots are known."""
        return np.flatnonzero((~np.isnan(self.error_kw)).sum(axis=1) >= WHOLE_DAY)

    def on(self, days: Container[date]) -> ErrorDays:
        """The rows of some days."""
        rows = [row for row, day in enumerate(self.days) if day in days]
        return ErrorDays(
            days=tuple(self.days[row] for row in rows),
            forecast_kw=self.forecast_kw[rows],
            actual_kw=self.actual_kw[rows],
        )

    def known_at(self, issued_at: datetime) -> ErrorDays:
        """The same days, if all of them were over at an instant.

        Raises
        ------
        ForecastError
            If the last day was not yet over.
        """
        today = issued_at.astimezone(JST).date()
        if self.days and self.days[-1] >= today:
            raise ForecastError(
                "error days look into the future",
                where=f"a day of {self.days[-1].isoformat()} in a forecast issued at {issued_at.isoformat()}",
                hint="give only days that were over then",
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class JointDays:
    """Past days shared by several forecasts: per day and slot, where in its distribution each error lay.

    Parameters
    ----------
    days : tuple of date
        The past days; empty if there were too few and the errors are taken to move together.
    weight : ndarray, shape (n,)
        Of each scenario, > 0. [-]
    rank : dict of str to ndarray, shape (n, 48)
        Position of each error among the weighted errors of its slot, in (0, 1). [-]
    assumed : tuple of str
        Members without error days: they move with the mean of the others.
    filled : dict of str to int
        Days on which a member was silent and its own other days stand in, out of order (independent).
    """

    days: tuple[date, ...]
    weight: FloatArray
    rank: Mapping[str, FloatArray]
    assumed: tuple[str, ...]
    filled: Mapping[str, int]

    @property
    def dependence(self) -> str:
        """Name of what stands behind the scenarios."""
        return "joint-days" if self.days else "comonotone"

    def facts(self) -> dict[str, object]:
        """What a forecast made from these days tells about them."""
        return {
            "dependence": self.dependence,
            "error_days": len(self.days),
            "without_errors": list(self.assumed),
            "filled_days": dict(self.filled),
        }


def pieces(grid: Grid) -> list[tuple[date, slice, IntArray]]:
    """A grid of slots cut at Japanese midnights: date, positions in the grid, slots of the day (0..47)."""
    require_slots(grid, "the forecast grid")
    out, begin = [], 0
    while begin < grid.count:
        day, slot = day_and_slot(grid.time(begin))
        count = min(SLOTS_PER_DAY - slot, grid.count - begin)
        out.append((day, slice(begin, begin + count), np.arange(slot, slot + count)))
        begin += count
    return out


def require_alike(forecasts: Mapping[str, QuantileForecast]) -> QuantileForecast:
    """Refuse forecasts that cannot be added; gives the first of them back.

    Raises
    ------
    AlignmentError
        If grids, units or issue instants differ.
    ForecastError
        If there is none.
    """
    if not forecasts:
        raise ForecastError("no forecasts to put together", hint="give at least one site")
    first = next(iter(forecasts.values()))
    for name, made in forecasts.items():
        if made.grid != first.grid or made.unit is not first.unit or made.issued_at != first.issued_at:
            raise AlignmentError(
                "forecasts differ in grid, unit or issue",
                where=f"{name}: {made.grid.start.isoformat()} x {made.grid.count}, {made.unit}, "
                f"issued {made.issued_at.isoformat()}",
                hint="make all of them at the same instant for the same slots",
            )
    return first


def day_weights(days: Sequence[date], target: date, calendar: SiteCalendar | None) -> FloatArray:
    """How much each past day counts for a target day: half after 90 days, a tenth if of the other type. [-]

    ``calendar`` None: all days are alike (the sun knows no weekend).
    """
    age = np.array([(target - day).days for day in days], dtype=np.float64)
    like = np.ones(age.size, dtype=np.bool_)
    if calendar is not None:
        like = rest_days(days, calendar) == (calendar.day_type(target) is DayType.REST)
    return age_weights(age, like)


def age_weights(age_days: FloatArray, like: BoolArray) -> FloatArray:
    """As :func:`day_weights`, from ages in days and whether each day is of the target's type. [-]"""
    return np.asarray(0.5 ** (age_days / HALF_LIFE) * np.where(like, 1.0, OTHER_TYPE), dtype=np.float64)


def rest_days(days: Sequence[date], calendar: SiteCalendar) -> BoolArray:
    """Whether a site rests, day by day."""
    return np.array([calendar.day_type(day) is DayType.REST for day in days], dtype=np.bool_)


def joint_days(
    errors: Mapping[str, ErrorDays | None], target: date, *, calendar: SiteCalendar | None = None
) -> JointDays:
    """Common past days of several members.

    Parameters
    ----------
    errors : dict of str to ErrorDays or None
        By member; None or no days for a member without history.
    target : date
        Japanese date forecast; it and later days are left out.
    calendar : SiteCalendar, optional
        Whose days of rest separate the past days.

    Returns
    -------
    JointDays
        From days on which at least half of the members with history speak. With fewer than ten such days the
        errors are taken to move together, the broadest assumption: ``dependence`` says ``comonotone``.
    """
    names = sorted(errors)
    rows = {name: _rows(errors[name], target) for name in names}
    speaking = [name for name in names if len(rows[name]) >= FEWEST_DAYS]
    silent = tuple(name for name in names if name not in speaking)
    spoken = Counter(day for name in speaking for day in rows[name])
    days = tuple(sorted(day for day, count in spoken.items() if 2 * count >= len(speaking)))
    if len(days) < FEWEST_DAYS:
        level = midpoint_levels(99)
        same = np.repeat(level[:, None], SLOTS_PER_DAY, axis=1)
        return JointDays(
            days=(), weight=np.ones(level.size), rank=dict.fromkeys(names, same), assumed=silent, filled={}
        )
    weight = day_weights(days, target, calendar)
    rank, filled = {}, {}
    for name in speaking:
        values, missing = _laid(rows[name], days)
        rank[name] = _weighted_ranks(values, weight)
        if missing:
            filled[name] = missing
    if silent:
        common = _weighted_ranks(np.mean([rank[name] for name in speaking], axis=0), weight)
        rank.update(dict.fromkeys(silent, common))
    return JointDays(days=days, weight=weight, rank=rank, assumed=silent, filled=filled)


def drawn(forecast: QuantileForecast, piece: slice, rank: FloatArray, *, floor: float = 0.0) -> FloatArray:
    """Values of a forecast's distribution at given ranks.

    Parameters
    ----------
    piece : slice
        Slots of the forecast.
    rank : ndarray, shape (n_scenarios, n_slots)
        In (0, 1). [-]

    Returns
    -------
    ndarray, shape (n_scenarios, n_slots)
        At least ``floor``. [unit of the forecast]

    Notes
    -----
    ``x(u) = p50 + z(u) / z(0.9) * (p90 - p50 if u > 0.5 else p50 - p10)`` with the normal score ``z``: two
    halves of normal distributions that meet at the median and go through P10 and P90.
    """
    p10, p50, p90 = (values[piece] for values in (forecast.p10, forecast.p50, forecast.p90))
    score = normal_score(rank) / _P90_SCORE
    spread = np.where(score < 0.0, p50 - p10, p90 - p50)
    return np.asarray(np.maximum(p50 + score * spread, floor), dtype=np.float64)


def quantiles_of(scenarios: FloatArray, weight: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Quantiles of each slot over weighted scenarios, shape (n_levels, n_slots)."""
    return weighted_quantiles(
        scenarios, np.broadcast_to(weight[:, None], scenarios.shape), np.asarray(levels, dtype=np.float64)
    )


def normal_score(rank: FloatArray) -> FloatArray:
    """Quantile of the standard normal distribution, exact to 1e-4, held beyond 0.0005 and 0.9995. [-]"""
    return np.asarray(np.interp(rank, _NODES, _SCORES), dtype=np.float64)


def midpoint_levels(count: int) -> FloatArray:
    """Levels in the middle of ``count`` equal parts of (0, 1). [-]"""
    return (np.arange(count) + 0.5) / count


def _rows(errors: ErrorDays | None, target: date) -> dict[date, FloatArray]:
    """Whole days before the target, by date; a missing slot has the day's mean error. [kW**0.5]"""
    if errors is None:
        return {}
    out, root = {}, errors.root_error
    oldest = target - timedelta(days=WINDOW)
    for row in errors.whole:
        if oldest <= errors.days[row] < target:
            values = root[row]
            out[errors.days[row]] = np.where(np.isnan(values), np.nanmean(values), values)
    return out


def _laid(rows: Mapping[date, FloatArray], days: Sequence[date]) -> tuple[FloatArray, int]:
    """Errors on all the days; where the member was silent, its own days in turn stand in."""
    own = list(rows.values())
    values, missing = [], 0
    for day in days:
        if day in rows:
            values.append(rows[day])
        else:
            values.append(own[missing % len(own)])
            missing += 1
    return np.stack(values), missing


def _weighted_ranks(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Position of each value in its column under weights, equal values in the middle of their mass. [-]"""
    out = np.empty_like(values)
    for column in range(values.shape[1]):
        order = np.argsort(values[:, column], kind="stable")
        ordered = values[order, column]
        upto = np.concatenate([[0.0], np.cumsum(weight[order])])
        below = upto[np.searchsorted(ordered, values[:, column], side="left")]
        through = upto[np.searchsorted(ordered, values[:, column], side="right")]
        out[:, column] = 0.5 * (below + through) / upto[-1]
    return out
