"""A plan in sentences: its source, its cost, the promises that it softens, why each asset does what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from dispatch.terms import by_slot, hours
from energy.core.plan import CarProblem, Plan, Problem, Setpoint, Shortfall
from energy.core.units import AssetId
from vpp.i18n import AssetKind, Messages, reason_sentence

__all__ = ["Softened", "kinds_of", "plan_sentences", "setpoint_sentence", "softened"]


def kinds_of(problem: Problem) -> dict[AssetId, AssetKind]:
    """Kind of every asset of a problem."""
    kinds: dict[AssetId, AssetKind] = {car.id: "car" for car in problem.cars}
    kinds |= {zone.id: "zone" for zone in problem.zones}
    kinds |= {array.id: "pv" for array in problem.pv}
    kinds |= {battery.id: "battery" for battery in problem.batteries}
    kinds |= {other.id: "other" for other in problem.others}
    return kinds


@dataclass(frozen=True, slots=True)
class Softened:
    """A promise that a plan cannot keep, with the words for it.

    Parameters
    ----------
    at : datetime
        When it is missed.
    sentence, remedy : str
        What is missed and why; what would help, empty if nothing is known to.
    """

    shortfall: Shortfall
    at: datetime
    sentence: str
    remedy: str

    def to_json(self) -> dict[str, object]:
        """The facts under English keys, with the sentences."""
        return {
            "asset": self.shortfall.asset,
            "kind": self.shortfall.kind,
            "index": self.shortfall.index,
            "at": self.at.isoformat(),
            "amount": self.shortfall.amount,
            "sentence": self.sentence,
            "remedy": self.remedy,
        }


def softened(problem: Problem, plan: Plan, words: Messages) -> list[Softened]:
    """Every shortfall of a plan in words, in order of time."""
    told = []
    cars = {car.id: car for car in problem.cars}
    for short in sorted(plan.shortfalls, key=lambda one: (one.index, one.asset)):
        at = problem.time(short.index)
        if short.kind == "departure":
            sentence, remedy = _departure(problem, cars[short.asset], short, words)
        else:
            sentence, remedy = (
                words.text(
                    f"softened.{short.kind}",
                    name=short.asset,
                    at=words.moment(at),
                    amount=_amount(short, words),
                ),
                "",
            )
        told.append(Softened(short, at, sentence, remedy))
    return told


def _amount(short: Shortfall, words: Messages) -> str:
    match short.kind:
        case "comfort":
            return words.quantity(short.amount, "K")
        case "floor" | "supply":
            return words.kwh(short.amount)
        case _:
            return words.kw(short.amount)


def _departure(problem: Problem, car: CarProblem, short: Shortfall, words: Messages) -> tuple[str, str]:
    """What is promised, stored and possible for a departure, and what would help."""
    promised = max(p.soc_kwh for p in car.promises if p.index == short.index)
    most = _can_add_kwh(problem, car, short.index)
    at = problem.time(short.index)
    sentence = words.text(
        "softened.departure",
        name=car.id,
        promised=words.percent(promised / car.capacity_kwh),
        at=words.moment(at),
        now=words.percent(car.soc0_kwh / car.capacity_kwh),
        most=words.percent(most / car.capacity_kwh),
        missing=words.kwh(short.amount),
    )
    accept = words.percent(np.floor(100.0 * (promised - short.amount) / car.capacity_kwh) / 100.0)
    stored_kw = car.max_charge_kw * car.charge_efficiency
    lacking = short.amount / stored_kw if stored_kw > 0.0 else np.inf
    ahead = np.cumsum(hours(problem)[short.index :])
    steps = 1 + int(np.searchsorted(ahead, lacking - 1e-9))
    if steps <= len(ahead):
        later = words.moment(problem.time(short.index + steps))
        return sentence, words.text("softened.departure_later", later=later, accept=accept)
    return sentence, words.text("softened.departure_less", accept=accept)


def _can_add_kwh(problem: Problem, car: CarProblem, index: int) -> float:
    """What the charger could add at most before interval ``index``. [kWh]"""
    plugged = np.asarray(car.plugged[:index], dtype=bool)
    room = max(0.0, car.ceiling_kwh - car.soc0_kwh)
    time_h = float(np.sum(hours(problem)[:index] * plugged))
    return min(room, time_h * car.max_charge_kw * car.charge_efficiency)


def plan_sentences(problem: Problem, plan: Plan, words: Messages) -> list[str]:
    """Where a plan came from, what it costs, its highest demand, and what each asset does in all."""
    flows, h = plan.trajectory, by_slot(problem, hours(problem))
    last = words.moment(problem.grid.end)
    lines = [
        words.text(
            "planned.source",
            site=plan.site,
            source=words.text(f"plan_source.{plan.source}"),
            start=words.moment(problem.grid.start),
            end=last,
        ),
        words.text(
            "planned.cost",
            energy=words.yen(flows.energy_yen),
            peak=words.yen(flows.peak_yen),
            highest=words.kw(max(flows.import_kw)),
            target=words.kw(plan.target_demand_kw),
        ),
    ]
    if problem.events or problem.submitted is not None:
        earned, beside = words.yen(flows.event_yen), words.yen(flows.imbalance_yen)
        lines.append(words.text("planned.event", earned=earned, beside=beside))
    if plan.gap is not None and plan.gap > 0.0:
        lines.append(words.text("planned.gap", gap=words.percent(plan.gap, 3)))
    if plan.note:
        lines.append(words.text("planned.note", note=plan.note))
    for asset in kinds_of(problem):
        powers = np.array([point.power_kw for point in plan.of(asset)])
        taken, given = float(np.sum(h * powers.clip(min=0.0))), -float(np.sum(h * powers.clip(max=0.0)))
        lines.append(words.text("planned.asset", name=asset, taken=words.kwh(taken), given=words.kwh(given)))
    return lines


def setpoint_sentence(point: Setpoint, kind: AssetKind, words: Messages) -> str:
    """What an asset does in an interval, and why."""
    why = reason_sentence(
        words,
        point.reason,
        kind=kind,
        name=point.asset,
        power_kw=point.power_kw,
        setpoint_c=point.expected if kind == "zone" else None,
    )
    return words.text("planned.line", when=words.day_slot(point.slot.start), why=why)
