"""Refuses what was agreed about a site, and units and kinds of assets, that no plan can be made for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from dispatch.kinds import kind_of, known_kinds
from dispatch.terms import Storage, assets
from energy.core.plan import Problem, ZoneProblem
from energy.core.plan_parts import DrEvent, Feeder, OtherAsset, SubmittedPlan

__all__ = ["Finding", "agreement_findings", "division_findings", "numbers", "series", "unit_findings"]

Finding = tuple[str, str]
_SLACK = 1e-6
_DEAREST = 10_000.0  # yen/kWh, as for energy
_MOST_PARTS = 60  # of a half-hour: 30 seconds
_MOST_STAGES = 12


def series(
    owner: str, name: str, values: tuple[float, ...], n: int, *, least: float = -math.inf
) -> Iterator[Finding]:
    """Findings of a series that should have so many finite values."""
    if len(values) != n:
        yield owner, f"{name} has {len(values)} values, the horizon {n} intervals"
        return
    for t, value in enumerate(values):
        if not math.isfinite(value):
            yield owner, f"{name}[{t}] is {value}"
            return
        if value < least:
            yield owner, f"{name}[{t}] is {value}, below {least:g}"
            return


def numbers(owner: str, values: dict[str, float], *, least: float = 0.0) -> Iterator[Finding]:
    """Findings of numbers that should be finite and not too small."""
    for name, value in values.items():
        if not math.isfinite(value):
            yield owner, f"{name} is {value}"
        elif value < least:
            yield owner, f"{name} is {value}, below {least:g}"


def division_findings(problem: Problem) -> Iterator[Finding]:
    """Findings of how half-hours are divided; nothing else can be judged while there are any."""
    if problem.divisions and len(problem.divisions) != problem.grid.count:
        told = f"divisions has {len(problem.divisions)} values, the horizon {problem.grid.count} half-hours"
        yield "grid", told
    for slot, part in enumerate(problem.divisions):
        if not 1 <= part <= _MOST_PARTS:
            yield "grid", f"divisions[{slot}] is {part}, not 1 to {_MOST_PARTS}"
            return


def agreement_findings(problem: Problem) -> Iterator[Finding]:
    """Findings of events, feeders, the submitted plan, further prices of demand and assets from outside."""
    n = problem.grid.count
    for event in problem.events:
        yield from _event(event, n)
    named = [event.id for event in problem.events] + [feeder.id for feeder in problem.feeders]
    for name, count in Counter(named).items():
        if count > 1:
            yield name, f"{count} events or feeders have this id"
    known: set[str] = {part.id for part in assets(problem)}
    for feeder in problem.feeders:
        yield from _feeder(feeder, problem.count, known)
    if problem.submitted is not None:
        yield from _submitted(problem.submitted, n)
    yield from _steps(problem, n)
    yield from numbers("problem", {"change_yen_per_kwh": problem.change_yen_per_kwh})
    planned: list[Storage | ZoneProblem] = [*problem.cars, *problem.zones, *problem.batteries]
    for asset in planned:
        yield from series(asset.id, "planned_kw", asset.planned_kw, len(asset.planned_kw))
        if len(asset.planned_kw) > problem.count:
            yield asset.id, f"planned_kw has {len(asset.planned_kw)} values, the horizon {problem.count}"
    for other in problem.others:
        yield from _other(other, problem.count)


def _span(owner: str, first: int, last: int, n: int, *, least: int = 1) -> Iterator[Finding]:
    if not (0 <= first <= n and first + least <= last <= n):
        yield owner, f"half-hours {first} to {last} do not lie in order inside the horizon of {n}"


def _event(event: DrEvent, n: int) -> Iterator[Finding]:
    yield from _span(event.id, event.first, event.last, n)
    yield from series(event.id, "baseline_kw", event.baseline_kw, event.last - event.first)
    yield from series(event.id, "recovery_kw", event.recovery_kw, len(event.recovery_kw))
    yield from numbers(
        event.id,
        {
            "reward_yen_per_kwh": event.reward_yen_per_kwh,
            "most_kw": event.most_kw,
            "recovery_yen_per_kwh": event.recovery_yen_per_kwh,
        },
    )
    if event.reward_yen_per_kwh > _DEAREST:
        yield event.id, f"reward_yen_per_kwh is {event.reward_yen_per_kwh:g}, more than {_DEAREST:g}"
    window = event.adjustment
    if window is None:
        return
    yield from _span(event.id, window.first, window.last, n, least=0)
    yield from series(event.id, "adjustment.usual_kw", window.usual_kw, window.last - window.first)
    told = {"adjustment.so_far_kw": window.so_far_kw, "adjustment.most_kw": window.most_kw}
    yield from numbers(event.id, told, least=-math.inf)
    if window.weights:
        hours = event.last - event.first
        yield from series(event.id, "adjustment.weights", window.weights, hours, least=0.0)
    if window.slots < max(1, window.last - window.first):
        yield event.id, f"adjustment.slots is {window.slots}, fewer than the window has"
    if window.last > event.first:
        yield event.id, "the adjustment window does not end before the event begins"


def _feeder(feeder: Feeder, n: int, known: set[str]) -> Iterator[Finding]:
    yield from numbers(feeder.id, {"limit_kw": feeder.limit_kw, "back_kw": feeder.back_kw})
    if feeder.load_kw:
        yield from series(feeder.id, "load_kw", feeder.load_kw, n, least=0.0)
    for member in feeder.members:
        if member not in known:
            yield feeder.id, f"{member} hangs on this feeder, but there is no such asset"
    for member, count in Counter(feeder.members).items():
        if count > 1:
            yield feeder.id, f"{member} hangs on this feeder {count} times"


def _submitted(given: SubmittedPlan, n: int) -> Iterator[Finding]:
    names = ("import_kw", "short_yen_per_kwh", "long_yen_per_kwh")
    for name in names:
        yield from series("submitted", name, getattr(given, name), n)
    for t, (short, long) in enumerate(zip(given.short_yen_per_kwh, given.long_yen_per_kwh, strict=False)):
        if max(abs(short), abs(long)) > _DEAREST:
            yield "submitted", f"a price of half-hour {t} is {max(short, long):g}, more than {_DEAREST:g}"
            return
        if short + long < -_SLACK:
            yield "submitted", f"half-hour {t} pays {-short - long:g} yen/kWh for being off either way"
            return


def _steps(problem: Problem, n: int) -> Iterator[Finding]:
    until = problem.limits.memory_until
    if until is not None and not 1 <= until <= n:
        yield "limits", f"memory_until is {until}, not a half-hour from 1 to {n}"
    for k, step in enumerate(problem.limits.steps):
        owner = f"limits.steps[{k}]"
        yield from numbers(owner, {"level_kw": step.level_kw, "yen_per_kw": step.yen_per_kw})
        yield from _span(owner, step.first, n if step.last is None else step.last, n)


def _other(other: OtherAsset, n: int) -> Iterator[Finding]:
    if other.kind not in known_kinds():
        yield (
            other.id,
            f"no kind of asset is called {other.kind!r} (known: {', '.join(known_kinds()) or 'none'})",
        )
        return
    kind = kind_of(other.kind)
    for held, wanted, what in (
        (other.numbers, kind.numbers, "numbers"),
        (other.series, kind.series, "series"),
    ):
        for name in sorted(set(wanted) - set(held)):
            yield other.id, f"a {other.kind} needs {name} among its {what}"
        for name in sorted(set(held) - set(wanted)):
            yield other.id, f"a {other.kind} knows no {name} among its {what}"
    yield from numbers(other.id, other.numbers)
    for name, values in other.series.items():
        yield from series(other.id, name, values, n, least=0.0)
    if set(kind.numbers) <= set(other.numbers) and set(kind.series) <= set(other.series):
        for fault in kind.faults(other):
            yield other.id, fault


def unit_findings(zone: ZoneProblem, n: int) -> Iterator[Finding]:
    """Findings of an air conditioner's stages, minimum times, defrosting and least power."""
    yield from numbers(
        zone.id,
        {
            "min_power_kw": zone.min_power_kw,
            "min_on_h": zone.min_on_h,
            "min_off_h": zone.min_off_h,
            "in_state_h": zone.in_state_h,
        },
    )
    for name in ("defrost", "least_kw"):
        if getattr(zone, name):
            yield from series(zone.id, name, getattr(zone, name), n, least=0.0)
    if any(share >= 1.0 for share in zone.defrost):
        yield zone.id, f"defrost is {max(zone.defrost)}, not below 1"
    most = zone.max_electric_kw
    if zone.stages_kw:
        rising = all(a < b for a, b in zip((0.0, *zone.stages_kw), zone.stages_kw, strict=False))
        if len(zone.stages_kw) > _MOST_STAGES or not rising or abs(zone.stages_kw[-1] - most) > _SLACK:
            told = ", ".join(f"{level:g}" for level in zone.stages_kw)
            yield (
                zone.id,
                f"stages {told} kW do not rise from above 0 to {most:g} kW in {_MOST_STAGES} at most",
            )
        if zone.min_power_kw > 0.0:
            yield zone.id, "a unit has stages or a least power, not both"
        for t, least in enumerate(zone.least_kw):
            if least > 0.0 and min(abs(least - level) for level in zone.stages_kw) > _SLACK:
                yield zone.id, f"least_kw[{t}] is {least:g} kW, which is no stage of the unit"
                return
    elif zone.min_power_kw > most:
        yield zone.id, f"its least power of {zone.min_power_kw:g} kW is above its {most:g} kW"
    elif (zone.min_on_h > 0.0 or zone.min_off_h > 0.0) and zone.min_power_kw <= 0.0:
        yield zone.id, "minimum times need stages_kw or min_power_kw: without them running at 0 kW is running"
    if zone.whole_steps is not None and zone.whole_steps < 0:
        yield zone.id, f"whole_steps is {zone.whole_steps}, below 0"
