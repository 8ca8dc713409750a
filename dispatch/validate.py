"""Refuses problems that no plan can be made for, by asset, interval and value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from dispatch.terms import assets
from dispatch.validate_agreed import (
    Finding,
    agreement_findings,
    division_findings,
    numbers,
    series,
    unit_findings,
)
from energy.core.errors import DataError
from energy.core.plan import CarProblem, Problem, PvProblem, StorageProblem, ZoneProblem
from energy.core.slots import SLOT_LENGTH, Slot

__all__ = ["require_sound"]

_SLACK = 1e-6  # kWh and kW that rounding may add
_DEAREST = 10_000.0  # yen/kWh; no price of energy comes near it: a wrong unit does
_MOST_STEPS = 3_000  # intervals of all half-hours together
_LONGEST = 1_488  # intervals: a month of half-hours
_RESERVED = "site"  # names the connection point in shortfalls


def require_sound(problem: Problem, *, any_step: bool = False) -> Problem:
    """Give the problem back if a plan can be made for it.

    Parameters
    ----------
    any_step : bool
        Whether intervals may have any length. Setpoints hold for half-hours, so a plan needs whole ones; the
        model does not.

    Raises
    ------
    DataError
        Naming the first thing that is wrong, with asset, interval and value, and how many more there are.
    """
    findings = list(_findings(problem, any_step=any_step))
    if findings:
        where, wrong = findings[0]
        more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
        raise DataError(
            f"no plan can be made for site {problem.site}: {wrong}",
            where=f"{where}{more}",
            hint="mend the input of the plan; the plan in force goes on",
            findings=tuple(f"{place}: {text}" for place, text in findings),
        )
    return problem


def _findings(problem: Problem, *, any_step: bool) -> Iterator[Finding]:
    if problem.grid.count == 0:
        yield "grid", "the horizon is empty"
        return
    if problem.grid.count > _LONGEST:
        yield "grid", f"{problem.grid.count} intervals are more than {_LONGEST}, a month of half-hours"
        return
    if any_step:
        pass
    elif problem.grid.step % SLOT_LENGTH or problem.grid.step < SLOT_LENGTH:
        yield "grid", f"steps of {problem.grid.step} are not whole half-hours"
    elif Slot.containing(problem.grid.start).start != problem.grid.start:
        yield "grid", f"{problem.grid.start.isoformat()} does not start a slot"
    divided = list(division_findings(problem))
    yield from divided
    if divided:
        return
    if problem.count > _MOST_STEPS:
        yield "grid", f"{problem.count} intervals are more than {_MOST_STEPS}"
        return
    yield from _ids(problem)
    yield from _site(problem)
    n = problem.count
    for car in problem.cars:
        yield from _car(car, n)
    for battery in problem.batteries:
        yield from _storage(battery, battery.reserve_kwh, battery.capacity_kwh)
    for zone in problem.zones:
        yield from _zone(zone, n)
    for array in problem.pv:
        yield from _pv(array, n)
    yield from _connection(problem)
    yield from agreement_findings(problem)


def _ids(problem: Problem) -> Iterator[Finding]:
    for name, count in Counter(part.id for part in assets(problem)).items():
        if count > 1:
            yield name, f"{count} assets have this id"
        if name == _RESERVED:
            yield name, "this id means the connection point"


def _quantiles(
    owner: str, names: tuple[str, str, str], values: tuple[tuple[float, ...], ...]
) -> Iterator[Finding]:
    for t, (low, mid, high) in enumerate(zip(*values, strict=False)):
        if mid < low - _SLACK or mid > high + _SLACK:
            yield owner, f"{names[0]}, {names[1]}, {names[2]} cross at [{t}]: {low}, {mid}, {high}"
            return


def _site(problem: Problem) -> Iterator[Finding]:
    n, limits = problem.count, problem.limits
    names = ("load_p10_kw", "load_p50_kw", "load_p90_kw")
    loads = (problem.load_p10_kw, problem.load_p50_kw, problem.load_p90_kw)
    for name, values in zip(names, loads, strict=True):
        yield from series("load", name, values, n, least=0.0)
    yield from _quantiles("load", names, loads)
    yield from series("weather", "outdoor_c", problem.outdoor_c, n)
    yield from _prices("price_yen_per_kwh", problem.price_yen_per_kwh, n)
    if problem.sell_yen_per_kwh:
        yield from _prices("sell_yen_per_kwh", problem.sell_yen_per_kwh, n)
    if len(problem.tight) != n:
        yield "tight", f"has {len(problem.tight)} values, the horizon {n} intervals"
    yield from numbers(
        "limits",
        {
            "contract_kw": limits.contract_kw,
            "peak_memory_kw": limits.peak_memory_kw,
            "peak_yen_per_kw": limits.peak_yen_per_kw,
            "import_margin_kw": limits.import_margin_kw,
            "demand_so_far_kwh": limits.demand_so_far_kwh,
            "max_export_kw": limits.max_export_kw,
            "end_value_yen_per_kwh": problem.end_value_yen_per_kwh or 0.0,
            "discomfort_yen_per_degc_h": problem.discomfort_yen_per_degc_h,
        },
    )
    inside = problem.grid.start < problem.made_at < problem.grid.time(1)
    if limits.demand_so_far_kwh > 0.0 and not inside:
        made = problem.made_at.isoformat()
        yield "limits", f"demand_so_far_kwh is given, but {made} is not inside the first interval"


def _prices(name: str, values: tuple[float, ...], n: int) -> Iterator[Finding]:
    yield from series("price", name, values, n)
    for t, value in enumerate(values):
        if abs(value) > _DEAREST:
            yield "price", f"{name}[{t}] is {value:g} yen/kWh, more than {_DEAREST:g}"
            return


def _connection(problem: Problem) -> Iterator[Finding]:
    """Export: a margin against it and a permission exclude each other; what cannot be held back must go."""
    limits, fixed = problem.limits, [array for array in problem.pv if not array.curtailable]
    if limits.max_export_kw > 0.0 and limits.import_margin_kw > 0.0:
        yield (
            "limits",
            "import_margin_kw keeps the site from exporting, max_export_kw allows it: one must be 0",
        )
    wanted = [problem.load_p50_kw, *(array.p50_kw for array in fixed)]
    if any(len(values) != problem.count for values in wanted):
        return  # said elsewhere
    for t, load in enumerate(problem.load_p50_kw if fixed else ()):
        out = sum(array.p50_kw[t] for array in fixed) - load
        if out > limits.max_export_kw + _SLACK:
            most = f"{limits.max_export_kw:g} kW may be exported"
            yield fixed[0].id, f"cannot be held back and brings {out:g} kW too much at [{t}]; {most}"
            return


def _storage(storage: CarProblem | StorageProblem, floor: float, ceiling: float) -> Iterator[Finding]:
    powers = {
        name: getattr(storage, name) for name in ("max_charge_kw", "max_discharge_kw", "wear_yen_per_kwh")
    }
    levels = {"soc0_kwh": storage.soc0_kwh, "floor_kwh": floor, "ceiling_kwh": ceiling}
    yield from numbers(storage.id, {**powers, **levels})
    if not 0.0 < storage.capacity_kwh < math.inf:
        yield storage.id, f"capacity_kwh is {storage.capacity_kwh}, not above 0"
    for name in ("charge_efficiency", "discharge_efficiency"):
        if not 0.0 < getattr(storage, name) <= 1.0:
            yield storage.id, f"{name} is {getattr(storage, name)}, not in (0, 1]"
    if floor > ceiling:
        yield storage.id, f"floor {floor} kWh is above the ceiling {ceiling} kWh"
    for name, level in levels.items():
        if level > storage.capacity_kwh + _SLACK:
            yield storage.id, f"{name} is {level}, above the capacity of {storage.capacity_kwh} kWh"


def _car(car: CarProblem, n: int) -> Iterator[Finding]:
    yield from _storage(car, car.floor_kwh, car.ceiling_kwh)
    yield from series(car.id, "drive_kwh", car.drive_kwh, n, least=0.0)
    yield from series(car.id, "discharge_value_yen_per_kwh", car.discharge_value_yen_per_kwh, n)
    for name in ("plugged", "may_discharge"):
        if len(getattr(car, name)) != n:
            yield car.id, f"{name} has {len(getattr(car, name))} values, the horizon {n} intervals"
    yield from numbers(car.id, {"min_power_kw": car.min_power_kw})
    able = [kw for kw in (car.max_charge_kw, car.max_discharge_kw) if kw > 0.0]
    if able and car.min_power_kw > min(able):
        yield car.id, f"its least power of {car.min_power_kw:g} kW is above the charger's {min(able):g} kW"
    for promise in car.promises:
        if not 0 <= promise.index <= n:
            yield car.id, f"a promise at interval {promise.index} lies outside the horizon of {n}"
        if not 0.0 <= promise.soc_kwh <= car.ceiling_kwh + _SLACK:
            told = f"{promise.soc_kwh} kWh at interval {promise.index}"
            yield car.id, f"promised are {told}, the ceiling is {car.ceiling_kwh} kWh"


def _zone(zone: ZoneProblem, n: int) -> Iterator[Finding]:
    yield from numbers(
        zone.id, {"loss_kw_per_k": zone.loss_kw_per_k, "max_electric_kw": zone.max_electric_kw}
    )
    yield from numbers(zone.id, {"temp0_c": zone.temp0_c}, least=-100.0)
    if not zone.capacitance_kwh_per_k > 0.0 or not math.isfinite(zone.capacitance_kwh_per_k):
        yield zone.id, f"capacitance_kwh_per_k is {zone.capacitance_kwh_per_k}, not above 0"
    for name in ("gain_kw", "low_c", "high_c"):
        yield from series(zone.id, name, getattr(zone, name), n)
    yield from series(zone.id, "cop", zone.cop, n, least=1e-6)
    if zone.ready_k:
        yield from series(zone.id, "ready_k", zone.ready_k, n, least=0.0)
    yield from numbers(zone.id, {"ready_yen_per_degc_h": zone.ready_yen_per_degc_h})
    if len(zone.mode_sign) != n or not set(zone.mode_sign) <= {-1, 0, 1}:
        yield zone.id, "mode_sign is not one of -1, 0, 1 per interval"
    yield from unit_findings(zone, n)
    for t, (low, high) in enumerate(zip(zone.low_c, zone.high_c, strict=False)):
        if low > high:
            yield zone.id, f"the comfort band is upside down at [{t}]: {low} degC is above {high} degC"
            return


def _pv(array: PvProblem, n: int) -> Iterator[Finding]:
    names = ("p10_kw", "p50_kw", "p90_kw")
    values = (array.p10_kw, array.p50_kw, array.p90_kw)
    for name, kilowatts in zip(names, values, strict=True):
        yield from series(array.id, name, kilowatts, n, least=0.0)
    yield from _quantiles(array.id, names, values)
