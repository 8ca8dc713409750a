"""Whether a plan may use what was learned of a room: known, within reach of what was declared, and better.

A fit may be wrong in ways that its own intervals do not show (a meter of another room, a door that stood
open for weeks). So it also has to foretell the days that were kept away from it better than the declared
values do, both as the planner reckons: one capacity, 1 to 8 h ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
from scipy.signal import lfilter

from energy.core.assets import HvacZone
from energy.core.series import FloatArray
from forecasting.room import RoomFit
from forecasting.room_errors import held_out_days
from forecasting.room_fit import COOL_AT_C, HEAT_AT_C
from forecasting.room_record import RoomRecord, RoomSeries, ready
from forecasting.room_zone import LEADS_H

__all__ = ["REACH", "Judged", "UseWhy", "judge", "lead_error_k"]

REACH: Final = 4.0
"""How many times a learned value may be the declared one, or the declared one it; ours. [-]"""


class UseWhy(StrEnum):
    """Why what was learned is used, or is not."""

    BETTER = "better"
    NOT_KNOWN = "not_known"
    """The data cannot tell what a plan needs."""
    OUT_OF_REACH = "out_of_reach"
    """A value is further from the declared one than :data:`REACH`."""
    NO_BETTER = "no_better"
    """On the days kept away the declared values foretell the room as well or better."""
    UNPROVED = "unproved"
    """No day that was kept away has readings to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a fit is good for.

    Parameters
    ----------
    facts : mapping of str to str
        What the reason is about: ``name``, ``why``, ``value``, ``low``, ``high``.
    zone : HvacZone or None
        The room with what was learned; None where it is not used.
    learned_k, declared_k : float or None
        Root mean square errors on days kept away, 1 to 8 h ahead. [K]
    """

    why: UseWhy
    facts: Mapping[str, str] = field(default_factory=dict)
    zone: HvacZone | None = None
    learned_k: float | None = None
    declared_k: float | None = None


def judge(
    record: RoomRecord, fit: RoomFit, declared: HvacZone, *, occupied: Callable[[datetime], bool]
) -> Judged:
    """Whether a plan may use a fit in the place of the declared values.

    Parameters
    ----------
    record : RoomRecord
        What the fit was learned from.
    occupied : callable
        Whether a plan takes people to be in the room at an instant.

    Raises
    ------
    DataError
        If the record cannot be what it says.
    """
    if not fit.identified:
        first = fit.not_identified[0]
        return Judged(why=UseWhy.NOT_KNOWN, facts={"name": first.name, "why": first.why})
    zone = fit.zone(declared)
    if far := _out_of_reach(zone, declared):
        return Judged(why=UseWhy.OUT_OF_REACH, facts=far)
    room = ready(record)
    busy = np.array([occupied(at) and occupied(at + room.grid.step) for at in room.grid.times()])
    learned_k, declared_k = (lead_error_k(room, one, busy) for one in (zone, declared))
    if learned_k is None or declared_k is None:
        return Judged(why=UseWhy.UNPROVED)
    better = learned_k < declared_k
    return Judged(
        why=UseWhy.BETTER if better else UseWhy.NO_BETTER,
        zone=zone if better else None,
        learned_k=learned_k,
        declared_k=declared_k,
    )


def _out_of_reach(zone: HvacZone, declared: HvacZone) -> dict[str, str]:
    """The first value that lies further from the declared one than may be; empty if none does."""
    told: tuple[tuple[str, Callable[[HvacZone], float]], ...] = (
        ("time_constant_h", lambda one: one.capacitance_kwh_per_k / one.loss_kw_per_k),
        ("cooling_k_per_kw", lambda one: one.cooling_cop.at(COOL_AT_C) / one.loss_kw_per_k),
        ("heating_k_per_kw", lambda one: one.heating_cop.at(HEAT_AT_C) / one.loss_kw_per_k),
    )
    for name, of in told:
        value, said = of(zone), of(declared)
        if not said / REACH <= value <= said * REACH:
            ends = {"low": f"{said / REACH:.2f}", "high": f"{said * REACH:.2f}"}
            return {"name": name, "value": f"{value:.2f}", **ends}
    return {}


def lead_error_k(room: RoomSeries, zone: HvacZone, busy: FloatArray) -> float | None:
    """Root mean square error of a room's one capacity on the days kept away; None without readings. [K]

    ``C dT/dt = U (T_out - T) + gains + s cop p`` from the reading at the origin, weather and power as they
    were, pooled over the leads that a plan moves heat by.

    Parameters
    ----------
    busy : ndarray of bool, shape (n_steps,)
        Whether a plan takes people to be in.
    """
    held = held_out_days(room)
    heat = zone.base_gain_kw + zone.occupied_gain_kw * busy
    if room.sun_kw_m2 is not None:
        heat = heat + zone.solar_aperture_m2 * np.nan_to_num(room.sun_kw_m2)
    outdoor = np.nan_to_num(room.outdoor_c)
    cop = {True: np.array([zone.heating_cop.at(float(at)) for at in outdoor])}
    cop[False] = np.array([zone.cooling_cop.at(float(at)) for at in outdoor])
    heat = heat + cop[True] * np.nan_to_num(room.heat_kw) - cop[False] * np.nan_to_num(room.cool_kw)
    target = outdoor + heat / zone.loss_kw_per_k
    keep = float(np.exp(-room.hours * zone.loss_kw_per_k / zone.capacitance_kwh_per_k))
    misses: list[FloatArray] = []
    for first, end in room.stretches:
        reading, inside = room.room_c[first:end], held[first:end]
        # answer to the inputs from rest; from any reading on, the reading fades and the answer grows
        answer = lfilter([0.0, 1.0 - keep], [1.0, -keep], target[first:end])
        for lead_h in LEADS_H:
            lead = round(lead_h / room.hours)
            if not 1 <= lead < end - first:
                continue
            fade = keep**lead
            told = fade * reading[:-lead] + answer[lead:] - fade * answer[:-lead]
            miss = (told - reading[lead:])[inside[:-lead] & inside[lead:]]
            misses.append(miss[~np.isnan(miss)])
    pooled = np.concatenate(misses) if misses else np.zeros(0)
    return float(np.sqrt(np.mean(pooled**2))) if pooled.size else None
