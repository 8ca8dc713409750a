"""A home's week: compared with like hours only, with a group that is large enough, and with honest tips."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from energy.core.series import Grid, Series, Unit
from energy.core.slots import parse_jst
from energy.ledger import Channel, Consent, ConsentRegister
from energy.store import Store, open_store, points_of
from vpp.consents import COMPARISON
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import keep_site
from vpp.views.household import home_week

NOW = parse_jst("2026-08-19 14:10")
FIRST = parse_jst("2026-08-05")
HOME = replace(load_scenario("kitakata")[0].site, id="home-1", pv=None)
WITH_SUN = replace(load_scenario("kitakata")[0].site, id="home-1")


def metered(
    store: Store, site: str, kwh: np.ndarray, *, asset: str = "meter", quantity: str = "import_kwh"
) -> None:
    """Half hours from 5 August on: two weeks are 672 of them."""
    series = Series(Grid(FIRST, len(kwh)), kwh.astype(float), Unit.KWH)
    name = SiteSeries(site)[asset, quantity]
    store.append(points_of(name, series, known_at=lambda at: at + timedelta(minutes=30), source="meter"))


def weeks(before: float, this: float) -> np.ndarray:
    return np.concatenate([np.full(336, before), np.full(336, this)])


def agrees(store: Store, home: str) -> None:
    consent = Consent(
        id=f"c-{home}",
        subject=home,
        controller=COMPARISON.controller,
        purpose=COMPARISON.purpose,
        purpose_version=COMPARISON.purpose_version,
        categories=COMPARISON.categories,
        recipients=(COMPARISON.recipient,),
        granted_at=FIRST,
        channel=Channel.PAPER,
        evidence_sha256="ab" * 32,
    )
    ConsentRegister(store).grant(consent, recorded_at=FIRST, actor="desk")


def neighbours(store: Store, count: int, kwh: float = 0.2) -> None:
    for number in range(count):
        metered(store, f"home-{number + 10}", weeks(kwh, kwh))
        agrees(store, f"home-{number + 10}")


def test_a_week_is_held_against_the_same_hours_of_the_week_before() -> None:
    with open_store("sqlite://") as store:
        metered(store, "home-1", weeks(0.3, 0.2)[:624])  # the last day is not metered
        week = home_week(store, HOME, NOW, actor="test")
    assert week.used_kwh == pytest.approx(0.2 * 288)
    assert week.compared_slots == 288
    assert week.before_kwh == pytest.approx(0.3 * 288)


def test_homes_that_did_not_agree_are_not_looked_at_and_nine_are_too_few() -> None:
    with open_store("sqlite://") as store:
        metered(store, "home-1", weeks(0.3, 0.3))
        neighbours(store, 9)
        metered(store, "home-99", weeks(9.0, 9.0))
        few = home_week(store, HOME, NOW, actor="test").similar
        assert (few.kwh, few.sites, few.least) == (None, 9, 10)
        agrees(store, "home-50")  # agreed, but never metered
        assert home_week(store, HOME, NOW, actor="test").similar.kwh is None
        neighbours_11 = [f"home-{number}" for number in (30, 31)]
        for home in neighbours_11:
            metered(store, home, weeks(0.2, 0.2))
            agrees(store, home)
        enough = home_week(store, HOME, NOW, actor="test").similar
    assert enough.sites == 11
    assert enough.kwh == pytest.approx(0.2 * 336)


def test_a_group_in_which_one_home_weighs_more_than_half_is_not_shown() -> None:
    with open_store("sqlite://") as store:
        metered(store, "home-1", weeks(0.3, 0.3))
        neighbours(store, 10)
        metered(store, "home-77", weeks(5.0, 5.0))
        agrees(store, "home-77")
        assert home_week(store, HOME, NOW, actor="test").similar.kwh is None


def test_the_standby_tip_is_reckoned_from_the_lowest_night_and_the_homes_own_price() -> None:
    with open_store("sqlite://") as store:
        metered(store, "home-1", weeks(0.3, 0.2))
        week = home_week(store, HOME, NOW, actor="test")
    tip = next(one for one in week.tips if one.name == "standby")
    assert tip.facts["kw"] == pytest.approx(0.4)
    assert tip.kwh == pytest.approx(0.3 * 0.4 * 24 * 30)
    assert tip.yen == pytest.approx(tip.kwh * (19.0 - 1.23 + 4.18))


def test_sun_of_hours_without_a_meter_is_not_counted() -> None:
    with open_store("sqlite://") as store:
        metered(store, "home-1", weeks(0.3, 0.2)[:600])
        metered(store, "home-1", np.full(672, 1.0), asset="pv", quantity="generation_kwh")
        metered(store, "home-1", np.zeros(672), quantity="export_kwh")
        week = home_week(store, WITH_SUN, NOW, actor="test")
    assert week.this.sun is not None
    assert np.nansum(week.this.sun) == 600 - 336
    assert week.this.missing == 72


def test_energy_sold_at_noon_and_bought_back_in_the_evening_is_a_tip() -> None:
    day = np.zeros(48)
    day[34:44] = 0.5  # bought from 17:00 to 22:00: 5 kWh
    sold = np.zeros(48)
    sold[20:28] = 0.25  # sold from 10:00 to 14:00: 2 kWh
    with open_store("sqlite://") as store:
        metered(store, "home-1", np.tile(day, 14))
        metered(store, "home-1", np.tile(sold, 14), quantity="export_kwh")
        metered(store, "home-1", np.tile(sold, 14), asset="pv", quantity="generation_kwh")
        week = home_week(store, WITH_SUN, NOW, actor="test")
    tip = next(one for one in week.tips if one.name == "midday")
    assert tip.kwh == pytest.approx(2.0 * 30)


def test_a_home_that_was_never_metered_is_empty_and_gets_no_tip() -> None:
    with open_store("sqlite://") as store:
        keep_site(store, HOME, at=FIRST)
        week = home_week(store, HOME, NOW, actor="test")
    assert week.empty
    assert week.tips == ()
    assert week.days() == [None] * 7
