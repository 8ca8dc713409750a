"""Documents made of values and of other documents: kept beside a digest of what they were made of.

What stands in the store is added and never changed, so a derived document is right for as long as that
digest is. It is looked up at every use; where it differs, or nothing was kept, the document is made anew. A
job may make them ahead of use, or be cut off, or never run: what is read is the same, only later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from energy.store import Store, canonical_json

__all__ = ["digest_of", "kept_or_made"]


def digest_of(*parts: object) -> str:
    """What tells one set of ingredients from another."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def kept_or_made(
    store: Store,
    kind: str,
    wanted: Mapping[str, str],
    make: Callable[[Sequence[str]], Mapping[str, object]],
    *,
    at: datetime,
) -> dict[str, Any]:  # Any: what JSON holds
    """Contents by key, from the store where their digest is the wanted one, else made and kept.

    Parameters
    ----------
    wanted : mapping of str to str
        By key the digest of what the document is made of, looked up before anything is made.
    make : callable
        Makes the contents of some keys, all at once; plain values as in :func:`energy.store.canonical_json`.
    at : datetime
        When it is looked and, where it must be, made. UTC.

    Notes
    -----
    All of it is kept in one transaction, or not at all; a store that is open for reading only keeps nothing.
    """
    stored = store.across(at).documents(kind, list(wanted))
    kept = {key: json.loads(one.body) for key, one in stored.items()}
    found = {key: one["is"] for key, one in kept.items() if one["of"] == wanted[key]}
    missing = [key for key in wanted if key not in found]
    if not missing:
        return found
    made = make(missing)
    bodies = {key: canonical_json({"of": wanted[key], "is": made[key]}) for key in missing}
    told = {key: json.loads(body)["is"] for key, body in bodies.items()}
    if store.read_only:
        return found | told
    with store.transaction():
        beside = store.across(at).documents(kind, missing)
        for key, body in bodies.items():
            # One of this very instant stays as it is; whoever looks later finds it outdated.
            if key not in beside or beside[key].known_at < at:
                store.put_document(kind, key, known_at=at, body=body)
    return found | told
