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
from forecasting.session_days import CLASSES, VisitTable, wall_time
from forecasting.session_model import LEVELS, FittedSessions, Quantiles
from forecasting.session_spread import likeness

__all__ = ["ParkForecast", "occupancy", "park_forecast"]

# All constants were chosen on the sessions of March to May 2019 (docs/explanation/forecast-cars-rooms.md).
ERROR_DAYS: Final = 90  # days whose errors make the band
ERROR_HALF_LIFE: Final = 30.0  # days
NEIGHBOUR: Final = 0.5  # weight of the errors of the half hours before and after
SMALL_KWH: Final = 10.0  # energy of one visit: errors of small sums are compared as if one more came
FEWEST_DAYS: Final = 7
_DAY_MIN: Final = 1440.0


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
    energy = past.energy_mean(fitted.probabilities(who, lead), who, fitted.today + lead)
    plugged = past.band(cars, past.cars, past.cars_mean, one=1.0, target=fitted.today + lead)
    arriving = past.band(energy, past.energy, past.energies_mean, one=SMALL_KWH, target=fitted.today + lead)
    whole = past.band(
        energy.sum(keepdims=True),
        past.energy.sum(axis=1, keepdims=True),
        past.energies_mean.sum(axis=1, keepdims=True),
        one=SMALL_KWH,
        target=fitted.today + lead,
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
    slot = (table.arrival_min[inside] // 30.0).astype(np.int64)
    np.add.at(energy, (day, slot), np.nan_to_num(table.energy_kwh[inside]))
    return cars[:days], energy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """What was forecast for past days, as far as sums go, and what came."""

    days: IntArray
    classes: IntArray
    rests_alike: FloatArray
    today: int
    cars: FloatArray
    cars_mean: FloatArray
    energy: FloatArray
    energies_mean: FloatArray
    _need: FloatArray  # (classes, users, slots): energy by the half hour of arrival, if the user comes

    @classmethod
    def of(cls, fitted: FittedSessions, lead: int) -> _Past:
        today, users = fitted.today, np.arange(len(fitted.table.users))
        shares = np.stack([fitted.shares(users, kind) for kind in range(CLASSES)])
        need = np.stack([fitted.arriving_energy(users, kind) for kind in range(CLASSES)])
        first = max(lead + 1, today - ERROR_DAYS)
        # Whole days only: what came in the evening of the last day before the issue is over by then.
        days = np.arange(first, today)
        chances = {t: fitted.chances_then(t, lead) for t in range(first - 1, today)}
        cars, energy = occupancy(fitted.table, today)
        means = np.zeros((len(days), SLOTS_PER_DAY))
        sums = np.zeros((len(days), SLOTS_PER_DAY))
        for row, t in enumerate(days.tolist()):
            kind, before = fitted.classes[t], fitted.classes[t - 1]
            means[row] = chances[t] @ shares[kind][:, :SLOTS_PER_DAY]
            means[row] += chances[t - 1] @ shares[before][:, SLOTS_PER_DAY:]
            sums[row] = chances[t] @ need[kind]
        return cls(
            days=days,
            classes=fitted.classes,
            rests_alike=likeness(fitted.rests),
            today=today,
            cars=cars[days],
            cars_mean=means,
            energy=energy[days],
            energies_mean=sums,
            _need=need,
        )

    def energy_mean(self, chance: FloatArray, who: IntArray, target: int) -> FloatArray:
        """Expected energy by the half hour of arrival. [kWh]"""
        return np.asarray(chance @ self._need[self.classes[target]][who], dtype=np.float64)

    def band(
        self, mean: FloatArray, actual: FloatArray, means: FloatArray, *, one: float, target: int
    ) -> FloatArray:
        """P10, P50 and P90 around a mean, shape (3, slots): ``m + sqrt(one (m + one)) q(z)``.

        ``z = (y - m) / sqrt(one (m + one))`` are past errors in units of the spread that independent visits
        of size ``one`` would have (a Poisson count has the variance of its mean).
        """
        z = (actual - means) / np.sqrt(one * (means + one))
        alike = self.rests_alike[self.classes[target], self.classes[self.days]]
        weight = alike * 0.5 ** ((self.today - self.days) / ERROR_HALF_LIFE)
        values, weights = [z], [np.repeat(weight[:, None], z.shape[1], axis=1)]
        if z.shape[1] > 1:
            for shift in (-1, 1):
                values.append(np.roll(z, shift, axis=1))
                weights.append(NEIGHBOUR * weights[0])
        found = weighted_quantiles(np.concatenate(values), np.concatenate(weights), np.array(LEVELS))
        return np.asarray(mean + np.sqrt(one * (mean + one)) * found, dtype=np.float64)


def _wall_slots(fitted: FittedSessions, day: date) -> tuple[Grid, IntArray]:
    """Half hours of a local day, and for each the place on the clock on the wall (0..47)."""
    zone = fitted.model.zone
    start, end = wall_time(day, 0.0, zone), wall_time(day + timedelta(days=1), 0.0, zone)
    grid = Grid.between(start, end)
    local = [at.astimezone(zone) for at in grid.times()]
    return grid, np.array([2 * at.hour + at.minute // 30 for at in local], dtype=np.int64)
