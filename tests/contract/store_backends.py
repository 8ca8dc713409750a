"""Databases that the contract of a store is held on, and the points it is held with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from energy.core.measurement import Quality
from energy.core.slots import SLOT_LENGTH
from energy.core.units import SeriesId, series_id
from energy.store import JournalRow, Point

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LATER = NOON + timedelta(days=1)
LOAD = series_id("kitakata", "meter", "import_kwh")
POSTGRES = "VPP_TEST_POSTGRES_URL"

# Databases that outlive a store and can be opened twice; one in memory is neither.
SHARED: tuple[Any, ...] = ("sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgres))
ALL: tuple[Any, ...] = ("sqlite-memory", *SHARED)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Address of an empty database."""
    match kind:
        case "sqlite-memory":
            yield "sqlite://"
        case "sqlite-file":
            yield f"sqlite:///{folder / 'store.db'}"
        case _:
            with _postgres_schema() as url:
                yield url


@contextmanager
def _postgres_schema() -> Iterator[str]:
    """A schema of its own for one test."""
    address = os.environ.get(POSTGRES)
    if not address:
        pytest.skip(f"no PostgreSQL: {POSTGRES} is not set")
    schema = f"test_{uuid4().hex}"
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    inside = make_url(address).update_query_dict({"options": f"-csearch_path={schema}"})
    try:
        yield inside.render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        engine.dispose()


def slot(k: int) -> datetime:
    """Start of the k-th slot after noon."""
    return NOON + k * SLOT_LENGTH


def point(
    at: datetime = NOON,
    value: float | None = 1.5,
    *,
    known_at: datetime | None = None,
    series: SeriesId = LOAD,
    quality: Quality = Quality.GOOD,
    source: str = "meter:site",
) -> Point:
    """A point with everything filled in; known when it is measured unless said."""
    return Point(series=series, at=at, known_at=known_at or at, value=value, quality=quality, source=source)


def row(number: int, key: str, *postings: tuple[str, int]) -> JournalRow:
    """A row of the journal, with a body that only stands for one."""
    return JournalRow(number, key, f'{{"n":{number}}}', f"{number:064x}", postings)
