"""What the store keeps of a half hour that was run, and of a tight evening that was announced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from energy.core.plan import Reason, Setpoint, Shortfall
from energy.ledger import TightEvent
from energy.store import Snapshot, Store

__all__ = ["EVENT", "SLOT_RECORD", "SlotRecord", "announce", "announced"]

EVENT = "tight-event"
"""Kind of the document that announces a tight-supply event."""

_EVENT = TypeAdapter(TightEvent)

SLOT_RECORD = "slot"
"""Kind of the document that says, for one slot and asset, what was planned and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """What was planned for a slot, why, and what control made of it.

    Parameters
    ----------
    planned : tuple of Setpoint
        The plan's setpoints of this slot; empty where nobody plans.
    last_reasons : dict
        By asset: the reason that held at the end of the slot, after guard and envelope.
    guard_minutes : int
        Minutes in which the guard overruled the plan.
    """

    slot: datetime
    source: str
    tight: bool
    target_kw: float | None
    gap: float | None
    solve_ms: float
    planned: tuple[Setpoint, ...]
    last_reasons: dict[str, Reason]
    guard_minutes: int
    shortfalls: tuple[Shortfall, ...]

    def to_json(self) -> str:
        """The record as one JSON document."""
        return _RECORD.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> SlotRecord:
        """The record from its document."""
        return _RECORD.validate_json(text)


_RECORD = TypeAdapter(SlotRecord)


def announce(store: Store, event: TightEvent) -> None:
    """Make a tight-supply event known to the store at its announcement."""
    store.put_document(EVENT, event.id, known_at=event.known_at, body=_EVENT.dump_json(event).decode())


def announced(known: Snapshot) -> list[TightEvent]:
    """Tight-supply events that are known."""
    return [_EVENT.validate_json(document.body) for document in known.documents(EVENT)]
