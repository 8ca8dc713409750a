"""How each part of a running service does, in words that a page and a machine can use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Part", "PartState", "worst"]


class PartState(StrEnum):
    """How a part does, best first."""

    OK = "ok"
    STARTING = "starting"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a running service.

    Parameters
    ----------
    name : str
        ``site:kitakata``, ``jobs`` and the like.
    why : tuple of str
        What is wrong: ``meter_silent``, ``device_lost:charger-1``, ``plan_late``, ``plan_failed``,
        ``store_unavailable``, ``control_failing``, ``starting``, ``ended``.
    since : datetime or None
        When it came into this state. UTC.
    """

    name: str
    state: PartState
    why: tuple[str, ...] = ()
    since: datetime | None = None


_ORDER = tuple(PartState)


def worst(parts: tuple[Part, ...]) -> PartState:
    """The state of the whole: that of its worst part."""
    return max((part.state for part in parts), key=_ORDER.index, default=PartState.OK)
