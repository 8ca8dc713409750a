"""From registers to a value that may be believed, or to none with the reason."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.profile import Profile
from devices.registers import Kind, decode, decode_text, extract_bits
from devices.schema import Identity
from energy.core.measurement import Quality

__all__ = ["Reading", "mismatch", "read_point", "scale_exponent", "scale_reading"]

# SunSpec Device Information Model Specification V1.1, 6.5.1.5: sunssf
_SCALE_EXPONENTS: Final = range(-10, 11)


@dataclass(frozen=True, slots=True)
class Reading:
    """A point as read: its value in the profile's unit, or None with the reason; texts have no value."""

    value: float | None
    quality: Quality
    raw: tuple[int, ...]
    read_at: datetime
    text: str | None = None


def mismatch(check: Identity, text: str | None, number: float | None) -> str | None:
    """What a point says if it is not what its device must say, else None."""
    if check.text is not None:
        right, wanted, seen = re.fullmatch(check.text, text or "") is not None, check.text, str(text)
    else:
        right, wanted, seen = number in check.raw, f"one of {list(check.raw)}", f"{number:g}"
    return None if right else f"{check.point} reads {seen}, expected {wanted}"


def scale_exponent(word: int) -> int | None:
    """The power of ten in a scale factor; None for one that cannot be."""
    exponent = int(decode((word,), Kind.INT16))
    return exponent if exponent in _SCALE_EXPONENTS else None


def scale_reading(word: int, at: datetime) -> Reading:
    """A scale factor as a reading."""
    exponent = scale_exponent(word)
    return Reading(exponent, Quality.INVALID if exponent is None else Quality.GOOD, (word,), at)


def read_point(
    profile: Profile, name: str, words: Sequence[int], *, exponent: int | None, at: datetime
) -> Reading:
    """What some registers say about a point.

    Parameters
    ----------
    profile : Profile
        Whose point it is.
    name : str
        Which point.
    words : sequence of int
        Its registers.
    exponent : int or None
        Power of ten of its scale factor; 0 if it has none, None if the factor cannot be believed.
    at : datetime
        When it was read.
    """
    point, raw = profile.points[name], tuple(words)
    if point.type is Kind.TEXT:
        text = decode_text(raw)
        meant = profile.value_of(name, text) if point.values else None
        unknown = not text or (bool(point.values) and meant is None)
        return Reading(meant, Quality.INVALID if unknown else Quality.GOOD, raw, at, text)
    number: float
    if point.bits is not None:
        number = extract_bits(raw[0], *point.bits)
    else:
        number = decode(raw, point.type, point.order or profile.order)
    value = _believed(profile, name, number, exponent)
    return Reading(value, Quality.INVALID if value is None else Quality.GOOD, raw, at)


def _believed(profile: Profile, name: str, number: float, exponent: int | None) -> float | None:
    point = profile.points[name]
    if exponent is None or number in point.invalid or not math.isfinite(number):
        return None
    if point.values:
        return profile.value_of(name, int(number))
    value = number * point.scale * point.sign
    if point.scale_point is not None:
        value *= 10.0**exponent
    if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
        return None
    return value if point.floor is None else max(point.floor, value)
