"""Backups that are proved: a copy, a manifest beside it, and a restore that must give the same.

A backup is two files, ``NAME`` and ``NAME.manifest.json``; the manifest is there first, so a backup under its
name is whole. Proving one restores it into a place of its own and compares: the file's SHA-256, the version
of the tables, the rows of every table, the head of the journal, and every hash of the journal's chain.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from energy.core.clock import Clock, require_aware
from energy.core.errors import ConfigError, DataError, VppError
from energy.core.slots import JST
from energy.ledger import Journal
from energy.store import Store, StoreKind, copy_store, count_store, open_store, restore_store, scratch_store
from vpp.wholefile import whole_bytes

__all__ = [
    "BACKUP",
    "Manifest",
    "Rotation",
    "back_up",
    "dated_backup",
    "kept_backups",
    "manifest_of",
    "restore",
    "to_drop",
    "verify",
]

log = logging.getLogger(__name__)

BACKUP: Final = "backup"
"""Kind of the documents that say when the store was last copied; key ``store``."""
_PREFIX, _SUFFIX, _STAMP = "vpp-", ".backup", "%Y%m%dT%H%M%SZ"
_GENESIS: Final = "0" * 64  # head of an empty journal (energy.ledger.journal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup must give when it is restored.

    Parameters
    ----------
    made_at : datetime
        When the copy was begun. UTC.
    rows : mapping of str to int
        Number of rows by table.
    journal_entries, journal_head : int, str
        Length of the journal and the hash of its last entry.
    sha256, size : str, int
        Of the file. [bytes]
    """

    made_at: datetime
    kind: StoreKind
    version: str
    schema: str
    rows: Mapping[str, int]
    journal_entries: int
    journal_head: str
    sha256: str
    size: int

    def to_json(self) -> dict[str, object]:
        """The manifest as it stands in its file."""
        return {**asdict(self), "made_at": self.made_at.isoformat(), "rows": dict(self.rows)}


_MANIFEST: Final = TypeAdapter(Manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How many backups are kept: the last of each day, week (Monday) and month, in Japanese days.

    Parameters
    ----------
    daily, weekly, monthly : int
        The newest so many days, weeks and months that have one.
    """

    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def back_up(address: str, file: Path, *, clock: Clock, scratch: str = "", proof: bool = True) -> Manifest:
    """Copy a store that goes on being written to, and prove the copy.

    Parameters
    ----------
    proof : bool
        Whether the copy is restored and compared before it takes its name.

    Raises
    ------
    ConfigError
        If the file exists, or the database cannot be copied.
    DataError
        If the copy is not the store.
    """
    if file.exists():
        raise ConfigError("there is a file already", where=str(file), hint="choose another name")
    if not file.parent.is_dir():
        raise ConfigError("the folder does not exist", where=str(file.parent), hint="make it first")
    made_at, part = clock.now(), file.with_name(f".{file.name}.copy")
    part.unlink(missing_ok=True)  # of one that was killed
    beside = _beside(file)
    try:
        made = copy_store(address, part)
        digest, size = _digest(part)
        manifest = Manifest(
            made_at=made_at,
            kind=made.kind,
            version=made.version,
            schema=made.schema,
            rows=dict(made.rows),
            journal_entries=made.rows.get("journal", 0),
            journal_head=made.journal_head or _GENESIS,
            sha256=digest,
            size=size,
        )
        if proof and (made.kind == "sqlite" or scratch):
            _prove(part, manifest, scratch)
        whole_bytes(beside, (json.dumps(manifest.to_json(), indent=1) + "\n").encode())
        part.replace(file)
    except BaseException:
        if not file.exists():
            beside.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)
    log.info("backup.made", extra={"facts": {"bytes": size, "points": made.rows.get("point", 0)}})
    return manifest


def manifest_of(file: Path) -> Manifest:
    """The manifest beside a backup.

    Raises
    ------
    DataError
        If there is no such backup, or its manifest is missing or damaged.
    """
    if not file.is_file():
        raise DataError("there is no such backup", where=str(file), hint="check the path")
    try:
        return _MANIFEST.validate_json(_beside(file).read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            "the manifest of the backup cannot be read",
            where=f"{_beside(file)}: {type(error).__name__}",
            hint="keep both files together; without it nothing can be proved",
        ) from error


def verify(file: Path, *, scratch: str = "") -> Manifest:
    """Restore a backup into a place of its own and compare it with its manifest.

    Raises
    ------
    DataError
        Names the first thing that differs.
    BrokenChainError
        If the journal in it does not hold.
    """
    manifest = manifest_of(file)
    _prove(file, manifest, scratch)
    return manifest


def restore(file: Path, address: str) -> Manifest:
    """Make a new store of a backup; refuses to overwrite one.

    Raises
    ------
    ConfigError
        If there is something at the address already.
    DataError
        If the file is not the one of its manifest.
    """
    manifest = manifest_of(file)
    _same_file(file, manifest)
    restore_store(file, manifest.kind, address)
    return manifest


def note(store: Store, manifest: Manifest, file: Path, *, at: datetime) -> None:
    """Write down that a backup was made, for whoever asks how old the last one is."""
    told = {
        "file": file.name,
        "made_at": manifest.made_at.isoformat(),
        "size": manifest.size,
        "sha256": manifest.sha256,
        "journal_entries": manifest.journal_entries,
    }
    store.put_document(BACKUP, "store", known_at=at, body=json.dumps(told))


def dated_backup(
    store: Store,
    address: str,
    folder: Path,
    *,
    clock: Clock,
    rotation: Rotation | None = None,
    scratch: str = "",
) -> tuple[Path, tuple[Path, ...]]:
    """The routine: copy under a dated name, prove, write it down, drop what the rule no longer keeps.

    Returns
    -------
    tuple
        The new file, and those that went.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_PREFIX}{clock.now().strftime(_STAMP)}{_SUFFIX}"
    manifest = back_up(address, file, clock=clock, scratch=scratch)
    note(store, manifest, file, at=clock.now())
    dropped = to_drop(kept_backups(folder), rotation or Rotation())
    for old in dropped:
        old.unlink()
        _beside(old).unlink(missing_ok=True)
    if dropped:
        log.info("backup.rotated", extra={"facts": {"dropped": len(dropped)}})
    return file, dropped


def kept_backups(folder: Path) -> dict[Path, datetime]:
    """Backups of a folder under their dated names, oldest first; other files are not looked at."""
    found = {}
    for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}")):
        stamp = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        try:
            found[path] = require_aware(datetime.strptime(f"{stamp}+0000", f"{_STAMP}%z"))
        except ValueError:
            continue
    return found


def to_drop(backups: Mapping[Path, datetime], rotation: Rotation) -> tuple[Path, ...]:
    """Backups that a rule no longer keeps, oldest first; the newest always stays."""
    newest_first = sorted(backups, key=lambda path: backups[path], reverse=True)
    days = {path: backups[path].astimezone(JST).date() for path in newest_first}
    kept = set(newest_first[:1])
    kept |= _last_of_each(newest_first, (str(days[path]) for path in newest_first), rotation.daily)
    weeks = ("{}-{}".format(*days[path].isocalendar()[:2]) for path in newest_first)
    kept |= _last_of_each(newest_first, weeks, rotation.weekly)
    kept |= _last_of_each(newest_first, (f"{days[path]:%Y-%m}" for path in newest_first), rotation.monthly)
    return tuple(path for path in reversed(newest_first) if path not in kept)


def _last_of_each(newest_first: Sequence[Path], periods: Iterable[str], count: int) -> set[Path]:
    chosen: dict[str, Path] = {}
    for path, period in zip(newest_first, periods, strict=True):
        chosen.setdefault(period, path)
    return set(list(chosen.values())[:count])


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.manifest.json")


def _digest(file: Path) -> tuple[str, int]:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), file.stat().st_size


def _same_file(file: Path, manifest: Manifest) -> None:
    digest, size = _digest(file)
    if (digest, size) != (manifest.sha256, manifest.size):
        raise DataError(
            "the backup is not the file that was made",
            where=f"{file.name}: {size} bytes, SHA-256 {digest[:12]}…; made were {manifest.size} bytes, "
            f"{manifest.sha256[:12]}…",
            hint="take another backup; this one was changed or cut off",
        )


def _prove(file: Path, manifest: Manifest, scratch: str) -> None:
    _same_file(file, manifest)
    with (
        tempfile.TemporaryDirectory(prefix=".vpp-proof-", dir=file.parent) as folder,
        scratch_store(file, manifest.kind, Path(folder), server=scratch) as address,
    ):
        again = count_store(address)
        if again.version != manifest.version:
            raise _differs("version of the tables", manifest.version, again.version)
        for table in sorted({*manifest.rows, *again.rows}):
            if manifest.rows.get(table) != again.rows.get(table):
                raise _differs(f"rows of {table}", manifest.rows.get(table), again.rows.get(table))
        with open_store(address) as store:  # for writing: an older backup gets today's tables, in this place
            report = Journal(store).verify()
        if report.entries != manifest.journal_entries:
            raise _differs("entries of the journal", manifest.journal_entries, report.entries)
        if report.head != manifest.journal_head:
            raise _differs("head of the journal", manifest.journal_head, report.head)


def _differs(what: str, expected: object, found: object) -> VppError:
    return DataError(
        f"the restored backup has another {what}",
        where=f"expected {expected}, found {found}",
        hint="take another backup and look at the disk",
    )
