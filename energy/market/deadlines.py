"""Which plan may be handed in now: next-day plan, nothing, or same-day plan slot by slot (RULES-JP 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from energy.core.clock import require_aware
from energy.core.slots import JST, Slot, gate_closure, slots_of_day
from energy.market.rules import plan_deadlines

__all__ = ["PlanWindow", "Submission", "submission"]


class PlanWindow(StrEnum):
    """What the system operator takes at an instant for a day of delivery."""

    NEXT_DAY = "next_day"
    CLOSED = "closed"
    SAME_DAY = "same_day"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What may be handed in for a day, and until when.

    Parameters
    ----------
    day : date
        Japanese day of delivery.
    window : PlanWindow
        Kind of plan that is taken now.
    open_slots : tuple of Slot
        Slots that a plan handed in now may still change; empty when closed or over.
    frozen_slots : tuple of Slot
        Slots past their gate closure.
    changes_at : datetime or None
        When the window or the open slots change next, UTC; None when the day is over.
    finish_by : datetime or None
        Our own deadline, a margin before ``changes_at``; None when nothing is taken. UTC.
    """

    day: date
    window: PlanWindow
    open_slots: tuple[Slot, ...]
    frozen_slots: tuple[Slot, ...]
    changes_at: datetime | None
    finish_by: datetime | None


def submission(day: date, now: datetime) -> Submission:
    """Say which plan of a day of delivery may be handed in at an instant.

    Up to 12:00 of the day before: the next-day plan (翌日計画). From 12:00 to 17:00: nothing. From 17:00: the
    same-day plan (当日計画), each slot until its gate closure. A deadline is the first instant that is too
    late, because whether exactly 12:00:00 is taken is unknown.

    Parameters
    ----------
    day : date
        Japanese day of delivery.
    now : datetime
        Aware instant of handing in.

    Examples
    --------
    >>> from datetime import UTC
    >>> at_1301 = datetime(2026, 11, 22, 4, 1, tzinfo=UTC)
    >>> submission(date(2026, 11, 22), at_1301).open_slots[0].koma
    30
    """
    instant = require_aware(now)
    rules = plan_deadlines(day)
    eve = day - timedelta(days=1)
    noon = datetime.combine(eve, rules.next_day_closes, tzinfo=JST)
    opens = datetime.combine(eve, rules.same_day_opens, tzinfo=JST)
    margin = timedelta(minutes=rules.margin_minutes)
    slots = slots_of_day(day)
    if instant < noon:
        until = require_aware(noon)
        return Submission(
            day=day,
            window=PlanWindow.NEXT_DAY,
            open_slots=tuple(slots),
            frozen_slots=(),
            changes_at=until,
            finish_by=until - margin,
        )
    if instant < opens:
        return Submission(
            day=day,
            window=PlanWindow.CLOSED,
            open_slots=(),
            frozen_slots=(),
            changes_at=require_aware(opens),
            finish_by=None,
        )
    still_open = tuple(slot for slot in slots if instant < gate_closure(slot))
    closes = gate_closure(still_open[0]) if still_open else None
    return Submission(
        day=day,
        window=PlanWindow.SAME_DAY if still_open else PlanWindow.OVER,
        open_slots=still_open,
        frozen_slots=tuple(slots[: len(slots) - len(still_open)]),
        changes_at=closes,
        finish_by=closes - margin if closes else None,
    )
