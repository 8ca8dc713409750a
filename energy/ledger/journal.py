"""The journal: double entry in whole points, append-only, each entry chained to the one before by its hash.

An entry is kept as canonical JSON that holds its number and the hash of the entry before it; its own hash is
the SHA-256 of that text (FIPS 180-4). Whoever changes, removes or reorders an entry breaks every hash that
follows (docs/adr/0005).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from energy.core.clock import require_aware
from energy.core.errors import BrokenChainError, DuplicateEntryError, LedgerError
from energy.store import JournalRow, Store, canonical_json

__all__ = [
    "AlreadyPosted",
    "Entry",
    "Fact",
    "Journal",
    "Posted",
    "Posting",
    "Statement",
    "StatementLine",
    "VerifyReport",
]

Fact = str | int | bool | None  # never a float: a kWh is written as the text of its Decimal

_GENESIS: Final = "0" * 64  # what the first entry names as the hash before it
_REVERSAL: Final = "reverse/"  # keys of reversals: this and the key of what is taken back
_LARGEST: Final = 2**63 - 1  # 64-bit integers in both databases
# Canonical JSON of an entry without escapes, in the order of its sorted names.
_TEXT: Final = r'"[^"\\\x00-\x1f]*"'
_FACT: Final = rf"{_TEXT}:(?:{_TEXT}|0|-?[1-9][0-9]*|true|false|null)"
_PLAIN: Final = re.compile(
    r'\{"at":"([0-9T:.-]+\+00:00)","facts":\{'
    rf"((?:{_FACT}(?:,{_FACT})*)?)"
    r'\},"key":"([^"\\\x00-\x1f]*)","memo":'
    rf"{_TEXT}"
    r',"number":([0-9]+),"postings":\[([^\\]*)\],"previous":"([0-9a-f]{64})"\}'
)
_FACT_NAME: Final = re.compile(rf"({_TEXT}):(?:{_TEXT}|[^,]*)(?:,|$)")


@dataclass(frozen=True, slots=True)
class Posting:
    """Points into (+) or out of (-) an account such as ``driver/hanako``.

    Raises
    ------
    LedgerError
        If the points are no whole number other than zero, or the account's name is not printable.
    """

    account: str
    points: int

    def __post_init__(self) -> None:
        if type(self.points) is not int or not 0 < abs(self.points) <= _LARGEST:
            raise LedgerError(
                "a posting needs whole points other than zero",
                where=f"account {self.account!r}, points {self.points!r}",
                hint="round once, by the rule, before posting",
            )
        _require_name("account", self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One booking; its postings sum to zero.

    Parameters
    ----------
    key : str
        Idempotency key: posting the same key twice books once.
    at : datetime
        When it is booked; kept in UTC. Not part of what the key stands for: a job that runs again later posts
        the same entry.
    postings : tuple of Posting
        At least two.
    memo : str
        For people.
    facts : mapping
        For machines: rule and version, kWh as text, event, car. No floats.

    Raises
    ------
    LedgerError
        If the postings do not sum to zero, or a text or fact cannot be kept.
    """

    key: str
    at: datetime
    postings: tuple[Posting, ...]
    memo: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_name("key", self.key)
        object.__setattr__(self, "at", require_aware(self.at))
        object.__setattr__(self, "facts", dict(self.facts))
        total = sum(posting.points for posting in self.postings)
        if total or len(self.postings) < 2:
            raise LedgerError(
                "an entry's postings must be two or more and sum to zero",
                where=f"entry {self.key!r}: "
                + ", ".join(f"{posting.account} {posting.points:+d}" for posting in self.postings),
                hint="add the account that the points come from",
                total=total,
            )
        for name, fact in self.facts.items():
            if not isinstance(fact, str | int | None):
                raise LedgerError(
                    f"fact {name!r} is not exact",
                    where=f"entry {self.key!r}: {fact!r}",
                    hint="write numbers with a fraction as the text of their Decimal",
                )


@dataclass(frozen=True, slots=True)
class Posted:
    """The entry is in the journal now."""

    number: int
    digest: str


@dataclass(frozen=True, slots=True)
class AlreadyPosted:
    """The entry was in the journal before; nothing changed.

    ``reversed`` says whether it was taken back since.
    """

    number: int
    digest: str
    reversed: bool


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The chain holds: so many entries, and the hash of the last.

    Kept elsewhere, it proves later that nothing was cut off or rewritten.
    """

    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One booking as an account sees it; ``balance_points`` is after it."""

    number: int
    at: datetime
    key: str
    points: int
    balance_points: int
    memo: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Statement:
    """Bookings of an account in a stretch of time, in order of time."""

    account: str
    opening_points: int
    lines: tuple[StatementLine, ...]
    closing_points: int


class Journal:
    """Entries in a store, posted once and never changed.

    Parameters
    ----------
    store : Store
        Where they are kept; a transaction of the store covers postings too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table = store.journal

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction of the store in which nobody else books: look first, then post."""
        with self._store.transaction():
            self._table.lock()
            yield

    def post(self, entry: Entry) -> Posted | AlreadyPosted:
        """Book an entry, once.

        Raises
        ------
        DuplicateEntryError
            If the key is taken by an entry with other postings, memo or facts.
        LedgerError
            If the key is one of a reversal.
        """
        if entry.key.startswith(_REVERSAL):
            raise LedgerError(
                f"the key {entry.key!r} is kept for reversals", hint="use Journal.reverse, or another key"
            )
        return self._post(entry)

    def _post(self, entry: Entry) -> Posted | AlreadyPosted:
        with self.writing():
            existing = self._table.find(entry.key)
            if existing is not None:
                return self._already(entry, existing)
            head = self._table.head()
            number, previous = (head.number + 1, head.digest) if head else (1, _GENESIS)
            body = _body(entry, number, previous)
            row = JournalRow(number, entry.key, body, _digest(body), _pairs(entry.postings))
            self._table.append(row)
        return Posted(number, row.digest)

    def _already(self, entry: Entry, row: JournalRow) -> AlreadyPosted:
        stored = _read(row)
        if _said(stored) != _said(entry):
            raise DuplicateEntryError(
                f"entry {entry.key!r} exists and says something else",
                where=f"number {row.number}: {_said(stored)}; offered: {_said(entry)}",
                hint="nothing is overwritten: reverse the entry, then post the correction under its own key",
            )
        return AlreadyPosted(row.number, row.digest, self.reversed(entry.key))

    def reverse(self, key: str, why: str, at: datetime) -> Posted | AlreadyPosted:
        """Take an entry back by booking its opposite; the entry itself stays.

        Raises
        ------
        LedgerError
            If there is no such entry, or it is itself a reversal.
        DuplicateEntryError
            If it was reversed before for another reason.
        """
        row = self._table.find(key)
        if row is None or key.startswith(_REVERSAL):
            raise LedgerError(
                f"entry {key!r} cannot be reversed",
                where="it is a reversal" if row else "it is not in the journal",
                hint="post what was reversed by mistake again, under its own key" if row else "check the key",
            )
        entry = _read(row)
        return self._post(
            Entry(
                key=_REVERSAL + key,
                at=at,
                postings=tuple(Posting(posting.account, -posting.points) for posting in entry.postings),
                memo=why,
                facts={**entry.facts, "reverses": key},
            )
        )

    def find(self, key: str) -> Entry | None:
        """Entry with a key."""
        row = self._table.find(key)
        return None if row is None else _read(row)

    def reversed(self, key: str) -> bool:
        """Whether an entry was taken back."""
        return self._table.find(_REVERSAL + key) is not None

    def entries(self, *, prefix: str = "") -> Iterator[Entry]:
        """All entries in the order they were booked, or those whose key begins with a text."""
        return (_read(row) for row in self._table.rows(prefix=prefix))

    def balance(self, account: str) -> int:
        """Balance of an account; 0 for one that was never used. [points]"""
        return self._table.balance(account)

    def balances(self) -> dict[str, int]:
        """Balances of all accounts, sorted by name; they sum to zero. [points]"""
        return self._table.balances()

    def statement(
        self, account: str, start: datetime | None = None, end: datetime | None = None
    ) -> Statement:
        """Bookings of an account with ``start <= at < end``, and the balance before and after each."""
        moves = []
        for row in self._table.rows(account=account):
            entry = _read(row)
            points = sum(posting.points for posting in entry.postings if posting.account == account)
            moves.append((entry.at, row.number, points, entry))
        moves.sort(key=lambda move: move[:2])
        balance = sum(points for at, _, points, _ in moves if start is not None and at < start)
        opening, lines = balance, []
        for at, number, points, entry in moves:
            if (start is None or at >= start) and (end is None or at < end):
                balance += points
                lines.append(StatementLine(number, at, entry.key, points, balance, entry.memo, entry.facts))
        return Statement(account, opening, tuple(lines), balance)

    def verify(self, *, since: VerifyReport | None = None) -> VerifyReport:
        """Check every hash, link, number, key and posting of the journal.

        Parameters
        ----------
        since : VerifyReport, optional
            An earlier report that was kept elsewhere: the chain must still pass through it. Without one,
            entries cut off at the end cannot be noticed.

        Raises
        ------
        BrokenChainError
            Names the first entry that does not hold, and how.
        """
        number, previous = 0, _GENESIS
        for row in self._table.rows():
            fault = _fault(row, number + 1, previous)
            if fault:
                raise _broken(number + 1, row.key, fault)
            number, previous = row.number, row.digest
            if since is not None and number == since.entries and previous != since.head:
                raise _broken(number, row.key, "its hash is not the one that was reported before")
        strays = self._table.strays()
        if strays:
            raise _broken(strays[0], "?", "there are postings without an entry")
        if since is not None and number < since.entries:
            raise _broken(number + 1, "?", f"{since.entries} entries were reported before, {number} are left")
        return VerifyReport(number, previous)


def _body(entry: Entry, number: int, previous: str) -> str:
    """Canonical text of an entry: what is hashed."""
    return canonical_json(
        {
            "at": entry.at,
            "facts": entry.facts,
            "key": entry.key,
            "memo": entry.memo,
            "number": number,
            "postings": _pairs(entry.postings),
            "previous": previous,
        }
    )


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8")).hexdigest()


def _pairs(postings: tuple[Posting, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((posting.account, posting.points) for posting in postings)


def _read(row: JournalRow) -> Entry:
    told = json.loads(row.body)
    return Entry(
        key=told["key"],
        at=datetime.fromisoformat(told["at"]),
        postings=tuple(Posting(account, points) for account, points in told["postings"]),
        memo=told["memo"],
        facts=told["facts"],
    )


def _fault(row: JournalRow, number: int, previous: str) -> str | None:
    """What is wrong with a row that should be this number and follow this hash; None if nothing."""
    if row.number != number:
        return f"number {row.number} stands where {number} should"
    if _digest(row.body) != row.digest:
        return "its text does not give its hash"
    if _plainly_sound(row, number, previous):
        return None
    try:
        told, entry = json.loads(row.body), _read(row)
    except (ValueError, KeyError, TypeError, LedgerError) as error:
        return f"its text is no entry: {error}"
    if told["previous"] != previous:
        return "it does not follow the entry before it"
    if _body(entry, number, previous) != row.body:
        return "its text or number was rewritten"
    if row.key != entry.key:
        return f"it is filed under another key than {entry.key!r}"
    if row.postings != _pairs(entry.postings):
        return "its postings differ from its text"
    return None


def _plainly_sound(row: JournalRow, number: int, previous: str) -> bool:
    """Whether a row holds, by its text alone: much faster than making its entry again from JSON.

    A row that is not plainly sound is looked at once more, so that its fault gets a name. Texts with escapes
    are never plainly sound; they are rare.
    """
    plain = _PLAIN.fullmatch(row.body)
    if plain is None:
        return False
    at, facts, key, told, postings, before = plain.groups()
    names = _FACT_NAME.findall(facts)
    points = [amount for _, amount in row.postings]
    return (
        told == str(number)
        and before == previous
        and key == row.key
        and _is_name(key)
        and postings == ",".join([f'["{account}",{amount}]' for account, amount in row.postings])
        and len(points) >= 2
        and not sum(points)
        and 0 not in points
        and max(points) <= _LARGEST
        and min(points) >= -_LARGEST
        and names == sorted(set(names))  # canonical: in order, each once
        and _is_instant(at)
        and all(_is_account(account) for account, _ in row.postings)
    )


@lru_cache(maxsize=65536)
def _is_account(name: str) -> bool:
    """Whether an account's name is one; there are far fewer accounts than postings."""
    return _is_name(name)


@lru_cache(maxsize=4096)
def _is_instant(text: str) -> bool:
    """Whether a text is an instant in UTC as :meth:`datetime.datetime.isoformat` writes it."""
    try:
        return datetime.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _broken(number: int, key: str, fault: str) -> BrokenChainError:
    return BrokenChainError(
        f"the journal does not hold at entry {number}",
        where=f"key {key!r}: {fault}",
        hint="stop paying out; compare with a backup and the last report of vpp ledger verify",
        number=number,
    )


def _said(entry: Entry) -> str:
    return canonical_json({"facts": entry.facts, "memo": entry.memo, "postings": _pairs(entry.postings)})


def _is_name(name: str) -> bool:
    return bool(name) and len(name) <= 300 and name.isprintable()


def _require_name(what: str, name: str) -> None:
    if not _is_name(name):
        raise LedgerError(f"bad {what}", where=repr(name[:60]), hint="1 to 300 printable characters")
