"""Who can log in to a demonstration, and what they have agreed with each other."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final

from energy.core.clock import SystemClock
from energy.core.site import Site
from energy.core.slots import JST, jst_midnight
from energy.ledger import Channel, Consent
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import Store
from vpp.consents import CONTROLLER, put_on_record
from vpp.forecasts.delivery import PURPOSE, PURPOSE_VERSION
from vpp.live.demo_places import CITY_HALL, FACTORY, region_ids
from vpp.people.accounts import People
from vpp.people.roles import Objects, Role
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook

__all__ = ["PARTY", "make_people", "share_and_call"]

PARTY: Final = "aizu-denki"
"""The retailer of the demonstration, as it is named in consents."""
_ACTOR: Final = "demo"
_PEOPLE: Final = (
    ("hana", "花", Role.ADMINISTRATOR, Objects()),
    ("ken", "健", Role.OPERATOR, Objects()),
    ("mori", "森", Role.FACTORY, Objects(sites=(FACTORY,))),
    ("sato", "佐藤", Role.DRIVER, Objects(cars=(f"{FACTORY}/commuter",))),
    ("shiyaku", "市役所", Role.FACTORY, Objects(sites=(CITY_HALL,))),
    ("aoki", "青木", Role.DRIVER, Objects(cars=(f"{CITY_HALL}/pool-1",))),
    ("machi", "町の施設", Role.FACTORY, Objects(sites=region_ids())),
    ("denki", "会津電力", Role.RETAILER, Objects(party=PARTY)),
    ("kobo", "工房", Role.INSTALLER, Objects(sites=(FACTORY,))),
    ("kansa", "監査", Role.AUDITOR, Objects()),
)


def make_people(store: Store, *, lang: str) -> dict[str, tuple[str, str]]:
    """One account of each role; by name the role and a password that nobody else has.

    Whoever was made by a start that was cut off gets a new password.
    """
    people, made = People(store, SystemClock()), dict[str, tuple[str, str]]()
    for name, shown, role, objects in _PEOPLE:
        if people.find(name) is None:
            link = people.invite(name, name=shown, role=role, objects=objects, lang=lang, actor=_ACTOR)
        else:
            link = people.reset(name, actor=_ACTOR)
        password = "-".join(secrets.token_hex(2) for _ in range(4))
        people.accept(link, password)
        made[name] = (role.value, password)
    return made


def share_and_call(store: Store, sites: Sequence[Site], *, at: datetime) -> None:
    """All sites share their forecasts with the retailer; the first is asked for an event of tomorrow."""
    for site in sites:
        put_on_record(store, _consent(site, at), at=at, actor=_ACTOR)
    tomorrow = jst_midnight(at.astimezone(JST).date() + timedelta(days=1))
    event = DrEvent(
        id=f"dr-{tomorrow.astimezone(JST):%m%d}",
        product=Product.ECONOMIC,
        modification=0,
        start=tomorrow + timedelta(hours=17),
        end=tomorrow + timedelta(hours=19),
        target_kw=Decimal(20),
        announced_at=at,
    )
    book = EventBook(store)
    book.announce(event, at=at, actor="upstream")
    book.nominate(event.id, [Resource(site=sites[0].id, kw=Decimal(20))], at=at, actor=_ACTOR)


def _consent(site: Site, at: datetime) -> Consent:
    return Consent(
        id=f"share-{site.id}",
        subject=site.id,
        controller=CONTROLLER,
        purpose=PURPOSE,
        purpose_version=PURPOSE_VERSION,
        categories=("demand-forecast", "pv-forecast"),
        recipients=(PARTY,),
        granted_at=at - timedelta(days=1),
        channel=Channel.PAPER,
        evidence_sha256=sha256(b"a demonstration").hexdigest(),
    )
