"""What goes to the coin operator and what comes back: batches, receipts, and the differences between them.

We only instruct grants; the operator books them. A batch holds every entry with points for a person or a
company that no earlier batch held, is never changed, and is the same file however often it is written. A
reversal is a line of its own with negative points. What expires is in no batch: the operator was told the
last day of use with the grant.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from energy.core.errors import LedgerError, VppError
from energy.ledger.classes import OPERATOR_ACCOUNTS, is_expiry
from energy.store import Store, canonical_json

__all__ = [
    "BATCH",
    "BATCH_COLUMNS",
    "RECEIPT_COLUMNS",
    "Batch",
    "BatchBook",
    "BatchLine",
    "Difference",
    "ReceiptLine",
    "Reconciliation",
    "batch_csv",
]

BATCH: Final = "coin-batch"
RECEIPT: Final = "coin-receipt"
BATCH_COLUMNS: Final = (
    *("batch_id", "line", "account", "points", "point_class", "expires_on", "event", "entry", "entry_hash"),
)
RECEIPT_COLUMNS: Final = ("batch_id", "line", "points", "status")
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLine:
    """One instruction; ``entry_hash`` ties it to the journal."""

    line: int
    account: str
    points: int
    point_class: str
    expires_on: str
    event: str
    entry: int
    entry_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Instructions that go out together; ``last_entry`` is the newest entry of the journal it has seen."""

    id: str
    made_at: datetime
    last_entry: int
    lines: tuple[BatchLine, ...]

    @property
    def points(self) -> int:
        """Sum of all lines. [points]"""
        return sum(line.points for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLine:
    """What the operator says about one line: ``accepted`` or ``refused``."""

    batch_id: str
    line: int
    points: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A line on which we and the operator differ. [points]

    ``what`` is ``missing`` (no answer), ``unknown`` (no such line), ``points``, or ``refused``.
    """

    line: int
    what: str
    ours: int
    theirs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A receipt beside its batch; ``known`` if this very receipt was on record."""

    batch: Batch
    differences: tuple[Difference, ...]
    known: bool


def batch_csv(batch: Batch) -> str:
    """A batch as CSV with the columns of :data:`BATCH_COLUMNS`; the byte-order mark is the file's."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(BATCH_COLUMNS)
    for line in batch.lines:
        told = asdict(line) | {"batch_id": batch.id}
        writer.writerow([told[name] for name in BATCH_COLUMNS])
    return text.getvalue()


class BatchBook:
    """Batches and receipts in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def batches(self) -> list[Batch]:
        """Every batch, oldest first."""
        return [_batch(one.body) for one in self._store.as_of(_END_OF_TIME).documents(BATCH)]

    def find(self, batch_id: str) -> Batch:
        """A batch by its id.

        Raises
        ------
        LedgerError
            If there is none.
        """
        known = self._store.as_of(_END_OF_TIME).document(BATCH, batch_id)
        if known is None:
            raise LedgerError(
                f"no batch {batch_id!r}",
                where=f"{len(self.batches())} batches are on record",
                hint="check the id in the file's first column",
            )
        return _batch(known.body)

    def preview(self, *, at: datetime) -> Batch | None:
        """The next batch as it would be made now; None if there is nothing new."""
        earlier = self.batches()
        last = earlier[-1].last_entry if earlier else 0
        lines = tuple(_lines(self._store, after=last))
        if not lines:
            return None
        return Batch(
            id=f"b-{len(earlier) + 1:06d}",
            made_at=at,
            last_entry=max(line.entry for line in lines),
            lines=lines,
        )

    def make(self, *, at: datetime, actor: str) -> Batch | None:
        """Record the next batch; None if there is nothing new."""
        with self._store.transaction():
            self._store.journal.lock()
            batch = self.preview(at=at)
            if batch is None:
                return None
            told = asdict(batch) | {"lines": [asdict(line) for line in batch.lines]}
            self._store.put_document(BATCH, batch.id, known_at=at, body=canonical_json(told))
            facts = {"lines": len(batch.lines), "points": batch.points, "last_entry": batch.last_entry}
            self._store.audit(actor, "coin.batch", f"batch/{batch.id}", at=at, facts=facts)
        return batch

    def reconcile(
        self, batch_id: str, receipt: Sequence[ReceiptLine], *, at: datetime, actor: str
    ) -> Reconciliation:
        """Compare the operator's receipt with a batch and keep it; the same receipt again changes nothing.

        Raises
        ------
        LedgerError
            If there is no such batch, the receipt speaks of another one, or says a line twice.
        """
        try:
            batch = self.find(batch_id)
            theirs = _by_line(batch_id, receipt)
        except LedgerError as error:
            self.refuse(batch_id, error, at=at, actor=actor)
            raise
        differences = tuple(_differences(batch, theirs))
        body = canonical_json([asdict(one) for one in sorted(receipt, key=lambda one: one.line)])
        with self._store.transaction():
            before = self._store.as_of(_END_OF_TIME).document(RECEIPT, batch_id)
            known = before is not None and before.body == body
            if not known:
                self._store.put_document(RECEIPT, batch_id, known_at=at, body=body)
                facts = {"lines": len(receipt), "differences": len(differences), "again": before is not None}
                self._store.audit(actor, "coin.reconciled", f"batch/{batch_id}", at=at, facts=facts)
            else:
                self._store.audit(actor, "coin.receipt_repeated", f"batch/{batch_id}", at=at, facts={})
        return Reconciliation(batch=batch, differences=differences, known=known)

    def refuse(self, batch_id: str, why: VppError, *, at: datetime, actor: str) -> None:
        """Put on record that a receipt was not taken, also when there is no such batch."""
        facts = {"why": why.what, "where": why.where}
        self._store.audit(actor, "coin.receipt_refused", f"batch/{batch_id}", at=at, facts=facts)

    def standing(self, batch_id: str) -> Reconciliation | None:
        """The newest receipt of a batch beside it; None if the operator has not answered.

        Raises
        ------
        LedgerError
            If there is no such batch.
        """
        batch = self.find(batch_id)
        document = self._store.as_of(_END_OF_TIME).document(RECEIPT, batch_id)
        if document is None:
            return None
        theirs = [ReceiptLine(**one) for one in json.loads(document.body)]
        differences = tuple(_differences(batch, {one.line: one for one in theirs}))
        return Reconciliation(batch=batch, differences=differences, known=True)


def _by_line(batch_id: str, receipt: Sequence[ReceiptLine]) -> dict[int, ReceiptLine]:
    """The rows of a receipt by line of the batch.

    Raises
    ------
    LedgerError
        If a row speaks of another batch, or of a line that was spoken of.
    """
    theirs: dict[int, ReceiptLine] = {}
    for one in receipt:
        if one.batch_id != batch_id:
            raise LedgerError(
                f"the receipt is not that of batch {batch_id}",
                where=f"line {one.line} speaks of {one.batch_id}",
                hint="nothing was recorded; ask the operator for one receipt per batch",
            )
        if one.line in theirs:
            again = sum(count > 1 for count in Counter(row.line for row in receipt).values())
            raise LedgerError(
                f"the receipt of batch {batch_id} says a line twice",
                where=f"line {one.line} of {batch_id} comes twice; {again} lines do",
                hint="nothing was recorded; ask the operator for a receipt with one row per line",
            )
        theirs[one.line] = one
    return theirs


def _differences(batch: Batch, theirs: dict[int, ReceiptLine]) -> Iterator[Difference]:
    for line in batch.lines:
        answer = theirs.get(line.line)
        if answer is None:
            yield Difference(line=line.line, what="missing", ours=line.points, theirs=0)
        elif answer.status != "accepted":
            yield Difference(line=line.line, what="refused", ours=line.points, theirs=0)
        elif answer.points != line.points:
            yield Difference(line=line.line, what="points", ours=line.points, theirs=answer.points)
    ours = {line.line for line in batch.lines}
    for number, answer in sorted(theirs.items()):
        if number not in ours:
            yield Difference(line=number, what="unknown", ours=0, theirs=answer.points)


def _lines(store: Store, *, after: int) -> Iterator[BatchLine]:
    """Instructions of the entries after a number."""
    number = 0
    for row in store.journal.rows():
        if row.number <= after or is_expiry(row.key):
            continue
        facts = json.loads(row.body)["facts"]
        for account, points in row.postings:
            if account not in OPERATOR_ACCOUNTS:
                number += 1
                yield BatchLine(
                    line=number,
                    account=account,
                    points=points,
                    point_class=str(facts.get("point_class", "")),
                    expires_on=str(facts.get("expires_on", "")),
                    event=str(facts.get("event", "")),
                    entry=row.number,
                    entry_hash=row.digest,
                )


def _batch(body: str) -> Batch:
    told = json.loads(body)
    return Batch(
        id=told["id"],
        made_at=datetime.fromisoformat(told["made_at"]),
        last_entry=told["last_entry"],
        lines=tuple(BatchLine(**line) for line in told["lines"]),
    )
