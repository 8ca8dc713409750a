"""Sites with agreements of their own: job, command and page measure and pay each by its own, as by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from energy.core.errors import DataError
from energy.core.site import DrTerms, Site
from energy.core.slots import parse_jst
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import Point, SqlStore, open_store
from tests.unit.vpp.cli.calling import vpp
from tests.unit.vpp.jobs.crew import Crew
from tests.unit.vpp.settlement.accounts import SITE
from vpp.i18n import Messages
from vpp.jobs import money
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.dr_settling import agreed, settle_sites
from vpp.settlement.dr_track import track
from vpp.settlement.readings import write_readings
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import keep_site
from vpp.web.operator_dr import tracking

HALF = timedelta(minutes=30)
START = parse_jst("2026-11-25 16:00")
END, TOLD = START + 2 * HALF, START - timedelta(hours=6)
AFTER = END + timedelta(hours=1)
KW = {"plain": 20, "capped": 4, "same-day": 20}


def with_terms(name: str, dr: DrTerms | None) -> Site:
    return replace(SITE, id=name, dr=dr)


SITES = {
    "plain": with_terms("plain", None),
    "capped": with_terms("capped", DrTerms(reward_yen_per_kwh=60.0, adjustment="none")),
    "same-day": with_terms("same-day", DrTerms(reward_yen_per_kwh=30.0, baseline="same-day")),
}
# Every half hour draws 10 kWh, 12 kWh in the adjustment window of the day, 7 kWh in the two of the event.
BY_HAND = {
    "plain": (
        Decimal(10),
        Decimal(200),
    ),  # added: 12 - 7 = 5 kWh each; 10 kWh x 20 yen, the price of whoever settles
    "capped": (
        Decimal(6),
        Decimal(240),
    ),  # nothing added: 10 - 7 = 3 kWh each; 2 kWh each was called, 4 kWh x 60 yen
    "same-day": (Decimal(10), Decimal(300)),  # the window itself: 12 - 7 = 5 kWh each; 10 kWh x 30 yen
}


def fill(store: SqlStore) -> None:
    """Two weeks of readings, the sites, and an event that all are called for."""
    first = parse_jst("2026-11-11 00:00")
    for name, site in SITES.items():
        keep_site(store, site, at=first)
        for k in range((END - first) // HALF):
            begin = first + k * HALF
            window = START - timedelta(hours=5) <= begin < START - timedelta(hours=2)
            used = 7.0 if begin >= START else 12.0 if window else 10.0
            series = SiteSeries(name)["meter", "import_kwh"]
            store.append([Point(series=series, at=begin, known_at=begin + HALF, value=used, source="t")])
    book = EventBook(store)
    event = DrEvent(
        id="e-1",
        product=Product.ECONOMIC,
        modification=0,
        start=START,
        end=END,
        target_kw=Decimal(40),
        announced_at=TOLD,
    )
    book.announce(event, at=TOLD, actor="desk")
    book.nominate("e-1", [Resource(site=s, kw=Decimal(kw)) for s, kw in KW.items()], at=TOLD, actor="desk")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own-agreements") / "dr.db"
    with open_store(f"sqlite:///{path}", durability="process") as store, store.transaction():
        fill(store)
    return path


@pytest.fixture
def db(filled: Path, tmp_path: Path) -> str:
    return str(copy(filled, tmp_path / "dr.db"))


def files(db: str, folder: Path) -> dict[str, Path]:
    with open_store(f"sqlite:///{db}", read_only=True) as store:
        first, last = date(2026, 9, 26), date(2026, 11, 25)
        return {
            name: write_readings(store, site, first, last, folder / name)[0][0]
            for name, site in SITES.items()
        }


def by_job(db: str, yen: Decimal | None) -> tuple[str, dict[str, SettledSite]]:
    """What the job says, and what stands in the book then."""
    with open_store(f"sqlite:///{db}", durability="process") as store:
        crew = Crew(store=store)
        crew.clock.at = START
        supervisor = crew.supervisor(crew.job("settle-events", function=money.settle_dr_events(SITES, yen)))
        crew.look(supervisor, times=2)
        crew.clock.at = AFTER
        crew.look(supervisor, times=4)
        settled = EventBook(store).settlement("e-1")
        return crew.told("settle-events")[-1][1], {one.site: one for one in settled.sites} if settled else {}


def test_job_command_and_page_come_to_what_each_agreement_says_by_hand(db: str, tmp_path: Path) -> None:
    said, settled = by_job(db, Decimal(20))
    assert "events_settled" in said
    assert {name: (one.delivered_kwh, one.yen) for name, one in settled.items()} == BY_HAND
    assert (settled["capped"].yen_per_kwh, settled["capped"].adjustment) == (Decimal(60), "none")
    meters = [f"--meter={name}={path}" for name, path in files(db, tmp_path).items()]
    words = ("dr", "settle", "e-1", *meters, "--db", db)
    status, out, err = vpp(*words, "--yen-per-kwh", "20", "--json", at=AFTER + HALF)
    assert status == 0, err
    told: dict[str, Any] = json.loads(out)
    assert not told["new"]  # the same readings and agreements: the version that the job made
    assert {one["site"]: (one["delivered_kwh"], one["yen"]) for one in told["sites"]} == BY_HAND
    assert {one["site"]: one["yen_per_kwh"] for one in told["sites"]} == {
        "plain": 20,
        "capped": 60,
        "same-day": 30,
    }
    shown = vpp(*words, "--yen-per-kwh", "20", at=AFTER + HALF)[1]
    assert "by its own agreement: 60.0 yen/kWh" in shown
    with open_store(f"sqlite:///{db}", durability="process") as store:
        event = EventBook(store).require("e-1")
        found = track(store, event, {}, at=AFTER, actor="desk")
        kwh = {name: sum(one.delivered_kwh or 0 for one in found.sites if one.site == name) for name in KW}
        assert kwh == {name: delivered for name, (delivered, _) in BY_HAND.items()}
        due = {name: one.yen for name, one in found.due.items()}
        assert due == {name: None if name == "plain" else yen for name, (_, yen) in BY_HAND.items()}
        assert found.due["capped"].kwh == 4  # 6 kWh measured, 2 kWh a half hour called
        page = tracking(store, event, AFTER, Messages("en"), actor="desk")
        assert page["lead"].startswith("26.0 kWh of 40.0 kWh delivered")
        rows = zip(event.calls, page["sites"], strict=True)  # the page shows names, and these are all alike
        assert {call.site: one["due"] for call, one in rows} == {
            "plain": "10.0 kWh",
            "capped": "4.0 kWh · 240 yen",
            "same-day": "10.0 kWh · 300 yen",
        }
        made = EventBook(store).settlement("e-1")
        assert made is not None
        assert (made.delivered_kwh, made.paid_kwh) == (26, 24)


def test_who_has_no_price_is_named_and_the_event_waits_until_there_is_one(db: str, tmp_path: Path) -> None:
    said, settled = by_job(db, None)
    assert "events_wait" in said
    assert settled == {}
    meters = [f"--meter={name}={path}" for name, path in files(db, tmp_path).items()]
    status, _, err = vpp("dr", "settle", "e-1", *meters, "--db", db, at=AFTER)
    assert status == 3
    assert "no price is agreed with 'plain'" in err
    assert "capped" not in err


def test_sites_that_have_all_agreed_need_no_price(db: str) -> None:
    with open_store(f"sqlite:///{db}", durability="process") as store:
        chosen = [Resource(site=name, kw=Decimal(KW[name])) for name in ("capped", "same-day")]
        EventBook(store).nominate("e-1", chosen, at=START - HALF, actor="desk")
    said, settled = by_job(db, None)
    assert "events_settled" in said
    assert sum(one.yen for one in settled.values()) == 540


def test_what_is_agreed_after_an_event_began_holds_for_later_events(db: str, tmp_path: Path) -> None:
    meters = files(db, tmp_path)
    with open_store(f"sqlite:///{db}", durability="process") as store:
        event = EventBook(store).require("e-1")
        keep_site(store, with_terms("capped", DrTerms(reward_yen_per_kwh=999.0)), at=START + HALF)
        keep_site(store, with_terms("plain", DrTerms(reward_yen_per_kwh=999.0)), at=START + HALF)
        found = settle_sites(
            store, event, Measuring(meters=meters, yen_per_kwh=Decimal(20)), at=AFTER, actor="desk"
        )
        assert {one.site: one.yen for one in found} == {name: yen for name, (_, yen) in BY_HAND.items()}
        stranger = with_terms("stranger", SITES["capped"].dr)
        told = [
            with_terms("plain", SITES["capped"].dr),
            stranger,
        ]  # the store knows of the first that it had none
        assert set(agreed(store, ["plain", "stranger"], START, at=AFTER, otherwise=told)) == {"stranger"}
        with pytest.raises(DataError, match="'plain'"):
            settle_sites(store, event, Measuring(meters=meters), at=AFTER, actor="desk")
