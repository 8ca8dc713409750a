"""Notices while a service runs that a site was added, changed or taken away, and sees to it in order.

It looks at the files every few seconds. A site whose files are whole begins to run; one that changed is
replaced, its safe state first; one that is gone is left safe and run no more. Files that cannot be used
change nothing of what runs, and are said. Whatever goes wrong with one site reaches no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread
from typing import Final, Protocol

from energy.core.clock import Clock
from energy.core.errors import VppError
from energy.store import Store
from vpp.live.known import Found
from vpp.ops.status import Part, PartState
from vpp.setup.sites import KnownSite

__all__ = ["Hands", "SiteWatch"]

log = logging.getLogger(__name__)

EVERY_S: Final = 2.0
_NOTHING_LEFT: Final = "no_devices"  # the last device of a folder of the set-up page was taken out
_GONE_AFTER: Final = 2  # looks in a row: a file that is being replaced, or a folder that blinks, is not gone
_WAITS: Final = frozenset({"no_devices", "no_meter"})  # nothing is wrong: it is not complete yet
_ACTOR: Final = "service"


class Hands(Protocol):
    """Begins and ends sites."""

    def take(self, site: KnownSite) -> None:
        """Run a site from now on, in place of one of the same id."""
        ...

    def let_go(self, name: str) -> bool:
        """Run a site no more; whether it was left safe in time."""
        ...


@dataclass(slots=True, kw_only=True)
class SiteWatch:
    """Looks, and has done what follows from it.

    Parameters
    ----------
    look : callable
        Every site as its files say it now; raises ``VppError`` where nothing can be said.
    running : mapping of str to str
        Marks of the sites that run already, by id.
    """

    look: Callable[[], Mapping[str, Found]]
    hands: Hands
    store: Store
    clock: Clock
    running: dict[str, str]
    _troubles: dict[str, Found] = field(default_factory=dict)
    _told: dict[str, str] = field(default_factory=dict)
    _missing: dict[str, int] = field(default_factory=dict)
    _blind: bool = False
    _broken: bool = False
    _lock: Lock = field(default_factory=Lock)
    _stop: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Look now and then, in a thread of its own."""
        self._thread = Thread(target=self._run, name="site-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a change that has begun is finished."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.once()
            self._stop.wait(EVERY_S)

    def once(self) -> None:
        """One look, and what follows from it; a fault of ours ends no thread; :meth:`parts` tells of it."""
        try:
            self._once()
        except Exception:
            if not self._broken:
                log.exception("watch.broke")
            self._broken = True
        else:
            self._broken = False

    def _once(self) -> None:
        try:
            found = self.look()
        except VppError as error:  # a folder that is not there says nothing about its sites
            if not self._blind:
                log.warning("watch.blind why=%s", error)
            self._blind = True
            return
        self._blind = False
        for name in sorted(found):
            if found[name].why != _NOTHING_LEFT:
                self._missing.pop(name, None)
            self._see(found[name])
        for name in sorted(self.running.keys() | self._troubles.keys()):
            if name not in found:
                self._miss(name)

    def _see(self, found: Found) -> None:
        if self.running.get(found.id) == found.mark:
            self._well(found.id)
        elif found.why == _NOTHING_LEFT and found.id in self.running:
            self._miss(found.id)
        elif found.known is None:
            self._cannot(found)
        else:
            self._take(found, found.known)

    def _well(self, name: str) -> None:
        with self._lock:
            self._troubles.pop(name, None)

    def _take(self, found: Found, known: KnownSite) -> None:
        act = "site.replaced" if found.id in self.running else "site.started"
        try:
            self.hands.take(known)
            self._audit(act, found.id, access=known.settings.access.value)
        except VppError as error:
            self._cannot(replace(found, known=None, why="cannot_begin", said=str(error)))
            return
        self.running[found.id] = found.mark
        self._told.pop(found.id, None)
        self._well(found.id)
        log.info("watch.%s site=%s access=%s", act, found.id, known.settings.access.value)

    def _cannot(self, found: Found) -> None:
        """Say once what is in the way; what runs goes on as it is."""
        with self._lock:
            self._troubles[found.id] = found
        if self._told.get(found.id) == found.mark + found.why:
            return
        self._told[found.id] = found.mark + found.why
        runs = found.id in self.running
        level = logging.INFO if found.why in _WAITS and not runs else logging.WARNING
        log.log(level, "watch.%s site=%s goes_on=%s why=%s", found.why, found.id, runs, found.said)
        if found.why not in _WAITS or runs:
            self._audit("site.unusable", found.id, why=found.why, said=found.said[:300], goes_on=runs)

    def _miss(self, name: str) -> None:
        self._missing[name] = self._missing.get(name, 0) + 1
        if self._missing[name] < _GONE_AFTER:
            return
        with self._lock:
            self._troubles.pop(name, None)
        if name in self.running:
            safe = self.hands.let_go(name)
            del self.running[name]
            self._audit("site.stopped", name, safe=safe)
            log.info("watch.site.stopped site=%s safe=%s", name, safe)
        self._missing.pop(name, None)

    def _audit(self, act: str, name: str, **facts: object) -> None:
        self.store.audit(_ACTOR, act, f"site/{name}", at=self.clock.now(), facts=facts)

    # -- how it does -----------------------------------------------------------------------------------

    def parts(self, running: tuple[Part, ...]) -> tuple[Part, ...]:
        """How each site does: those that run, with what is wrong with their files, and those that wait."""
        with self._lock:
            troubles = dict(self._troubles)
        shown = []
        for part in running:
            trouble = troubles.pop(part.name.removeprefix("site:"), None)
            if trouble is not None and trouble.why not in part.why:
                worse = PartState.DEGRADED if part.state in {PartState.OK, PartState.STARTING} else part.state
                shown.append(replace(part, state=worse, why=(*part.why, trouble.why)))
            else:
                shown.append(part)
        for name, one in troubles.items():
            state = PartState.STARTING if one.why in _WAITS else PartState.DEGRADED
            shown.append(Part(name=f"site:{name}", state=state, why=(one.why,)))
        if self._blind or self._broken:  # what runs goes on; what is new or changed is not seen
            shown.append(Part(name="watch", state=PartState.DEGRADED, why=("sites_not_seen",)))
        return tuple(shown)

    def said(self, name: str) -> str:
        """What is in the way of a site, in words; empty if nothing is."""
        with self._lock:
            found = self._troubles.get(name)
        return "" if found is None else found.said
