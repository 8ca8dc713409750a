"""Conversions between power and energy, and the field's rounding rules, each with its source."""

from __future__ import annotations

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import NewType

__all__ = [
    "AssetId",
    "SeriesId",
    "floor_int",
    "kw_of_kwh",
    "kwh_of_kw",
    "plain_number",
    "round_half_up",
    "series_id",
]

AssetId = NewType("AssetId", str)
SeriesId = NewType("SeriesId", str)


def series_id(site: str, asset: str, quantity: str) -> SeriesId:
    """Name of a stored series: ``site/asset/quantity_unit``, for instance ``kitakata/meter/import_kwh``.

    Raises
    ------
    ValueError
        If a part is empty or holds a slash.
    """
    for part in (site, asset, quantity):
        if not part or "/" in part:
            msg = f"bad part {part!r} of a series name: not empty, no slash"
            raise ValueError(msg)
    return SeriesId(f"{site}/{asset}/{quantity}")


def plain_number(value: Decimal) -> int | float:
    """An exact number as JSON has it: whole if it is whole."""
    return int(value) if value == value.to_integral_value() else float(value)


def kwh_of_kw(power_kw: float, hours: float = 0.5) -> float:
    """Energy of a mean power over some hours. [kWh]"""
    return power_kw * hours


def kw_of_kwh(energy_kwh: float, hours: float = 0.5) -> float:
    """Mean power of an energy over some hours: ``kW = 2 * kWh`` in a slot. [kW]"""
    return energy_kwh / hours


def round_half_up(value: Decimal) -> int:
    """Nearest integer, halves away from zero: demand in kW (RULES-JP 2.1)."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def floor_int(value: Decimal) -> int:
    """Largest integer not above: yen of a bill, coin of a grant (RULES-JP 2.2, 5)."""
    return int(value.to_integral_value(rounding=ROUND_FLOOR))
