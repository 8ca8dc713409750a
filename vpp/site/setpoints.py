"""What a plan's setpoint means at an instant, and for whom it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dispatch.terms import storages
from energy.core.plan import Plan, Problem, ReasonCode, Setpoint
from energy.core.slots import SLOT_LENGTH

__all__ = ["expected_kw", "is_for_the_guard", "now_of"]


def now_of(point: Setpoint, now: datetime) -> Setpoint:
    """A setpoint as it is in the part of its half-hour that an instant lies in."""
    if not point.steps_kw:
        return point
    part = int((now - point.slot.start) / SLOT_LENGTH * len(point.steps_kw))
    return replace(point, power_kw=point.steps_kw[min(max(part, 0), len(point.steps_kw) - 1)], steps_kw=())


def is_for_the_guard(point: Setpoint) -> bool:
    """Whether a setpoint only says that a car may have to give back against a peak.

    The plan expects the peak; whether it comes the guard sees, minute by minute. What is given away for a
    rise that does not come would be missing later.
    """
    return point.power_kw < 0.0 and point.reason.code is ReasonCode.PEAK


def expected_kw(problem: Problem, plan: Plan) -> float:
    """What the site is expected to draw in the first slot if nobody gives back against the peak. [kW]"""
    cars = {one.id for one in storages(problem)}
    first = (point for point in plan.setpoints if point.slot.start == problem.grid.start)
    held = sum(-point.power_kw for point in first if point.asset in cars and is_for_the_guard(point))
    return plan.trajectory.import_kw[0] + held
