"""The life of an event: which state follows which, and what is refused by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from energy.core.errors import DataError

__all__ = ["NEXT", "OPEN", "OVER", "EventState", "require_step"]


class EventState(StrEnum):
    """Where an event stands. That it was modified is an act in its audit trail, not a state."""

    ANNOUNCED = "announced"
    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"
    DISPATCHED = "dispatched"
    CANCELLED = "cancelled"
    ENDED = "ended"
    MEASURED = "measured"
    SETTLED = "settled"
    CORRECTED = "corrected"


_S = EventState
NEXT: Final[dict[EventState, tuple[EventState, ...]]] = {
    _S.ANNOUNCED: (_S.OPTED_IN, _S.OPTED_OUT, _S.DISPATCHED, _S.CANCELLED, _S.ENDED),
    _S.OPTED_IN: (_S.OPTED_OUT, _S.DISPATCHED, _S.CANCELLED, _S.ENDED),
    _S.OPTED_OUT: (_S.OPTED_IN, _S.CANCELLED, _S.ENDED),
    _S.DISPATCHED: (_S.OPTED_OUT, _S.CANCELLED, _S.ENDED),
    _S.CANCELLED: (_S.MEASURED,),
    _S.ENDED: (_S.MEASURED,),
    _S.MEASURED: (_S.SETTLED,),
    _S.SETTLED: (_S.CORRECTED,),
    _S.CORRECTED: (_S.CORRECTED,),
}
"""What may follow each state. Nothing leads back: who says yes after a no is asked anew."""

OPEN: Final = frozenset({_S.ANNOUNCED, _S.OPTED_IN, _S.OPTED_OUT, _S.DISPATCHED})
"""States in which an event may still be changed, answered, called and cancelled."""

OVER: Final = frozenset({_S.CANCELLED, _S.ENDED, _S.MEASURED, _S.SETTLED, _S.CORRECTED})
"""States in which its readings may be looked at."""


def require_step(event_id: str, now: EventState, then: EventState) -> None:
    """Refuse a step that the life of an event does not have.

    Raises
    ------
    DataError
        Names both states and what may follow the first.
    """
    if then in NEXT[now]:
        return
    allowed = ", ".join(one.value for one in NEXT[now])
    raise DataError(
        f"event {event_id!r} cannot go from {now.value} to {then.value}",
        where=f"after {now.value} may follow: {allowed}",
        hint="vpp dr event show tells its history; a new event has a new id",
        event_id=event_id,
        state=now.value,
        wanted=then.value,
    )
