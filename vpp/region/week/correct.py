"""Between two plans: what a feeder cannot carry, and in a call what is above the plan, is asked back.

While a call runs, what all sites together take above their plan is asked back from those that have room.

No program is solved. After each half-hour of the tight evening the region looks at the sum of its meters,
expects what is above the plan to last, and divides it among the sites by what each said it could do without
in the next half-hour. The next plan starts from what the sites are like by then. It is done in the tight
evening only: at other times a kWh off the plan costs less than moving it (docs/explanation/region-week.md).

What feeders carry is kept at any time, and within the half-hour, as a site keeps its contract: the meter of a
feeder shows that it will be too much, and its sites do without what they can.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dispatch.region.coordinate import Coordinator
from energy.core.series import FloatArray
from vpp.region.week.blocks import Followed, follow_block
from vpp.region.week.horizon import FORGOTTEN

__all__ = ["correct_window", "keep_feeders"]

WATT: Final = 1e-3  # [kW]
NOTICED: Final = 0.005  # of what is planned: less is noise of meters and not worth a message


def correct_window(
    coordinator: Coordinator, share: FloatArray, planned_kw: FloatArray, *, call: range, count: int
) -> FloatArray:
    """Live a window up to the end of a call, and decide what is asked in each half-hour of it.

    Parameters
    ----------
    share : ndarray
        The plan, as shares of the sites' bids. [-]
    planned_kw : ndarray, shape (sites, slots)
        What the plan expects of every site. [kW]
    call : range
        Half-hours of the window in which the call runs; the first of a window is as planned just before.
    count : int
        Half-hours of the window.

    Returns
    -------
    ndarray, shape (sites, count)
        What each site is asked to take less than its plan. [kW]
    """
    asked = np.zeros((len(planned_kw), count))
    may = np.array([card.flexible for card in coordinator.cards], dtype=bool)
    for t in (t for t in call if 0 < t < count):
        power, room = _followed(coordinator, share, asked[:, :t])
        room[~may] = 0.0
        above = float(np.sum(power[:, t - 1] - planned_kw[:, t - 1] + asked[:, t - 1]))
        wanted = FORGOTTEN * above
        if wanted > NOTICED * abs(float(planned_kw[:, t].sum())) and room.sum() > 0.0:
            asked[:, t] = min(1.0, wanted / float(room.sum())) * room
    return asked


def keep_feeders(
    coordinator: Coordinator, share: FloatArray, asked_kw: FloatArray, *,
    members: np.ndarray, level_kw: FloatArray,
) -> tuple[FloatArray, np.ndarray]:  # fmt: skip
    """Live a window, and ask back what feeders cannot carry, half-hour by half-hour.

    Each site of a feeder gives the same part of what it can do without. A window in which all is well is
    lived once; a half-hour in which something is asked is lived again with what comes after it.

    Parameters
    ----------
    share : ndarray
        The plan, as shares of the sites' bids. [-]
    asked_kw : ndarray, shape (sites, slots)
        What sites are asked to take less already. [kW]
    members : ndarray of bool, shape (feeders, sites)
    level_kw : ndarray, shape (feeders, slots)
        What feeders carry. [kW]

    Returns
    -------
    asked_kw : ndarray, shape (sites, slots)
        What each site is asked to take less than its plan. [kW]
    short : ndarray of bool, shape (feeders, slots)
        Where all that could be asked does not suffice.
    """
    asked, short = asked_kw.copy(), np.zeros(level_kw.shape, dtype=bool)
    may = np.array([card.flexible for card in coordinator.cards], dtype=bool)
    count, first = asked.shape[1], 0
    while first < count:
        power, _ = _followed(coordinator, share, asked)
        over = members.astype(float) @ power - level_kw
        late = np.flatnonzero((over[:, first:] > WATT).any(axis=0))
        if not late.size:
            break
        t = first + int(late[0])
        _, room = _followed(coordinator, share, asked[:, :t])
        spare = np.where(may, np.maximum(0.0, room - asked[:, t]), 0.0)
        for k in np.flatnonzero(over[:, t] > WATT).tolist():
            mine = np.where(members[k], spare, 0.0)
            short[k, t] = over[k, t] >= mine.sum()
            asked[:, t] += mine if short[k, t] else over[k, t] / mine.sum() * mine
        first = t + 1
    return asked, short


def _followed(
    coordinator: Coordinator, share: FloatArray, asked: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Powers of a window as far as it is lived, and what each site could do without next. [kW]"""
    power, room = np.zeros(asked.shape), np.zeros(len(asked))
    answers: list[tuple[np.ndarray, Followed]] = coordinator.hand_out(follow_block, share, asked)
    for rows, told in answers:
        power[rows], room[rows] = told.power_kw, told.room_kw
    return power, room
