"""One text for one meaning: JSON with sorted keys and no spaces, the form that is hashed and compared."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from energy.core.clock import require_aware
from energy.core.errors import DataError

__all__ = ["canonical_json"]


def canonical_json(value: object) -> str:
    """Canonical JSON of a value.

    Mappings with text keys, lists, tuples, texts, numbers, booleans and None become what they are;
    ``Decimal`` becomes its text, an instant its ISO 8601 text in UTC, a date its ISO text, an enum member
    its value.

    Raises
    ------
    DataError
        If the value holds anything else, a number that is not finite, or text that is not Unicode.

    Examples
    --------
    >>> canonical_json({"kwh": Decimal("6.200"), "car": "sakura-1"})
    '{"car":"sakura-1","kwh":"6.200"}'
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            "a text is not valid Unicode", where=ascii(text[:200]), hint="decode the input as UTF-8 first"
        ) from error
    return text


def _plain(value: object) -> object:
    match value:
        case Enum():
            return _plain(value.value)
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Decimal() if value.is_finite():
            return str(value)
        case datetime():
            return require_aware(value).isoformat()
        case date():
            return value.isoformat()
        case Mapping() if all(isinstance(key, str) for key in value):
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise DataError(
                "this cannot be written as JSON",
                where=f"{type(value).__name__} {value!r}",
                hint="use text, finite numbers, instants, lists and mappings with text keys",
            )
