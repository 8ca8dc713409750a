"""How well a model is proved: a level computed from evidence that the tests gave, never typed by hand."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

from energy.core.errors import DataError

__all__ = ["LEVELS", "Evidence", "evidence_of", "level", "quality"]


class Evidence(StrEnum):
    """Kinds of proof."""

    GOLDEN = "golden bytes"  # a session on the wire is compared byte by byte
    TWIN = "twin"  # a twin with the limits of the device answers it
    CONTRACT = "contract"  # silence, garbled answers, reconnection and the safe state
    COUNTERPART = "counterpart"  # a program that nobody here wrote knows the map and agrees
    RECORDED = "recorded"  # a session recorded at the device itself
    SOAK = "soak"  # hours with random faults


_BRONZE: Final = frozenset({Evidence.GOLDEN, Evidence.TWIN})
_SILVER: Final = _BRONZE | {Evidence.CONTRACT}
LEVELS: Final = ("none", "bronze", "silver", "gold", "platinum")


def level(evidence: frozenset[Evidence]) -> str:
    """Bronze: golden bytes and twin. Silver: contract. Gold: counterpart or recording. Platinum: soak.

    Each level needs those below it.

    Examples
    --------
    >>> level(frozenset({Evidence.GOLDEN, Evidence.TWIN}))
    'bronze'
    >>> level(frozenset({Evidence.GOLDEN, Evidence.COUNTERPART}))
    'none'
    """
    if not evidence >= _BRONZE:
        return "none"
    if not evidence >= _SILVER:
        return "bronze"
    if not evidence & {Evidence.COUNTERPART, Evidence.RECORDED}:
        return "silver"
    return "platinum" if Evidence.SOAK in evidence else "gold"


@cache
def _shipped() -> dict[str, list[str]]:
    text = (resources.files("devices") / "profiles" / "evidence.json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


def evidence_of(profile: str) -> frozenset[Evidence]:
    """What the tests have proved of a shipped profile; nothing for one of somebody's own.

    Raises
    ------
    DataError
        If the file of evidence is of another version.
    """
    try:
        return frozenset(Evidence(kind) for kind in _shipped().get(profile, ()))
    except ValueError as error:
        raise DataError(
            "the evidence of the device profiles cannot be read",
            where=f"devices/profiles/evidence.json: {error}",
            hint="reinstall the program",
        ) from None


def quality(profile: str) -> str:
    """Level of a profile."""
    return level(evidence_of(profile))
