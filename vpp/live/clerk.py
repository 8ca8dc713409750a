"""Writing beside control: a thread that keeps what a site leaves, and tries again while the store cannot.

A database may be locked, full or away. Control does not wait for it: what is to be written waits in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from energy.core.errors import DataError

__all__ = ["Clerk"]

log = logging.getLogger(__name__)

_MOST: Final = 20_000  # pieces of work that may wait: about a week of minutes
_PAUSES_S: Final = (0.2, 1.0, 5.0, 15.0)
_TRY_FOR_S: Final = 24 * 3600.0


@dataclass(slots=True)
class _Work:
    name: str
    do: Callable[[], object]
    since: float
    tries: int = 0


class Clerk:
    """Does pieces of work one after the other.

    What contradicts the store is given up and logged; any other trouble is taken for one of the store and
    tried again, for a day.

    Parameters
    ----------
    name : str
        For whom, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: deque[_Work] = deque()
        self._some = threading.Condition()
        self._ending = False
        self._trouble = ""
        self.given_up = 0
        self._thread = threading.Thread(target=self._run, name=f"clerk {name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pieces of work not yet done."""
        return len(self._waiting)

    @property
    def trouble(self) -> str:
        """Why nothing can be written now; empty if all is well."""
        return self._trouble

    def do(self, name: str, work: Callable[[], object], *, may_be_left: bool = False) -> None:
        """Hand over a piece of work.

        Parameters
        ----------
        may_be_left : bool
            Whether it may be left out while something else waits.
        """
        with self._some:
            if may_be_left and len(self._waiting) > 2:
                return
            if len(self._waiting) >= _MOST:
                self.given_up += 1
                log.error("clerk.full site=%s work=%s", self._name, name)
                return
            self._waiting.append(_Work(name, work, time.monotonic()))
            self._some.notify()

    def end(self, *, within_s: float = 10.0) -> int:
        """Finish what waits, as far as it goes in a time; how much was left undone."""
        with self._some:
            self._ending = True
            self._some.notify()
        self._thread.join(within_s)
        left = self.waiting
        if left:
            log.error("clerk.left site=%s pieces=%d why=%s", self._name, left, self._trouble)
        return left

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._waiting and not self._ending:
                    self._some.wait()
                if not self._waiting:
                    return
                work = self._waiting[0]
            if self._done(work):
                self._waiting.popleft()
            else:
                pause_s = _PAUSES_S[min(work.tries - 1, len(_PAUSES_S) - 1)]
                with self._some:
                    self._some.wait(0.2 if self._ending else pause_s)

    def _done(self, work: _Work) -> bool:
        """Whether a piece of work is off the table."""
        try:
            work.do()
        except DataError:
            self.given_up += 1
            log.exception("clerk.contradicts site=%s work=%s", self._name, work.name)
        except Exception as error:
            work.tries += 1
            if not self._trouble:
                log.exception("clerk.cannot_write site=%s work=%s", self._name, work.name)
            self._trouble = f"{type(error).__name__}: {error}"
            if time.monotonic() - work.since < _TRY_FOR_S:
                return False
            self.given_up += 1
            log.exception("clerk.gave_up site=%s work=%s", self._name, work.name)
        if self._trouble:
            log.info("clerk.writes_again site=%s waiting=%d", self._name, self.waiting)
        self._trouble = ""
        return True
