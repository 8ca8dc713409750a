"""Not too much at once: a bucket per caller that fills with time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

__all__ = ["Buckets"]

_MOST_CALLERS: Final = 20_000


class Buckets:
    """Rate limits in memory; one process, so one truth.

    Parameters
    ----------
    per_minute : int
        Requests that a caller may make in a minute, all at once or spread out.
    ticks : callable
        Seconds of a clock that never runs back. [s]
    """

    def __init__(self, per_minute: int, ticks: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._per_s = per_minute / 60.0
        self._ticks = ticks
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = Lock()

    def take(self, caller: str) -> int:
        """Take one; 0 if there was one, else the whole seconds until there is. [s]"""
        with self._lock:
            now = self._ticks()
            left, since = self._left.get(caller, (self._size, now))
            left = min(self._size, left + (now - since) * self._per_s)
            if left < 1.0:
                self._left[caller] = left, now
                return math.ceil((1.0 - left) / self._per_s)
            self._left[caller] = left - 1.0, now
            if len(self._left) > _MOST_CALLERS:
                self._forget(now)
            return 0

    def _forget(self, now: float) -> None:
        full = [
            name
            for name, (left, since) in self._left.items()
            if left + (now - since) * self._per_s >= self._size
        ]
        for name in full or list(self._left)[: _MOST_CALLERS // 2]:
            del self._left[name]
