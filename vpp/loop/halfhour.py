"""A half-hour of a site: what is asked of the planner, what runs, what is left when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from energy.core.plan import Plan, Reason
from energy.core.slots import Slot
from energy.core.units import AssetId
from energy.store import Point
from vpp.loop.control import Window
from vpp.site.planning import SiteState
from vpp.site.recorder import Counters
from vpp.site.records import SlotRecord

__all__ = ["Closed", "HalfHour", "PlanOrder", "window_of", "window_state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """What a planner is asked: it needs nothing of the running site besides.

    Parameters
    ----------
    slot : Slot
        The first slot of the plan.
    now : datetime
        When it was asked; nothing learned later is looked at. UTC.
    state : SiteState
        The site as it stood then.
    measured_soc : mapping
        State of charge of the cars that show one. [-]
    previous : Plan or None
        The plan in force.
    """

    slot: Slot
    now: datetime
    state: SiteState
    measured_soc: Mapping[str, float] = field(default_factory=dict)
    previous: Plan | None = None


@dataclass(slots=True)
class HalfHour:
    """The slot that runs.

    Parameters
    ----------
    before : mapping
        Counters at its beginning. [kWh]
    guarded : timedelta
        How long the guard overruled the plan.
    reasons : dict
        By asset: why it last did what it did.
    """

    window: Window
    before: Counters
    guarded: timedelta = timedelta(0)
    reasons: dict[AssetId, Reason] = field(default_factory=dict)

    @property
    def slot(self) -> Slot:
        """Which one."""
        return self.window.slot

    def record(self, *, tight: bool) -> SlotRecord:
        """What is kept of it."""
        plan = self.window.plan
        return SlotRecord(
            slot=self.slot.start,
            source=plan.source.value if plan is not None else "none",
            tight=tight,
            target_kw=self.window.target_kw,
            gap=plan.gap if plan is not None else None,
            solve_ms=plan.solve_ms if plan is not None else 0.0,
            planned=tuple(plan.at(self.slot).values()) if plan is not None else (),
            last_reasons={str(asset): reason for asset, reason in self.reasons.items()},
            guard_minutes=round(self.guarded / timedelta(minutes=1)),
            shortfalls=plan.shortfalls if plan is not None else (),
        )

    def state(self) -> dict[str, Any]:
        """Everything, as values that go through JSON."""
        return {
            "window": window_state(self.window),
            "before": [[*key, value] for key, value in self.before.items()],
            "guarded_s": self.guarded.total_seconds(),
            "reasons": _REASONS.dump_python(self.reasons, mode="json"),
        }

    @staticmethod
    def of_state(saved: Mapping[str, Any]) -> HalfHour:
        """From :meth:`state`."""
        return HalfHour(
            window_of(saved["window"]),
            {(asset, name): value for asset, name, value in saved["before"]},
            timedelta(seconds=saved["guarded_s"]),
            _REASONS.validate_python(saved["reasons"]),
        )


_WINDOW = TypeAdapter(Window)
_REASONS = TypeAdapter(dict[AssetId, Reason])


def window_state(window: Window) -> dict[str, Any]:
    """A window, as values that go through JSON."""
    state: dict[str, Any] = _WINDOW.dump_python(window, mode="json")
    return state


def window_of(state: Mapping[str, Any]) -> Window:
    """From :func:`window_state`."""
    return _WINDOW.validate_python(state)


@dataclass(frozen=True, slots=True)
class Closed:
    """A half-hour that is over, before it is stored."""

    half_hour: HalfHour
    points: tuple[Point, ...]

    @property
    def slot(self) -> Slot:
        """Which one."""
        return self.half_hour.slot
