"""In which language to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vpp.i18n import LANGUAGES, Lang

__all__ = ["LANG_COOKIE", "accepted", "chosen"]

LANG_COOKIE: Final = "vpp_lang"


def accepted(header: str) -> Lang | None:
    """The best language of an ``Accept-Language`` header that we have; None if it names none of ours.

    Examples
    --------
    >>> accepted("de;q=0.9, en-GB;q=0.8, ja;q=0.7")
    'en'
    """
    best: tuple[float, Lang] | None = None
    for part in header.split(",")[:20]:
        tag, _, weight = part.strip().partition(";")
        quality = _quality(weight)
        for lang in LANGUAGES:
            named = tag.lower() == lang or tag.lower().startswith(f"{lang}-")
            if named and quality > 0 and (best is None or quality > best[0]):
                best = quality, lang
    return None if best is None else best[1]


def _quality(weight: str) -> float:
    name, _, number = weight.strip().partition("=")
    try:
        return float(number) if name == "q" else 1.0
    except ValueError:
        return 0.0


def chosen(cookies: Mapping[str, str], header: str, account: Lang | None = None) -> Lang:
    """What was chosen on screen, else what the caller asks for, else the account's, else Japanese."""
    picked = cookies.get(LANG_COOKIE)
    for lang in LANGUAGES:
        if picked == lang:
            return lang
    return accepted(header) or account or "ja"
