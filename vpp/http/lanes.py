"""How many requests that only read are worked on at the same time; the others wait in the order they came.

Reading is mostly computing, and one process computes one thing at a time: many threads that read at once
answer nobody sooner, they only take turns. Worse, they take all the threads there are, and a value that a
meter sends stands behind everybody who looks at values. So few read at once, programs and pages apart, and
the other threads are left for writing.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final
from weakref import WeakKeyDictionary

__all__ = ["AT_ONCE", "Lanes"]

AT_ONCE: Final = {"programs": 3, "pages": 12}
"""Readings that run at once. Pages may take seconds, and one must not wait for a handful of others."""


class Lanes:
    """The lanes of one app; each event loop has its own."""

    def __init__(self) -> None:
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Semaphore]]
        self._by_loop = WeakKeyDictionary()

    def of(self, lane: str) -> AbstractAsyncContextManager[object]:
        """Wait for one's turn, and keep it inside the block; empty: no need to wait."""
        if not lane:
            return nullcontext()
        loop = asyncio.get_running_loop()
        lanes = self._by_loop.get(loop)
        if lanes is None:
            lanes = self._by_loop[loop] = {name: asyncio.Semaphore(most) for name, most in AT_ONCE.items()}
        return lanes[lane]
