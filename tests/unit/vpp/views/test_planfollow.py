"""How closely a site follows its plans, by hand-made plans and meters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from pydantic import TypeAdapter

from energy.core.slots import SLOT_LENGTH, parse_jst
from energy.core.units import series_id
from energy.store import Point, SqlStore, open_store
from vpp.site.ahead import AHEAD, Ahead
from vpp.views.planfollow import BACK, plan_following

NOW = parse_jst("2026-11-22 12:10")
FIRST = parse_jst("2026-11-22 12:00") - BACK * SLOT_LENGTH


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://", durability="process") as opened:
        yield opened


def plan(store: SqlStore, site: str, kw: Sequence[float | None]) -> None:
    """A plan for each half hour, of two half hours, the second of which is never carried out."""
    for k, power in enumerate(kw):
        if power is None:
            continue
        at = FIRST + k * SLOT_LENGTH
        told = Ahead(
            site=site, made_at=at - timedelta(minutes=1), start=at, source="optimal", target_kw=100.0,
            import_kw=(power, 999.0), load_kw=(power, 999.0), pv_kw=(0.0, 0.0), assets={}, reasons=(),
        )  # fmt: skip
        body = TypeAdapter(Ahead).dump_json(told).decode()
        store.put_document(AHEAD, f"{site}/{at.isoformat()}", known_at=told.made_at, body=body)


def meter(store: SqlStore, site: str, kwh: Sequence[float]) -> None:
    store.append(
        Point(
            series=series_id(site, "meter", "import_kwh"),
            at=FIRST + k * SLOT_LENGTH,
            known_at=FIRST + (k + 1) * SLOT_LENGTH,
            value=value,
            source="test",
        )
        for k, value in enumerate(kwh)
    )


def test_the_share_is_one_less_what_was_missed_over_what_was_planned(store: SqlStore) -> None:
    plan(store, "works", [20.0] * BACK)  # 10 kWh each
    meter(store, "works", [10.0] * (BACK - 2) + [12.0, 6.0])
    (found,) = plan_following(store, ["works"], NOW).values()
    assert found.slots == BACK
    assert found.share == pytest.approx(1 - 6.0 / (10.0 * BACK))


def test_only_half_hours_that_are_both_planned_and_metered_count(store: SqlStore) -> None:
    plan(store, "works", [None, 20.0, 20.0, 20.0])
    meter(store, "works", [99.0, 10.0, 5.0])
    found = plan_following(store, ["works"], NOW)["works"]
    assert found.slots == 2
    assert found.share == pytest.approx(1 - 5.0 / 20.0)


def test_a_site_far_off_its_plan_follows_nothing_of_it_and_not_less(store: SqlStore) -> None:
    plan(store, "works", [2.0] * BACK)
    meter(store, "works", [50.0] * BACK)
    assert plan_following(store, ["works"], NOW)["works"].share == 0.0


def test_nothing_is_said_without_a_plan_a_reading_or_any_planned_energy(store: SqlStore) -> None:
    meter(store, "unplanned", [10.0] * BACK)
    plan(store, "unmetered", [20.0] * BACK)
    plan(store, "idle", [0.0] * BACK)
    meter(store, "idle", [0.0] * BACK)
    plan(store, "fresh", [20.0])
    meter(store, "fresh", [10.0])
    assert plan_following(store, ["unplanned", "unmetered", "idle", "fresh", "stranger"], NOW) == {}
