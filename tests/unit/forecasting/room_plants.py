"""Rooms to learn from that are not of the learner's making: more capacities, a thermostat, people, a sensor.

Every room is ``dx/dt = A x + B u`` solved exactly each minute (matrix exponential of scipy), under weather
and people that no model of the learner's contains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from energy.core.calendar import SiteCalendar
from energy.core.series import Grid
from forecasting.room_record import RoomRecord

Floats = NDArray[np.float64]
MONDAY = {1: datetime(2026, 7, 5, 15, tzinfo=UTC), -1: datetime(2026, 1, 4, 15, tzinfo=UTC)}


@dataclass(frozen=True, kw_only=True)
class Plant:
    """``A``, and ``B`` for T_out [degC], heat in the air [kW] and sun [kW/m2]; the first state is the air."""

    a: Floats
    b: Floats
    loss_kw_per_k: float
    capacity_kwh_per_k: float
    aperture_m2: float
    base_kw: float = 2.0
    people_kw: float = 10.0
    max_kw: float = 16.0
    cop: float = 3.3
    cop_slope: float = -0.08
    cop_at_c: float = 35.0

    def cop_of(self, outdoor_c: float) -> float:
        lowest = min(1.5, self.cop)  # an electric heater gives what it takes
        return min(6.0, max(lowest, self.cop + self.cop_slope * (outdoor_c - self.cop_at_c)))


def one_capacity() -> Plant:
    loss, capacity, aperture = 1.0, 12.0, 6.0
    return Plant(
        a=np.array([[-loss / capacity]]),
        b=np.array([[loss, 1.0, aperture]]) / capacity,
        loss_kw_per_k=loss,
        capacity_kwh_per_k=capacity,
        aperture_m2=aperture,
    )


def two_capacities() -> Plant:
    """Air of 2 kWh/K and walls of 10 kWh/K, half of the sun in each; loss 1 kW/K."""
    air, walls, between, outwards = 2.0, 10.0, 4.0, 4.0 / 3.0
    return Plant(
        a=np.array([[-between / air, between / air], [between / walls, -(between + outwards) / walls]]),
        b=np.array([[0.0, 1.0 / air, 3.0 / air], [outwards / walls, 0.0, 3.0 / walls]]),
        loss_kw_per_k=1.0,
        capacity_kwh_per_k=12.0,
        aperture_m2=6.0,
    )


def glass() -> Plant:
    """A bright room: three capacities (air, furniture, walls), and four times the sun of the others."""
    air, things, walls = 1.2, 3.0, 8.0
    to_things, to_walls, outwards, direct = 5.0, 3.0, 1.2, 0.4
    a = np.array(
        [
            [-(to_things + to_walls + direct) / air, to_things / air, to_walls / air],
            [to_things / things, -to_things / things, 0.0],
            [to_walls / walls, 0.0, -(to_walls + outwards) / walls],
        ]
    )
    b = np.array(
        [
            [direct / air, 1.0 / air, 4.0 / air],
            [0.0, 0.0, 12.0 / things],
            [outwards / walls, 0.0, 8.0 / walls],
        ]
    )
    through = to_walls * outwards / (to_walls + outwards)
    return Plant(
        a=a,
        b=b,
        loss_kw_per_k=direct + through,
        capacity_kwh_per_k=air + things + walls,
        aperture_m2=4.0 + 12.0 + 8.0 * to_walls / (to_walls + outwards),
        max_kw=20.0,
    )


def crowd() -> Plant:
    """A hall that many people fill, on some days twice as many as on others: ``people_sd`` of 0.5."""
    return replace(two_capacities(), people_kw=24.0, max_kw=20.0)


def flexhouse() -> Plant:
    """The house of Bacher and Madsen (Energy and Buildings 43, 2011): air, envelope, heater, sensor.

    Their estimates of the four-capacity model: C_i 0.0928, C_e 3.32, C_h 0.889, C_s 0.0549 kWh/K; R_ie 0.897,
    R_ea 4.38, R_ih 0.146, R_is 1.89 K/kW; A_w 5.75, A_e 3.87 m2. Electric heating: COP 1. The sensor's own
    capacity is left out of the states that store heat: what it reads is what the room is said to be.
    """
    ci, ce, ch, cs = 0.0928, 3.32, 0.889, 0.0549
    rie, rea, rih, ris = 0.897, 4.38, 0.146, 1.89
    a = np.zeros((4, 4))  # sensor, air, envelope, heater
    a[0] = [-1 / (ris * cs), 1 / (ris * cs), 0, 0]
    a[1] = np.array([1 / ris, -1 / ris - 1 / rie - 1 / rih, 1 / rie, 1 / rih]) / ci
    a[2] = np.array([0, 1 / rie, -1 / rie - 1 / rea, 0]) / ce
    a[3] = np.array([0, 1 / rih, 0, -1 / rih]) / ch
    b = np.zeros((4, 3))
    b[1, 2], b[2, 0], b[2, 2], b[3, 1] = 5.75 / ci, 1 / rea / ce, 3.87 / ce, 1 / ch
    return Plant(
        a=a,
        b=b,
        loss_kw_per_k=1 / (rie + rea),
        capacity_kwh_per_k=ci + ce + ch + cs,
        aperture_m2=5.75 + 3.87 * rea / (rie + rea),
        base_kw=0.1,
        people_kw=0.3,
        max_kw=5.1,
        cop=1.0,
        cop_slope=0.0,
        cop_at_c=7.0,
    )


def heated(plant: Plant) -> Plant:
    """The same plant with the heating side of its heat pump."""
    return replace(plant, cop=3.4, cop_slope=0.07, cop_at_c=7.0)


def _weather(minutes: int, mean_c: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    hours = np.arange(minutes) / 60.0
    days, thirds = np.arange(0.0, hours[-1] + 49, 24.0), np.arange(0.0, hours[-1] + 7, 3.0)
    outdoor = mean_c + 4.5 * np.cos(2 * np.pi * (hours - 15) / 24)
    outdoor += np.interp(hours, days, rng.normal(0.0, 2.5, days.size))
    clear = np.interp(hours, thirds, rng.uniform(0.15, 1.0, thirds.size))
    peak = 900.0 if mean_c > 15.0 else 450.0
    return outdoor, np.clip(np.sin(np.pi * (hours % 24 - 5.5) / 13), 0.0, None) * peak * clear


def history(
    plant: Plant,
    *,
    days: int,
    seed: int,
    sign: int = 1,
    step_min: int = 30,
    noise_k: float = 0.05,
    resolution_k: float = 0.1,
    people_sd: float = 0.1,
    on: bool = True,
) -> RoomRecord:
    """Let people and a thermostat live in a room; sign +1 is a summer of cooling, -1 a winter of heating."""
    rng = np.random.default_rng(seed)
    minutes = days * 1440
    outdoor, ghi = _weather(minutes, 27.0 if sign > 0 else 3.0, rng)
    n = len(plant.a)
    both = expm(np.block([[plant.a, plant.b], [np.zeros((3, n + 3))]]) / 60.0)
    phi, into = both[:n, :n], both[:n, n:]
    x = np.full(n, 24.0 if sign > 0 else 17.0)
    room, power = np.empty(minutes), np.zeros(minutes)
    level, share, many, late = 0.3, 0.0, 1.0, 0.0
    for k in range(minutes):
        hour, weekday = k / 60.0 % 24, k // 1440 % 7
        if k % 1440 == 0:
            many, late = float(np.exp(rng.normal(0.0, people_sd))), float(rng.normal(0.0, 3.0 * people_sd))
        share = share * (1 - 1 / 120) + float(rng.normal(0.0, 0.25 * plant.people_kw * people_sd / 7.7))
        people = plant.people_kw * many * (8 + late <= hour < 18 + late and weekday < 5)
        setpoint = (26.0 - 0.7 * (weekday % 2)) if sign > 0 else (20.5 + 0.7 * (weekday % 2))
        if on and 5 <= hour < 19 and weekday < 6:
            need = sign * (x[0] - setpoint)
            level = min(1.0, max(0.0, level + 0.02 * need))
            asked = level + 0.35 * need
            power[k] = plant.max_kw * min(1.0, max(0.0, asked)) if asked > 0.1 else 0.0
        else:
            level = 0.3
        heat = plant.base_kw + people + share - sign * plant.cop_of(float(outdoor[k])) * power[k]
        room[k] = x[0]
        x = phi @ x + into @ np.array([outdoor[k], heat, ghi[k] / 1000.0])
    steps = minutes // step_min
    reading = room[::step_min][:steps] + rng.normal(0.0, noise_k, steps)
    means = [
        series[: steps * step_min].reshape(steps, step_min).mean(axis=1) for series in (outdoor, ghi, power)
    ]
    kw = np.round(means[2], 3)
    return RoomRecord(
        grid=Grid(MONDAY[sign], steps, timedelta(minutes=step_min)),
        room_c=np.round(reading / resolution_k) * resolution_k,
        outdoor_c=np.round(means[0], 1),
        hvac_kw=kw,
        mode=np.where(kw > 0.0, -float(sign), 0.0),
        ghi_w_m2=np.round(means[1]),
        calendar=SiteCalendar(national_holidays=False),
    )
