"""What the upper floors may ask of a store, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.units import SeriesId
from energy.store.service_rows import JobRunRow, ServiceRows
from energy.store.values import (
    AppendReport,
    AuditCut,
    AuditFilter,
    AuditRecord,
    Document,
    Erased,
    JournalRow,
    Outdated,
    Piece,
    Point,
    StoredValue,
)

__all__ = ["Across", "JournalTable", "Pruning", "Snapshot", "Store"]


class Snapshot(Protocol):
    """The world as it was known at one instant: nothing learned later can be seen through it."""

    @property
    def known_until(self) -> datetime:
        """The instant; only what has ``known_at <= known_until`` is visible. UTC."""
        ...

    def series(self, series: SeriesId, grid: Grid, unit: Unit) -> Series:
        """For each interval the newest known value; NaN where none is known, or it is invalid or stale.

        ``known_at`` of the answer is that of the newest value in it, None if there is none.

        Raises
        ------
        AlignmentError
            If a stored point inside the stretch does not stand on the start of an interval.
        """
        ...

    def values(self, series: SeriesId, start: datetime, end: datetime) -> list[StoredValue]:
        """The newest known value of each instant in ``[start, end)``, in order, whatever its quality."""
        ...

    def pieces(self, series: SeriesId, grid: Grid) -> list[Piece]:
        """What each interval of a grid holds, worked out in the database; empty intervals are left out.

        Unlike with :meth:`series` the values may stand anywhere inside the intervals.
        """
        ...

    def latest(self, series: SeriesId, *, before: datetime | None = None) -> StoredValue | None:
        """The value with the largest ``at`` (below ``before``), whatever its quality."""
        ...

    def span(self, series: SeriesId) -> tuple[datetime, datetime] | None:
        """First and last ``at``, None for a series of which nothing is known."""
        ...

    def gaps(self, series: SeriesId, grid: Grid) -> list[tuple[datetime, datetime]]:
        """Stretches ``[start, end)`` of the grid without a usable value."""
        ...

    def ids(self, prefix: str = "") -> list[SeriesId]:
        """Names of the series of which something is known, sorted."""
        ...

    def document(self, kind: str, key: str) -> Document | None:
        """Newest version of a document."""
        ...

    def documents(self, kind: str, *, prefix: str = "") -> list[Document]:
        """Newest version of every document of a kind, sorted by key."""
        ...


class Across(Protocol):
    """Many sites at once as known at one instant, for pages about a region."""

    def totals(self, ending: str, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Sum over all series whose name has an ending, and how many of them went into it, per interval.

        NaN where none is known; values that are invalid or stale are left out.
        """
        ...

    def latest(self, ending: str) -> dict[SeriesId, StoredValue]:
        """The newest value of every series whose name has an ending, whatever its quality."""
        ...

    def values(self, ending: str, start: datetime, end: datetime) -> dict[SeriesId, list[StoredValue]]:
        """The newest known values of ``[start, end)`` of every series whose name has an ending, in order."""
        ...

    def last_runs(self, states: Collection[str]) -> list[JobRunRow]:
        """Of every job the newest run that is in one of these states; jobs without one are left out."""
        ...

    def documents(self, kind: str, keys: Sequence[str]) -> dict[str, Document]:
        """Newest version of the documents with these keys; keys without one are left out."""
        ...

    def ids(self, ending: str) -> list[SeriesId]:
        """Names of the series that have an ending and of which something is known, sorted."""
        ...

    def table(self, names: Sequence[SeriesId], grid: Grid) -> FloatArray:
        """The newest known values of some series on a grid, a row for each name; NaN where none can be used.

        Values that stand between the starts of intervals are left out, as in :meth:`totals`.
        """
        ...

    def versions(self, names: Sequence[SeriesId], grid: Grid) -> NDArray[np.int64]:
        """How many versions of values stand in each interval, a row for each name.

        Values are added and never changed, so what is made of them is as good as new while these counts stay.
        """
        ...

    def keys(self, kind: str, beginnings: Sequence[str], first: str, end: str) -> list[tuple[str, datetime]]:
        """Key and ``known_at`` of all versions in ``[beginning + first, beginning + end)``, sorted."""
        ...


class JournalTable(Protocol):
    """Where :class:`energy.ledger.Journal` keeps its entries; append-only, enforced by the database."""

    def lock(self) -> None:
        """Keep other writers of the journal out until the running transaction ends."""
        ...

    def append(self, row: JournalRow) -> None:
        """Add a row with its postings."""
        ...

    def head(self) -> JournalRow | None:
        """Last row."""
        ...

    def find(self, key: str) -> JournalRow | None:
        """Row with this idempotency key."""
        ...

    def rows(self, *, account: str | None = None, prefix: str = "") -> Iterator[JournalRow]:
        """All rows in order, or those that touch an account, or whose key begins with a text."""
        ...

    def balance(self, account: str) -> int:
        """Sum of an account's postings. [points]"""
        ...

    def balances(self) -> dict[str, int]:
        """Sums of all accounts, sorted by name. [points]"""
        ...

    def strays(self) -> list[int]:
        """Numbers that have postings but no row; empty unless someone tampered."""
        ...


class Pruning(Protocol):
    """What is older than a rule wants, and taking it out; the journal cannot be reached from here."""

    def points(self, endings: Sequence[str], before: datetime) -> Outdated:
        """Values of instants before another, of the series whose names end like this (``/power_kw``)."""
        ...

    def take_points(self, endings: Sequence[str], before: datetime, *, limit: int) -> int:
        """Delete the first so many of them; how many these were."""
        ...

    def documents(self, kind: str, before: datetime) -> Outdated:
        """Versions of documents of a kind that became known before an instant."""
        ...

    def take_documents(self, kind: str, before: datetime, *, limit: int) -> int:
        """Delete so many of them; how many these were."""
        ...

    def records(self, act: str, before: datetime) -> Outdated:
        """Records of an act in the audit trail made before an instant."""
        ...

    def cut_records(self, act: str, before: datetime, *, at: datetime, actor: str, limit: int) -> int:
        """Take the first so many of them out of the audit trail, with a cut that says which; how many."""
        ...

    def cuts(self) -> list[AuditCut]:
        """All cuts of the audit trail, oldest first."""
        ...


class Store(Protocol):
    """Series, documents, audit trail and journal, written together or not at all."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        ...

    @property
    def journal(self) -> JournalTable:
        """Where the ledger keeps its entries."""
        ...

    @property
    def rows(self) -> ServiceRows:
        """Accounts, sessions, tokens, remembered writes, webhooks, runs of jobs and alerts."""
        ...

    @property
    def pruning(self) -> Pruning:
        """What a rule of retention may take out."""
        ...

    def append(self, points: Iterable[Point]) -> AppendReport:
        """Add points; the same point again changes nothing.

        Raises
        ------
        DataError
            If a point stands under the same ``(series, at, known_at)`` with other content; then nothing of
            the call is written.
        """
        ...

    def as_of(self, instant: datetime) -> Snapshot:
        """The world as it was known at an instant."""
        ...

    def across(self, instant: datetime) -> Across:
        """Many sites at once, as known at an instant."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Everything inside is written at once, or nothing if an exception leaves the block.

        Blocks nest: an inner block that fails takes only its own writes back. A block belongs to its thread
        and must not be held across an ``await``.
        """
        ...

    def put_document(self, kind: str, key: str, *, known_at: datetime, body: str) -> bool:
        """Add a version of a document; False if this very version stood there already.

        Raises
        ------
        DataError
            If another text stands under the same ``(kind, key, known_at)``.
        """
        ...

    def erase(self, *, folders: Sequence[str] = (), documents: Sequence[tuple[str, str]] = ()) -> Erased:
        """Delete the values of all series below some folders, and all versions of some documents.

        For personal data that must not be kept; journal and audit trail cannot be deleted from.

        Raises
        ------
        DataError
            If a folder does not end with ``/``.
        """
        ...

    def audit(self, actor: str, act: str, subject: str, *, at: datetime, facts: Mapping[str, object]) -> None:
        """Record who did what to what."""
        ...

    def audit_trail(self, subject: str | None = None) -> list[AuditRecord]:
        """Records in the order they were made, of one subject or of all."""
        ...

    def audit_page(self, filters: AuditFilter, *, before: int | None = None, limit: int) -> list[AuditRecord]:
        """Newest records that a filter lets through, newest first; with ``before`` those of lower number."""
        ...

    def close(self) -> None:
        """Let go of the database; the store cannot be used afterwards."""
        ...
