"""Time enters the program here and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock", "require_aware"]


def require_aware(instant: datetime) -> datetime:
    """Give the instant in UTC, or refuse a naive one.

    Raises
    ------
    ValueError
        If ``instant`` has no time zone.
    """
    if instant.tzinfo is None:
        msg = f"naive datetime {instant.isoformat()}: attach a time zone"
        raise ValueError(msg)
    return instant.astimezone(UTC)


class Clock(Protocol):
    """Says what time it is, as aware UTC."""

    def now(self) -> datetime:
        """Current instant, UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Current instant, UTC."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to: simulations and tests.

    Parameters
    ----------
    start : datetime
        First instant, aware.
    """

    def __init__(self, start: datetime) -> None:
        self._now = require_aware(start)

    def now(self) -> datetime:
        """Current instant, UTC."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward; time never runs back.

        Raises
        ------
        ValueError
            If ``by`` is negative.
        """
        if by < timedelta(0):
            msg = f"a clock does not run back ({by})"
            raise ValueError(msg)
        self._now += by
        return self._now
