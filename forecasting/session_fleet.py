"""A car park as a whole: how many cars are plugged in, and how much energy comes with those that arrive.

The mean is the sum over the drivers. The band is not: drivers share holidays, meetings and the weather, so it
comes from how far the sum was off on past days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import IntArray
from forecasting.quantiles import weighted_quantiles
from forecasting.session_days import VisitTable, wall_time
from forecasting.session_model import LEVELS, FittedSessions, Quantiles, usual_profile
from forecasting.session_profile import Profiles, arriving_rows
from forecasting.session_spread import likeness

__all__ = ["ParkForecast", "occupancy", "park_forecast"]

# All constants were chosen on the sessions of March to May 2019 (docs/explanation/forecast-cars-rooms.md).
ERROR_DAYS: Final = 90  # days whose errors make the band
ERROR_HALF_LIFE: Final = 30.0  # days
NEIGHBOUR: Final = 0.5  # weight of the errors of the half hours before and after
SMALL_KWH: Final = 10.0  # energy of one visit: errors of small sums are compared as if one more came
FEWEST_DAYS: Final = 7
BLOCK_DAYS: Final = 7
ENOUGH_MASS: Final = 3.0  # like days, decayed, among which a day's errors can be placed
LEVEL_PRIOR: Final = 5  # days, evenly spread, that say the levels are right until real ones do


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkForecast:
    """A local day of a car park.

    Parameters
    ----------
    plugged : QuantileForecast
        Cars plugged in at the middle of each half hour, at most the number of chargers. [1]
    arriving_kwh : QuantileForecast
        Energy to charge of the visits that begin in each half hour. [kWh]
    day_kwh : Quantiles
        Energy to charge of the whole day; not the sum of the half hours' quantiles. [kWh]
    """

    plugged: QuantileForecast
    arriving_kwh: QuantileForecast
    day_kwh: Quantiles


def park_forecast(fitted: FittedSessions, day: date, *, chargers: int) -> ParkForecast:
    """Forecast a car park for a local day.

    Parameters
    ----------
    fitted : FittedSessions
        Of all its drivers.
    chargers : int
        Number of plugs; more cars cannot be plugged in.

    Raises
    ------
    ForecastError
        If the day is out of reach, there is no charger, or fewer than seven whole days of sessions are known.
    """
    if chargers < 1:
        raise ForecastError(
            "a car park needs a charger", where=f"chargers={chargers}", hint="count its plugs"
        )
    if fitted.today < FEWEST_DAYS:
        raise ForecastError(
            "too few days for the band of a car park",
            where=f"{fitted.today} whole days of sessions are known, {FEWEST_DAYS} are needed",
            hint="add the drivers' own forecasts until then (FittedSessions.predict)",
        )
    lead = fitted.lead(day)
    past = _Past.of(fitted, max(1, lead))
    who = np.flatnonzero(fitted.active())
    cars = fitted.plugged(who, lead).sum(axis=0)
    target = fitted.today + lead
    _, needs = _habits(fitted, likeness(fitted.rests), fitted.today)
    energy = fitted.probabilities(who, lead) @ needs[int(fitted.classes[target])][who]
    plugged = past.band(cars, past.cars, past.cars_mean, one=1.0, target=target)
    arriving = past.band(energy, past.energy, past.energies_mean, one=SMALL_KWH, target=target)
    whole = past.band(
        energy.sum(keepdims=True),
        past.energy.sum(axis=1, keepdims=True),
        past.energies_mean.sum(axis=1, keepdims=True),
        one=SMALL_KWH,
        target=target,
    )[:, 0]
    grid, places = _wall_slots(fitted, day)
    facts: dict[str, object] = {"drivers": len(who), "chargers": chargers, "days": len(past.days)}

    def issued(target: str, unit: Unit, values: FloatArray, ceiling: float) -> QuantileForecast:
        low, middle, high = np.clip(values, 0.0, ceiling)[:, places]
        return QuantileForecast(
            target=target,
            issued_at=fitted.issued_at,
            grid=grid,
            unit=unit,
            p10=low,
            p50=middle,
            p90=high,
            model="drivers-summed",
            facts=facts,
        )

    low, middle, high = (float(max(0.0, value)) for value in whole)
    return ParkForecast(
        plugged=issued("cars-plugged", Unit.RATIO, plugged, float(chargers)),
        arriving_kwh=issued("cars-arriving-kwh", Unit.KWH, arriving, np.inf),
        day_kwh=Quantiles(low, middle, high),
    )


def occupancy(table: VisitTable, days: int) -> tuple[FloatArray, FloatArray]:
    """What happened: cars plugged in at each half hour, and energy by the half hour of arrival.

    Returns
    -------
    cars, energy_kwh : ndarray, shape (days, 48)
        Of the first ``days`` days of the table; an energy that is not known counts as 0. [1], [kWh]
    """
    cars, energy = np.zeros((days + 1, SLOTS_PER_DAY)), np.zeros((days, SLOTS_PER_DAY))
    inside = table.day < days
    day = table.day[inside]
    np.add.at(cars, day, table.plugged[inside, :SLOTS_PER_DAY].astype(np.float64))
    np.add.at(cars, day + 1, table.plugged[inside, SLOTS_PER_DAY:].astype(np.float64))
    np.add.at(energy, day, arriving_rows(table)[inside])
    return cars[:days], energy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What was forecast for past days, as far as sums go, and what came."""

    days: IntArray
    classes: IntArray
    alike: FloatArray
    today: int
    cars: FloatArray
    cars_mean: FloatArray
    energy: FloatArray
    energies_mean: FloatArray

    @classmethod
    def of(cls, fitted: FittedSessions, lead: int) -> _Past:
        today, alike = fitted.today, likeness(fitted.rests)
        days = np.arange(max(lead + 1, today - ERROR_DAYS), today)
        chances = {t: fitted.chances_then(t, lead) for t in range(int(days[0]) - 1, today)}
        cars, energy = occupancy(fitted.table, today)
        means = np.zeros((len(days), SLOTS_PER_DAY))
        sums = np.zeros((len(days), SLOTS_PER_DAY))
        for row, t in enumerate(days.tolist()):
            if row % BLOCK_DAYS == 0:  # what a visit brings changes slowly: learned anew once a week
                stays, needs = _habits(fitted, alike, t - lead)
            kind, before = int(fitted.classes[t]), int(fitted.classes[t - 1])
            means[row] = chances[t] @ stays[kind][:, :SLOTS_PER_DAY]
            means[row] += chances[t - 1] @ stays[before][:, SLOTS_PER_DAY:]
            sums[row] = chances[t] @ needs[kind]
        return cls(
            days=days,
            classes=fitted.classes,
            alike=alike,
            today=today,
            cars=cars[days],
            cars_mean=means,
            energy=energy[days],
            energies_mean=sums,
        )

    def band(
        self, mean: FloatArray, actual: FloatArray, means: FloatArray, *, one: float, target: int
    ) -> FloatArray:
        """P10, P50 and P90 around a mean, shape (3, slots): ``m + sqrt(one (m + one)) q(z)``.

        ``z = (y - m) / sqrt(one (m + one))`` are past errors in units of the spread that independent visits
        of size ``one`` would have (a Poisson count has the variance of its mean). The levels of ``q`` are
        those at which the band would have held on the past days, each seen from the days before it.
        """
        z = (actual - means) / np.sqrt(one * (means + one))
        weight = self.alike[self.classes[target], self.classes[self.days]]
        weight = weight * 0.5 ** ((self.today - self.days) / ERROR_HALF_LIFE)
        values, weights = [z], [np.repeat(weight[:, None], z.shape[1], axis=1)]
        if z.shape[1] > 1:
            for shift in (-1, 1):
                values.append(np.roll(z, shift, axis=1))
                weights.append(NEIGHBOUR * weights[0])
        levels = np.array(LEVELS)
        busy = means.mean(axis=0) >= one  # an empty night holds any band
        if busy.any():
            levels[[0, 2]] = self._levels(z[:, busy])[[0, 2]]
        found = weighted_quantiles(np.concatenate(values), np.concatenate(weights), levels)
        return np.asarray(mean + np.sqrt(one * (mean + one)) * found, dtype=np.float64)

    def _levels(self, z: FloatArray) -> FloatArray:
        """Levels to read off, from where each day's errors fell among those of the days before it."""
        kinds = self.classes[self.days]
        age = self.days[:, None] - self.days[None, :]
        weight = np.where(age > 0, self.alike[kinds][:, kinds] * 0.5 ** (age / ERROR_HALF_LIFE), 0.0)
        mass = weight.sum(axis=1)
        judged = np.flatnonzero(mass > ENOUGH_MASS)
        falls = [np.linspace(0.0, 1.0, LEVEL_PRIOR)]
        weights = [np.full(LEVEL_PRIOR, 1.0)]
        for row in judged:
            below = (z[:row] < z[row]) + 0.5 * (z[:row] == z[row])
            falls.append(weight[row, :row] @ below / mass[row])
            fade = 0.5 ** ((self.today - self.days[row]) / ERROR_HALF_LIFE)
            weights.append(np.full(z.shape[1], fade / z.shape[1]))
        found = weighted_quantiles(
            np.concatenate(falls)[:, None], np.concatenate(weights)[:, None], np.array(LEVELS)
        )
        return np.asarray(np.maximum.accumulate(found[:, 0]), dtype=np.float64)


def _habits(
    fitted: FittedSessions, alike: FloatArray, before: int
) -> tuple[list[FloatArray], list[FloatArray]]:
    """By class of day, as known before a day: where visits of each user stand, and what they need when."""
    table, given = fitted.table, fitted.model.default
    kind, everyone = fitted.classes[table.day], np.arange(len(table.users))
    stay = usual_profile(given)
    come = np.maximum(0.0, np.diff(stay[:SLOTS_PER_DAY], prepend=0.0))
    stays = Profiles.learn(table, table.plugged, kind, alike=alike, before=before, default=stay)
    needs = Profiles.learn(
        table,
        arriving_rows(table),
        kind,
        alike=alike,
        before=before,
        default=come / come.sum() * given.energy_kwh,
    )
    kinds = range(len(alike))
    return [stays.share(everyone, k) for k in kinds], [needs.share(everyone, k) for k in kinds]


def _wall_slots(fitted: FittedSessions, day: date) -> tuple[Grid, IntArray]:
    """Half hours of a local day, and for each the place on the clock on the wall (0..47)."""
    zone = fitted.model.zone
    start, end = wall_time(day, 0.0, zone), wall_time(day + timedelta(days=1), 0.0, zone)
    grid = Grid.between(start, end)
    local = [at.astimezone(zone) for at in grid.times()]
    return grid, np.array([2 * at.hour + at.minute // 30 for at in local], dtype=np.int64)
