"""What every handler works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from energy.core.clock import Clock
from energy.store import Store
from vpp.people.accounts import People
from vpp.people.logins import Logins, SessionRules
from vpp.people.passwords import Passwords
from vpp.people.rights import SCOPES
from vpp.people.tokens import Tokens
from vpp.web.config import WebSettings
from vpp.web.limits import Buckets
from vpp.web.metrics import Metrics

__all__ = ["Service"]


@dataclass(slots=True, kw_only=True)
class Service:
    """Store, clock, people and limits of one running app.

    Parameters
    ----------
    supervised : bool
        Whether a supervisor of jobs runs on this store (:mod:`vpp.jobs`): it sends the webhooks then.
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
    people: People = field(init=False)
    logins: Logins = field(init=False)
    tokens: Tokens = field(init=False)
    requests: Buckets = field(init=False)
    attempts: Buckets = field(init=False)

    def __post_init__(self) -> None:
        rules = SessionRules(
            idle=timedelta(minutes=self.settings.idle_minutes),
            longest=timedelta(hours=self.settings.session_hours),
        )
        self.people = People(self.store, self.clock, self.passwords)
        self.logins = Logins(self.store, self.clock, self.passwords, rules)
        self.tokens = Tokens(self.store, self.clock, SCOPES)
        self.requests = Buckets(self.settings.requests_per_minute)
        self.attempts = Buckets(self.settings.logins_per_minute)
