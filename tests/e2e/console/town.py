"""The database that the pages are looked at with: two simulated days of the factory, neighbours, and people.

``python -m tests.e2e.console.town FILE`` writes it. Nothing in it is drawn by chance: pictures of two runs
are the same. It is Thursday 6 August 2026, 14:10 in Japan; what the simulation knows later is not yet known.
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from argon2 import PasswordHasher

from energy.core.clock import ManualClock
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, jst_midnight, parse_jst
from energy.core.units import series_id
from energy.ledger import Channel, Consent, ConsentRegister
from energy.market.dr_products import Product
from energy.market.plans import Trade, draft_plan, read_plan
from energy.market.portfolio import Resource
from energy.store import Store, open_store, points_of
from vpp.consents import CONTROLLER
from vpp.forecasts.delivery import PURPOSE, PURPOSE_VERSION
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, day_ahead_for, keep
from vpp.people.accounts import People
from vpp.people.passwords import Passwords
from vpp.people.roles import Objects, Role
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.plan_book import PlanBook
from vpp.site.sitebook import ASSETS

__all__ = ["CHEAP", "FACTORY", "NEIGHBOURS", "NOW", "OBJECTS", "PASSWORD", "START", "build"]

START: Final = date(2026, 8, 5)
NOW: Final = parse_jst("2026-08-06 14:10")
FACTORY: Final = "kitakata"
NEIGHBOURS: Final = tuple(f"site-{number:02d}" for number in range(1, 13))
PASSWORD: Final = "correct horse battery"
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OBJECTS: Final = {
    Role.OPERATOR: Objects(),
    Role.FACTORY: Objects(sites=(FACTORY,)),
    Role.RETAILER: Objects(party="retailer-a"),
    Role.DRIVER: Objects(cars=(f"{FACTORY}/commuter",)),
    Role.INSTALLER: Objects(sites=(FACTORY,)),
    Role.AUDITOR: Objects(),
    Role.ADMINISTRATOR: Objects(),
}
_BEFORE = parse_jst("2026-07-01 09:00")
_PAST_DAYS = 14
_DAY = timedelta(days=1)


def build(path: Path) -> None:
    """Write the database; whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = _simulated(Path(folder))
        with open_store(f"sqlite:///{made}", durability="process") as store:
            with store.transaction():
                _people(store)
            for number, site in enumerate(NEIGHBOURS):
                with store.transaction():
                    _neighbour(store, site, number)
            _events(store)
            _plans(store)
        made.replace(path)


def _simulated(folder: Path) -> Path:
    """Two days of the factory, planned by the optimiser."""
    from vpp.simulation.batch import Request, simulate

    simulate(Request(FACTORY, START, 2, ("optimal",), folder), lambda *_: None)
    return folder / "optimal.db"


def _people(store: Store) -> None:
    """One account of each role, named like it, and a second operator."""
    people = People(store, ManualClock(_BEFORE), Passwords(CHEAP))
    roles = [*((role.value, role) for role in Role), ("operator-2", Role.OPERATOR)]
    for name, role in roles:
        secret = people.invite(
            name, name=name.title(), role=role, objects=OBJECTS[role], lang="ja", actor="test"
        )
        people.accept(secret, PASSWORD)


def _shape(number: int, day: int) -> np.ndarray:
    """A working day's load, a little different per site and day. [kW]"""
    hours = np.arange(48) / 2
    level = 20.0 + 6.0 * number
    day_part = np.exp(-(((hours - 14.0) / 4.5) ** 2))
    wave = 0.06 * np.sin(hours * (1.0 + 0.13 * number) + 1.7 * day)
    return np.asarray(level * (0.45 + 0.55 * day_part + wave * day_part))


def _issue(store: Store, site: str, made_on: date, *, number: int) -> None:
    """The noon issue of a day for the day after: right in the mean, off by a tenth in places."""
    at, tomorrow = jst_midnight(made_on) + timedelta(hours=12), made_on + timedelta(days=1)
    days = (tomorrow - START).days
    p50 = _shape(number, days) * (1.0 + 0.09 * np.sin(np.arange(48) / 5.0 + days + number))
    issue = IssuedForecast(
        site=site,
        target=LOAD,
        horizon=Horizon.DAY_AHEAD,
        issued_at=at,
        start=jst_midnight(tomorrow),
        p10=tuple(np.round(0.88 * p50, 3).tolist()),
        p50=tuple(np.round(p50, 3).tolist()),
        p90=tuple(np.round(1.14 * p50, 3).tolist()),
        model="demand-pool",
        card="",
        version="test",
    )
    keep(store, issue)


def _neighbour(store: Store, site: str, number: int) -> None:
    """A small site with two weeks of forecasts and metered load; all but the last share them."""
    today = NOW.date()
    for back in range(_PAST_DAYS, -1, -1):
        _issue(store, site, today - timedelta(days=back), number=number)
    first = today - timedelta(days=_PAST_DAYS)
    shapes = [_shape(number, (first + timedelta(days=k) - START).days) for k in range(_PAST_DAYS + 1)]
    silent = 6 if number == 7 else 0  # one neighbour's meter fell silent three hours ago
    known = math.floor((NOW - jst_midnight(first)) / SLOT_LENGTH) - silent
    load = Series(Grid(jst_midnight(first), known), np.concatenate(shapes)[:known], Unit.KW)
    name = series_id(site, LOAD, "demand_kw")
    store.append(points_of(name, load, known_at=lambda at: at + SLOT_LENGTH, source="meter"))
    store.put_document(ASSETS, site, known_at=_BEFORE, body="{}")
    if number == len(NEIGHBOURS) - 1:
        return
    consent = Consent(
        id=f"share-{site}",
        subject=site,
        controller=CONTROLLER,
        purpose=PURPOSE,
        purpose_version=PURPOSE_VERSION,
        categories=("demand-forecast", "pv-forecast"),
        recipients=("retailer-a",),
        granted_at=_BEFORE,
        channel=Channel.PAPER,
        evidence_sha256="ab" * 32,
    )
    ConsentRegister(store).grant(consent, recorded_at=_BEFORE, actor="desk")


def _events(store: Store) -> None:
    """One event to be answered: tomorrow evening, two sites nominated."""
    book, at = EventBook(store), parse_jst("2026-08-06 13:20")
    event = DrEvent(
        id="dr-0807",
        product=Product.ECONOMIC,
        modification=0,
        start=parse_jst("2026-08-07 17:00"),
        end=parse_jst("2026-08-07 19:00"),
        target_kw=Decimal(45),
        announced_at=at,
    )
    book.announce(event, at=at, actor="upstream")
    asked = [Resource(site=FACTORY, kw=Decimal(30)), Resource(site=NEIGHBOURS[2], kw=Decimal(20))]
    book.nominate("dr-0807", asked, at=at, actor="operator")


def _plans(store: Store) -> None:
    """Today's plan was accepted; tomorrow's was drafted an hour before noon and waits for a second person."""
    book = PlanBook(store)
    for day, made, accepted in (
        (NOW.date(), "2026-08-05 11:00", True),
        (NOW.date() + _DAY, "2026-08-06 11:00", False),
    ):
        at = parse_jst(made)
        known, parts = store.as_of(at + timedelta(hours=2)), {}
        for site in (FACTORY, *NEIGHBOURS):
            issue = day_ahead_for(known, site, LOAD, day)
            parts[site] = [] if issue is None else [Decimal(str(round(kw / 2, 3))) for kw in issue.p50]
        header = read_plan(
            {
                "kind": "demand", "day": day, "group": "bg-aizu", "area": "tohoku", "sender": "00002",
                "recipient": "00000", "on_behalf_of": "retailer-a",
                "members": [{"code": site, "kwh": [0] * 48} for site in parts], "totals_kwh": [0] * 48,
            },
            name="the plan",
        )  # fmt: skip
        plan = draft_plan(header, {site: kwh for site, kwh in parts.items() if kwh}, [])
        # A little more than the forecast is bought, less of it in the evening.
        share = [1.09 if slot < 34 else 1.03 for slot in range(48)]
        spot = Trade(
            party="spot",
            side="buy",
            kwh=tuple(round(total * share[k]) for k, total in enumerate(plan.totals_kwh)),
        )
        plan = replace(plan, trades=(spot,))
        drafted = book.draft(plan, at=at, author="operator-2")
        if accepted:
            checked_at = at + timedelta(minutes=1)
            book.check(plan.key, drafted.version, at=checked_at, actor="operator-2")
            book.approve(plan.key, drafted.version, at=at + timedelta(minutes=5), approver="operator")
            book.submit(plan.key, drafted.version, at=at + timedelta(minutes=10), actor="operator")
            book.answer(
                plan.key, drafted.version, at=at + timedelta(minutes=20), actor="operator", accepted=True,
                receipt="R-20260805-1",
            )  # fmt: skip


if __name__ == "__main__":
    build(Path(sys.argv[1]))
