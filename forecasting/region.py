"""Regional demand from its sites and from its own meter, made to agree.

The forecasts of the sites do not add up to the forecast of the total. Minimum trace reconciliation moves each
of them by as little as its past errors justify, so that the sites' P50 add up to the total's P50, slot by
slot and exactly. Quantiles do not add: the P90 of a sum is not the sum of P90. The band of the total comes
from the joint past error days of the sites (:mod:`forecasting.scenarios`), from the past errors of the
reconciled total and from the band with which the total's own forecast was issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import IntArray
from forecasting.quantiles import weighted_quantiles
from forecasting.scenarios import (
    FEWEST_DAYS,
    WHOLE_DAY,
    WINDOW,
    ErrorDays,
    day_weights,
    drawn,
    joint_days,
    pieces,
    quantiles_of,
    require_alike,
)
from forecasting.trace import minimum_trace_gain

__all__ = ["RegionForecast", "RegionHistory", "RegionMethod", "region_forecast"]

LEVELS = (0.1, 0.5, 0.9)
_NEAR = ((0, 1.0), (-1, 0.5), (1, 0.5))  # a slot, its neighbours, and their weights
QUARTERS = 4  # one matrix of errors per quarter of the day
STRANGERS = 0.05  # of the total: more, and its meter counts customers that are not among the sites


class RegionMethod(StrEnum):
    """How the sites and the total are brought together."""

    RECONCILED = "mint"  # minimum trace
    BOTTOM_UP = "bottom-up"  # the total is the sum of the sites
    TOP_DOWN = "top-down"  # the sites share the total


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionHistory:
    """Past out-of-sample forecasts of a region and what came.

    Parameters
    ----------
    sites : dict of str to ErrorDays
        By site; a site without history is left out.
    total : ErrorDays, optional
        Of the total's own forecast.
    """

    sites: Mapping[str, ErrorDays] = field(default_factory=dict)
    total: ErrorDays | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionForecast:
    """Forecasts of all sites and of their total that agree.

    Parameters
    ----------
    sites : dict of str to QuantileForecast
        In the order given. Their P50 add up to the total's P50.
    total : QuantileForecast
        Its ``facts`` tell the dependence and what had to be assumed.
    """

    sites: Mapping[str, QuantileForecast]
    total: QuantileForecast


def region_forecast(
    sites: Mapping[str, QuantileForecast],
    total: QuantileForecast | None = None,
    *,
    history: RegionHistory | None = None,
    calendar: SiteCalendar | None = None,
    method: RegionMethod = RegionMethod.RECONCILED,
) -> RegionForecast:
    """Forecast of a region whose sites and total agree.

    Parameters
    ----------
    sites : dict of str to QuantileForecast
        Demand of every site, >= 0, same slots, unit and issue. What the total's meter counts and no site does
        must be given as one more site. [kW]
    total : QuantileForecast, optional
        Forecast of the total from its own meter; None if there is no such meter: bottom-up, by name. [kW]
    history : RegionHistory, optional
        Past errors of the same lead, of days that were over at the issue.
    calendar : SiteCalendar, optional
        Days of rest of the region: errors of like days count more.
    method : RegionMethod
        Minimum trace unless said.

    Returns
    -------
    RegionForecast
        Every P50 >= 0 and ``sum of sites' P50 == total P50``; a site's band keeps its width and moves with
        its P50. P10 and P90 of the total lie around its P50; they are not the sums of the sites' P10 and P90.

    Raises
    ------
    AlignmentError
        If grids, units or issues differ.
    ForecastError
        If there is no site, a past error is from the future, or the total's meter counts others than the
        sites.

    Notes
    -----
    With ``d = total - sum(sites)`` all methods are ``y = y_hat - g * d``: minimum trace takes ``g`` from
    :func:`forecasting.trace.minimum_trace_gain` [1]_, one per quarter of the day; bottom-up moves only the
    total, top-down only the sites, in proportion to their forecasts. A site that would fall below 0 is set to
    0 and the total summed again [2]_.

    P10 and P90 of the total lie from P50 by the mean of up to three spreads: of the joint error days, of the
    past errors of the total made in the same way, and of the total's own forecast as issued.

    References
    ----------
    .. [1] Wickramasuriya, S. L.; Athanasopoulos, G.; Hyndman, R. J. (2019). "Optimal forecast reconciliation
       for hierarchical and grouped time series through trace minimization". Journal of the American
       Statistical Association 114 (526), 804-819.
    .. [2] Di Fonzo, T.; Girolimetto, D. (2023). "Spatio-temporal reconciliation of solar forecasts". Solar
       Energy 251, 13-29, section 4 (set negative to zero).
    """
    known = history or RegionHistory()
    first = require_alike(sites)
    if total is None:
        known = replace(known, total=None)
    else:
        require_alike({"the sites": first, "the total": total})
    _require_past(known, first)
    chosen = RegionMethod.BOTTOM_UP if total is None else method
    region = _Region(sorted(sites), sites, total, known, calendar, chosen)
    parts = [region.part(*piece) for piece in pieces(first.grid)]
    p50 = np.concatenate([part.sites_kw for part in parts], axis=1)
    band = np.concatenate([part.band_kw for part in parts], axis=1)
    made = QuantileForecast(
        target="demand_kw" if total is None else total.target,
        issued_at=first.issued_at,
        grid=first.grid,
        unit=first.unit,
        p10=band[0],
        p50=band[1],
        p90=band[2],
        model=f"region-{chosen.value}",
        facts={**parts[0].facts, "sites": len(sites), "total_meter": total is not None},
    )
    rows = {name: row for row, name in enumerate(region.names)}
    return RegionForecast(
        sites={name: _moved(made, site, p50[rows[name]]) for name, site in sites.items()}, total=made
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """One Japanese day: P50 of the sites in order, P10, P50 and P90 of the total [kW]."""

    sites_kw: FloatArray
    band_kw: FloatArray
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class _Region:
    """What is brought together; sites by name, so that the order given changes nothing."""

    names: list[str]
    sites: Mapping[str, QuantileForecast]
    total: QuantileForecast | None
    history: RegionHistory
    calendar: SiteCalendar | None
    method: RegionMethod

    def part(self, day: date, piece: slice, slots: IntArray) -> _Part:
        """The slots of one day."""
        past = _Past.before(day, self.names, self.history, self.calendar, metered=self.total is not None)
        base = np.stack([self.sites[name].p50[piece] for name in self.names])
        top = base.sum(axis=0) if self.total is None else self.total.p50[piece]
        gain = self._gain(past, top, base)
        if self.method is RegionMethod.TOP_DOWN:
            agreed = top * _shares(base)
        else:
            agreed = np.maximum(base - gain[1:, slots] * (top - base.sum(axis=0)), 0.0)
        middle = agreed.sum(axis=0)
        joint = joint_days(
            {name: self.history.sites.get(name) for name in self.names}, day, calendar=self.calendar
        )
        together = np.zeros((len(joint.weight), len(slots)))
        for row, name in enumerate(self.names):
            values = drawn(self.sites[name], piece, joint.rank[name][:, slots])
            together += np.maximum(values + (agreed[row] - base[row]), 0.0)
        sums = quantiles_of(together, joint.weight, LEVELS)
        spreads = [sums - sums[1]]  # where P50 lies among the sums is learned from the past errors instead
        errors, source = past.errors_of_total(gain[0])
        if errors is not None:
            spreads.append(_spread_of_errors(middle, errors, past.weight, slots))
        if self.total is not None:
            issued = np.stack([self.total.p10, self.total.p50, self.total.p90])[:, piece]
            spreads.append(issued - issued[1])
        return _Part(agreed, _banded(middle, spreads), {**joint.facts(), "errors_of_total": source})

    def _gain(self, past: _Past, top: FloatArray, base: FloatArray) -> FloatArray:
        """Gains of the total (row 0) and the sites by slot of the day, as :mod:`forecasting.trace`. [-]"""
        if self.method is RegionMethod.RECONCILED:
            level = np.concatenate([[top.mean()], base.mean(axis=1)])
            quarters = np.split(past.actual - past.forecast, QUARTERS, axis=2)
            gains = [minimum_trace_gain(errors, past.weight, level) for errors in quarters]
            return np.repeat(np.stack(gains, axis=1), SLOTS_PER_DAY // QUARTERS, axis=1)
        gain = np.zeros((1 + len(self.names), SLOTS_PER_DAY))
        gain[0] = 1.0 if self.method is RegionMethod.BOTTOM_UP else 0.0
        return gain


@dataclass(frozen=True, slots=True)
class _Past:
    """Past days of the total (row 0) and of all sites, shape (1 + sites, days, 48), NaN where silent. [kW]"""

    weight: FloatArray
    forecast: FloatArray
    actual: FloatArray

    @classmethod
    def before(
        cls,
        day: date,
        names: list[str],
        history: RegionHistory,
        calendar: SiteCalendar | None,
        *,
        metered: bool,
    ) -> _Past:
        """What is known of the year before a day; a total that is not metered is the sum of the sites."""
        members = [history.total, *(history.sites.get(name) for name in names)]
        spoken = {past for member in members if member is not None for past in member.days}
        days = sorted(past for past in spoken if day - timedelta(days=WINDOW) <= past < day)
        at = {past: row for row, past in enumerate(days)}
        forecast, actual = (np.full((len(members), len(days), SLOTS_PER_DAY), np.nan) for _ in range(2))
        for row, member in enumerate(members):
            for source, past in enumerate(() if member is None else member.days):
                if member is not None and past in at:
                    forecast[row, at[past]] = member.forecast_kw[source]
                    actual[row, at[past]] = member.actual_kw[source]
        sums = actual[1:].sum(axis=0)
        if not metered:
            forecast[0], actual[0] = forecast[1:].sum(axis=0), sums
        _require_same_customers(actual[0], sums)
        return cls(day_weights(days, day, calendar), forecast, actual)

    def errors_of_total(self, gain: FloatArray) -> tuple[tuple[FloatArray, FloatArray] | None, str]:
        """Forecasts and actuals of the total as if made in the same way then, and what they are."""
        top = self.forecast[0]
        same = top - gain * (top - self.forecast[1:].sum(axis=0))
        for made, source in ((same, "same method"), (top, "its own")):
            whole = (~np.isnan(made - self.actual[0])).sum(axis=1) >= WHOLE_DAY
            if whole.sum() >= FEWEST_DAYS:
                return (np.maximum(made, 0.0), self.actual[0]), source
        return None, "none"


def _spread_of_errors(
    middle: FloatArray, errors: tuple[FloatArray, FloatArray], weight: FloatArray, slots: IntArray
) -> FloatArray:
    """Quantiles of the past errors of a slot and its neighbours, brought to today's level. [kW]"""
    root = np.sqrt(errors[1]) - np.sqrt(errors[0])
    values, mass = [], []
    for shift, factor in _NEAR:
        near = np.roll(root, shift, axis=1)[:, slots]
        known = ~np.isnan(near)
        values.append(
            np.where(known, np.maximum(np.sqrt(middle) + np.nan_to_num(near), 0.0) ** 2 - middle, 0.0)
        )
        mass.append(np.where(known, factor * weight[:, None], 1e-12))
    return weighted_quantiles(np.concatenate(values), np.concatenate(mass), np.asarray(LEVELS))


def _banded(middle: FloatArray, spreads: list[FloatArray]) -> FloatArray:
    """P10, P50 and P90 around P50, by the mean of several spreads. [kW]"""
    mean = np.mean(spreads, axis=0)
    low = np.maximum(middle + np.minimum(mean[0], 0.0), 0.0)
    return np.stack([low, middle, middle + np.maximum(mean[2], 0.0)])


def _shares(base: FloatArray) -> FloatArray:
    """Share of each site in every slot; where all are 0, its share of the whole day, else equal. [-]"""
    daily = base.sum(axis=1)
    usual = daily / daily.sum() if daily.sum() > 0.0 else np.full(len(base), 1.0 / len(base))
    total = base.sum(axis=0)
    return np.asarray(np.where(total > 0.0, base / np.where(total > 0.0, total, 1.0), usual[:, None]))


def _moved(total: QuantileForecast, site: QuantileForecast, p50: FloatArray) -> QuantileForecast:
    """A site's forecast moved to another P50, at least 0."""
    shift = p50 - site.p50
    return replace(
        site,
        p10=np.clip(site.p10 + shift, 0.0, p50),
        p50=p50,
        p90=np.maximum(site.p90 + shift, p50),
        model=total.model,
        facts={**site.facts, "site_model": site.model},
    )


def _require_past(history: RegionHistory, first: QuantileForecast) -> None:
    for errors in (history.total, *history.sites.values()):
        if errors is not None:
            errors.known_at(first.issued_at)


def _require_same_customers(total: FloatArray, sums: FloatArray) -> None:
    """Refuse a total that is not the total of these sites, where all of them are known."""
    both = ~np.isnan(total) & ~np.isnan(sums)
    if not both.any():
        return
    apart = float(np.abs(total - sums)[both].sum() / max(float(total[both].sum()), 1e-9))
    if apart > STRANGERS:
        raise ForecastError(
            "the total is not the total of these sites",
            where=f"past actuals differ by {100 * apart:.0f} % of the total",
            hint="give what the total's meter counts besides the sites as one more site",
        )
