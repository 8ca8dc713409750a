"""Bills, imbalance settlements and invoices kept by version, with everything they were made from.

A settlement is kept under ``WHAT/SUBJECT/PERIOD``. The same figures from the same evidence are the version
that stands there; anything else is the next version, which says what changed. The files themselves are kept
once by their SHA-256, so that a figure can be made again years later, and every figure names its formula, its
rules and its readings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from energy.core.errors import DataError
from energy.market.rule_table import RuleFact
from energy.store import Store, canonical_json
from vpp.ingest.layout import decode, read_bytes

__all__ = [
    "EVIDENCE",
    "METER",
    "SETTLEMENT",
    "Derivation",
    "Evidence",
    "Kept",
    "KeptSettlement",
    "SettlementBook",
]

SETTLEMENT: Final = "settlement"
"""Kind of the documents; key ``WHAT/SUBJECT/PERIOD/vN``."""
EVIDENCE: Final = "evidence"
"""Kind of the documents that hold a file as it was read; key: its SHA-256."""
METER: Final = "meter"
"""Role of a file with readings."""
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")

What = Literal["bill", "imbalance", "ppa", "month", "fip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A file that figures were made from.

    Parameters
    ----------
    role : str
        What it was read as: ``meter``, ``tariff``, ``price``, ...
    """

    role: str
    name: str
    sha256: str
    text: str

    @staticmethod
    def of(role: str, path: Path) -> Evidence:
        """A file as it is now.

        Raises
        ------
        DataError
            If it cannot be read or is not UTF-8.
        """
        content = read_bytes(path)
        return Evidence(
            role=role,
            name=path.name,
            sha256=sha256(content).hexdigest(),
            text=decode(path, content, "utf-8"),
        )

    @property
    def rows(self) -> int:
        """Lines of the file below its first."""
        return max(0, len(self.text.splitlines()) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """How one figure came about.

    Parameters
    ----------
    how : str
        The formula with its numbers.
    rules : tuple of str
        Rules that entered it, as named in the settlement's rules.
    readings : tuple of str
        Readings that entered it: role of the file, and rows or stamps.
    """

    how: str
    rules: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSettlement:
    """What is to be kept.

    Parameters
    ----------
    figures : mapping
        The figures as the command prints them.
    trace : mapping of str to Derivation
        By figure.
    notes : tuple of str
        What a reader must know: gaps, preliminary prices.
    """

    what: What
    subject: str
    period: str
    figures: Mapping[str, Any]
    trace: Mapping[str, Derivation]
    rules: Sequence[RuleFact] = ()
    evidence: Sequence[Evidence] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def key(self) -> str:
        """Name over all versions.

        Raises
        ------
        DataError
            If a part is empty or holds a slash.
        """
        for part in (self.subject, self.period):
            if not part or "/" in part or part != part.strip():
                raise DataError(
                    f"{part!r} cannot name a settlement",
                    where=f"{self.what}: subject and period",
                    hint="use letters, digits and hyphens",
                )
        return f"{self.what}/{self.subject}/{self.period}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What was kept.

    Parameters
    ----------
    new : bool
        Whether it is a new version, or the one that stood there already.
    because : tuple of str
        What differs from the version before; empty for the first.
    """

    id: str
    version: int
    new: bool
    because: tuple[str, ...]


class SettlementBook:
    """Settlements in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, made: KeptSettlement, *, at: datetime, actor: str) -> Kept:
        """Keep a settlement; the same again is the version that stands there."""
        key = made.key
        content: dict[str, Any] = json.loads(
            canonical_json(
                {
                    "figures": made.figures,
                    "trace": {
                        name: {"how": one.how, "rules": one.rules, "readings": one.readings}
                        for name, one in made.trace.items()
                    },
                    "rules": [fact.as_json() for fact in made.rules],
                    "evidence": [
                        {"role": one.role, "name": one.name, "sha256": one.sha256, "rows": one.rows}
                        for one in made.evidence
                    ],
                    "notes": made.notes,
                }
            )
        )
        with self._store.transaction():
            before = self.newest(key)
            if before is not None and _content(before) == _content(content):
                return Kept(
                    id=str(before["id"]),
                    version=int(before["version"]),
                    new=False,
                    because=tuple(before["because"]),
                )
            version = 1 if before is None else int(before["version"]) + 1
            because = () if before is None else _changes(before, content)
            told = {"id": f"{key}/v{version}", "version": version, "because": because, **content}
            for one in made.evidence:
                if self._store.as_of(_END_OF_TIME).document(EVIDENCE, one.sha256) is None:
                    self._store.put_document(EVIDENCE, one.sha256, known_at=at, body=one.text)
            self._store.put_document(SETTLEMENT, f"{key}/v{version}", known_at=at, body=canonical_json(told))
            facts = {"version": version, "because": list(because), "notes": list(made.notes)}
            self._store.audit(actor, f"{made.what}.settled", f"settlement/{key}", at=at, facts=facts)
        return Kept(id=f"{key}/v{version}", version=version, new=True, because=because)

    def versions(self, key: str) -> list[dict[str, Any]]:
        """All versions of a settlement, oldest first; content as it was kept."""
        found = [
            json.loads(one.body)
            for one in self._store.as_of(_END_OF_TIME).documents(SETTLEMENT, prefix=f"{key}/v")
        ]
        return sorted(found, key=lambda told: int(told["version"]))

    def newest(self, key: str) -> dict[str, Any] | None:
        """The newest version of a settlement, None if nothing was kept."""
        found = self.versions(key)
        return found[-1] if found else None

    def find(self, name: str) -> dict[str, Any] | None:
        """A version by its id, or the newest by the name over all versions."""
        known = self._store.as_of(_END_OF_TIME).document(SETTLEMENT, name)
        return self.newest(name) if known is None else json.loads(known.body)

    def evidence(self, digest: str) -> str | None:
        """A file as it was read, by its SHA-256."""
        known = self._store.as_of(_END_OF_TIME).document(EVIDENCE, digest)
        return None if known is None else known.body

    def of_subject(self, subject: str) -> list[dict[str, Any]]:
        """All versions of everything that was settled for a subject, by id."""
        return [told for told in self._everything() if str(told["id"]).split("/")[1] == subject]

    def readings_of(self, subject: str) -> tuple[frozenset[str], frozenset[str]]:
        """Meter files below a subject's settlements, by SHA-256: only its own, and shared ones."""
        mine, others = set[str](), set[str]()
        for told in self._everything():
            digests = {one["sha256"] for one in told["evidence"] if one["role"] == METER}
            (mine if str(told["id"]).split("/")[1] == subject else others).update(digests)
        return frozenset(mine - others), frozenset(mine & others)

    def _everything(self) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self._store.as_of(_END_OF_TIME).documents(SETTLEMENT)]


def _content(told: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two settlements the same: not the names of the files they were read from."""
    kept = {name: value for name, value in told.items() if name not in ("id", "version", "because")}
    kept["evidence"] = [(one["role"], one["sha256"]) for one in told["evidence"]]
    return kept


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between two versions, in words for the audit trail."""
    files, rules = ([_by_name(told, kind) for told in (before, after)] for kind in ("evidence", "rules"))
    plain = [
        {name: value for name, value in told["figures"].items() if not isinstance(value, list | dict)}
        for told in (before, after)
    ]
    said = [
        *_differences("evidence ", *files),
        *_differences("rule ", *rules),
        *_differences("", *plain),
    ]
    if before["notes"] != after["notes"]:
        said.append("notes: " + ("; ".join(after["notes"]) or "none left"))
    return tuple(said) or ("the way a figure is made or shown",)


def _by_name(told: Mapping[str, Any], kind: str) -> dict[str, str]:
    if kind == "evidence":
        return {one["role"]: one["sha256"][:12] for one in told["evidence"]}
    return {f"{one['rule']} of {one['valid_from']}": one["value"] for one in told["rules"]}


def _differences(word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{word}{name}: {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
