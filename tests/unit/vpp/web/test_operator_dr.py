"""Delivery of an event on its page: asked, called, delivered and projected, by half hour and by site."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from energy.core.slots import parse_jst
from energy.market.portfolio import Resource
from energy.store import Point
from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import Town
from vpp.people.roles import Role
from vpp.settlement.dr_events import EventBook
from vpp.site.recorder import SiteSeries

PAGE = "/operator/events/e-1"
START, HALF = parse_jst("2026-11-25 16:00"), timedelta(minutes=30)


def metered(town: Town, site: str, usual: float, event: list[float]) -> None:
    """Two weeks of the same use, and something else in the event. [kWh]"""
    first = parse_jst("2026-11-11 00:00")
    count = (START - first) // HALF
    values = [usual] * count + event
    town.house.store.append(
        Point(
            series=SiteSeries(site)["meter", "import_kwh"],
            at=first + k * HALF,
            known_at=max(first + (k + 1) * HALF, town.house.clock.now()),
            value=value,
            source="test",
        )
        for k, value in enumerate(values)
    )


def until(town: Town, moment: datetime) -> None:
    town.house.clock.advance(moment - town.house.clock.now())


@pytest.fixture
def town() -> Town:
    """30 kW asked, 40 and 20 kW called; the second site gives nothing in the first two half hours."""
    made = filled_town()
    metered(made, OWN_SITE, 40.0, [25.0, 24.0])
    metered(made, FOREIGN_SITE, 20.0, [20.0, 20.0])
    return made


def page(town: Town, moment: datetime, lang: str = "en") -> str:
    until(town, moment)
    return town.logged_in(Role.OPERATOR).get(f"{PAGE}?lang={lang}").text


def test_nothing_is_said_before_a_half_hour_is_over(town: Town) -> None:
    assert "Delivery until now" not in page(town, START + timedelta(minutes=29))


def test_what_was_delivered_stands_beside_what_was_asked_and_what_it_will_come_to(town: Town) -> None:
    told = page(town, START + timedelta(minutes=65))
    # 15 and 16 kWh of 90; four half hours of 16 kWh are left
    assert "31.0 kWh of 90.0 kWh delivered until now." in told
    assert "it comes to 95.0 kWh." in told
    assert "delivers too little" in told
    assert "Not read" in told
    assert "Paid by now" in told


def test_a_site_that_was_released_and_one_that_stands_in_say_since_when(town: Town) -> None:
    until(town, START + timedelta(minutes=62))
    book, now = EventBook(town.house.store), town.house.clock.now()
    stays = [Resource(site=OWN_SITE, kw=Decimal(40)), Resource(site="third", kw=Decimal(12))]
    book.nominate("e-1", stays, at=now, actor="operator")
    metered_from = START + timedelta(minutes=125)
    told = page(town, metered_from)
    assert "released at" in told
    assert "stands in from" in told
    assert "(no readings in the database)" in told
    # both half hours since were not read: they count at the pace of the newest that was
    assert "it comes to 95.0 kWh." in told
    assert "(the newest readings have not come)" in told
