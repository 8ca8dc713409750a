"""The reasons of a forecast in sentences, Japanese and English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY
from forecasting.explain import Cause, Effect
from vpp.forecasts.reasons import Explained
from vpp.i18n import Messages

__all__ = ["reason_lines", "reasons_document"]

SHOWN_KW: Final = 0.05  # half a digit of what is shown
_DAY: Final = slice(0, SLOTS_PER_DAY)


def reason_lines(words: Messages, told: Explained, slot: int | None = None) -> list[str]:
    """What moved the forecast, largest first, after a sentence that says by how much.

    Parameters
    ----------
    slot : int or None
        Half hour of the day to speak of, 0 to 47; the mean of the day if none.
    """
    part = _DAY if slot is None else slice(slot, slot + 1)
    lines = [_lead(words, told, slot), _issue(words, told)]
    if not told.is_of_record:
        lines.append(words.text("because.off_record", gap=words.kw(told.off_record_kw)))
    effects = sorted(told.reasons.effects, key=lambda one: -abs(one.mean_kw(part)))
    lines += [_line(words, one, part, told) for one in effects if abs(one.mean_kw(part)) >= SHOWN_KW]
    small = [one.cause for one in effects if abs(one.mean_kw(part)) < SHOWN_KW]
    for key, causes in (
        ("because.no_effect", small),
        ("because.unchanged", told.reasons.unchanged),
        ("because.unused", told.reasons.unused),
    ):
        if causes:
            names = words.text("because.joint").join(words.text(f"cause.{one.value}") for one in causes)
            lines.append(words.text(key, causes=names))
    return lines


def _lead(words: Messages, told: Explained, slot: int | None) -> str:
    reasons = told.reasons
    forecast, compared = reasons.over(_DAY if slot is None else slice(slot, slot + 1))
    start = reasons.grid.time(slot or 0)
    direction = _direction(forecast - compared)
    day = start.astimezone(JST).date()
    target = told.issue.target
    values = {
        "target": words.text(f"target.{target}") if words.has(f"target.{target}") else target,
        "when": words.day(day) if slot is None else words.day_slot(start),
        "forecast": words.kw(forecast)
        if slot is not None
        else words.text("because.mean", power=words.kw(forecast)),
        "compared": words.kw(compared),
        "change": words.kw(abs(forecast - compared)),
        "against": words.text(
            f"because.against_{told.against.replace('-', '_')}",
            day=words.day(told.days[0]),
            count=len(told.days),
        ),
    }
    return words.text(f"because.lead_{direction}", **values)


def _issue(words: Messages, told: Explained) -> str:
    return words.text("because.issued", at=words.moment(told.issue.issued_at), model=told.issue.model)


def _direction(change_kw: float) -> str:
    if abs(change_kw) < SHOWN_KW:
        return "same"
    return "more" if change_kw > 0.0 else "less"


def _line(words: Messages, effect: Effect, part: slice, told: Explained) -> str:
    change = effect.mean_kw(part)
    direction = _direction(change)
    why = words.first(_key(effect, direction), _values(words, effect, told))
    return words.text(f"because.{direction}", change=words.kw(abs(change)), why=why)


def _key(effect: Effect, direction: str) -> str:
    """Text of a cause; some read differently by direction or by their facts."""
    facts = effect.facts
    match effect.cause:
        case Cause.CHANCE:
            return f"because.chance_{direction}"
        case Cause.DAY_TYPE if facts.get("now") == facts.get("then"):
            return "because.day_type_near"
        case Cause.DAY_TYPE:
            return f"because.day_type_{facts.get('now')}"
        case Cause.MORNING:
            error = facts.get("error_kw")
            above = isinstance(error, float) and error >= 0.0
            return "because.morning_above" if above else "because.morning_below"
        case cause:
            return f"because.{cause.value}"


def _values(words: Messages, effect: Effect, told: Explained) -> Mapping[str, str]:
    """Facts as the reader writes them; what is unknown is left out, and a plainer variant is taken."""
    hours = told.reasons.grid.count * SLOT_HOURS

    def shown(name: str, value: float) -> str:
        if name == "level_step_kw":
            return f"{value:+.0f} kW"
        if name.endswith("_w_m2"):
            return words.quantity(value * hours / 1000.0, "kWh/m²")
        if name.endswith("_c"):
            return words.celsius(value)
        if name.endswith("_ratio"):
            return words.percent(value)
        return words.kw(abs(value)) if name == "error_kw" else words.kw(value)

    values = {}
    for name, value in effect.facts.items():
        if isinstance(value, float) and name != "hours":
            values[_short(name)] = shown(name, value)
        elif name == "level_step_since" and isinstance(value, str):
            values["since"] = words.day(date.fromisoformat(value))
        elif name in ("now_roof", "then_roof") and isinstance(value, str):
            values[name] = words.text(f"roof.{value}")
    return values


def _short(name: str) -> str:
    """``now_kw`` is ``now`` in a text: the unit comes with the number."""
    if name.endswith("_recent_ratio"):
        return name
    if name == "level_step_kw":
        return "step"
    return name.split("_", 1)[0]


def reasons_document(told: Explained, lines: list[str], slot: int | None = None) -> dict[str, object]:
    """The reasons under English keys, by slot, with the sentences."""
    part = _DAY if slot is None else slice(slot, slot + 1)
    forecast, compared = told.reasons.over(part)
    return {
        "site": told.issue.site,
        "target": told.issue.target,
        "day": told.issue.start.astimezone(JST).date().isoformat(),
        "slot": None if slot is None else slot + 1,
        "issued_at": told.issue.issued_at.isoformat(),
        "model": told.issue.model,
        "card": told.issue.card,
        "against": told.against,
        "days": [day.isoformat() for day in told.days],
        "of_record": told.is_of_record,
        "off_record_kw": round(told.off_record_kw, 3),
        "forecast_kw": forecast,
        "compared_kw": compared,
        "effects": [
            {
                "cause": one.cause.value,
                "mean_kw": one.mean_kw(part),
                "facts": dict(one.facts),
                "by_slot_kw": one.by_slot_kw[part].tolist(),
            }
            for one in told.reasons.effects
        ],
        "unchanged": [cause.value for cause in told.reasons.unchanged],
        "unused": [cause.value for cause in told.reasons.unused],
        "sentences": lines,
    }
