"""Retention by rule: what is older than its rule goes, batch by batch, and what went is written down.

What a rule may name is fixed here, so that no file can reach the journal, settlements and the evidence they
rest on, plans handed in or consents. People all of whose consents have ended are erased as on their own
request (:func:`vpp.privacy.erase_person`); sites that the service runs are never taken for people.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.errors import ConfigError, ConsentError
from energy.core.slots import JST
from energy.store import Outdated, Store
from vpp.config import read_yaml
from vpp.privacy import consents_ended, erase_person
from vpp.site.sitebook import ASSETS, kept_sites

__all__ = [
    "MAY_GO",
    "RETENTION_RUN",
    "SHIPPED",
    "Due",
    "RetentionRule",
    "Went",
    "apply_rules",
    "due",
    "load_rules",
]

log = logging.getLogger(__name__)

What = Literal["values", "documents", "records", "subjects"]
RETENTION_RUN: Final = "retention-run"
"""Kind of the documents that say what went; key is the instant."""
SHIPPED: Final = Path(__file__).with_name("retention.yaml")
_BATCH: Final = 5_000

MAY_GO: Final[dict[What, frozenset[str]]] = {
    # Half hours are not among them: bills, baselines and points are made of them.
    "values": frozenset(
        {"/counter_kwh", "/power_kw", "/generation_kw", "/now_c", "/soc", "/plugged", "/room_c"}
    ),
    "documents": frozenset(
        {
            "plan-ahead",
            "slot",
            "alert-event",
            "alert-mail",
            "backup",
            "ledger-check",
            "retention-run",
            "room-fit",
            "error-day",
            "sum-day",
            "sum-forecast",
        }
    ),
    "records": frozenset({"personal.seen", "access.refused"}),
    "subjects": frozenset({"all-consents-ended"}),
}
"""All that a rule can name."""
_LEAST_DAYS: Final[dict[What, int]] = {"values": 62, "documents": 31, "records": 365, "subjects": 31}
"""No rule may keep less: two months of bills must be disputable, sights a year."""


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RetentionRow:
    """A period in which a rule holds.

    Parameters
    ----------
    valid_from, valid_to : date, date or None
        First and last Japanese day on which it is applied.
    keep_days : int
        What is older goes. [d]
    """

    valid_from: date
    valid_to: date | None = None
    keep_days: Annotated[int, Field(ge=1, le=36_600)]
    source: Annotated[str, Field(min_length=2)]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RetentionRule:
    """What is kept how long.

    Parameters
    ----------
    what : {"values", "documents", "records", "subjects"}
        Values of series, documents, records of the audit trail, people whose consents have ended.
    names : tuple of str
        Endings of series, kinds of documents, acts; from the list of what may go.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z-]{1,40}$")]
    what: What
    names: Annotated[tuple[str, ...], Field(min_length=1)]
    rows: Annotated[tuple[RetentionRow, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _only_what_may_go(self) -> RetentionRule:
        for name in self.names:
            if name not in MAY_GO[self.what]:
                msg = f"{name!r} is always kept; what may go: {', '.join(sorted(MAY_GO[self.what]))}"
                raise ValueError(msg)
        for row in self.rows:
            if row.keep_days < _LEAST_DAYS[self.what]:
                msg = f"{self.what} are kept for {_LEAST_DAYS[self.what]} days at least, not {row.keep_days}"
                raise ValueError(msg)
        ordered = sorted(self.rows, key=lambda row: row.valid_from)
        for one, after in pairwise(ordered):
            if one.valid_to is None or one.valid_to >= after.valid_from:
                msg = f"two rows of {self.id} hold on {after.valid_from}"
                raise ValueError(msg)
        return self

    def row_on(self, day: date) -> RetentionRow | None:
        """The row in force on a day; None if there is none."""
        return next(
            (
                row
                for row in self.rows
                if row.valid_from <= day and (row.valid_to is None or day <= row.valid_to)
            ),
            None,
        )


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RetentionFile:
    """The file of rules."""

    rules: Annotated[tuple[RetentionRule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> RetentionFile:
        names = [rule.id for rule in self.rules]
        if len(set(names)) < len(names):
            msg = "two rules have the same id"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a rule would take out now.

    Parameters
    ----------
    name : str
        Ending, kind or act; for people their id.
    before : datetime
        What is older goes. UTC.
    """

    rule: str
    what: What
    name: str
    keep_days: int
    before: datetime
    count: int
    first: datetime | None = None
    last: datetime | None = None

    def to_json(self) -> dict[str, object]:
        """The line under English keys."""
        return {
            "rule": self.rule,
            "what": self.what,
            "name": self.name,
            "keep_days": self.keep_days,
            "before": self.before.isoformat(),
            "count": self.count,
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Went:
    """What a rule took out; ``held`` says why something stayed."""

    rule: str
    name: str
    count: int
    held: str = ""


def load_rules(path: Path | None = None) -> tuple[RetentionRule, ...]:
    """Rules of a file; the shipped ones if none is named.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a rule names what must be kept.
    """
    return read_yaml(SHIPPED if path is None else path, RetentionFile).rules


def due(store: Store, rules: Sequence[RetentionRule], now: datetime) -> list[Due]:
    """What would go now, exactly; nothing is changed."""
    found: list[Due] = []
    for rule in rules:
        row = rule.row_on(now.astimezone(JST).date())
        if row is None:
            continue
        before = now - timedelta(days=row.keep_days)
        for name in rule.names:
            for subject, old in _outdated(store, rule.what, name, before, now):
                if old.count:
                    found.append(
                        Due(
                            rule=rule.id,
                            what=rule.what,
                            name=subject,
                            keep_days=row.keep_days,
                            before=before,
                            count=old.count,
                            first=old.first,
                            last=old.last,
                        )
                    )
    return found


def apply_rules(
    store: Store,
    rules: Sequence[RetentionRule],
    now: datetime,
    *,
    actor: str,
    batch: int = _BATCH,
    go_on: Callable[[], bool] = lambda: True,
) -> list[Went]:
    """Take out what is due, batch by batch, each a transaction of its own, and write down what went.

    Parameters
    ----------
    batch : int
        Most rows of one transaction, so that others can write in between.
    go_on : callable
        Asked between two batches; what is left goes the next time.
    """
    went: list[Went] = []
    for one in due(store, rules, now):
        if one.what == "subjects":
            went.append(_erase(store, one, now, actor))
        else:
            count = 0
            while go_on() and (gone := _take(store, one, batch, now, actor)):
                count += gone
            went.append(Went(rule=one.rule, name=one.name, count=count))
        if not go_on():
            break
    went = [one for one in went if one.count or one.held]
    if went:
        told = [{"rule": w.rule, "name": w.name, "count": w.count, "held": w.held} for w in went]
        with store.transaction():
            store.put_document(RETENTION_RUN, now.isoformat(), known_at=now, body=json.dumps(told))
            store.audit(actor, "retention.applied", "retention", at=now, facts={"went": told})
        log.info("retention.applied", extra={"facts": {"rows": sum(one.count for one in went)}})
    return went


def _outdated(
    store: Store, what: What, name: str, before: datetime, now: datetime
) -> list[tuple[str, Outdated]]:
    match what:
        case "values":
            return [(name, store.pruning.points([name], before))]
        case "documents":
            return [(name, store.pruning.documents(name, before))]
        case "records":
            return [(name, store.pruning.records(name, before))]
        case "subjects":
            return [(subject, Outdated(1, ended, ended)) for subject, ended in _ended(store, before, now)]


def _take(store: Store, one: Due, batch: int, now: datetime, actor: str) -> int:
    match one.what:
        case "values":
            return store.pruning.take_points([one.name], one.before, limit=batch)
        case "documents":
            return store.pruning.take_documents(one.name, one.before, limit=batch)
        case "records":
            return store.pruning.cut_records(one.name, one.before, at=now, actor=actor, limit=batch)
        case "subjects":
            raise ConfigError("people are erased one by one", where=one.name)


def _ended(store: Store, before: datetime, now: datetime) -> list[tuple[str, datetime]]:
    """People all of whose consents ended before an instant and who are still on record; never a site."""
    known = store.as_of(now)
    sites = {document.key for document in known.documents(ASSETS)} | set(kept_sites(known))
    return [one for one in consents_ended(store, before=before, at=now) if one[0] not in sites]


def _erase(store: Store, one: Due, now: datetime, actor: str) -> Went:
    try:
        done = erase_person(store, one.name, folders=(), at=now, actor=actor)
    except ConsentError as error:  # still called in an event that is not settled: the next time
        return Went(rule=one.rule, name=one.name, count=0, held=error.where)
    return Went(rule=one.rule, name=one.name, count=done.deleted.points + done.deleted.documents + 1)
