"""Why an asset does what it does, as a sentence with numbers for the person in front of the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, Literal

from energy.core.plan import Reason, ReasonCode
from vpp.i18n.messages import Messages

__all__ = ["AssetKind", "action_text", "reason_sentence"]

AssetKind = Literal["car", "zone", "pv", "battery", "other"]
_STILL_KW: Final = 0.05  # below half a digit of what is shown, a power is nothing
_MOMENTS: Final = frozenset({"at", "until", "back_at"})
_DARK: Final = frozenset({"idle", "surplus", "price"})  # without power they mean no more than "no sun"


def reason_sentence(
    messages: Messages,
    reason: Reason,
    *,
    kind: AssetKind,
    name: str = "",
    power_kw: float | None = None,
    setpoint_c: float | None = None,
) -> str:
    """What an asset does and why, in one sentence.

    Parameters
    ----------
    reason : Reason
        Code and facts of a setpoint; facts that are missing or unreadable give a plainer sentence, never an
        error.
    kind : {"car", "zone", "pv", "battery", "other"}
        What the asset is.
    name : str
        Its name as the reader knows it; without it the sentence has no subject (a table names it elsewhere).
    power_kw : float or None
        Its power, positive into the asset; None if unknown. [kW]
    setpoint_c : float or None
        Setpoint of an air conditioner. [degC]
    """
    values = _values(messages, reason.facts, power_kw)
    why = messages.first(_reason_key(messages, reason, kind, power_kw), values)
    does = action_text(messages, reason.code, kind=kind, power_kw=power_kw, setpoint_c=setpoint_c)
    if name:
        return messages.text("reason.sentence", name=name, action=does, why=why)
    sentence = messages.text("reason.sentence_without_name", action=does, why=why)
    return sentence[:1].upper() + sentence[1:]


def action_text(
    messages: Messages,
    code: ReasonCode,
    *,
    kind: AssetKind,
    power_kw: float | None,
    setpoint_c: float | None = None,
) -> str:
    """What an asset does, in words: the direction is said, the number has no sign."""
    amount = messages.kw(abs(power_kw)) if power_kw is not None else ""
    if kind == "zone" and power_kw is not None and power_kw >= _STILL_KW and setpoint_c is not None:
        return messages.text("action.zone_on_at", power=amount, setpoint=messages.celsius(setpoint_c))
    return messages.first(_action_key(code, kind, power_kw), {"power": amount})


def _action_key(code: ReasonCode, kind: AssetKind, power_kw: float | None) -> str:
    if code is ReasonCode.AWAY and kind == "car":
        return "action.car_away"
    if power_kw is None:
        return "action.unknown"
    if kind == "pv":
        if code is ReasonCode.EXPORT:
            return "action.pv_limited"
        return "action.pv_on" if abs(power_kw) >= _STILL_KW else "action.pv_off"
    if abs(power_kw) < _STILL_KW:
        return "action.zone_off" if kind in ("zone", "other") else "action.car_still"
    if kind in ("zone", "other"):
        return "action.zone_on"
    return "action.car_charges" if power_kw > 0 else "action.car_gives"


def _reason_key(messages: Messages, reason: Reason, kind: AssetKind, power_kw: float | None) -> str:
    """Key of the reason: a kind's own text if there is one, the general one otherwise."""
    story = _story(reason)
    if kind == "pv" and story in _DARK and power_kw is not None and abs(power_kw) < _STILL_KW:
        story = "dark"
    own = f"reason.{story}.{kind}"
    return own if messages.has(own) else f"reason.{story}.any"


def _story(reason: Reason) -> str:
    """The code, split where its facts tell different stories."""
    facts, code = reason.facts, reason.code.value
    match reason.code:
        case ReasonCode.PRICE:
            now, later = _float(facts.get("now")), _float(facts.get("later"))
            if now is not None and later is not None and now != later:
                return "price_cheap" if now < later else "price_dear"
        case ReasonCode.PRE_CONDITION if facts.get("because") in {"event", "price"}:
            return f"{code}_{facts['because']}"
        case ReasonCode.EVENT if "event" in facts:
            return "event_paid_later" if _moment(facts.get("at")) else "event_paid"
        case ReasonCode.MINIMUM_TIME:
            return f"{code}_on" if facts.get("on") else f"{code}_off"
        case ReasonCode.PROMISE if "floor_percent" in facts:
            return "promise_floor"
        case ReasonCode.PEAK | ReasonCode.EVENT | ReasonCode.COMFORT if _moment(facts.get("at")):
            return f"{code}_later"
        case _:
            pass
    return code


def _values(messages: Messages, facts: Mapping[str, float | str], power_kw: float | None) -> dict[str, str]:
    """Facts as the reader writes them; what cannot be read, or says nothing, is left out."""
    writers: dict[str, Callable[[float], str]] = {
        "_kw": messages.kw,
        "_c": messages.celsius,
        "_percent": lambda value: messages.percent(value / 100.0),
        "_minutes": lambda value: messages.number(value, 0),
        "_kwh": lambda value: messages.number(value, 0 if value == round(value) else 1),
        "": lambda value: messages.text("format.yen_per_kwh", amount=messages.number(value, 1)),
    }
    values = {}
    for name, fact in facts.items():
        number = _float(fact)
        if name in _MOMENTS:
            if (moment := _moment(fact)) is not None:
                values[name] = messages.moment(moment)
        elif name in {"feeder", "event"}:
            values[name] = str(fact)
        elif name == "missing":
            if messages.has(f"missing.{fact}"):
                values[name] = messages.text(f"missing.{fact}")
        elif number is not None:
            suffix = next(suffix for suffix in writers if name.endswith(suffix))
            values[name] = writers[suffix](number)
    if _float(facts.get("coins_per_kwh")) == 0.0:
        del values["coins_per_kwh"]  # a company car earns none
    if power_kw is None or power_kw < _STILL_KW:
        values.pop("price", None)  # the price of charging explains nothing else
    return values


def _float(fact: float | str | None) -> float | None:
    """Finite number of a fact, or None."""
    try:
        number = float(fact) if fact is not None else None
    except ValueError:
        return None
    return number if number is not None and abs(number) < float("inf") else None


def _moment(fact: float | str | None) -> datetime | None:
    """Aware instant of a fact, or None."""
    try:
        instant = datetime.fromisoformat(str(fact))
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None
