"""A town with data: own and foreign sites, cars, forecasts, plans, events, settlements, consents, coins."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pydantic import TypeAdapter

from energy.core.plan import Reason, ReasonCode, Setpoint
from energy.core.site import Site
from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId, series_id
from energy.ledger import Channel, Consent, ConsentRegister, Entry, Journal, Posting
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import JobRow, JobRunRow, Point, Store
from tests.unit.vpp.forecasts import region
from tests.unit.vpp.loop.test_control import site as small_site
from tests.unit.vpp.people.somebody import NOON
from tests.unit.vpp.web.browser import Town
from vpp.api.city import PURPOSE
from vpp.consents import CONTROLLER
from vpp.jobs.book import run_key
from vpp.ops.alerts import AlertBook, Kind, Trouble
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.record import KeptSettlement, SettlementBook
from vpp.site.records import SLOT_RECORD, SlotRecord
from vpp.site.sitebook import ASSETS, SITE
from vpp.wishes import WISH, NoDischarge, PersonsWish
from vpp.wishes.acts import wish_to_json

__all__ = ["FOREIGN_SITE", "OWN_SITE", "filled_town"]

OWN_SITE, FOREIGN_SITE = "kitakata", "other-works"
SLOT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
BEFORE = NOON - timedelta(days=2)


def filled_town() -> Town:
    """A town in which every noun has something of one's own and something of others."""
    town = Town()
    fill(town.house.store)
    return town


def fill(store: Store) -> None:
    region.fill(store, 12)
    lost = [
        Trouble(kind=Kind.DATA_STALE, subject=site, facts={"site": site}) for site in (OWN_SITE, FOREIGN_SITE)
    ]
    AlertBook(store).review(lost, BEFORE)
    _jobs(store)
    for site, car in ((OWN_SITE, "commuter"), (FOREIGN_SITE, "foreign-car")):
        _site(store, site, car)
    for subject in (OWN_SITE, "retailer-a", FOREIGN_SITE, "retailer-b"):
        kept = KeptSettlement(what="bill", subject=subject, period="2026-10", figures={"yen": "1"}, trace={})
        SettlementBook(store).keep(kept, at=BEFORE, actor="test")
    EventBook(store).announce(
        DrEvent(
            id="e-1",
            product=Product.ECONOMIC,
            modification=0,
            start=parse_jst("2026-11-25 16:00"),
            end=parse_jst("2026-11-25 19:00"),
            target_kw=Decimal(30),
            announced_at=BEFORE,
        ),
        at=BEFORE,
        actor="upstream",
    )
    both = [Resource(site=OWN_SITE, kw=Decimal(40)), Resource(site=FOREIGN_SITE, kw=Decimal(20))]
    EventBook(store).nominate("e-1", both, at=BEFORE, actor="operator")


def _jobs(store: Store) -> None:
    """A job that ran, and one that failed."""
    for name, subject, state in (("measure", OWN_SITE, "done"), ("measure", FOREIGN_SITE, "failed")):
        about = '{"due":{"count":"30","key":"every_minutes"},"misfire":"once","needs":[]}'
        store.rows.jobs.add(
            JobRow(
                name=name, subject=subject, about=about, next_at=NOON + timedelta(minutes=30), seen_at=NOON
            )
        )
        store.rows.runs.add(
            JobRunRow(
                key=run_key(name, subject, NOON),
                job=name,
                subject=subject,
                due_at=NOON,
                state=state,
                attempts=1,
                started_at=NOON,
                ended_at=NOON,
                outcome='{"facts":{"count":"2","since":"2026-11-21T00:00:00+00:00"},"key":"gaps"}',
                error="" if state == "done" else "the meter is silent",
            )
        )


def _site(store: Store, site: str, car: str) -> None:
    names = {car: ["車", "Car", "car"], "hall": ["ホール", "Hall", "zone"], "pv": ["太陽光", "PV", "pv"]}
    store.put_document(ASSETS, site, known_at=BEFORE, body=json.dumps(names))
    series = [("meter", "import_kwh"), ("load", "demand_kw"), (car, "soc"), ("hall", "room_c")]
    store.append(
        Point(
            series=series_id(site, *name),
            at=SLOT - timedelta(minutes=30 * k),
            known_at=SLOT,
            value=float(k),
            source="test",
        )
        for name in series
        for k in range(4)
    )
    region.issue(store, site, 20.0)
    _configured(store, site, car)
    reason = Reason(next(iter(ReasonCode)))
    record = SlotRecord(
        slot=SLOT,
        source="optimal",
        tight=False,
        target_kw=100.0,
        gap=0.0,
        solve_ms=1.0,
        planned=(Setpoint(asset=AssetId(car), slot=Slot(SLOT), power_kw=-3.0, reason=reason),),
        last_reasons={},
        guard_minutes=0,
        shortfalls=(),
    )
    store.put_document(SLOT_RECORD, f"{site}/{SLOT.isoformat()}", known_at=SLOT, body=record.to_json())
    for name, subject, purpose in (
        (f"c-{site}", site, PURPOSE),
        (f"c-{car}", car, PURPOSE),
        (f"w-{site}", site, "other-use"),
    ):
        consent = Consent(
            id=name,
            subject=subject,
            controller=CONTROLLER,
            purpose=purpose,
            purpose_version=1,
            categories=("site-profile", "demand-forecast", "device-list"),
            recipients=("retailer-a",) if site == OWN_SITE else ("retailer-b",),
            granted_at=BEFORE,
            channel=Channel.PAPER,
            evidence_sha256="0" * 64,
        )
        ConsentRegister(store).grant(consent, recorded_at=BEFORE, actor="test")
    postings = (Posting("scheme", -5), Posting(f"driver/{car}-owner", 5))
    Journal(store).post(
        Entry(
            key=f"grant/{car}", at=SLOT, postings=postings, memo="tight", facts={"vehicle": car, "kwh": "3.2"}
        )
    )


def _configured(store: Store, site: str, car: str) -> None:
    """The site's configuration, with one car and a wish of its driver."""
    small = small_site()
    vehicle = replace(small.vehicles[0], id=car)
    place = replace(small, id=site, vehicles=(vehicle,), trips={})
    body = TypeAdapter(Site).dump_json(place).decode()
    store.put_document(SITE, site, known_at=BEFORE, body=body)
    wish = PersonsWish(
        id="w-1",
        site=site,
        asset=car,
        act=NoDischarge(),
        made_at=SLOT,
        made_by="driver",
        until=SLOT + timedelta(hours=12),
    )
    store.put_document(WISH, f"{site}/{wish.until:%Y-%m}/w-1", known_at=SLOT, body=wish_to_json(wish))
