"""What the day so far says about the next hours: like moments of the past, and a quantile forest on them.

The base forecast of a day is made from whole days (:mod:`forecasting.dayahead`). During the day its newest
errors are known. Two methods carry them on, each in its own way, and are mixed by how they did lately:

- the sequels of the past moments that looked most like now (:mod:`forecasting.moments`);
- a quantile forest that has seen all moments as they would have stood then, what the like moments said among
  them, and answers with the errors that followed.

A machine that runs late says much about the next hour and nothing about the time after the shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from forecasting.calibration import BAND, band_factor, widened
from forecasting.days import BoolArray, IntArray
from forecasting.forest import ForestOptions, QuantileForest
from forecasting.moments import Moments, filled, running_mean

__all__ = ["LEADS", "Intraday"]

# Tuned, as all constants of this module, on the windows before the tests (docs/explanation/forecasts.md).
LEADS = 16  # slots; later the day so far says nothing
SPANS = (2, 4, 8, 24, 48)  # slots over which the newest errors are averaged
NEWEST = (1, 2, 3, 4)  # slots ago whose load and error are features of their own
LEAST_WIDTH = 0.02  # of the mean load: a narrower band says nothing about how surprising a value is
EVERY = 3  # moments learned from: neighbours say the same
LEADS_DRAWN = 8  # leads learned from per moment, spread over all
OPTIONS = ForestOptions(part=0.3, least_days=15, share=0.5, half_life_days=90.0)
JUDGED_DAYS = 42  # days whose errors and coverage set the weights and the width of the band
WEIGHT_POWER = 16.0  # of the ratio of both errors
WEIGHT_LEADS = 2  # leads next door that are judged together
SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Intraday:
    """What follows like moments, and a forest of the errors that followed; made by :meth:`learn`.

    Parameters
    ----------
    trust : ndarray, shape (LEADS,)
        Weight of the forest beside the like moments. [-]
    factor : float
        By how much the band is wider than both say. [-]
    days : int
        Days learned from.
    """

    forest: QuantileForest
    moments: Moments
    scale: float
    trust: FloatArray
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
        load, bands = actual.reshape(-1) / scale, base.reshape(3, -1) / scale
        resting = np.repeat(rest, slots)
        moments = Moments.remember(load, bands, resting, slots=slots, leads=LEADS)
        at = np.arange(slots, load.size - LEADS + 1, EVERY)
        at = at[~np.isnan(load[at - 1] - bands[1][at - 1])]
        if at.size < n:  # hardly a moment a day
            return None
        ahead = at[:, None] + np.arange(LEADS)
        vectors = moments.describe(load, bands, at)
        sequels = moments.sequels(at, vectors, resting[at], bands[1][ahead])
        told = ~np.isnan(sequels[:, 0, 0])
        at, ahead, sequels = at[told], ahead[told], sequels[told]
        x = _features(load, bands, resting, at, sequels=sequels, slots=slots)
        y = load[ahead] - bands[1][ahead]
        use = ~np.isnan(y)
        if use.sum() < 10 * slots:
            return None
        drawn = use & _drawn(at.size)
        day = np.repeat(at[:, None] // slots, LEADS, axis=1)
        forest = QuantileForest.grow(x[drawn], y[drawn], day[drawn], options=OPTIONS, seed=SEED)
        newest = at >= (n - JUDGED_DAYS) * slots
        trust, factor = _judged(forest, x[newest], y[newest], day[newest], sequels[newest])
        return cls(forest=forest, moments=moments, scale=scale, trust=trust, factor=factor, days=n)

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
        at = np.array([slots + slot])
        load, bands = np.full(3 * slots, np.nan), base / self.scale
        load[slot : slots + slot] = recent / self.scale
        if np.isnan(load[at - 1] - bands[1][at - 1])[0]:
            return np.empty((len(levels), 0))
        resting = np.repeat(rest, slots)
        # the last row of the memory is the end of yesterday: today lies one day further on its axis
        place = at + (self.days - 1) * slots
        vectors = self.moments.describe(load, bands, at)
        ahead = at[:, None] + np.arange(LEADS)
        sequels = self.moments.sequels(place, vectors, resting[at], bands[1][ahead])
        if np.isnan(sequels).any():
            return np.empty((len(levels), 0))
        x = _features(load, bands, resting, at, sequels=sequels, slots=slots)[0]
        day = np.full(LEADS, self.forest.span)
        asked = (*levels, 0.5)
        grown = self.forest.quantiles(x, day, day, asked)
        like = np.quantile(sequels[0], asked, axis=0).T
        found = self.trust[:, None] * grown + (1.0 - self.trust[:, None]) * like
        return np.asarray(widened(found[:, :-1], found[:, -1], self.factor, levels).T * self.scale)


def _drawn(count: int) -> BoolArray:
    """Which leads of which moments are learned from, shape (count, LEADS): all of them in turn."""
    step = LEADS // LEADS_DRAWN
    return np.asarray((np.arange(LEADS)[None] + np.arange(count)[:, None]) % step == 0)


def _judged(
    forest: QuantileForest, x: FloatArray, y: FloatArray, day: IntArray, sequels: FloatArray
) -> tuple[FloatArray, float]:
    """Trust in the forest by lead, and the width of the mixed band, from moments of the last weeks.

    Only trees that have not seen a day answer about it, from days before it.
    """
    asked = (BAND[0], 0.5, BAND[1])
    flat = day.reshape(-1)
    grown = forest.quantiles(x.reshape(flat.size, -1), flat, flat, asked).reshape(*y.shape, len(asked))
    like = np.moveaxis(np.quantile(sequels, asked, axis=1), 0, -1)
    known = ~(np.isnan(y) | np.isnan(grown[..., 1]))
    if not known.any():
        return np.full(LEADS, 0.5), 1.0
    losses = [_by_lead(np.where(known, np.abs(y - found[..., 1]), np.nan)) for found in (grown, like)]
    trust = 1.0 / (1.0 + (losses[0] / losses[1]) ** WEIGHT_POWER)
    mixed = trust[:, None] * grown + (1.0 - trust[:, None]) * like
    days = np.unique(flat)
    per_day = max(int((day[:, 0] == one).sum()) for one in days)
    table = np.full((4, days.size, per_day, y.shape[1]), np.nan)
    for row, one in enumerate(days):
        part = day[:, 0] == one
        table[0, row, : part.sum()] = y[part]
        table[1:, row, : part.sum()] = np.moveaxis(mixed[part], -1, 0)
    return trust, band_factor(*table.reshape(4, days.size, -1))


def _by_lead(error: FloatArray) -> FloatArray:
    """Mean absolute error of each lead and those next door; never 0. [-]"""
    known = ~np.isnan(error)
    total, count = np.where(known, error, 0.0).sum(axis=0), known.sum(axis=0)
    lead = np.arange(error.shape[1])
    near = np.abs(lead[:, None] - lead[None]) <= WEIGHT_LEADS
    return np.asarray((near @ total) / np.maximum(near @ count, 1) + 1e-9)


def _features(
    load: FloatArray, bands: FloatArray, rest: BoolArray, at: IntArray, *, sequels: FloatArray, slots: int
) -> FloatArray:
    """What is known of each moment and lead, shape (n, LEADS, p). [-]"""
    error, full = load - bands[1], filled(load, bands)
    width = np.maximum(bands[2] - bands[0], LEAST_WIDTH)
    place = np.clip((load - bands[1]) / width, -2.0, 2.0)
    now = [error[at - back] for back in NEWEST] + [load[at - back] for back in NEWEST]
    now += [running_mean(error, at - span, at) for span in SPANS]
    now += [running_mean(error, at - at % slots, at)]
    now += [running_mean(full, at - span, at) for span in (4, 8)]
    now += [running_mean(place, at - span, at) for span in (1, 4, 8)]
    now += [load[at - 1] - load[at - 2], bands[1][at - 1], width[at - 1]]
    now += [(at % slots).astype(np.float64), rest[at - 1].astype(np.float64)]
    lead = np.arange(LEADS)
    then = at[:, None] + lead
    before = then - slots  # the same slot of the day before: over, whatever the lead
    ahead = [error[before], running_mean(error, before - 2, before + 3)]
    ahead += [load[before], load[before] - load[at - 1 - slots][:, None]]
    ahead += [*bands[:, then], width[then], bands[1][then] - bands[1][at - 1][:, None]]
    ahead += [np.cumsum(bands[1][then], axis=1) / (lead + 1.0)]
    ahead += [np.broadcast_to(lead.astype(np.float64), then.shape), (then % slots).astype(np.float64)]
    ahead += [rest[then].astype(np.float64)]
    half = sequels.shape[1] // 2
    ahead += [np.median(part, axis=1) for part in (sequels, sequels[:, :half], sequels[:, half:])]
    wide = [np.broadcast_to(one[:, None], then.shape) for one in now]
    return np.asarray(np.nan_to_num(np.stack([*wide, *ahead], axis=-1)))
