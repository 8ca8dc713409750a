"""What every handler works with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta

from energy.core.clock import Clock
from energy.store import Store
from vpp.http.lanes import Lanes
from vpp.http.limits import Buckets
from vpp.http.metrics import Metrics
from vpp.ops.alerts_look import DiskSpace
from vpp.ops.status import Part
from vpp.people.accounts import People
from vpp.people.logins import Logins, SessionRules
from vpp.people.passwords import Passwords
from vpp.people.rights import SCOPES
from vpp.people.tokens import Tokens
from vpp.setup.service import WebSettings

__all__ = ["Service"]


@dataclass(slots=True, kw_only=True)
class Service:
    """Store, clock, people and limits of one running app.

    Parameters
    ----------
    supervised : bool
        Whether a supervisor of jobs runs on this store (:mod:`vpp.jobs`): it sends the webhooks then.
    parts : callable
        How each part that runs in this process does.
    said : callable
        What is in the way of a site that this process should run, in words.
    apart : callable
        Leaves the equipment of a site alone, safe, while somebody tries it.
    demo_speed : float
        How much faster than real time this demonstration runs; 0 if nothing here is a demonstration.
    door_clock : Clock or None
        Time of log-ins and sessions; ``clock`` unless given. That of a demonstration is too fast for people.
    disk : callable or None
        Free and total space beside the database, where it is on this machine.
    stopping : bool
        Set once the service is told to stop: it finishes what it has, and is not ready for more.
    """

    store: Store
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
    passwords: Passwords = field(default_factory=Passwords)
    metrics: Metrics = field(default_factory=Metrics)
    stopping: bool = False
    supervised: bool = False
    parts: Callable[[], tuple[Part, ...]] = tuple
    said: Callable[[str], str] = lambda _site: ""
    apart: Callable[[str], AbstractContextManager[None]] = lambda _site: nullcontext()
    demo_speed: float = 0.0
    door_clock: Clock | None = None
    disk: DiskSpace | None = None
    people: People = field(init=False)
    logins: Logins = field(init=False)
    tokens: Tokens = field(init=False)
    requests: Buckets = field(init=False)
    attempts: Buckets = field(init=False)
    lanes: Lanes = field(init=False)

    def __post_init__(self) -> None:
        rules = SessionRules(
            idle=timedelta(minutes=self.settings.idle_minutes),
            longest=timedelta(hours=self.settings.session_hours),
        )
        doors = self.door_clock or self.clock
        self.people = People(self.store, doors, self.passwords)
        self.logins = Logins(self.store, doors, self.passwords, rules)
        self.tokens = Tokens(self.store, doors, SCOPES)
        self.requests = Buckets(self.settings.requests_per_minute)
        self.attempts = Buckets(self.settings.logins_per_minute)
        self.lanes = Lanes()
