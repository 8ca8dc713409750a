"""Every route, every role, own and foreign: made from the routes themselves, so that a new one is in it.

The expectation is written here once more, by hand and in another form than the table: who reaches what.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from fastapi.routing import APIRoute

from energy.ledger import BatchBook
from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import Town
from vpp.api.routers import ROUTERS
from vpp.http.access import GuardedRoute, guard_of
from vpp.people.rights import RULES, About
from vpp.people.roles import Role
from vpp.web.app import PAGES

# Rule: who may at all, as letters of Operator, Factory, Retailer, Driver, Installer, Auditor, Mdministrator;
# a capital letter reaches everything, a small one only what is its own or consented.
EXPECTED = {
    "home": "ofrdiam",
    "own-account": "ofrdiam",
    "own-sites": "OfdiAM",
    "site": "OfiAM",
    "asset-list": "OfiA",
    "asset": "OfdiA",
    "measurement": "OfdiA",
    "measurement-write": "Oi",
    "forecast": "OfA",
    "forecast-sum": "OrA",
    "plan-site": "OfA",
    "plan-asset": "OfdA",
    "plan-party": "OrA",
    "event": "OfA",
    "event-answer": "Of",
    "settlement": "OfrA",
    "consent": "OfrdA",
    "consent-withdraw": "Ofd",
    "ledger": "OdA",
    "ledger-all": "OA",
    "people": "M",
    "audit": "AM",
    "setup": "iM",
    "wish": "OfdA",
    "wish-write": "Ofd",
    "job": "OAM",
    "job-run": "O",
    "alert": "OfiAM",
    "alert-write": "OfiM",
    "webhook": "orm",
    "webhook-write": "orm",
    "region": "OA",
    "consent-register": "OA",
    "region-write": "O",
    "city-view": "r",
    "metrics": "OAM",
}
LETTER = {role: "m" if role is Role.ADMINISTRATOR else role.value[0] for role in Role}

OWN = {
    "site": OWN_SITE,
    "asset": "commuter",
    "party": "retailer-a",
    "subject": OWN_SITE,
    "consent": "w-kitakata",
    "entity": f"urn:ngsi-ld:Site:{OWN_SITE}",
}
FOREIGN = {
    "site": FOREIGN_SITE,
    "asset": "foreign-car",
    "party": "retailer-b",
    "subject": FOREIGN_SITE,
    "consent": "w-other-works",
    "entity": f"urn:ngsi-ld:Site:{FOREIGN_SITE}",
}
REST = {
    "quantity": "soc",
    "target": "load",
    "horizon": "day-ahead",
    "event": "e-1",
    "what": "bill",
    "period": "2026-10",
    "hook": "0123456789ab",
    "wish": "w-1",
    "device": "x",
    "person": "driver",
    "secret": "x",
    "token": "x",
    "job": "measure",
    "plan": "x",
    "batch": "b-000001",
}
QUERY = {"/api/v1/grid-plans": "?day=2026-11-23", "/ngsi-ld/v1/entities": "?type=Site"}
BODY: dict[str, object] = {
    "/api/v1/events/{event}/answers/{site}": {"takes_part": True},
    "/api/v1/measurements/{site}/{asset}/{quantity}": {
        "items": [{"at": "2026-11-20T00:00:00Z", "value": 0.5}]
    },
    "/api/v1/jobs/{job}/runs": {"subject": OWN_SITE},
    "/api/v1/wishes/{site}/{asset}": {"kind": "no-discharge"},
    "/api/v1/alerts/acknowledgements": {"kind": "data_stale", "subject": OWN_SITE},
    "/api/v1/alerts/silences": {
        "kind": "data_stale",
        "subject": OWN_SITE,
        "until": "2026-11-23T12:00:00+09:00",
    },
    "/api/v1/webhooks": {"url": "https://127.0.0.1/x", "kinds": ["forecast.delivered"]},
}


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    rule: str
    about: About
    role: Role
    own: bool


def api_routes() -> Iterator[APIRoute]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, GuardedRoute), route
            yield route


def cases() -> Iterator[Case]:
    for route, role, own in itertools.product(api_routes(), Role, (True, False)):
        guard = guard_of(route.endpoint)
        for method in route.methods:
            yield Case(method, route.path, guard.rule.name, guard.about, role, own)


@pytest.fixture(scope="module")
def town() -> Town:
    made = filled_town()
    BatchBook(made.house.store).make(at=made.house.clock.now(), actor="desk")  # the one that REST names
    return made


def address(path: str, *, own: bool) -> str:
    values = {**REST, **(OWN if own else FOREIGN)}
    if "forecast-sums" in path:
        return path.format(**{**values, "target": "demand"}) + "?day=2026-08-05"
    return path.format(**values) + QUERY.get(path, "")


def names_its_object(path: str) -> bool:
    return any(f"{{{name}}}" in path for name in OWN)


def test_the_hand_written_expectation_knows_every_rule() -> None:
    assert set(EXPECTED) == {rule.name for rule in RULES.values() if not rule.public}


def test_every_rule_is_used_by_a_route() -> None:
    used = {guard_of(route.endpoint).rule.name for route in api_routes()} | {page.rule for page in PAGES}
    assert used == set(RULES)


@pytest.mark.parametrize(
    "case", list(cases()), ids=lambda c: f"{c.method} {c.path} {c.role.value} {'own' if c.own else 'foreign'}"
)
def test_who_may_call_what(town: Town, case: Case) -> None:
    town.house.clock.advance(timedelta(seconds=1))
    program = town.program(case.role)
    key = f"k-{abs(hash(case)):x}".ljust(12, "0")
    headers = {"Idempotency-Key": key} if case.method != "GET" else {}
    answer = program.request(
        case.method, address(case.path, own=case.own), json=BODY.get(case.path), headers=headers
    )
    letter = LETTER[case.role]
    reach = next((one for one in EXPECTED[case.rule] if one.lower() == letter), None)
    told = (answer.status_code, answer.text[:300])
    if reach is None:
        assert answer.status_code in {401, 403}, told  # 401: a role that no scope exists for has no token
        return
    assert answer.status_code not in {401, 403}, told
    if reach.islower() and not case.own and names_its_object(case.path):
        assert answer.status_code == 404, told
    # 400: the matrix's webhook points into this machine; 409: a sum that shows too few is withheld.
    elif "webhooks" not in case.path:
        owned = not case.own or _has_one(case)
        assert answer.status_code in ({200, 201, 409} if owned else {200, 404}), told
    if reach.islower():
        for foreign in (FOREIGN_SITE, "foreign-car", "retailer-b"):
            assert foreign not in answer.text, told


def _has_one(case: Case) -> bool:
    """Whether the object is this role's own: a driver owns a car, a retailer a company, the rest sites."""
    if case.role is Role.DRIVER:
        return "{consent}" not in case.path
    return not (case.role is Role.RETAILER and "{subject}" in case.path)


@pytest.mark.parametrize("route", list(api_routes()), ids=lambda one: f"{sorted(one.methods)[0]} {one.path}")
def test_nobody_gets_in_without_a_key(town: Town, route: APIRoute) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}, {"Cookie": "vpp=x"}):
        browser = town.browser()
        for method in route.methods:
            answer = browser.request(method, address(route.path, own=True), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.method} {page.path}")
def test_a_page_is_shown_to_its_roles_only(town: Town, page: object) -> None:
    from vpp.web.pages import Page

    assert isinstance(page, Page)
    if RULES[page.rule].public:
        return
    stranger = town.browser().request(page.method, address(page.path, own=True))
    assert stranger.status_code in {303, 401}
    if page.method != "GET":
        return
    for role in Role:
        answer = town.logged_in(role).get(address(page.path, own=True))
        may = LETTER[role] in EXPECTED[page.rule].lower()
        assert (answer.status_code in {200, 303}) is may, (role, answer.status_code)


def test_a_token_without_the_scope_is_refused(town: Town) -> None:
    narrow = town.program(Role.OPERATOR, scopes=("read:sites",))
    assert narrow.get("/api/v1/sites").status_code == 200
    answer = narrow.get("/api/v1/jobs")
    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_missing"


def test_every_refusal_is_written_down(town: Town) -> None:
    before = len(town.house.store.audit_trail(f"asset/{FOREIGN_SITE}/foreign-car"))
    town.program(Role.DRIVER).get(f"/api/v1/measurements/{FOREIGN_SITE}/foreign-car/soc")
    trail = town.house.store.audit_trail(f"asset/{FOREIGN_SITE}/foreign-car")[before:]
    assert [(one.actor, one.act, one.facts["why"]) for one in trail] == [
        ("driver", "access.refused", "not_yours")
    ]


def test_every_sight_of_somebodys_car_is_written_down_and_ones_own_is_not(town: Town) -> None:
    def seen(role: Role, quantity: str) -> list[str]:
        before = len(town.house.store.audit_trail())
        assert town.program(role).get(f"/api/v1/measurements/{OWN_SITE}/{quantity}").status_code == 200
        return [one.act for one in town.house.store.audit_trail()[before:] if one.act == "personal.seen"]

    assert seen(Role.FACTORY, "commuter/soc") == ["personal.seen"]
    assert seen(Role.OPERATOR, "commuter/soc") == ["personal.seen"]
    assert seen(Role.DRIVER, "commuter/soc") == []
    assert seen(Role.FACTORY, "meter/import_kwh") == []
