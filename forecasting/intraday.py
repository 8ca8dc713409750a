"""What the day so far says about the next hours: a quantile forest on the errors of the base forecast.

The base forecast of a day is made from whole days (:mod:`forecasting.dayahead`). During the day its newest
errors are known. The forest has seen all hours of the last weeks as they would have stood then, and answers
with the errors that followed like situations: a machine that runs late says much about the next hour and
nothing about the time after the shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from forecasting.calibration import BAND, band_factor, widened
from forecasting.days import BoolArray, IntArray
from forecasting.forest import ForestOptions, QuantileForest

__all__ = ["LEADS", "Intraday"]

LEADS = 16  # slots; later the day so far says nothing (windows before the tests, all load series)
PAST = 48  # slots of errors that are looked back at
SPANS = (1, 2, 4, 8, 24)  # slots over which the newest errors are averaged
LEADS_DRAWN = 8  # leads learned from per issue slot, spread over all: neighbours say the same
OPTIONS = ForestOptions(part=0.3, least_days=15, share=0.5, half_life_days=90.0, every=3)
CALIBRATION_DAYS = 28  # days whose coverage sets the width of the band
CALIBRATION_EVERY = 5  # of the rows of such a day, every so many: prime to the leads, so that all are heard
SEED = 7


@dataclass(frozen=True, slots=True)
class Intraday:
    """A forest of the errors that followed; made by :meth:`learn`."""

    forest: QuantileForest
    scale: float
    factor: float
    days: int

    @classmethod
    def learn(cls, actual: FloatArray, base: FloatArray, rest: BoolArray) -> Intraday | None:
        """Learn from the last weeks of a base forecast; None if there are too few of them.

        Parameters
        ----------
        actual : ndarray, shape (n_days, slots)
            What happened; NaN where missing. [kW]
        base : ndarray, shape (3, n_days, slots)
            P10, P50 and P90 of the base forecast of the same days, honest. [kW]
        rest : ndarray, shape (n_days,)
            Whether each day is one of rest.
        """
        n, slots = actual.shape
        scale = float(np.nanmean(np.abs(actual))) if not np.isnan(actual).all() else 0.0
        if n < OPTIONS.least_days or scale <= 0.0:
            return None
        flat = actual.reshape(-1) / scale
        bands = base.reshape(3, -1) / scale
        now = np.repeat(np.arange(slots, n * slots - LEADS), LEADS_DRAWN)
        turn = np.arange(now.size)
        lead = (turn % LEADS_DRAWN) * (LEADS // LEADS_DRAWN) + (turn // LEADS_DRAWN * 3) % (
            LEADS // LEADS_DRAWN
        )
        features = _features(flat, bands, np.repeat(rest, slots), now, lead, slots)
        target = flat[now + lead] - bands[1][now + lead]
        use = ~np.isnan(target) & ~np.isnan(features[:, 0])
        if use.sum() < 10 * slots:
            return None
        x, y, day = np.nan_to_num(features[use]), target[use], now[use] // slots
        forest = QuantileForest.grow(x, y, day, options=OPTIONS, seed=SEED)
        newest = np.flatnonzero(day > day[-1] - CALIBRATION_DAYS)[::CALIBRATION_EVERY]
        found = forest.quantiles(x[newest], day[newest], day[newest], (BAND[0], 0.5, BAND[1]))
        seen = ~np.isnan(found[:, 1])
        factor = _factor(y[newest][seen], found[seen], day[newest][seen])
        return cls(forest, scale, factor, n)

    def errors_kw(
        self, recent: FloatArray, base: FloatArray, rest: BoolArray, slot: int, levels: tuple[float, ...]
    ) -> FloatArray:
        """Quantiles of the errors of the next slots, shape (n_levels, n_leads); none if the last is unknown.

        Parameters
        ----------
        recent : ndarray, shape (slots,)
            Load of the last 24 hours up to the issue, NaN where missing. [kW]
        base : ndarray, shape (3, 3 * slots)
            P10, P50 and P90 of the base forecast of yesterday, today and tomorrow. [kW]
        rest : ndarray, shape (3,)
            Whether each of these days is one of rest.
        slot : int
            Slots of today that are over.
        """
        slots = recent.size
        now = slots + slot
        flat = np.full(3 * slots, np.nan)
        flat[slot:now] = recent / self.scale
        at = np.full(LEADS, now)
        features = _features(flat, base / self.scale, np.repeat(rest, slots), at, np.arange(LEADS), slots)
        if np.isnan(features[0, 0]):
            return np.empty((len(levels), 0))
        day = np.full(LEADS, self.forest.span)
        found = self.forest.quantiles(np.nan_to_num(features), day, day, (*levels, 0.5))
        return np.asarray(widened(found[:, :-1], found[:, -1], self.factor).T * self.scale)


def _factor(y: FloatArray, found: FloatArray, day: IntArray) -> float:
    """Width of the band from the days that the trees had not seen."""
    order = np.unique(day)
    width = max(int((day == one).sum()) for one in order) if order.size else 0
    table = np.full((4, order.size, width), np.nan)
    for row, one in enumerate(order):
        part = day == one
        table[0, row, : part.sum()] = y[part]
        table[1:, row, : part.sum()] = found[part].T
    return band_factor(*table)


def _features(
    flat: FloatArray, bands: FloatArray, rest: BoolArray, now: IntArray, lead: IntArray, slots: int
) -> FloatArray:
    """Features of issue positions and leads, shape (n, p); column 0 is the newest error. [-]"""
    error = flat - bands[1]
    at = now + lead
    known = ~np.isnan(error)
    total, count = np.r_[0.0, np.cumsum(np.where(known, error, 0.0))], np.r_[0, np.cumsum(known)]
    columns = [np.where(now > 0, error[now - 1], np.nan)]
    for span in SPANS[1:]:
        first = np.maximum(now - span, 0)
        number = count[now] - count[first]
        columns.append(np.where(number > 0, (total[now] - total[first]) / np.maximum(number, 1), np.nan))
    columns.append(np.where(at - slots < now, error[np.maximum(at - slots, 0)], np.nan))
    middle, width = bands[1], bands[2] - bands[0]
    columns += [flat[now - 1], flat[now - 1] - flat[np.maximum(now - 2, 0)]]
    columns += [error[np.maximum(now - back, 0)] for back in (2, 3)]
    columns += [(flat[now - 1] - bands[0][now - 1]) / np.maximum(bands[2][now - 1] - bands[0][now - 1], 0.02)]
    columns += [middle[at], middle[at] - middle[now - 1], width[at], width[now - 1]]
    columns += [lead.astype(np.float64), (at % slots).astype(np.float64), rest[at].astype(np.float64)]
    return np.stack(columns, axis=1)
