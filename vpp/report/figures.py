"""What the report says in numbers: which runs are compared, what was saved, and when it mattered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from energy.core.errors import DataError
from energy.core.plan import Reason
from energy.core.slots import JST, SLOT_LENGTH
from vpp.i18n import AssetKind
from vpp.simulation.results import Controller, RunResult, SimulationDocument, SlotTrace

__all__ = [
    "Action",
    "Comparison",
    "Relief",
    "actions",
    "compare",
    "hardest_day",
    "peak_number",
    "relief_at_peak",
    "slots_of",
    "tight_stretch",
    "year_yen",
]

_PRODUCTS: tuple[Controller, ...] = (
    "optimal",
    "optimal-p50",
    "mpc",
    "rules",
    "valley",
    "perfect",
    "none",
)
_BASES: tuple[Controller, ...] = ("none", "rules")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The run the report is about, and what it is held against.

    Parameters
    ----------
    product : RunResult
        The optimal run, or the best one there is.
    base : RunResult or None
        The run without control (or by rules), None if the product stands alone.
    bound : RunResult or None
        The run with perfect foresight.
    """

    product: RunResult
    base: RunResult | None
    bound: RunResult | None

    @property
    def peak_cut_kw(self) -> float:
        """By how much the highest demand is lower than without control; negative if higher. [kW]."""
        return self.base.summary.peak_kw - self.product.summary.peak_kw if self.base else 0.0

    @property
    def saved_yen(self) -> int:
        """By how much the bill is lower than without control; negative if higher. [yen]."""
        return self.base.summary.bill_yen - self.product.summary.bill_yen if self.base else 0

    @property
    def captured(self) -> float | None:
        """Share of what perfect foresight saves that this run saves, by score; None if there is nothing."""
        if self.base is None or self.bound is None:
            return None
        possible = self.base.summary.score_yen - self.bound.summary.score_yen
        reached = self.base.summary.score_yen - self.product.summary.score_yen
        return reached / possible if possible > 0 and reached > 0 else None


@dataclass(frozen=True, slots=True)
class Relief:
    """What each kind of asset took off the demand in one slot, >= 0. [kW]."""

    number: int
    hvac_kw: float
    cars_kw: float
    pv_kw: float


@dataclass(frozen=True, slots=True)
class Action:
    """What one asset did over slots in a row for one reason; ``power_kw`` is the mean, None if unknown."""

    asset: str
    kind: AssetKind
    start: datetime
    end: datetime
    power_kw: float | None
    reason: Reason


def compare(document: SimulationDocument) -> Comparison:
    """Choose the runs to compare.

    Raises
    ------
    DataError
        If the document has no run, or its runs cover different slots.
    """
    product = next((run for name in _PRODUCTS if (run := document.run(name))), None)
    if product is None:
        raise DataError(
            "there is no run to report",
            where=f"scenario {document.scenario}",
            hint="simulate a controller first",
        )
    bases = (run for name in _BASES if (run := document.run(name)) and run is not product)
    base, bound = next(bases, None), document.run("perfect")
    if not product.trace.slots or (base is not None and base.trace.slots != product.trace.slots):
        raise DataError(
            "the runs do not cover the same slots",
            where=f"{product.summary.controller} has {len(product.trace.slots)} slots"
            + (f", {base.summary.controller} has {len(base.trace.slots)}" if base is not None else ""),
            hint="simulate all controllers over the same days",
        )
    return Comparison(product, base, bound if bound is not product else None)


def year_yen(document: SimulationDocument, comparison: Comparison) -> tuple[float, float]:
    """Billed demand avoided, and what it is worth over the twelve months it stays in the bill. [kW, yen].

    A peak below the highest of the last twelve months changes no bill: the billed demand is the larger of
    both (RULES-JP 2.1); ``yen = kW * basic * factor * 12``.
    """
    if comparison.base is None:
        return 0.0, 0.0
    memory = document.peak_memory_kw
    base, product = comparison.base.summary.peak_kw, comparison.product.summary.peak_kw
    cut_kw = max(memory, base) - max(memory, product)
    return cut_kw, cut_kw * document.basic_yen_per_kw_month * document.basic_factor * 12


def peak_number(trace: SlotTrace) -> int:
    """Number of the slot with the highest import; the first of several."""
    return max(range(len(trace.slots)), key=lambda number: (trace.import_kw[number], -number))


def relief_at_peak(comparison: Comparison) -> Relief | None:
    """Who took how much off the demand in the slot that is the peak without control; None without a base."""
    if comparison.base is None:
        return None
    base, product = comparison.base.trace, comparison.product.trace
    number = peak_number(base)

    def cars(trace: SlotTrace) -> float:
        return sum(car.power_kw[number] for car in trace.cars.values())

    return Relief(
        number,
        hvac_kw=max(0.0, base.hvac_kw[number] - product.hvac_kw[number]),
        cars_kw=max(0.0, cars(base) - cars(product)),
        pv_kw=max(0.0, product.pv_kw[number] - base.pv_kw[number]),
    )


def tight_stretch(trace: SlotTrace) -> range | None:
    """Slots of the first time that supply is tight, or None."""
    if not any(trace.tight):
        return None
    first = trace.tight.index(True)
    last = next((n for n in range(first, len(trace.tight)) if not trace.tight[n]), len(trace.tight))
    return range(first, last)


def hardest_day(comparison: Comparison) -> date:
    """The day to look at closely: the first with tight supply, else the one with the peak without control."""
    trace = (comparison.base or comparison.product).trace
    stretch = tight_stretch(comparison.product.trace)
    slots = comparison.product.trace.slots if stretch else trace.slots
    return slots[stretch[0] if stretch else peak_number(trace)].astimezone(JST).date()


def actions(trace: SlotTrace, stretch: range) -> tuple[Action, ...]:
    """What every asset did in some slots and why; equal neighbours joined, cars before rooms."""
    found = []
    for asset in sorted(trace.reasons, key=lambda name: _ORDER.index(_kind(trace, name))):
        group: list[int] = []
        for number in [*stretch, -1]:
            if group and (number < 0 or _sign(trace, asset, number) != _sign(trace, asset, group[-1])):
                found.append(_joined(trace, asset, group))
                group = []
            if number >= 0 and trace.reasons[asset][number] is not None:
                group.append(number)
    return tuple(found)


_ORDER: tuple[AssetKind, ...] = ("car", "zone", "pv", "battery")


def _kind(trace: SlotTrace, asset: str) -> AssetKind:
    if asset in trace.batteries:
        return "battery"
    return "car" if asset in trace.cars else "zone" if asset in trace.zones else "pv"


def _sign(trace: SlotTrace, asset: str, number: int) -> tuple[object, int]:
    """What makes two slots tell the same story: the reason's code and the direction of the power."""
    reason, power = trace.reasons[asset][number], _power(trace, asset, number)
    direction = 0 if power is None or abs(power) < 0.05 else 1 if power > 0 else -1
    return (reason.code if reason else None, direction)


def _power(trace: SlotTrace, asset: str, number: int) -> float | None:
    """Power into an asset; that of PV only where the site has one array, since the trace holds their sum."""
    if asset in trace.cars:
        return trace.cars[asset].power_kw[number]
    if asset in trace.zones:
        return trace.zones[asset].power_kw[number]
    if asset in trace.batteries:
        return trace.batteries[asset].power_kw[number]
    others = [name for name in trace.reasons if _kind(trace, name) == "pv"]
    return -trace.pv_kw[number] if len(others) == 1 else None


def _joined(trace: SlotTrace, asset: str, group: list[int]) -> Action:
    """One action of slots in a row: the facts of the first slot, the mean power."""
    reason = trace.reasons[asset][group[0]]
    if reason is None:  # the caller groups slots that have one
        raise DataError(f"no reason for {asset}", where=trace.slots[group[0]].isoformat())
    powers = [_power(trace, asset, number) for number in group]
    known = [power for power in powers if power is not None]
    mean = sum(known) / len(known) if known else None
    start = trace.slots[group[0]]
    return Action(asset, _kind(trace, asset), start, start + len(group) * SLOT_LENGTH, mean, reason)


def slots_of(trace: SlotTrace, day: date) -> range:
    """Numbers of the slots of one Japanese day."""
    numbers = [n for n, slot in enumerate(trace.slots) if slot.astimezone(JST).date() == day]
    return range(numbers[0], numbers[-1] + 1) if numbers else range(0)
