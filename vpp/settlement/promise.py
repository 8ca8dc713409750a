"""What the plan promised for a day, kept when it was made, so that the month can be held against it.

The promise of a day is the last plan before the next-day plan is handed in: the one made at 11:30 of the day
before. A day without one, as the first of a run, has the plan of its own midnight; the promise says when it
was made. It is kept once and never changed by later plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from energy.core.plan import Plan, Problem
from energy.core.slots import SLOT_HOURS, SLOTS_PER_DAY, Slot
from energy.store import Snapshot, Store

__all__ = ["PROMISE", "DayPromise", "as_json", "keep_promise", "promises"]

PROMISE: Final = "day-promise"
"""Kind of the documents; key ``SITE/DAY``."""
_NOON_PLAN: Final = 24  # the slot 11:30-12:00: the last one whose plan is ready before the 12:00 deadline
_ONE_DAY: Final = timedelta(days=1)

Kwh = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPromise:
    """Energies of the 48 slots of a Japanese day as one plan expected them. [kWh]

    Parameters
    ----------
    made_at : datetime
        When the plan was made, UTC.
    source : str
        Where the plan came from (:class:`~energy.core.plan.PlanSource`).
    import_kwh : tuple of float
        At the connection; below zero where the plan exports.
    load_kwh, pv_kwh, rooms_kwh : tuple of float
        Uncontrollable load, sun used, air conditioning.
    charge_kwh, discharge_kwh : tuple of float
        AC energy into and out of all cars and batteries.
    discharge_by_car_kwh : dict
        AC energy out of each car.
    """

    site: str
    day: date
    made_at: datetime
    source: str
    import_kwh: Kwh
    load_kwh: Kwh
    pv_kwh: Kwh
    rooms_kwh: Kwh
    charge_kwh: Kwh
    discharge_kwh: Kwh
    discharge_by_car_kwh: dict[str, Kwh]


_PROMISE: Final = TypeAdapter(DayPromise)


def keep_promise(store: Store, problem: Problem, plan: Plan) -> None:
    """Keep what a plan promises for a day, if it is the one that counts for that day."""
    first = Slot(problem.grid.start)
    if first.koma == _NOON_PLAN:
        day = first.local_date + _ONE_DAY
    elif first.koma == 1:
        day = first.local_date
    else:
        return
    key = f"{problem.site}/{day.isoformat()}"
    if store.as_of(plan.made_at).document(PROMISE, key) is not None:
        return
    store.put_document(PROMISE, key, known_at=plan.made_at, body=as_json(_of_day(problem, plan, day)))


def as_json(promise: DayPromise) -> str:
    """A promise as it is kept."""
    return _PROMISE.dump_json(promise).decode()


def _of_day(problem: Problem, plan: Plan, day: date) -> DayPromise:
    offset = problem.grid.index(Slot.of(day, 1).start)
    chosen = slice(offset, offset + SLOTS_PER_DAY)

    def kwh(values: tuple[float, ...]) -> Kwh:
        return tuple(round(value * SLOT_HOURS, 6) for value in values[chosen])

    def power(asset: str, sign: float) -> tuple[float, ...]:
        return tuple(max(0.0, sign * point.power_kw) for point in plan.setpoints if point.asset == asset)

    def total(assets: list[str], sign: float) -> Kwh:
        if not assets:
            return (0.0,) * SLOTS_PER_DAY
        return kwh(tuple(np.sum([power(asset, sign) for asset in assets], axis=0).tolist()))

    cars = [str(car.id) for car in problem.cars]
    storages = [*cars, *(str(battery.id) for battery in problem.batteries)]
    told = plan.trajectory
    return DayPromise(
        site=problem.site,
        day=day,
        made_at=plan.made_at,
        source=plan.source.value,
        import_kwh=kwh(told.import_kw),
        load_kwh=kwh(told.load_kw),
        pv_kwh=kwh(told.pv_kw),
        rooms_kwh=total([str(zone.id) for zone in problem.zones], 1.0),
        charge_kwh=total(storages, 1.0),
        discharge_kwh=total(storages, -1.0),
        discharge_by_car_kwh={car: kwh(power(car, -1.0)) for car in cars},
    )


def promises(known: Snapshot, site: str, first: date, last: date) -> dict[date, DayPromise]:
    """Promises of a site by day, both days included; a day that nobody planned is missing."""
    found = (_PROMISE.validate_json(one.body) for one in known.documents(PROMISE, prefix=f"{site}/"))
    return {one.day: one for one in found if first <= one.day <= last}
