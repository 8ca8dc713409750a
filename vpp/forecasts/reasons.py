"""Why a forecast is what it is: the model that made it, run again in worlds that are partly last week's.

Every method reads the world through a :class:`~vpp.forecasts.methods.View`. Here the view shows, for chosen
groups of inputs, what stood there whole weeks before: weekdays stay what they are. So any method can be
explained without knowing it. :mod:`forecasting.explain` shares the difference among the groups.

==============  =============================================================================================
group           what is exchanged
==============  =============================================================================================
day type        the calendar from the day of the issue on
last days       everything metered before the midnight of the issue, with the calendar of those days
morning         errors of the model's own forecast from that midnight to the issue; then: no errors
temperature     the outdoor temperature forecast from the issue on
sun             the irradiance forecast from the issue on
roof            the array's meter and past weather up to the issue: snow, shade, the morning's errors
==============  =============================================================================================

What is left between the model's answer in last week's world and what the meter showed last week is chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal

import numpy as np

from energy.core.calendar import DayType
from energy.core.errors import DataError, ForecastError, GapError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, Slot, jst_midnight
from energy.core.units import SeriesId
from energy.store import Store
from forecasting.explain import Cause, Effect, Reasons, mean_of, shapley
from vpp.forecasts.counterfactual import MixedSnapshot, rules_with
from vpp.forecasts.issued import LOAD, IssuedForecast, day_ahead_for, targets_of
from vpp.forecasts.methods import Fitted, Method, View, methods_of
from vpp.forecasts.registry import ModelRegistry
from vpp.site.recorder import SiteSeries

__all__ = ["AGAINST", "Against", "Explained", "explain_day", "explain_issue"]

Against = Literal["last-week", "usual"]
AGAINST: Final[dict[Against, tuple[int, ...]]] = {"last-week": (1,), "usual": (1, 2, 3, 4)}
"""Weeks back of the days compared with; the usual day is the mean of four."""

LEVEL_DAYS: Final = 7  # days whose mean says how the level has moved: a whole week
BESIDE_DAYS: Final = 3  # days after the forecast whose type a model may look at
ON_RECORD_KW: Final = 0.05  # half a digit of what is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An issue with its reasons.

    Parameters
    ----------
    reasons : Reasons
        Against the day chosen. [kW]
    days : tuple of date
        The days compared with, Japan.
    off_record_kw : float
        Largest difference between the issue on record and the model run again. Above half a digit the
        reasons are those of the model as it is now, not of the issue. [kW]
    """

    issue: IssuedForecast
    against: Against
    days: tuple[date, ...]
    reasons: Reasons
    off_record_kw: float

    @property
    def is_of_record(self) -> bool:
        """Whether the model gave the very forecast that was issued."""
        return self.off_record_kw <= ON_RECORD_KW


def explain_issue(
    store: Store, site: Site, issue: IssuedForecast, *, fitted_at: datetime | None, against: Against
) -> Explained:
    """Reasons of an issued forecast of one day.

    Parameters
    ----------
    issue : IssuedForecast
        A forecast that the model reaches to its end.
    fitted_at : datetime or None
        From where the model that made it looks back; None if the rule of thumb made it.

    Raises
    ------
    DataError
        If the store does not reach back as far as the days compared with.
    """
    found, silent = [], None
    for weeks in AGAINST[against]:
        try:
            found.append((weeks, _Worlds(store, site, issue, fitted_at, timedelta(weeks=weeks)).reasons()))
        except (ForecastError, GapError) as error:  # too little is known of that week: another may still do
            silent = error
    if not found:
        raise DataError(
            "there is no day to compare with",
            where=f"{site.id}/{issue.target}, a week before {issue.start.astimezone(JST):%Y-%m-%d}"
            + (f": {silent}" if silent else ""),
            hint="import more of the past (vpp data import), or explain a later day",
        ) from silent
    reasons = mean_of([one for _, one in found])
    day = issue.start.astimezone(JST).date()
    gap = float(np.abs(reasons.forecast_kw - np.array(issue.p50)).max())
    return Explained(
        issue=issue,
        against=against,
        days=tuple(day - timedelta(weeks=weeks) for weeks, _ in found),
        reasons=reasons,
        off_record_kw=gap,
    )


def explain_day(
    store: Store,
    site: Site,
    target: str,
    day: date,
    *,
    known_at: datetime,
    against: Against = "last-week",
) -> Explained:
    """Reasons of the newest day-ahead issue of a delivery day that is known at an instant.

    Raises
    ------
    DataError
        If there is no such issue, or no day to compare with.
    """
    known = store.as_of(known_at)
    issue = day_ahead_for(known, site.id, target, day)
    if issue is None:
        others = ", ".join(targets_of(known, site.id)) or "none"
        raise DataError(
            f"no day-ahead forecast of {target} is stored for {day}",
            where=f"site {site.id}; targets with forecasts: {others}",
            hint="make one the day before (vpp forecast run), or run vpp demo first",
        )
    return explain_issue(store, site, issue, fitted_at=_fit_behind(store, site, issue), against=against)


def _fit_behind(store: Store, site: Site, issue: IssuedForecast) -> datetime | None:
    """From where the model that made an issue looks back; None if a rule of thumb made it."""
    if not issue.card:
        return None
    registry = ModelRegistry(site.id, store, methods_of(site))
    cards = registry.cards(store.as_of(issue.issued_at), issue.target)
    found = next((card.fitted_at for card in cards if card.digest == issue.card), None)
    if found is None:
        raise DataError(
            f"the model {issue.card} is not on record",
            where=f"named by the issue of {issue.issued_at.isoformat()}",
            hint="the database is incomplete: take the one in which the forecast was made",
        )
    return found


class _Worlds:
    """The model of an issue, asked in worlds between ``back`` weeks ago and now."""

    def __init__(
        self, store: Store, site: Site, issue: IssuedForecast, fitted_at: datetime | None, back: timedelta
    ) -> None:
        self.store, self.site, self.issue, self.back = store, site, issue, back
        self.fitted_at = fitted_at
        self.method_now = methods_of(site)[issue.target]
        self.slot = Slot.containing(issue.issued_at).start
        self.midnight = jst_midnight(issue.issued_at.astimezone(JST).date())
        self.is_load = issue.target == LOAD
        self.past: Cause = Cause.LAST_DAYS if self.is_load else Cause.ROOF
        self.own = SiteSeries(site.id)[LOAD, "demand_kw"]
        self.days = self._days()
        self.possible = frozenset(self._possible())
        self.read: set[Cause] = set()
        self._methods: dict[frozenset[Cause], Method] = {}
        self._models: dict[frozenset[Cause], Fitted | None] = {}
        self._mornings: dict[frozenset[Cause], FloatArray] = {}
        self._said: dict[frozenset[Cause], QuantileForecast] = {}

    # -- the answer ------------------------------------------------------------------------------------

    def reasons(self) -> Reasons:
        """Effects of all groups, and of chance."""
        everything = self.possible
        whole = self.forecast(everything)
        unused = tuple(sorted(everything - self.read - {Cause.DAY_TYPE, Cause.MORNING}))
        unchanged = (Cause.DAY_TYPE,) if self.is_load and Cause.DAY_TYPE not in everything else ()
        groups = tuple(cause for cause in Cause if cause in everything and cause not in unused)
        effects = shapley(groups, lambda now: self.forecast(now | frozenset(unused)).p50)
        nothing = self.forecast(frozenset(unused))
        then = self.method_now.actual(
            self.store.as_of(self.issue.issued_at), Grid(whole.grid.start - self.back, whole.grid.count)
        )
        compared = np.where(np.isnan(then.values), nothing.p50, then.values)
        told = [
            Effect(cause, values, self._facts(cause, whole, nothing)) for cause, values in effects.items()
        ]
        told.append(
            Effect(
                Cause.CHANCE,
                nothing.p50 - compared,
                {"unmetered_slots": int(np.isnan(then.values).sum())},
            )
        )
        return Reasons(
            grid=whole.grid,
            forecast_kw=whole.p50,
            compared_kw=compared,
            effects=tuple(told),
            unused=unused,
            unchanged=unchanged,
        )

    def _possible(self) -> list[Cause]:
        """Groups that can differ between now and then."""
        causes = [self.past, Cause.TEMPERATURE, Cause.SUN]
        if self.is_load:
            causes += [Cause.DAY_TYPE] if self._day_types_differ() else []
            causes += [Cause.MORNING] if self.slot > self.midnight else []
        return causes

    def forecast(self, now: frozenset[Cause]) -> QuantileForecast:
        """The model's answer with these groups as they are now, the others as they were."""
        if now not in self._said:
            model = self._model(now)
            self._said[now] = self._ask(now, model, self.issue.issued_at, self.issue.grid, self._morning(now))
        return self._said[now]

    # -- models and mornings ---------------------------------------------------------------------------

    def _model(self, now: frozenset[Cause]) -> Fitted | None:
        """The model fitted in a world; for an array the one in use, whose site has not changed."""
        if self.fitted_at is None:
            return None
        key = now & {Cause.LAST_DAYS, Cause.DAY_TYPE}
        if key not in self._models:
            view = self._view(now, self.fitted_at, None)
            if not self.is_load:
                view = View.of(self.store, self.fitted_at)
            self._models[key] = self._method(now).fit(view)
        return self._models[key]

    def _morning(self, now: frozenset[Cause]) -> FloatArray | None:
        """The load from midnight to the issue: as the model of this world expects it, with today's errors."""
        if not self.is_load or self.slot == self.midnight or now == self.possible:
            return None  # as metered
        expected = self._expected(now)
        if Cause.MORNING not in now:
            return expected
        return np.maximum(expected + self._errors(), 0.0)

    def _errors(self) -> FloatArray:
        """Errors of the morning in the world as it is. [kW]"""
        grid = Grid.between(self.midnight, self.slot)
        metered = self.store.as_of(self.issue.issued_at).series(self.own, grid, Unit.KW).values
        return metered - self._expected(self.possible)

    def _expected(self, now: frozenset[Cause]) -> FloatArray:
        key = now - {Cause.MORNING}
        if key not in self._mornings:
            grid = Grid.between(self.midnight, self.slot)
            self._mornings[key] = self._ask(now, self._model(now), self.midnight, grid, None).p50
        return self._mornings[key]

    def _ask(
        self,
        now: frozenset[Cause],
        model: Fitted | None,
        at: datetime,
        grid: Grid,
        morning: FloatArray | None,
    ) -> QuantileForecast:
        view = self._view(now, at, morning)
        return self._method(now).rule(view, grid) if model is None else model.predict(view, grid)

    # -- worlds ----------------------------------------------------------------------------------------

    def _view(self, now: frozenset[Cause], at: datetime, morning: FloatArray | None) -> View:
        mixed = MixedSnapshot(
            now=self.store.as_of(at),
            then=self.store.as_of(at - self.back),
            back=self.back,
            cause=self._cause,
            kept=now,
            read=self.read,
            laid={}
            if morning is None
            else {self.own: Series(Grid(self.midnight, morning.size), morning, Unit.KW)},
        )
        return View(mixed, mixed, at)

    def _cause(self, series: SeriesId, start: datetime) -> Cause:
        """The group that a value of a series belongs to."""
        if "_forecast_" not in series or start < self.slot:
            return self.past
        return Cause.TEMPERATURE if series.endswith("_c") else Cause.SUN

    def _method(self, now: frozenset[Cause]) -> Method:
        """The method with the calendar of a world."""
        key = now & {Cause.LAST_DAYS, Cause.DAY_TYPE}
        if not self.is_load:
            return self.method_now
        if key not in self._methods:
            calendar = self.site.calendar.calendar()
            shown = {
                day: calendar.day_type(day if self._keeps(now, day) else day - self.back) for day in self.days
            }
            if all(calendar.day_type(day) is kind for day, kind in shown.items()):
                self._methods[key] = self.method_now
            else:
                rest = {day for day, kind in shown.items() if kind is DayType.REST}
                rules = rules_with(self.site.calendar, calendar, self.days, rest)
                self._methods[key] = methods_of(replace(self.site, calendar=rules))[self.issue.target]
        return self._methods[key]

    def _keeps(self, now: frozenset[Cause], day: date) -> bool:
        past = jst_midnight(day) < self.midnight
        return (Cause.LAST_DAYS if past else Cause.DAY_TYPE) in now

    def _days(self) -> list[date]:
        """Days that a model may ask the calendar about: the history, the forecast and their neighbours."""
        covered = self.store.as_of(self.issue.issued_at).span(self.own)
        first = (covered[0] if covered else self.midnight).astimezone(JST).date() - timedelta(
            days=LEVEL_DAYS + 1
        )
        last = self.issue.grid.end.astimezone(JST).date() + timedelta(days=BESIDE_DAYS)
        return [first + timedelta(days=k) for k in range((last - first).days + 1)]

    def _day_types_differ(self) -> bool:
        calendar = self.site.calendar.calendar()
        ahead = (day for day in self.days if jst_midnight(day) >= self.midnight)
        return any(calendar.day_type(day) is not calendar.day_type(day - self.back) for day in ahead)

    # -- facts -----------------------------------------------------------------------------------------

    def _facts(self, cause: Cause, whole: QuantileForecast, nothing: QuantileForecast) -> dict[str, object]:
        names = SiteSeries(self.site.id)
        match cause:
            case Cause.DAY_TYPE:
                day = whole.grid.start.astimezone(JST).date()
                calendar = self.site.calendar.calendar()
                return {"now": calendar.day_type(day).value, "then": calendar.day_type(day - self.back).value}
            case Cause.LAST_DAYS:
                levels = self._pair(
                    self.own, Unit.KW, self.midnight - timedelta(days=LEVEL_DAYS), self.midnight, "kw"
                )
                moved = nothing.facts.get("level_step_since") != whole.facts.get("level_step_since")
                return levels | (_step(whole) if moved else {})
            case Cause.MORNING:
                errors = self._errors()
                mean = float(np.nanmean(errors)) if not np.isnan(errors).all() else None
                return {"error_kw": _rounded(mean), "hours": errors.size * SLOT_HOURS}
            case Cause.TEMPERATURE:
                name = names["weather", "outdoor_forecast_c"]
                return self._pair(name, Unit.CELSIUS, whole.grid.start, whole.grid.end, "c")
            case Cause.SUN:
                name = names["weather", "ghi_forecast_w_m2"]
                return self._pair(name, Unit.W_PER_M2, whole.grid.start, whole.grid.end, "w_m2")
            case Cause.ROOF:
                keys = ("roof", "recent_ratio")
                return {
                    f"{when}_{key}": forecast.facts.get(key)
                    for when, forecast in (("now", whole), ("then", nothing))
                    for key in keys
                }
            case _:
                return {}

    def _pair(
        self, series: SeriesId, unit: Unit, start: datetime, end: datetime, suffix: str
    ) -> dict[str, object]:
        """Means of a series now and then."""
        at, found = self.issue.issued_at, {}
        for when, back in (("now", timedelta(0)), ("then", self.back)):
            values = (
                self.store.as_of(at - back)
                .series(series, Grid.between(start - back, end - back), unit)
                .values
            )
            found[f"{when}_{suffix}"] = _rounded(
                None if np.isnan(values).all() else float(np.nanmean(values))
            )
        return dict(found)


def _step(forecast: QuantileForecast) -> dict[str, object]:
    """The step in the level that a forecast believes in (:mod:`forecasting.level_steps`)."""
    return {
        name: forecast.facts[name] for name in ("level_step_kw", "level_step_since") if name in forecast.facts
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
