"""Floor 1: series, documents, audit trail and journal rows, kept for ever and read as of an instant."""

from energy.store.backup import Copy, StoreKind, copy_store, count_store, restore_store, scratch_store
from energy.store.canonical import canonical_json
from energy.store.engine import Durability
from energy.store.ports import Across, JournalTable, Pruning, Snapshot, Store
from energy.store.service_rows import (
    AccountRow,
    AlertRow,
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
    points_of,
)

__all__ = [
    "AccountRow",
    "Across",
    "AlertRow",
    "AppendReport",
    "AuditCut",
    "AuditFilter",
    "AuditRecord",
    "Copy",
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
    "Outdated",
    "Piece",
    "Point",
    "Pruning",
    "RowTable",
    "ServiceRows",
    "SessionRow",
    "Snapshot",
    "SqlSnapshot",
    "SqlStore",
    "Store",
    "StoreKind",
    "StoredValue",
    "TokenRow",
    "WriteRow",
    "canonical_json",
    "copy_store",
    "count_store",
    "open_store",
    "points_of",
    "restore_store",
    "scratch_store",
]
