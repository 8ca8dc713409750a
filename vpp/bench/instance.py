"""A plain scheduling instance, as peers and references read it too, and the product's problem for it.

One site with a load, must-run PV, prices for buying and selling, a limit of the import, a price of the
highest net import, and cars that come once, leave once and may give back; the fields are those of
:class:`Instance`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from energy.core.errors import DataError
from energy.core.plan import CarProblem, Problem, Promise, PvProblem, SiteLimits
from energy.core.series import FloatArray, Grid
from energy.core.units import AssetId

__all__ = ["Instance", "InstanceCar", "cost_and_violation", "problem_of", "read_instance"]

_START = datetime(2026, 1, 4, 15, 0, tzinfo=UTC)  # any midnight in Japan: an instance has no date
_MAX_STEPS = 5_000

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]


class InstanceCar(BaseModel):
    """A car that is plugged for ``arrival <= t < departure``; energies in kWh, powers in kW."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    capacity_kwh: Positive
    soc_arrival: NotNegative
    soc_target: NotNegative
    arrival: Annotated[int, Field(ge=0)]
    departure: Annotated[int, Field(ge=0)]
    p_charge_kw: NotNegative
    p_discharge_kw: NotNegative
    eff_charge: Efficiency
    eff_discharge: Efficiency


class Instance(BaseModel):
    """An instance; series have one value per step, prices are per kWh, ``meta`` may say anything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step_minutes: Annotated[int, Field(gt=0, le=1440)]
    horizon: Annotated[int, Field(gt=0, le=_MAX_STEPS)]
    price_buy: tuple[Number, ...]
    price_sell: tuple[Number, ...]
    pv_kw: tuple[NotNegative, ...]
    load_kw: tuple[NotNegative, ...]
    import_cap_kw: NotNegative
    demand_charge_per_kw: NotNegative
    evs: tuple[InstanceCar, ...] = ()
    meta: dict[str, Any] = Field(default_factory=dict)


def read_instance(path: Path) -> Instance:
    """An instance from its JSON file.

    Raises
    ------
    DataError
        If the file cannot be read or says something impossible; names the field and the value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read", where=str(error), hint="give the path of a JSON file"
        ) from error
    try:
        instance = Instance.model_validate_json(text)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        told = f" and {more} more" if more else ""
        raise DataError(
            f"{path.name} is not an instance",
            where=f"{place}: {first['msg']}{told}",
            hint="the fields are described in docs/reference/plan-instance.md",
        ) from error
    return _checked(instance, path.name)


def _checked(instance: Instance, name: str) -> Instance:
    """The instance if its parts fit together."""
    wrong: list[str] = []
    for field in ("price_buy", "price_sell", "pv_kw", "load_kw"):
        found = len(getattr(instance, field))
        if found != instance.horizon:
            wrong.append(f"{field} has {found} values, the horizon {instance.horizon} steps")
    for k, car in enumerate(instance.evs):
        if not car.arrival < car.departure <= instance.horizon:
            wrong.append(
                f"evs.{k} arrives at {car.arrival} and leaves at {car.departure}, "
                f"which is not 0 <= arrival < departure <= {instance.horizon}"
            )
        wrong += [
            f"evs.{k}: {field} is {getattr(car, field)} kWh, above the capacity of {car.capacity_kwh} kWh"
            for field in ("soc_arrival", "soc_target")
            if getattr(car, field) > car.capacity_kwh
        ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DataError(
            f"{name} contradicts itself", where=f"{wrong[0]}{more}", hint="mend the instance", findings=wrong
        )
    return instance


def problem_of(instance: Instance) -> Problem:
    """The product's problem of an instance.

    The demand charge counts the highest net import of a step, so the step is the interval of the demand. The
    import limit is the contract. Nothing is known after the horizon: what batteries hold then has no value.
    """
    n = instance.horizon
    zeros = (0.0,) * n
    pv = PvProblem(
        id=AssetId("pv"),
        p10_kw=instance.pv_kw,
        p50_kw=instance.pv_kw,
        p90_kw=instance.pv_kw,
        curtailable=False,
    )
    return Problem(
        site="instance",
        made_at=_START,
        grid=Grid(_START, n, timedelta(minutes=instance.step_minutes)),
        load_p10_kw=instance.load_kw,
        load_p50_kw=instance.load_kw,
        load_p90_kw=instance.load_kw,
        outdoor_c=zeros,
        price_yen_per_kwh=instance.price_buy,
        sell_yen_per_kwh=instance.price_sell,
        tight=(False,) * n,
        limits=SiteLimits(
            contract_kw=instance.import_cap_kw,
            peak_memory_kw=0.0,
            peak_yen_per_kw=instance.demand_charge_per_kw,
            import_margin_kw=0.0,
            max_export_kw=1e9,
        ),
        cars=tuple(_car(k, car, n, zeros) for k, car in enumerate(instance.evs)),
        pv=(pv,),
        end_value_yen_per_kwh=0.0,
    )


def _car(k: int, car: InstanceCar, n: int, zeros: tuple[float, ...]) -> CarProblem:
    here = (False,) * car.arrival + (True,) * (car.departure - car.arrival) + (False,) * (n - car.departure)
    return CarProblem(
        id=AssetId(f"ev-{k}"),
        capacity_kwh=car.capacity_kwh,
        soc0_kwh=car.soc_arrival,
        floor_kwh=0.0,
        ceiling_kwh=car.capacity_kwh,
        max_charge_kw=car.p_charge_kw,
        max_discharge_kw=car.p_discharge_kw,
        charge_efficiency=car.eff_charge,
        discharge_efficiency=car.eff_discharge,
        wear_yen_per_kwh=0.0,
        plugged=here,
        drive_kwh=zeros,
        may_discharge=here,
        promises=(Promise(index=car.departure, soc_kwh=car.soc_target),),
        discharge_value_yen_per_kwh=zeros,
    )


def cost_and_violation(instance: Instance, car_kw: FloatArray) -> tuple[float, float]:
    """What powers cost by the instance's own words, and the most that they break a limit by. [yen], [kW, kWh]

    Knows nothing of the model: the battery paths, the balance and the bill are followed from the powers.

    Parameters
    ----------
    car_kw : ndarray, shape (cars, steps)
        Net power of each car, positive when charging. [kW]
    """
    h, worst = instance.step_minutes / 60.0, 0.0
    net = np.asarray(instance.load_kw) - np.asarray(instance.pv_kw) + car_kw.sum(axis=0)
    for car, power in zip(instance.evs, car_kw, strict=True):
        away = np.ones(instance.horizon, dtype=bool)
        away[car.arrival : car.departure] = False
        soc = car.soc_arrival + np.cumsum(
            h * np.where(power > 0.0, power * car.eff_charge, power / car.eff_discharge)
        )
        worst = max(
            worst,
            float(np.abs(power * away).max()),
            float(power.max()) - car.p_charge_kw,
            -float(power.min()) - car.p_discharge_kw,
            -float(soc.min()),
            float(soc.max()) - car.capacity_kwh,
            car.soc_target - float(soc[car.departure - 1]),
        )
    worst = max(worst, float(net.max()) - instance.import_cap_kw)
    price = np.where(net < 0.0, instance.price_sell, instance.price_buy)
    yen = h * float(price @ net) + instance.demand_charge_per_kw * max(0.0, float(net.max()))
    return yen, max(0.0, worst) if math.isfinite(worst) else math.inf
