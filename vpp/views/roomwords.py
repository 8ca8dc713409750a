"""What was learned of a room, in words: what plans reckon with, why, and the numbers behind it."""

from __future__ import annotations

from typing import Final

from energy.core.assets import HvacZone
from vpp.i18n import Messages
from vpp.site.rooms import RoomStanding, RoomState, RoomValues

__all__ = ["room_sentences", "value_rows", "why_sentence"]

_RATED: Final = {"cooling": 35.0, "heating": 7.0}  # outdoor temperatures of the ratings. [degC]


def room_sentences(words: Messages, zone: HvacZone, standing: RoomStanding | None) -> tuple[str, ...]:
    """What plans reckon a room with and why; nothing for a room that does not learn."""
    if not zone.learn:
        return ()
    if standing is None:
        return (words.text("room_use.untried"),)
    if standing.values is None:
        first = words.text("room_use.declared", day=words.day(standing.day))
    else:
        tau, before = _tau_h(standing.values), _tau_h(standing.declared)
        first = words.text(
            "room_use.learned",
            day=words.day(standing.since or standing.day),
            tau=words.number(tau),
            before=words.number(before),
        )
    return first, why_sentence(words, standing)


def why_sentence(words: Messages, standing: RoomStanding) -> str:
    """Why the values of a night are used, or are not."""
    facts = dict(standing.facts)
    if "name" in facts:
        key = f"room_use.name.{facts['name']}"
        facts["name"] = words.text(key) if words.has(key) else facts["name"]
    for name in ("learned_k", "declared_k"):
        error = getattr(standing, name)
        facts[name] = "-" if error is None else words.number(error, 2)
    said = words.text(f"room_use.why.{standing.why}", **facts)
    return f"{said} {words.text('room_use.kept')}" if standing.state is RoomState.KEPT else said


def value_rows(words: Messages, standing: RoomStanding) -> list[tuple[str, str, str]]:
    """Name, value in use and declared value of what a plan reckons with; heat as what a kW of power gives."""
    used, declared = standing.values or standing.declared, standing.declared
    rows = [(words.text("room_use.value.tau"), _tau_h(used), _tau_h(declared), "h", 1)]
    for mode, at_c in _RATED.items():
        name = words.text(f"room_use.value.{mode}")
        rows.append((name, _k_per_kw(used, mode, at_c), _k_per_kw(declared, mode, at_c), "K/kW", 2))
    for key in ("base_gain_kw", "occupied_gain_kw", "solar_aperture_m2"):
        unit = "kW" if key.endswith("kw") else "m²"
        name = words.text(f"room_use.value.{key}")
        rows.append((name, getattr(used, key), getattr(declared, key), unit, 1))
    return [
        (name, words.quantity(one, unit, digits), words.quantity(other, unit, digits))
        for name, one, other, unit, digits in rows
    ]


def _tau_h(values: RoomValues) -> float:
    return values.capacitance_kwh_per_k / values.loss_kw_per_k


def _k_per_kw(values: RoomValues, mode: str, at_c: float) -> float:
    curve = values.cooling_cop if mode == "cooling" else values.heating_cop
    return curve.at(at_c) / values.loss_kw_per_k
