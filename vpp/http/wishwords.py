"""What becomes of a wish, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vpp.i18n import Lang, Messages
from vpp.wishes.acts import Departure
from vpp.wishes.ask import Asking, Refused

__all__ = ["answer_text", "refused_text"]


def refused_text(refused: Refused, lang: Lang) -> str:
    """Why a wish was not kept, and what can be asked instead."""
    words = Messages(lang)
    return words.text(f"wish.refused.{refused.code}", **_written(refused.facts, words))


def _written(facts: Mapping[str, float | datetime], words: Messages) -> dict[str, str]:
    written = {}
    for name, fact in facts.items():
        if isinstance(fact, datetime):
            written[name] = words.moment(fact)
        else:
            written[name] = words.kw(fact) if name == "kw" else words.percent(fact)
    return written


def answer_text(asking: Asking, lang: Lang) -> str:
    """What a wish brings."""
    words = Messages(lang)
    act, possible = asking.wish.act, asking.possible
    if not isinstance(act, Departure) or possible is None or asking.departs is None:
        until = "" if asking.wish.until is None else words.moment(asking.wish.until)
        return words.text(f"wish.kept.{act.kind}", until=until)
    values = {"at": words.moment(asking.departs), "charge": words.percent(act.charge)}
    if possible.met:
        return words.text("wish.kept.departure", **values)
    most = words.percent(possible.charge)
    if possible.ready_at is None:
        return words.text("wish.less", **values, most=most)
    return words.text("wish.less_but_later", **values, most=most, ready=words.moment(possible.ready_at))
