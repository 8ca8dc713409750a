"""The whole newest plan in the store, small enough to be kept every half hour."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatch.planner import Planner
from energy.core.units import AssetId
from energy.store import open_store
from tests.unit.vpp.site.test_planning import NOW, SITE, problem
from vpp.site.ahead import AHEAD, ahead_of, keep_ahead
from vpp.site.sitebook import keep_site, kept_sites, site_of


def test_what_is_kept_of_a_plan_is_the_plan() -> None:
    plan = Planner().plan(problem())
    with open_store("sqlite://") as store:
        keep_ahead(store, plan)
        keep_ahead(store, plan)
        found = ahead_of(store.as_of(NOW), SITE.id, NOW + timedelta(minutes=29))
        assert found is not None
        assert found.slots() == tuple(plan.grid.times())
        for car in (AssetId(one.id) for one in SITE.vehicles):
            points = plan.of(car)
            assert found.assets[car].power_kw == pytest.approx([one.power_kw for one in points], abs=0.006)
            assert [found.reason(car, k).code for k in range(96)] == [one.reason.code for one in points]
        document = store.as_of(NOW).document(AHEAD, f"{SITE.id}/{NOW.isoformat()}")
        assert document is not None
        assert len(document.body) < 60_000


def test_an_old_plan_says_nothing_about_the_hours_to_come() -> None:
    with open_store("sqlite://") as store:
        keep_ahead(store, Planner().plan(problem()))
        known = store.as_of(NOW + timedelta(days=1))
        assert ahead_of(known, SITE.id, NOW + timedelta(hours=2)) is not None
        assert ahead_of(known, SITE.id, NOW + timedelta(hours=3)) is None


def test_a_site_reads_back_as_it_was_configured() -> None:
    with open_store("sqlite://") as store:
        assert keep_site(store, SITE, at=NOW)
        assert not keep_site(store, SITE, at=NOW + timedelta(days=1))
        assert site_of(store.as_of(NOW), SITE.id) == SITE
        assert site_of(store.as_of(NOW), "elsewhere") is None
        assert kept_sites(store.as_of(NOW)) == [SITE.id]
