"""All sites of a service in one thread of their own, away from whatever else the process does.

A site that breaks is left safe and started again, later and later; the others do not notice. What cannot be
begun at all (another program commands the link, a memory that cannot be read) is refused at the start.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final

from energy.core.errors import VppError
from vpp.live.pace import RealPace
from vpp.live.site import LiveSite
from vpp.live.status import Part, PartState

__all__ = ["LiveService"]

log = logging.getLogger(__name__)

_AGAIN: Final = tuple(timedelta(seconds=pause) for pause in (5, 15, 60, 300))
_LOOK: Final = timedelta(milliseconds=50)
_FIRST_STEP_S: Final = 60.0
_SAFE_WITHIN_S: Final = 30.0


class LiveService:
    """Runs sites from :meth:`start` to :meth:`stop`.

    Parameters
    ----------
    makes : mapping of str to callable
        By site: makes it, as often as it must be started again.
    """

    def __init__(self, makes: Mapping[str, Callable[[], LiveSite]]) -> None:
        self._makes = dict(makes)
        self._sites: dict[str, LiveSite] = {}
        self._ended: dict[str, Part] = {}
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
        if not self._makes:
            return
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
        return tuple(self._part(name) for name in self._makes)

    def _part(self, name: str) -> Part:
        if self._over.is_set():
            return Part(name=f"site:{name}", state=PartState.FAILED, why=("ended",))
        if name in self._ended:
            return self._ended[name]
        if name in self._sites:
            return self._sites[name].part
        return Part(name=f"site:{name}", state=PartState.STARTING, why=("starting",))

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
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks = [asyncio.create_task(self._keep_alive(name), name=name) for name in self._makes]
        tasks.append(asyncio.create_task(self._say_begun()))
        await asyncio.gather(*tasks)

    async def _say_begun(self) -> None:
        assert self._stop is not None
        pace = RealPace()
        while not self._stop.is_set():
            if len(self._sites) == len(self._makes) and all(one.steps for one in self._sites.values()):
                break
            await pace.pause(_LOOK, self._stop)
        self._begun.set()

    async def _keep_alive(self, name: str) -> None:
        """Run a site, again and again if it must be."""
        assert self._stop is not None
        tries = 0
        while not self._stop.is_set():
            site: LiveSite | None = None
            try:
                site = self._sites[name] = self._makes[name]()
                self._ended.pop(name, None)
                await site.run(self._stop)
            except Exception as error:
                steps = 0 if site is None else site.steps
                if not self._begun.is_set() and isinstance(error, VppError) and not steps:
                    self._refused = self._refused or error
                    self._stop.set()
                    return
                log.exception("live.site_ended site=%s", name)
                self._ended[name] = Part(name=f"site:{name}", state=PartState.FAILED, why=("ended",))
                await RealPace().pause(_AGAIN[min(tries, len(_AGAIN) - 1)], self._stop)
                tries = 0 if steps > 100 else tries + 1
