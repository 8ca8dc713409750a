"""All sites of a service in one thread of their own, away from whatever else the process does.

A site that breaks is left safe and started again, later and later; the others do not notice. Sites come,
are replaced and go while the others run: the safe state first, then what comes after it. What cannot be begun
at the start (another program commands the link, a memory that cannot be read) is refused then.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from energy.core.errors import VppError
from vpp.live.pace import RealPace
from vpp.live.site import LiveSite
from vpp.ops.status import Part, PartState

__all__ = ["LiveService"]

log = logging.getLogger(__name__)

_AGAIN: Final = tuple(timedelta(seconds=pause) for pause in (5, 15, 60, 300))
_LOOK: Final = timedelta(milliseconds=50)
_FIRST_STEP_S: Final = 60.0
_SAFE_WITHIN_S: Final = 30.0
Make = Callable[[], LiveSite]


class LiveService:
    """Runs sites from :meth:`start` to :meth:`stop`.

    Parameters
    ----------
    makes : mapping of str to callable
        By site: makes it, as often as it must be started again.
    """

    def __init__(self, makes: Mapping[str, Make]) -> None:
        self._makes = dict(makes)  # from the start on changed in the thread only
        self._sites: dict[str, LiveSite] = {}
        self._ended: dict[str, Part] = {}
        self._apart: set[str] = set()
        self._stops: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._refused: VppError | None = None
        self._begun = threading.Event()
        self._over = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, and wait until every site has taken its first step.

        Raises
        ------
        VppError
            If a site cannot be begun; then none runs.
        """
        self._thread = threading.Thread(target=self._main, name="live")
        self._thread.start()
        self._begun.wait(_FIRST_STEP_S)
        if self._refused is not None:
            self.stop()
            raise self._refused

    def stop(self) -> bool:
        """End: every site leaves its safe state; whether all did in time."""
        if self._thread is None:
            return True
        if self._loop is not None and self._stop is not None and not self._over.is_set():
            try:
                self._loop.call_soon_threadsafe(self._stop.set)
            except RuntimeError:  # it has just ended by itself
                log.debug("live.ended_already")
        self._thread.join(_SAFE_WITHIN_S)
        if self._thread.is_alive():
            log.error("live.does_not_stop")
            return False
        return True

    @property
    def runs(self) -> bool:
        """Whether the thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def parts(self) -> tuple[Part, ...]:
        """How each site does."""
        return tuple(self._part(name) for name in tuple(self._makes))

    def _part(self, name: str) -> Part:
        if self._over.is_set():
            return Part(name=f"site:{name}", state=PartState.FAILED, why=("ended",))
        if name in self._apart:
            return Part(name=f"site:{name}", state=PartState.STARTING, why=("being_tried",))
        ended, site = self._ended.get(name), self._sites.get(name)
        if ended is not None:
            return ended
        if site is not None:
            return site.part
        return Part(name=f"site:{name}", state=PartState.STARTING, why=("starting",))

    # -- sites that come and go ------------------------------------------------------------------------

    def put(self, name: str, make: Make) -> None:
        """Run a site from now on; one that runs is replaced once its safe state is left behind."""
        self._in_thread(self._put(name, make))

    def remove(self, name: str) -> bool:
        """Run a site no more; whether its safe state was left behind in time."""
        return self._in_thread(self._remove(name))

    @contextmanager
    def apart(self, name: str) -> Iterator[None]:
        """Leave the equipment of a site alone for a while, for somebody who tries it; safe state first."""
        self._in_thread(self._hold(name))
        try:
            yield
        finally:
            self._in_thread(self._let_go(name))

    def _in_thread(self, work: Coroutine[Any, Any, bool]) -> bool:
        """Do something where the sites run, and wait for it; nothing once they do not run any more."""
        if self._loop is None or not self.runs or self._over.is_set():
            work.close()
            return False
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SAFE_WITHIN_S)
        except concurrent.futures.TimeoutError:
            log.error("live.does_not_change")
        except (RuntimeError, concurrent.futures.CancelledError):  # it has just ended by itself
            work.close()
        return False

    async def _put(self, name: str, make: Make) -> bool:
        self._makes[name] = make
        if name in self._tasks:
            self._stops[name].set()  # its task goes on with what is new
        elif name not in self._apart:
            self._begin(name)
        return True

    async def _remove(self, name: str) -> bool:
        self._makes.pop(name, None)
        return await self._ends(name)

    async def _hold(self, name: str) -> bool:
        self._apart.add(name)
        return await self._ends(name)

    async def _let_go(self, name: str) -> bool:
        self._apart.discard(name)
        if name in self._makes and name not in self._tasks:
            self._begin(name)
        return True

    async def _ends(self, name: str) -> bool:
        task = self._tasks.get(name)
        if task is not None:
            self._stops[name].set()
            await asyncio.wait([task])
        return True

    # -- in the thread ---------------------------------------------------------------------------------

    def _main(self) -> None:
        try:
            asyncio.run(self._all())
        except Exception:
            log.exception("live.broke")
        finally:
            self._over.set()
            self._begun.set()

    async def _all(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        first = frozenset(self._makes)
        for name in first:
            self._begin(name)
        begun = asyncio.create_task(self._say_begun(first))
        await self._stop.wait()
        for stop in self._stops.values():
            stop.set()
        await asyncio.gather(begun, *self._tasks.values())

    def _begin(self, name: str) -> None:
        assert self._stop is not None
        if self._stop.is_set():
            return
        self._stops[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._keep_alive(name), name=name)

    async def _say_begun(self, first: frozenset[str]) -> None:
        assert self._stop is not None
        pace = RealPace()
        while not self._stop.is_set():
            if all(name in self._sites and self._sites[name].steps for name in first):
                break
            await pace.pause(_LOOK, self._stop)
        self._begun.set()

    async def _keep_alive(self, name: str) -> None:
        """Run a site, again and again if it must be, and what takes its place."""
        assert self._stop is not None
        stop, tries = self._stops[name], 0
        try:
            while not self._stop.is_set() and name in self._makes and name not in self._apart:
                stop.clear()  # what set it is what is read next
                site: LiveSite | None = None
                try:
                    site = self._sites[name] = self._makes[name]()
                    self._ended.pop(name, None)
                    await site.run(stop)
                    tries = 0
                except Exception as error:
                    steps = 0 if site is None else site.steps
                    if self._must_refuse(error, steps):
                        return
                    log.exception("live.site_ended site=%s", name)
                    self._ended[name] = _ended(name, error, steps)
                    await RealPace().pause(_AGAIN[min(tries, len(_AGAIN) - 1)], stop)
                    tries = 0 if steps > 100 else tries + 1
        finally:
            for kept in (self._tasks, self._sites, self._ended, self._stops):
                kept.pop(name, None)

    def _must_refuse(self, error: Exception, steps: int) -> bool:
        """Whether a site could not be begun at the start: then nothing runs."""
        assert self._stop is not None
        if self._begun.is_set() or steps or not isinstance(error, VppError):
            return False
        self._refused = self._refused or error
        self._stop.set()
        return True


def _ended(name: str, error: Exception, steps: int) -> Part:
    """A site that ended by itself; one that could not even begin waits for its surroundings."""
    if isinstance(error, VppError) and not steps:
        return Part(name=f"site:{name}", state=PartState.DEGRADED, why=("cannot_begin",))
    return Part(name=f"site:{name}", state=PartState.FAILED, why=("ended",))
