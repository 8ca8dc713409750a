"""What an upstream event says: hours and kW out of an oadrEvent, or by name why it cannot be used.

Fields are those of the OpenADR 2.0b profile as the vendor library spells them in Python:
``event_descriptor``, ``active_period``, ``event_signals``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from hashlib import sha256
from typing import Final

from energy.core.clock import require_aware
from energy.core.slots import Slot

__all__ = ["Status", "Unusable", "UpstreamEvent", "WhyUnusable", "clock_skew", "local_id", "read_event"]


class Status(StrEnum):
    """Where an event stands, as the upstream sees it."""

    NONE = "none"
    FAR = "far"
    NEAR = "near"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class WhyUnusable(StrEnum):
    """Why an event is declined before anybody looks at its product."""

    NOT_READABLE = "not_readable"
    OPEN_ENDED = "open_ended"
    OFF_SLOT = "off_slot"
    NO_POWER = "no_power"
    CHANGING_POWER = "changing_power"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamEvent:
    """An event as the upstream tells it.

    Parameters
    ----------
    id : str
        As written there.
    context : str
        Market context: which programme it belongs to.
    start, end : datetime
        UTC.
    target_kw : Decimal
        What is to be shifted. [kW]
    created_at : datetime
        When the upstream made this message's event, by its clock.
    test : bool
        A test of the link: answered, and nobody is called.
    """

    id: str
    modification: int
    status: Status
    context: str
    start: datetime
    end: datetime
    target_kw: Decimal
    created_at: datetime
    test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """An event that cannot be used: its id and number, so that it can be declined, and why."""

    id: str
    modification: int
    status: Status
    why: WhyUnusable
    detail: str


_SCALE: Final = {"none": 0, "k": 3, "M": 6, "G": 9, "m": -3, "c": -2, "d": -1, "micro": -6, "n": -9}
_POWER_SIGNALS: Final = ("LOAD_DISPATCH",)
_LONGEST: Final = 40  # characters of our ids


def local_id(vtn: str, upstream_id: str) -> str:
    """Our id of an upstream event: readable, and never that of another event.

    Examples
    --------
    >>> local_id("vtn-1", "Evt_1")
    'oadr-evt-1-8be8cf58'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", upstream_id.lower()).strip("-")
    mark = sha256(f"{vtn}\n{upstream_id}".encode()).hexdigest()[:8]
    room = _LONGEST - len("oadr--") - len(mark)
    return f"oadr-{plain[:room].strip('-') or 'event'}-{mark}"


def read_event(told: Mapping[str, object]) -> UpstreamEvent | Unusable:
    """One event of an oadrDistributeEvent.

    A cancelled or completed event need not have usable hours or power: it is only looked up by its id.

    Raises
    ------
    ValueError
        If it has not even an id and a modification number, so that nobody could answer it.
    """
    head = _part(told, "event_descriptor")
    if "event_id" not in head or not isinstance(head.get("modification_number"), int):
        msg = f"an event without id or modification number: {sorted(head)}"
        raise ValueError(msg)
    name, number = str(head["event_id"]), int(str(head["modification_number"]))
    try:
        status = Status(str(head.get("event_status", "none")))
    except ValueError:
        status = Status.NONE

    def unusable(why: WhyUnusable, detail: str) -> Unusable:
        return Unusable(id=name, modification=number, status=status, why=why, detail=detail)

    try:
        period = _part(told, "active_period")
        start, length = period["dtstart"], period["duration"]
        if not isinstance(start, datetime) or not isinstance(length, timedelta):
            raise TypeError(f"dtstart {start!r}, duration {length!r}")
        start = require_aware(start)
    except (KeyError, TypeError, ValueError) as error:
        return unusable(WhyUnusable.NOT_READABLE, f"active period: {error}")
    if length <= timedelta(0):
        return unusable(
            WhyUnusable.OPEN_ENDED, "it has no end; only events of a stated length can be settled"
        )
    for instant in (start, start + length):
        if Slot.containing(instant).start != instant:
            return unusable(WhyUnusable.OFF_SLOT, f"{instant.isoformat()} is not on a half hour")
    power = _power_kw(told)
    if isinstance(power, tuple):
        return unusable(*power)
    created = head.get("created_date_time")
    return UpstreamEvent(
        id=name,
        modification=number,
        status=status,
        context=str(head.get("market_context") or ""),
        start=start,
        end=start + length,
        target_kw=power,
        created_at=require_aware(created) if isinstance(created, datetime) and created.tzinfo else start,
        test=head.get("test_event") is True,
    )


def _part(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = told.get(name)
    return part if isinstance(part, Mapping) else {}


def _power_kw(told: Mapping[str, object]) -> Decimal | tuple[WhyUnusable, str]:
    """Power of the first signal that states one, in kW unless it says another scale."""
    signals = told.get("event_signals")
    names = []
    for signal in signals if isinstance(signals, Sequence) and not isinstance(signals, str) else ():
        names.append(str(signal.get("signal_name", "?")))
        if names[-1] not in _POWER_SIGNALS:
            continue
        measured = signal.get("measurement") or {"unit": "W", "scale": "k"}
        unit, scale = str(measured.get("unit")), str(measured.get("scale", "none"))
        if unit != "W" or scale not in _SCALE:
            return WhyUnusable.NO_POWER, f"{names[-1]} in {scale} {unit}"
        try:
            payloads = {Decimal(str(one["signal_payload"])) for one in signal["intervals"]}
        except (KeyError, TypeError, InvalidOperation):
            return WhyUnusable.NO_POWER, f"{names[-1]} without a payload"
        if len(payloads) != 1:
            return WhyUnusable.CHANGING_POWER, f"{len(payloads)} powers in one event"
        power = payloads.pop().scaleb(_SCALE[scale] - _SCALE["k"])
        if not power.is_finite() or power <= 0:
            return WhyUnusable.NO_POWER, f"{names[-1]} of {power} kW"
        return power
    return WhyUnusable.NO_POWER, f"signals: {', '.join(names) or 'none'}; LOAD_DISPATCH is needed"


def clock_skew(event: UpstreamEvent, now: datetime) -> timedelta:
    """How far the upstream's clock surely is from ours; positive if it is ahead. Zero if nothing shows.

    An event that was made in our future, or is active before our clock reaches its start, shows a clock that
    is ahead; one that is still far or near after its start, one that is behind.
    """
    if event.created_at > now and event.status is not Status.ACTIVE:
        return event.created_at - now
    if event.status is Status.ACTIVE and event.start > now:
        return event.start - now
    if event.status in {Status.FAR, Status.NEAR} and event.start < now:
        return event.start - now
    return timedelta(0)
