"""How well a room is predicted, on days that were not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray
from forecasting.room_fit import AIR, MASS, RoomEstimate
from forecasting.room_record import RoomSeries

__all__ = ["RoomErrors", "foretell", "heat_inputs", "held_out_days", "measure"]

BLOCK_DAYS: Final = 2  # whole forecasts of a day fit into two days
EVERY_DAYS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomErrors:
    """Root mean square errors of the room's temperature, weather and power given. [K]

    Parameters
    ----------
    rmse_1h_c, rmse_24h_c : float
        One hour and 24 hours ahead.
    rmse_24h_persistence_c : float
        Of the temperature that stays as it is.
    forecasts : int
        How many were made.
    """

    rmse_1h_c: float
    rmse_24h_c: float
    rmse_24h_persistence_c: float
    forecasts: int


def held_out_days(room: RoomSeries) -> NDArray[np.bool_]:
    """Steps of the days that are kept away from learning: two in every eight, the last ones first."""
    last = int(room.day.max())
    return np.asarray((last - room.day) % EVERY_DAYS < BLOCK_DAYS)


def foretell(room: RoomSeries, learned: RoomEstimate, origins: NDArray[np.int64], steps: int) -> FloatArray:
    """Temperatures after ``steps`` steps from each origin, known inputs given; NaN over a gap. [degC]

    Parameters
    ----------
    origins : ndarray of int
        Steps whose reading is the last one known.
    """
    observer = learned.physics.observer(room.hours)
    inputs = heat_inputs(room, learned)
    out = np.full(origins.size, np.nan)
    for first, end in room.stretches:
        here = (origins >= first) & (origins + steps < end)
        if not here.any():
            continue
        part = slice(first, end)
        reading = room.room_c[part]
        start = np.full(len(observer.phi), reading[~np.isnan(reading)][0])
        start[-1] = 0.0
        states = observer.states(reading, inputs[part], start)
        at = origins[here] - first
        x = states[at + 1] if steps else states[at]
        moved = inputs[part] @ observer.inputs.T
        for ahead in range(1, steps):
            x = x @ observer.phi.T + moved[at + ahead]
        out[here] = x[:, 0]
    return out


def heat_inputs(room: RoomSeries, learned: RoomEstimate) -> FloatArray:
    """Outdoor temperature, heat in the air and heat in the mass, shape (n_steps, 3). [degC], [K], [K]"""
    parts = []
    for place in (AIR, MASS):
        here = learned.design.enters == place
        parts.append(learned.strengths[here] @ learned.design.columns[here])
    return np.column_stack([np.nan_to_num(room.outdoor_c), *parts])


def measure(room: RoomSeries, learned: RoomEstimate, held: NDArray[np.bool_]) -> RoomErrors:
    """Errors of forecasts that begin and end on held-out days, from every step of them.

    The state of the room at the origin is known from earlier readings; weather and power over the forecast
    are those that came.
    """
    count, day = room.grid.count, round(24.0 / room.hours)
    result = []
    for steps in (max(1, round(1.0 / room.hours)), day):
        begins = np.arange(count - steps)
        inside = held[begins] & held[begins + steps] & (room.day[begins + steps] - room.day[begins] <= 1)
        origins = begins[inside & ~np.isnan(room.room_c[begins]) & ~np.isnan(room.room_c[begins + steps])]
        told = foretell(room, learned, origins, steps)
        miss = told - room.room_c[origins + steps]
        stays = room.room_c[origins] - room.room_c[origins + steps]
        known = ~np.isnan(miss)
        result.append((_rms(miss[known]), _rms(stays[known]), int(known.sum())))
    return RoomErrors(
        rmse_1h_c=result[0][0],
        rmse_24h_c=result[1][0],
        rmse_24h_persistence_c=result[1][1],
        forecasts=result[1][2],
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")
