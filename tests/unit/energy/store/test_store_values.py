"""Points refuse what is no value; canonical text is one text for one meaning."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from energy.core.errors import DataError
from energy.core.measurement import Quality
from energy.core.slots import JST
from energy.core.units import SeriesId
from energy.store import Point, canonical_json

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_point_without_a_value_is_none_not_nan(value: float) -> None:
    with pytest.raises(DataError) as caught:
        Point(series=SeriesId("a/b/c_kw"), at=NOON, known_at=NOON, value=value, source="meter")
    assert "None" in caught.value.hint


@pytest.mark.parametrize("name", ["at", "known_at"])
def test_a_point_needs_time_zones(name: str) -> None:
    times = {"at": NOON, "known_at": NOON, name: NOON.replace(tzinfo=None)}
    with pytest.raises(ValueError, match="naive"):
        Point(
            series=SeriesId("a/b/c_kw"), at=times["at"], known_at=times["known_at"], value=1.0, source="meter"
        )


def test_a_point_keeps_utc() -> None:
    point = Point(
        series=SeriesId("a/b/c_kw"), at=NOON.astimezone(JST), known_at=NOON, value=1.0, source="meter"
    )
    assert point.at.tzinfo is UTC


def test_canonical_text_has_sorted_keys_no_spaces_and_readable_japanese() -> None:
    value = {"b": [1, True, None], "a": {"z": Decimal("6.200"), "y": "警報"}}
    assert canonical_json(value) == '{"a":{"y":"警報","z":"6.200"},"b":[1,true,null]}'


def test_instants_are_the_same_text_in_every_time_zone() -> None:
    assert canonical_json(NOON) == canonical_json(NOON.astimezone(JST)) == '"2026-11-23T03:00:00+00:00"'
    assert canonical_json((date(2026, 11, 23), Quality.STALE)) == '["2026-11-23","stale"]'


@pytest.mark.parametrize(
    "value", [math.nan, Decimal("NaN"), b"bytes", {1: "a"}, {"a": {2.5: "b"}}, {"a"}, "\ud800", object()]
)
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises(DataError):
        canonical_json({"fact": value})
