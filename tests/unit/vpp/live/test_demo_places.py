"""The places of the demonstration fit together, and each has a past that a forecast can learn from."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.errors import ConfigError
from energy.core.series import Grid, Unit
from energy.core.slots import JST
from energy.core.units import series_id
from energy.store import open_store
from vpp.consents import CONTROLLER
from vpp.forecasts.delivery import Delivered, Order, preview
from vpp.forecasts.handover import DeliveryTarget
from vpp.forecasts.sumscore import sum_scores
from vpp.live.demo import LIVE_FROM
from vpp.live.demo_neighbours import neighbours, put_neighbours
from vpp.live.demo_people import PARTY, share_and_call
from vpp.live.demo_places import CITY_HALL, FACTORY, places, region_ids
from vpp.live.demo_world import DemoWorld
from vpp.live.memory import MemoryFile


def test_the_region_has_sites_of_its_own_beside_factory_and_city_hall() -> None:
    made = places()
    assert [one.id for one in made] == [FACTORY, CITY_HALL, *region_ids()]
    assert {one.mode for one in made if one.id in region_ids()} == {"rules"}
    assert len({one.scenario.site.name_ja for one in made}) == len(made)
    assert [one.id for one in places((CITY_HALL,))] == [CITY_HALL]
    with pytest.raises(ConfigError, match="atlantis"):
        places(("atlantis",))


def test_a_site_that_was_not_lived_through_has_measured_weeks(tmp_path: Path) -> None:
    [place] = places(("region-clinic",))
    with open_store("sqlite://", durability="process") as store:
        world = DemoWorld(
            place.scenario,
            place.folder,
            LIVE_FROM,
            LIVE_FROM + timedelta(days=1),
            store=store,
            kept=MemoryFile(tmp_path / "world.json"),
        )
        world.settle(LIVE_FROM)
        known = store.as_of(LIVE_FROM)
        for name in ("load/demand_kw", "meter/import_kwh", "pv/generation_kwh"):
            span = known.span(f"region-clinic/{name}")  # type: ignore[arg-type]
            assert span is not None
            assert span[0] <= LIVE_FROM - timedelta(days=27)
            assert LIVE_FROM - timedelta(hours=1) <= span[1] <= LIVE_FROM
        world.live_to(LIVE_FROM + timedelta(minutes=3))
        assert world.twins.batteries
        assert world.now == LIVE_FROM + timedelta(minutes=3)


def test_the_retailer_sees_the_neighbours_as_a_sum_from_the_first_minute_on() -> None:
    order = Order(
        recipient=PARTY,
        controller=CONTROLLER,
        target=DeliveryTarget.DEMAND,
        day=LIVE_FROM.astimezone(JST).date() + timedelta(days=1),
    )
    until = LIVE_FROM + timedelta(days=2)
    with open_store("sqlite://", durability="process") as store:
        sites = put_neighbours(store, LIVE_FROM, until)
        assert put_neighbours(store, LIVE_FROM, until) == sites  # cut off and begun again
        share_and_call(store, sites, at=LIVE_FROM)
        made = preview(store, order, at=LIVE_FROM)
        assert isinstance(made, Delivered)
        assert (made.delivery.sites, made.delivery.suppressed) == (len(neighbours()), 0)
        assert all(one.p10_kw < one.p50_kw < one.p90_kw for one in made.delivery.slots)  # type: ignore[operator]
        week = sum_scores(store, order, at=LIVE_FROM)[7]
        assert week.days == 7
        assert 0.0 < week.ours < min(week.persistence, week.same_weekday)
        ahead = Grid(LIVE_FROM, 48)
        known = store.as_of(LIVE_FROM).series(series_id("office-sakae", "load", "demand_kw"), ahead, Unit.KW)
        assert known.missing() == [(ahead.start, ahead.end)]  # what comes is not known before it comes
