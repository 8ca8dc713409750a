"""What the store takes and gives: points of series, documents, audit records, rows of the journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.measurement import Quality
from energy.core.series import Series
from energy.core.units import SeriesId

__all__ = [
    "AppendReport",
    "AuditCut",
    "AuditFilter",
    "AuditRecord",
    "Document",
    "JournalRow",
    "Outdated",
    "Piece",
    "Point",
    "StoredValue",
    "points_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of one series, and when it became known.

    Parameters
    ----------
    series : SeriesId
        Name of the series; its last part carries the unit (``kitakata/meter/import_kwh``).
    at : datetime
        Start of the interval, or the instant of a reading; kept in UTC.
    known_at : datetime
        When the value became known; a correction has the same ``at`` and a later ``known_at``. Kept in UTC.
    value : float or None
        The value in the unit of the series; None when it is known to be unknown.
    quality : Quality
        Trust in the value.
    source : str
        Where it came from (``meter:site``, ``import:2026-11.csv``).

    Raises
    ------
    DataError
        If ``value`` is NaN or infinite.
    ValueError
        If an instant has no time zone.
    """

    series: SeriesId
    at: datetime
    known_at: datetime
    value: float | None
    quality: Quality = Quality.GOOD
    source: str

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise DataError(
                f"{self.value} is not a value",
                where=f"series {self.series} at {self.at.isoformat()}, source {self.source}",
                hint="write None with a quality where nothing is known",
            )
        object.__setattr__(self, "at", require_aware(self.at))
        object.__setattr__(self, "known_at", require_aware(self.known_at))


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value of one series as the store knows it.

    Parameters
    ----------
    at, known_at : datetime
        What it is for, and since when it is known. UTC.
    value : float or None
        The value in the unit of the series; look at ``quality`` before acting on it.
    """

    at: datetime
    known_at: datetime
    value: float | None
    quality: Quality
    source: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What the usable values of a piece of a series say together.

    Parameters
    ----------
    start : datetime
        Start of the piece. UTC.
    low, mean, high : float
        Lowest, mean and highest value, in the unit of the series.
    known : int
        How many usable values there are, at least one.
    """

    start: datetime
    low: float
    mean: float
    high: float
    known: int


@dataclass(frozen=True, slots=True)
class AppendReport:
    """What an append did: points written, and points that stood there already with the same content."""

    written: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a text (a plan, a forecast, a checkpoint), mostly JSON."""

    kind: str
    key: str
    known_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to what, when; ``facts`` as they read back from JSON."""

    number: int
    at: datetime
    actor: str
    act: str
    subject: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCut:
    """Records that a rule of retention took out of the audit trail, and the hash of what they said."""

    number: int
    at: datetime
    actor: str
    act: str
    before: datetime
    first: int
    last: int
    records: int
    digest: str


@dataclass(frozen=True, slots=True)
class Outdated:
    """How much is older than a rule wants, and from when to when."""

    count: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which records of the audit trail to look at; what is empty lets everything through.

    Parameters
    ----------
    actor : str
        Who, exactly.
    act, subject : str
        What and to what: the beginning is enough.
    start, end : datetime or None
        When: ``start <= at < end``. UTC.
    """

    actor: str = ""
    act: str = ""
    subject: str = ""
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted: values of series, versions of documents, and the names of the series."""

    points: int
    documents: int
    series: tuple[SeriesId, ...]


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One entry of the journal as it is kept; its meaning belongs to :mod:`energy.ledger`.

    Parameters
    ----------
    number : int
        Position, 1, 2, 3, ...
    key : str
        Idempotency key, unique.
    body : str
        The entry as canonical JSON: the very text that ``digest`` is made of.
    digest : str
        SHA-256 of ``body``, hexadecimal.
    postings : tuple of (account, points)
        The entry's postings once more, so that balances are sums in the database.
    """

    number: int
    key: str
    body: str
    digest: str
    postings: tuple[tuple[str, int], ...]


def points_of(
    series: SeriesId,
    values: Series,
    *,
    known_at: datetime | Callable[[datetime], datetime],
    source: str,
    quality: Quality = Quality.GOOD,
) -> Iterator[Point]:
    """Points of a whole series; missing values are left out.

    Parameters
    ----------
    known_at : datetime or callable
        One instant for all, or a function of each interval's start, such as
        ``lambda at: at + SLOT_LENGTH`` for a meter that reports when the slot is over.
    """
    for at, value in zip(values.grid.times(), values.values.tolist(), strict=True):
        if not math.isnan(value):
            known = known_at(at) if callable(known_at) else known_at
            yield Point(series=series, at=at, known_at=known, value=value, quality=quality, source=source)
