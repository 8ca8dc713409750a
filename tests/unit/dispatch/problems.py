"""Problems for the tests of dispatch: small ones by hand, and a factory with four cars and eight rooms."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from energy.core.plan import (
    CarProblem,
    Problem,
    Promise,
    PvProblem,
    SiteLimits,
    StorageProblem,
    ZoneProblem,
)
from energy.core.series import Grid
from energy.core.units import AssetId

START = datetime(2026, 1, 20, 15, 0, tzinfo=UTC)  # midnight in Japan


def limits(**changes: Any) -> SiteLimits:
    base = SiteLimits(contract_kw=400.0, peak_memory_kw=230.0, peak_yen_per_kw=20_400.0, import_margin_kw=5.0)
    return replace(base, **changes)


def problem(load_kw: list[float] | float, count: int = 0, /, **changes: Any) -> Problem:
    """A site with a load, certain unless quantiles are given, at a flat price."""
    load = tuple([float(load_kw)] * count if isinstance(load_kw, int | float) else map(float, load_kw))
    n = len(load)
    base = Problem(
        site="test",
        made_at=START,
        grid=Grid(START, n),
        load_p10_kw=load,
        load_p50_kw=load,
        load_p90_kw=load,
        outdoor_c=(5.0,) * n,
        price_yen_per_kwh=(20.0,) * n,
        tight=(False,) * n,
        limits=limits(),
    )
    return replace(base, **changes)


def car(count: int, **changes: Any) -> CarProblem:
    """A Leaf on a 6 kW charger, plugged all the time and without promises unless said."""
    base = CarProblem(
        id=AssetId("leaf"),
        capacity_kwh=40.0,
        soc0_kwh=24.0,
        floor_kwh=12.0,
        ceiling_kwh=38.0,
        max_charge_kw=6.0,
        max_discharge_kw=6.0,
        charge_efficiency=0.92,
        discharge_efficiency=0.92,
        wear_yen_per_kwh=5.0,
        plugged=(True,) * count,
        drive_kwh=(0.0,) * count,
        may_discharge=(True,) * count,
        promises=(),
        discharge_value_yen_per_kwh=(0.0,) * count,
    )
    return replace(base, **changes)


def zone(count: int, **changes: Any) -> ZoneProblem:
    """A hall that is heated, outside at 5 degC."""
    base = ZoneProblem(
        id=AssetId("hall"),
        temp0_c=20.0,
        capacitance_kwh_per_k=12.0,
        loss_kw_per_k=1.0,
        max_electric_kw=16.0,
        mode_sign=(1,) * count,
        cop=(3.0,) * count,
        gain_kw=(2.0,) * count,
        low_c=(18.5,) * count,
        high_c=(23.0,) * count,
    )
    return replace(base, **changes)


def battery(**changes: Any) -> StorageProblem:
    base = StorageProblem(
        id=AssetId("battery"),
        capacity_kwh=20.0,
        soc0_kwh=10.0,
        reserve_kwh=4.0,
        max_charge_kw=10.0,
        max_discharge_kw=10.0,
        charge_efficiency=0.95,
        discharge_efficiency=0.95,
        wear_yen_per_kwh=3.0,
    )
    return replace(base, **changes)


def floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())


def pv(values_kw: list[float], **changes: Any) -> PvProblem:
    values = tuple(map(float, values_kw))
    return replace(PvProblem(id=AssetId("pv"), p10_kw=values, p50_kw=values, p90_kw=values), **changes)


def trip(car_problem: CarProblem, leaves: int, returns: int, drive_kwh: float, soc_kwh: float) -> CarProblem:
    """The car with one more absence in ``[leaves, returns)`` and its promise."""
    plugged, drive = list(car_problem.plugged), list(car_problem.drive_kwh)
    for t in range(leaves, min(returns, len(plugged))):
        plugged[t] = False
        drive[t] += drive_kwh / (returns - leaves)
    return replace(
        car_problem,
        plugged=tuple(plugged),
        drive_kwh=tuple(drive),
        promises=(*car_problem.promises, Promise(index=leaves, soc_kwh=soc_kwh)),
    )


def _cars(count: int, tight: list[bool], hour0: float) -> tuple[CarProblem, ...]:
    rounds = {
        "ariya": (66.0, 46.0, 19.8, 9.5, 14.5, 16.0, 46.2),
        "leaf": (40.0, 28.0, 12.0, 10.0, 12.0, 6.0, 24.0),
        "sakura": (20.0, 14.0, 6.0, 13.5, 15.0, 3.0, 12.0),
        "commuter": (20.0, 12.0, 7.0, 17.5, 32.0, 3.2, 12.0),
    }
    cars = []
    for name, (capacity, soc0, floor, leaves, returns, drive, promise) in rounds.items():
        built = car(
            count,
            id=AssetId(name),
            capacity_kwh=capacity,
            soc0_kwh=soc0,
            floor_kwh=floor,
            ceiling_kwh=0.95 * capacity,
            discharge_value_yen_per_kwh=tuple(20.0 if flag else 0.0 for flag in tight),
        )
        for day in range(-1, 1 + math.ceil(count / 48)):
            first, last = (int(2 * (hour - hour0 + 24 * day)) for hour in (leaves, returns))
            if first > 0 and first < count:
                built = trip(built, first, last, drive, promise)
            elif last > 0 and first < count:
                away = [t >= last and built.plugged[t] for t in range(count)]
                built = replace(built, plugged=tuple(away))
        cars.append(built)
    return tuple(cars)


def _zones(count: int, hour: np.ndarray, zones: int, *, sign: int) -> tuple[ZoneProblem, ...]:
    occupied = (hour >= 8.0) & (hour < 19.0)
    comfort = (18.5, 23.0) if sign > 0 else (24.0, 27.5)
    low = np.where(occupied, comfort[0], 10.0)
    high = np.where(occupied, comfort[1], 35.0)
    sun = np.maximum(0.0, np.sin(np.pi * (hour - 6.0) / 12.0))
    built = []
    for k in range(zones):
        size = 1.0 - 0.05 * k
        built.append(
            zone(
                count,
                id=AssetId(f"zone-{k}"),
                temp0_c=22.0 if sign > 0 else 25.0,
                capacitance_kwh_per_k=12.0 * size,
                loss_kw_per_k=size,
                max_electric_kw=16.0 - 0.25 * k,
                mode_sign=(sign,) * count,
                cop=floats(3.0 + 0.4 * np.sin(2 * np.pi * (hour - 14.0) / 24.0)),
                gain_kw=floats(size * (2.0 + 9.0 * occupied + 3.0 * sun)),
                low_c=floats(low),
                high_c=floats(high),
            )
        )
    return tuple(built)


def factory(
    count: int = 96, *, seed: int = 0, zones: int = 8, sign: int = 1, first_hour: float = 0.0
) -> Problem:
    """A factory like Kitakata's: four cars, some rooms, 200 kW of PV, a tight evening on the first day."""
    rng = np.random.default_rng(seed)
    hour = (first_hour + 0.5 * np.arange(count)) % 24.0
    work = np.exp(-(((hour - 13.5) / 4.5) ** 4))
    load = 45.0 + 105.0 * work * (1.0 + 0.05 * rng.standard_normal(count))
    sun = np.maximum(0.0, np.sin(np.pi * (hour - 7.0) / 10.0)) ** 1.3 * 120.0 * rng.uniform(0.3, 1.0)
    outdoor = (2.0 if sign > 0 else 29.0) + 4.0 * np.sin(2 * np.pi * (hour - 9.0) / 24.0)
    tight = [bool(16.0 <= h < 19.0 and k < 48) for k, h in enumerate(hour)]
    start = START + timedelta(hours=first_hour)
    return problem(
        list(load),
        made_at=start,
        grid=Grid(start, count),
        load_p10_kw=floats(0.94 * load),
        load_p90_kw=floats(1.06 * load),
        outdoor_c=floats(outdoor),
        price_yen_per_kwh=(20.95,) * count,
        tight=tuple(tight),
        cars=_cars(count, tight, first_hour),
        zones=_zones(count, hour, zones, sign=sign),
        pv=(pv(list(sun), p10_kw=floats(0.6 * sun), p90_kw=floats(1.15 * sun)),),
    )
