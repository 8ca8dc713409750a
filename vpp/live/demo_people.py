"""Who can log in to a demonstration, and what they have agreed with each other."""

from __future__ import annotations

import secrets
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
from vpp.people.accounts import People
from vpp.people.roles import Objects, Role
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook

__all__ = ["PARTY", "make_people", "share_and_call"]

PARTY: Final = "aizu-denki"
"""The retailer of the demonstration, as it is named in consents."""
_ACTOR: Final = "demo"
_SITE: Final = "kitakata"
_PEOPLE: Final = (
    ("hana", "花", Role.ADMINISTRATOR, Objects()),
    ("ken", "健", Role.OPERATOR, Objects()),
    ("mori", "森", Role.FACTORY, Objects(sites=(_SITE,))),
    ("sato", "佐藤", Role.DRIVER, Objects(cars=(f"{_SITE}/commuter",))),
    ("denki", "会津電力", Role.RETAILER, Objects(party=PARTY)),
    ("kobo", "工房", Role.INSTALLER, Objects(sites=(_SITE,))),
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


def share_and_call(store: Store, site: Site, *, at: datetime) -> None:
    """The site shares its forecasts with the retailer, and is asked for an event of tomorrow."""
    consent = Consent(
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
    put_on_record(store, consent, at=at, actor=_ACTOR)
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
    book.nominate(event.id, [Resource(site=site.id, kw=Decimal(20))], at=at, actor=_ACTOR)
