"""Planning beside control: a thread that may be slow, fail or hang without the guard waiting for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from energy.core.errors import VppError
from vpp.loop.control import Window
from vpp.loop.halfhour import PlanOrder

__all__ = ["Answer", "PlannerThread", "Spawn", "in_thread"]

log = logging.getLogger(__name__)

_HUNG_MOST: Final = 3  # threads that do not come back; another one would only eat the machine
_HUNG_AFTER: Final = 5.0  # deadlines


Spawn = Callable[[Callable[[], None]], None]


def in_thread(work: Callable[[], None]) -> None:
    """Do a piece of work in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="planner", daemon=True).start()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a planner said, or why it said nothing.

    Parameters
    ----------
    window : Window or None
        The plan.
    trouble : str
        Why there is none.
    """

    order: PlanOrder
    window: Window | None
    trouble: str = ""


@dataclass(slots=True)
class _Asked:
    order: PlanOrder
    began: float
    answer: Answer | None = None
    late: bool = False


class PlannerThread:
    """Asks a planner, one thing at a time.

    Parameters
    ----------
    plan : callable
        Takes an order and gives the window; anything may go wrong in it.
    renew : callable
        Called when a thread never came back, before the next one: puts fresh objects in the place of those
        that it still holds.
    deadline_s : float
        From then on a plan is late. [s]
    spawn : callable
        Starts a piece of work; a thread that does not keep the process alive unless a test says otherwise.
    """

    def __init__(
        self,
        plan: Callable[[PlanOrder], Window],
        *,
        renew: Callable[[], None],
        deadline_s: float,
        spawn: Spawn = in_thread,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._renew = renew
        self._deadline_s = deadline_s
        self._spawn = spawn
        self._monotonic = monotonic
        self._asked: _Asked | None = None
        self._lost: list[_Asked] = []

    def ask(self, order: PlanOrder) -> bool:
        """Begin to plan; False while an earlier plan is still being made.

        One that takes many deadlines is not waited for any more, unless too many such threads live on.
        """
        before = self._asked
        if before is not None and before.answer is None:
            if self._age_s(before) < _HUNG_AFTER * self._deadline_s or self.hung >= _HUNG_MOST:
                return False
            log.error("planner.hangs slot=%s", before.order.slot.start.isoformat())
            self._lost.append(before)
            self._renew()
        asked = self._asked = _Asked(order, self._monotonic())
        self._spawn(lambda: self._work(asked))
        return True

    @property
    def hung(self) -> int:
        """Threads that were given up and still run."""
        self._lost = [one for one in self._lost if one.answer is None]
        return len(self._lost)

    def _age_s(self, asked: _Asked) -> float:
        return self._monotonic() - asked.began

    def _work(self, asked: _Asked) -> None:
        try:
            asked.answer = Answer(asked.order, self._plan(asked.order))
        except VppError as error:
            log.warning("planner.failed slot=%s %s", asked.order.slot.start.isoformat(), error)
            asked.answer = Answer(asked.order, None, str(error))
        except Exception as error:
            log.exception("planner.broke slot=%s", asked.order.slot.start.isoformat())
            asked.answer = Answer(asked.order, None, f"{type(error).__name__}: {error}")

    def answer(self) -> Answer | None:
        """What came, once."""
        asked = self._asked
        if asked is None or asked.answer is None:
            return None
        self._asked = None
        return asked.answer

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._asked is not None

    @property
    def late(self) -> bool:
        """Whether an answer should be there by now."""
        asked = self._asked
        if asked is None or asked.answer is not None:
            return False
        if self._age_s(asked) < self._deadline_s:
            return False
        if not asked.late:
            asked.late = True
            log.error("planner.late slot=%s", asked.order.slot.start.isoformat())
        return True
