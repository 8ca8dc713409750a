"""Which days people work in a room, where its own history says something else than the calendar."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasting.room_fit import Design, RoomEstimate, Task
from forecasting.room_record import RoomSeries

__all__ = ["with_learned_days"]

# How much better (minus twice the log likelihood) a weekday, or a single day, has to be explained as the
# other kind: one number more, and as many as there are days to choose from (Bonferroni, 1 %).
WEEKDAY_GAIN: Final = 12.0
DAY_GAIN: Final = 15.0


def with_learned_days(
    room: RoomSeries, learned: RoomEstimate, use: NDArray[np.bool_]
) -> tuple[RoomSeries, tuple[int, ...]]:
    """The room with weekdays and single days moved to the kind that explains them; the days moved alone.

    A holiday that nobody told of would teach that people give no heat. Days that are not learned from keep
    the kind of their weekday.
    """
    cost = _cost(room, learned, use)
    for weekday in range(7):
        cost, room = _better(room, room.day % 7 == weekday, learned, use, cost, WEEKDAY_GAIN)
    moved = []
    for day in np.unique(room.day[use]):
        before = cost
        cost, room = _better(room, room.day == day, learned, use, cost, DAY_GAIN)
        if cost < before:
            moved.append(int(day))
    return room, tuple(moved)


def _better(
    room: RoomSeries,
    days: NDArray[np.bool_],
    learned: RoomEstimate,
    use: NDArray[np.bool_],
    cost: float,
    gain: float,
) -> tuple[float, RoomSeries]:
    """The room with some days turned to the other kind if that explains it better by enough."""
    if not (days & use).any():
        return cost, room
    turned = replace(room, works=np.where(days, ~room.works, room.works))
    new = _cost(turned, learned, use)
    return (new, turned) if new < cost - gain else (cost, room)


def _cost(room: RoomSeries, learned: RoomEstimate, use: NDArray[np.bool_]) -> float:
    slopes = (learned.strength("cool") or 1.0, learned.strength("heat") or 1.0)
    task = Task(
        room=room, kind=learned.kind, design=Design.of(room, learned.kind, use, slopes=slopes), use=use
    )
    return task.solve(learned.searched, learned.weights)[1]
