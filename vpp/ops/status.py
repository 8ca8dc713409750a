"""How each part of a running service does, in words that a page and a machine can use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Part", "PartState", "is_hopeless", "worst"]


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
        ``store_unavailable``, ``control_failing``, ``starting``, ``ended``, ``cannot_begin``,
        ``being_tried``; of a site whose files are not ready ``no_devices``, ``no_meter``, ``file_unusable``;
        of the look for new sites ``sites_not_seen``.
    since : datetime or None
        When it came into this state. UTC.
    told : tuple of str
        What it is not to do, though nothing is wrong: ``read_only``, ``dry_run``, ``not_commissioned:ID``.
    """

    name: str
    state: PartState
    why: tuple[str, ...] = ()
    since: datetime | None = None
    told: tuple[str, ...] = ()


_ORDER = tuple(PartState)


def worst(parts: tuple[Part, ...]) -> PartState:
    """The state of the whole: that of its worst part."""
    return max((part.state for part in parts), key=_ORDER.index, default=PartState.OK)


def is_hopeless(parts: tuple[Part, ...]) -> bool:
    """Whether the whole is of no use: something that all need has failed, or every site has.

    One failed site among others is no reason to end them all: it is left safe and started again.
    """
    sites = [one for one in parts if one.name.startswith("site:")]
    failed = [one for one in parts if one.state is PartState.FAILED]
    return any(one not in sites for one in failed) or (bool(sites) and all(one in failed for one in sites))
