"""Slots of thirty minutes (コマ): the market's unit of time.

A slot is labelled by its start in UTC. Its number 1..48 and its date are those of Japan (Asia/Tokyo, no
daylight saving ever) and exist only at the edge. Meters stamp the *end* of a slot: :meth:`Slot.ending_at`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from energy.core.clock import require_aware

__all__ = [
    "JST",
    "SLOTS_PER_DAY",
    "SLOT_HOURS",
    "SLOT_LENGTH",
    "Slot",
    "gate_closure",
    "jst_midnight",
    "parse_jst",
    "slots_between",
    "slots_of_day",
]

JST: Final = ZoneInfo("Asia/Tokyo")
SLOT_LENGTH: Final = timedelta(minutes=30)
SLOT_HOURS: Final = 0.5
SLOTS_PER_DAY: Final = 48
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GATE_CLOSURE_LEAD: Final = timedelta(minutes=60)  # RULES-JP 1.3: one hour before the start of the slot


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """Half an hour, labelled by its start.

    Parameters
    ----------
    start : datetime
        Aware instant on a full or half hour; kept in UTC.

    Raises
    ------
    ValueError
        If ``start`` is naive or not on a full or half hour.

    Examples
    --------
    >>> Slot(datetime(2026, 11, 21, 15, 0, tzinfo=UTC)).koma
    1
    """

    start: datetime

    def __post_init__(self) -> None:
        utc = require_aware(self.start)
        if (utc - _EPOCH) % SLOT_LENGTH:
            msg = f"{self.start.isoformat()} does not start a slot: slots start at :00 and :30"
            raise ValueError(msg)
        object.__setattr__(self, "start", utc)

    @property
    def end(self) -> datetime:
        """First instant after the slot, UTC."""
        return self.start + SLOT_LENGTH

    @property
    def local_date(self) -> date:
        """Date in Japan on which the slot lies."""
        return self.start.astimezone(JST).date()

    @property
    def koma(self) -> int:
        """Number of the slot in its Japanese day, 1..48."""
        local = self.start.astimezone(JST)
        return 1 + (local.hour * 60 + local.minute) // 30

    @classmethod
    def containing(cls, instant: datetime) -> Slot:
        """Slot that holds an instant; an instant on a boundary opens the later slot."""
        utc = require_aware(instant)
        return cls(utc - (utc - _EPOCH) % SLOT_LENGTH)

    @classmethod
    def ending_at(cls, stamp: datetime) -> Slot:
        """Slot closed by a meter's end stamp.

        Raises
        ------
        ValueError
            If the stamp is not on a full or half hour.
        """
        return cls(require_aware(stamp) - SLOT_LENGTH)

    @classmethod
    def of(cls, day: date, koma: int) -> Slot:
        """Slot by Japanese date and number.

        Raises
        ------
        ValueError
            If ``koma`` is not in 1..48.
        """
        if not 1 <= koma <= SLOTS_PER_DAY:
            msg = f"slot number {koma} is not in 1..48"
            raise ValueError(msg)
        return cls(jst_midnight(day) + (koma - 1) * SLOT_LENGTH)

    def shifted(self, count: int) -> Slot:
        """Slot ``count`` half-hours later (earlier if negative)."""
        return Slot(self.start + count * SLOT_LENGTH)

    def label(self) -> str:
        """Japanese local time of the slot, such as ``14:30-15:00``."""
        return f"{self.start.astimezone(JST):%H:%M}-{self.end.astimezone(JST):%H:%M}"


def jst_midnight(day: date) -> datetime:
    """Start of a Japanese day, UTC."""
    return datetime.combine(day, time(), tzinfo=JST).astimezone(UTC)


def slots_of_day(day: date) -> list[Slot]:
    """The 48 slots of a Japanese day; Japan has no daylight saving, so never 46 or 50."""
    return [Slot.of(day, koma) for koma in range(1, SLOTS_PER_DAY + 1)]


def slots_between(start: datetime, end: datetime) -> list[Slot]:
    """Slots that touch ``[start, end)``, in order."""
    begin, stop = Slot.containing(start), require_aware(end)
    count = max(0, -((begin.start - stop) // SLOT_LENGTH))
    return [begin.shifted(k) for k in range(count)]


def gate_closure(slot: Slot) -> datetime:
    """Instant after which no plan of this slot is taken: one hour before its start, UTC."""
    return slot.start - _GATE_CLOSURE_LEAD


def parse_jst(text: str) -> datetime:
    """Read ``YYYY-MM-DD[ T]HH:MM[:SS]``; without an offset the time is Japan's. ``24:00`` is next midnight.

    Raises
    ------
    ValueError
        If the text is no instant.

    Examples
    --------
    >>> parse_jst("2026-11-30 24:00").isoformat()
    '2026-11-30T15:00:00+00:00'
    """
    cleaned = text.strip().replace("/", "-")
    extra = timedelta(0)
    if cleaned[10:].lstrip(" T").startswith("24:00"):
        cleaned, extra = cleaned[:10] + "T00:00", timedelta(days=1)
    instant = datetime.fromisoformat(cleaned)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=JST)
    return instant.astimezone(UTC) + extra
