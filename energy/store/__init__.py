"""Floor 1: series, documents, audit trail and journal rows, kept for ever and read as of an instant."""

from energy.store.canonical import canonical_json
from energy.store.engine import Durability
from energy.store.ports import JournalTable, Snapshot, Store
from energy.store.service_rows import (
    AccountRow,
    HookMessageRow,
    HookRow,
    JobRow,
    JobRunRow,
    LinkRow,
    RowTable,
    ServiceRows,
    SessionRow,
    TokenRow,
    WriteRow,
)
from energy.store.snapshot import SqlSnapshot
from energy.store.sql import SqlStore, open_store
from energy.store.values import (
    AppendReport,
    AuditRecord,
    Document,
    Erased,
    JournalRow,
    Point,
    StoredValue,
    points_of,
)

__all__ = [
    "AccountRow",
    "AppendReport",
    "AuditRecord",
    "Document",
    "Durability",
    "Erased",
    "HookMessageRow",
    "HookRow",
    "JobRow",
    "JobRunRow",
    "JournalRow",
    "JournalTable",
    "LinkRow",
    "Point",
    "RowTable",
    "ServiceRows",
    "SessionRow",
    "Snapshot",
    "SqlSnapshot",
    "SqlStore",
    "Store",
    "StoredValue",
    "TokenRow",
    "WriteRow",
    "canonical_json",
    "open_store",
    "points_of",
]
