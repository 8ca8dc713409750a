"""Time for something that runs: a clock, and waiting by it without trusting it.

Waiting is measured on the monotonic clock of the machine. A wall clock that is set back by an hour must not
keep a guard asleep for an hour.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Protocol

from energy.core.clock import Clock, SystemClock, require_aware

__all__ = ["AcceleratedClock", "Pace", "RealPace"]


class AcceleratedClock:
    """A clock that runs faster than time, from an instant of its own: for demonstrations.

    Parameters
    ----------
    start : datetime
        What it shows at first, aware.
    speed : float
        Seconds of it in a second, > 0.
    until : datetime or None
        Where it stands still.
    monotonic : callable
        Real seconds.
    """

    def __init__(
        self,
        start: datetime,
        speed: float,
        *,
        until: datetime | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = require_aware(start)
        self._until = until
        self._monotonic = monotonic
        self._began = monotonic()
        self.speed = speed

    def now(self) -> datetime:
        """Instant of its own time, UTC."""
        now = self._start + timedelta(seconds=(self._monotonic() - self._began) * self.speed)
        return now if self._until is None else min(now, self._until)


class Pace(Protocol):
    """A clock that can be waited for."""

    def now(self) -> datetime:
        """Current instant, UTC."""
        ...

    async def pause(self, duration: timedelta, stop: asyncio.Event) -> None:
        """Let a time of the clock pass, or less if one is told to stop."""
        ...


class RealPace:
    """Waiting as long as it really takes.

    Parameters
    ----------
    clock : Clock
        What time it is; that of the machine unless given.
    speed : float
        Seconds of the clock in a real second.
    """

    def __init__(self, clock: Clock | None = None, *, speed: float = 1.0) -> None:
        self._clock = clock or SystemClock()
        self._speed = speed

    def now(self) -> datetime:
        """Current instant, UTC."""
        return self._clock.now()

    async def pause(self, duration: timedelta, stop: asyncio.Event) -> None:
        """Let a time of the clock pass, or less if one is told to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, duration.total_seconds()) / self._speed)
