"""Half hour by half hour: at what share of past visits a car was plugged in, and what is left of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray
from forecasting.session_days import PROFILE_SLOTS, SLOT_MIN, VisitTable
from forecasting.session_spread import DEFAULT_VISITS, GROUP_VISITS, HALF_LIFE

__all__ = ["MIDDLES_MIN", "Profiles", "arriving_rows", "default_profile", "later_visit", "still_there"]

MIDDLES_MIN: Final = (
    np.arange(PROFILE_SLOTS) + 0.5
) * SLOT_MIN  # of half hours after the day's midnight [min]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """Decayed sums of what visits brought to each half hour, by user and class of day."""

    _own: FloatArray  # (users, classes, slots)
    _visits: FloatArray  # (users, classes)
    _alike: FloatArray
    _default: FloatArray  # (slots,)

    @classmethod
    def learn(
        cls,
        table: VisitTable,
        rows: FloatArray | BoolArray,
        kind: IntArray,
        *,
        alike: FloatArray,
        before: int,
        default: FloatArray,
    ) -> Profiles:
        """Sums over the visits of days before ``before`` that are over.

        Parameters
        ----------
        rows : ndarray, shape (n_visits, slots)
            What each visit of the table brought to each half hour.
        kind : ndarray of int, shape (n_visits,)
            Class of its day.
        default : ndarray, shape (slots,)
            What is assumed before anybody has come.
        """
        over = (table.day < before) & ~table.open
        user = table.user[over]
        weight = 2.0 ** ((table.day[over] - before) / HALF_LIFE)
        own = np.zeros((len(table.users), len(alike), rows.shape[1]))
        visits = np.zeros((len(table.users), len(alike)))
        np.add.at(own, (user, kind[over]), rows[over] * weight[:, None])
        np.add.at(visits, (user, kind[over]), weight)
        return cls(_own=own, _visits=visits, _alike=alike, _default=default)

    def share(self, user: IntArray, kind: int) -> FloatArray:
        """What a visit of the user brings to each half hour on average, shape (len(user), slots)."""
        weight = self._alike[kind]
        group = np.einsum("ukb,k->b", self._own, weight) + DEFAULT_VISITS * self._default
        group = group / (float((self._visits @ weight).sum()) + DEFAULT_VISITS)
        known = user >= 0
        own, visits = np.zeros((len(user), len(group))), np.zeros((len(user), 1))
        own[known] = np.einsum("ukb,k->ub", self._own[user[known]], weight)
        visits[known, 0] = self._visits[user[known]] @ weight
        return np.asarray((own + GROUP_VISITS * group) / (visits + GROUP_VISITS), dtype=np.float64)


def arriving_rows(table: VisitTable) -> FloatArray:
    """Energy of each visit at the half hour of its arrival, shape (n_visits, 48); 0 if unknown. [kWh]"""
    rows = np.zeros((len(table.day), SLOTS_PER_DAY))
    slot = (table.arrival_min // SLOT_MIN).astype(np.int64)
    rows[np.arange(len(slot)), slot] = np.nan_to_num(table.energy_kwh)
    return rows


def default_profile(arrival: tuple[float, float], departure: tuple[float, float]) -> FloatArray:
    """Share plugged in under a stated arrival and departure, each (median, standard deviation). [-]

    0.55 of the standard deviation is the scale of the logistic distribution: sqrt(3) / pi.
    """
    come = 1.0 / (1.0 + np.exp(-(MIDDLES_MIN - arrival[0]) / (0.55 * arrival[1])))
    gone = 1.0 / (1.0 + np.exp(-(MIDDLES_MIN - departure[0]) / (0.55 * departure[1])))
    return np.asarray(come * (1.0 - gone), dtype=np.float64)


def still_there(departure_cdf: FloatArray, edges: FloatArray, now_min: float) -> FloatArray:
    """Probability that a car which is there now is there at each half hour, shape (n, slots). [-]

    ``(1 - F(t)) / (1 - F(now))``; a car that has stayed longer than anybody before leaves now.
    """
    out = np.empty((len(departure_cdf), PROFILE_SLOTS))
    for row, mass in enumerate(departure_cdf):
        left = 1.0 - float(np.interp(now_min, edges, mass))
        stays = (1.0 - np.interp(MIDDLES_MIN, edges, mass)) / max(left, 1e-6)
        out[row] = np.where(now_min >= MIDDLES_MIN, 1.0, stays if left > 1e-6 else 0.0)
    return np.clip(out, 0.0, 1.0)


def later_visit(
    arrival_cdf: FloatArray, departure_cdf: FloatArray, edges: tuple[FloatArray, FloatArray], now_min: float
) -> tuple[FloatArray, FloatArray]:
    """What is left of a visit that has not begun: its probability, and the half hours if it comes.

    Parameters
    ----------
    arrival_cdf, departure_cdf : ndarray, shape (n, bins + 1)
        At ``edges[0]`` and ``edges[1]``.

    Returns
    -------
    remaining : ndarray, shape (n,)
        Probability that an arrival of the day comes after now. [-]
    plugged : ndarray, shape (n, slots)
        Probability to have arrived after now and to be there, given that the user comes today; arrival and
        departure are taken as independent. [-]
    """
    remaining = np.empty(len(arrival_cdf))
    plugged = np.empty((len(arrival_cdf), PROFILE_SLOTS))
    for row, (come, gone) in enumerate(zip(arrival_cdf, departure_cdf, strict=True)):
        so_far = float(np.interp(now_min, edges[0], come))
        remaining[row] = 1.0 - so_far
        arrived = np.maximum(0.0, np.interp(MIDDLES_MIN, edges[0], come) - so_far)
        plugged[row] = arrived * (1.0 - np.interp(MIDDLES_MIN, edges[1], gone))
    return remaining, plugged
