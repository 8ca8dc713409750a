"""The API on PostgreSQL answers like the one on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy.store import open_store
from tests.contract.store_backends import database
from tests.unit.vpp.api.filled import OWN_SITE, fill, filled_town
from tests.unit.vpp.people.somebody import House
from tests.unit.vpp.web.browser import Town
from vpp.people.roles import Role

PATHS = (
    "/api/v1/sites",
    f"/api/v1/assets/{OWN_SITE}",
    f"/api/v1/measurements/{OWN_SITE}/commuter/soc",
    f"/api/v1/forecasts/{OWN_SITE}/load/day-ahead",
    f"/api/v1/plans/{OWN_SITE}",
    "/api/v1/events",
    "/api/v1/settlements",
    "/api/v1/consents",
    "/api/v1/jobs",
    "/api/v1/sites/a%00b",
)


@pytest.mark.postgres
def test_postgresql_and_sqlite_say_the_same(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as url, open_store(url, durability="process") as store:
        here, there = filled_town(), Town(house=House(store=store))
        fill(store)
        for role in (Role.OPERATOR, Role.FACTORY, Role.DRIVER):
            for path in PATHS:
                one, other = here.program(role).get(path), there.program(role).get(path)
                assert one.status_code == other.status_code, (role, path)
                if one.status_code == 200:
                    assert one.json() == other.json(), (role, path)
