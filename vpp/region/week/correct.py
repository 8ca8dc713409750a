"""While a call runs: what all sites together take above their plan is asked back from those that have room.

No program is solved. After each half-hour of the tight evening the region looks at the sum of its meters,
expects what is above the plan to last, and divides it among the sites by what each said it could do without
in the next half-hour. The next plan starts from what the sites are like by then. It is done in the tight
evening only: at other times a kWh off the plan costs less than moving it (docs/explanation/region-week.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dispatch.region.coordinate import Coordinator
from energy.core.series import FloatArray
from vpp.region.week.blocks import Followed, follow_block
from vpp.region.week.horizon import FORGOTTEN

__all__ = ["correct_window"]

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
        power, room = np.zeros((len(asked), t)), np.zeros(len(asked))
        answers: list[tuple[np.ndarray, Followed]] = coordinator.hand_out(follow_block, share, asked[:, :t])
        for rows, told in answers:
            power[rows], room[rows] = told.power_kw, np.where(may[rows], told.room_kw, 0.0)
        above = float(np.sum(power[:, t - 1] - planned_kw[:, t - 1] + asked[:, t - 1]))
        wanted = FORGOTTEN * above
        if wanted > NOTICED * abs(float(planned_kw[:, t].sum())) and room.sum() > 0.0:
            asked[:, t] = min(1.0, wanted / float(room.sum())) * room
    return asked
