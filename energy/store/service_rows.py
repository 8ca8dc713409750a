"""Rows of the service: accounts, sessions, tokens, writes, webhooks, runs of jobs, alerts. They change.

A row is a frozen dataclass with one field per column. What the fields mean belongs to :mod:`vpp.people`,
:mod:`vpp.api`, :mod:`vpp.jobs` and :mod:`vpp.ops`; here they are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

__all__ = [
    "AccountRow",
    "AlertRow",
    "HookMessageRow",
    "HookRow",
    "JobRow",
    "JobRunRow",
    "LinkRow",
    "RowTable",
    "ServiceRows",
    "SessionRow",
    "TokenRow",
    "WriteRow",
]

R = TypeVar("R")
Cell = str | int | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One person or system; ``objects`` and ``recovery`` are JSON."""

    id: str
    name: str
    role: str
    state: str
    objects: str
    lang: str
    password: str | None
    totp_seed: str | None
    totp_step: int | None
    recovery: str
    failures: int
    locked_until: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRow:
    """A link that may be used once; kept as a digest."""

    digest: str
    account: str
    purpose: str
    created_at: datetime
    ends_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A browser that logged in; kept as a digest of its cookie."""

    digest: str
    account: str
    form_key: str
    stage: str
    created_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """A key of a program; kept as a digest."""

    id: str
    digest: str
    account: str
    name: str
    scopes: str
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRow:
    """A write that was asked for under a key, and what was answered; no status yet: it is being done."""

    account: str
    key: str
    request: str
    made_at: datetime
    status: int | None = None
    content_type: str | None = None
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRow:
    """An address that wants to be told."""

    id: str
    account: str
    url: str
    signing_key: str
    kinds: str
    created_at: datetime
    seen_until: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMessageRow:
    """One message to one address; ``due_at`` is None once it arrived or was given up."""

    id: str
    hook: str
    event: str
    kind: str
    body: str
    created_at: datetime
    due_at: datetime | None
    tries: int = 0
    answer: int | None = None
    fault: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job of one subject as a running service last saw it; ``about`` is JSON."""

    name: str
    subject: str
    about: str
    next_at: datetime | None
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunRow:
    """One time that a job was due; ``outcome`` is JSON, keys sort by the instant it was due."""

    key: str
    job: str
    subject: str
    due_at: datetime
    state: str
    attempts: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = "{}"
    error: str = ""
    asked_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One kind of trouble with one thing, as it stands; ``facts`` is JSON."""

    kind: str
    subject: str
    state: str
    level: str
    facts: str
    since: datetime
    gone_since: datetime | None = None
    opened_at: datetime | None = None
    cleared_at: datetime | None = None
    seen_at: datetime | None = None
    seen_by: str = ""
    note: str = ""
    silent_until: datetime | None = None
    silent_by: str = ""


class RowTable(Protocol[R]):
    """One table of such rows."""

    def add(self, row: R) -> bool:
        """Add a row; False if one stands under its key, which is left as it is."""
        ...

    def find(self, **equal: Cell) -> list[R]:
        """Rows whose columns have these values, by key."""
        ...

    def one(self, **equal: Cell) -> R | None:
        """The first of them."""
        ...

    def change(self, equal: Mapping[str, Cell], **values: Cell) -> int:
        """Set columns of the rows that have the values of ``equal`` now; how many these were."""
        ...

    def remove(self, **equal: Cell) -> int:
        """Take rows away; how many these were."""
        ...

    def up_to(self, column: str, instant: datetime, *, limit: int = 1_000) -> list[R]:
        """Rows whose column holds an instant not later than this one, earliest first."""
        ...

    def last(self, *, below: str | None = None, limit: int = 1, **equal: Cell) -> list[R]:
        """Rows with these values, largest key first, of keys below one; for tables with one key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRows:
    """All tables of the service."""

    accounts: RowTable[AccountRow]
    links: RowTable[LinkRow]
    sessions: RowTable[SessionRow]
    tokens: RowTable[TokenRow]
    writes: RowTable[WriteRow]
    hooks: RowTable[HookRow]
    messages: RowTable[HookMessageRow]
    jobs: RowTable[JobRow]
    runs: RowTable[JobRunRow]
    alerts: RowTable[AlertRow]
