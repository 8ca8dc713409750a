"""People: who may come in and to what; invited by a link that is shown once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import ConfigError
from vpp.api.common import known_now
from vpp.api.sites import site_ids
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import LANGUAGES
from vpp.people.accounts import INVITATION_LASTS, RESET_LASTS
from vpp.people.roles import Account, AccountState, Objects, Role, require_name
from vpp.site.sitebook import car_names, site_names
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]

_MOST_OBJECTS: Final = 200


def everybody(request: Request) -> Response:
    """Everybody, and the form to invite somebody."""
    return _page(request)


def _page(
    request: Request,
    *,
    status: int = 200,
    fault: str = "",
    link: tuple[Account, str, int] | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    access = access_of(request)
    people = access.service.people.all()
    own = {one.id: one.objects for one in people}
    return render(
        request,
        "people.html",
        status=status,
        people=sorted(people, key=lambda one: (one.state is AccountState.DISABLED, one.id)),
        own={name: " ".join((*o.sites, *o.cars, *filter(None, [o.party]))) for name, o in own.items()},
        called=_called(access, own),
        bound={one.id: _kind(one.role) != "nothing" for one in people},
        roles=list(Role),
        languages=LANGUAGES,
        sites=site_ids(known_now(access)),
        fault=fault,
        link=link,
        form=typed or {"account": "", "name": "", "role": "driver", "own": "", "lang": access.lang},
        me=access.who.id,
    )


def _called(access: Access, own: Mapping[str, Objects]) -> dict[str, list[tuple[str, str]]]:
    """Id and name of the sites, cars and companies of everybody."""
    store, now = access.service.store, access.service.clock.now()
    sites = site_names(store, now, [one for o in own.values() for one in o.sites], access.lang)
    cars = car_names(store, now, [one for o in own.values() for one in o.cars], access.lang)
    names = sites | cars
    return {
        who: [(one, names.get(one, one)) for one in (*o.sites, *o.cars, *filter(None, [o.party]))]
        for who, o in own.items()
    }


def _objects(role: Role, written: str) -> Objects:
    """Sites, cars or the company, as the field says it: ids with spaces or commas between.

    Raises
    ------
    ConfigError
        If they do not fit the role.
    """
    names = tuple(dict.fromkeys(written.replace(",", " ").replace("、", " ").split()))[:_MOST_OBJECTS]
    match role:
        case Role.FACTORY | Role.INSTALLER:
            return Objects(sites=names).check(role)
        case Role.DRIVER:
            return Objects(cars=names).check(role)
        case Role.RETAILER:
            return Objects(party=" ".join(names)).check(role)
        case _:
            return Objects(sites=names).check(role)


async def invite(request: Request) -> Response:
    """Invite somebody; the link is shown once."""
    fields = await fields_of(request)
    return await run_in_threadpool(_invite, request, fields)


def _invite(request: Request, fields: dict[str, str]) -> Response:
    access = access_of(request)
    typed = {name: fields.get(name, "")[:300] for name in ("account", "name", "role", "own", "lang")}
    typed["account"] = typed["account"].strip().lower()
    role = next((one for one in Role if one.value == typed["role"]), None)
    if role is None:
        return _page(request, status=422, fault="admin.bad_role", typed=typed)
    try:
        require_name(typed["account"])
    except ConfigError:
        return _page(request, status=422, fault="admin.bad_name", typed=typed)
    try:
        objects = _objects(role, typed["own"])
    except ConfigError:
        return _page(request, status=422, fault=f"admin.bad_own_{_kind(role)}", typed=typed)
    lang = typed["lang"] if typed["lang"] in LANGUAGES else access.lang
    try:
        secret = access.service.people.invite(
            typed["account"], name=typed["name"], role=role, objects=objects, lang=lang, actor=access.who.id
        )
    except ConfigError:
        known = access.service.people.find(typed["account"])
        fault = "admin.bad_shown_name" if known is None else "admin.taken"
        return _page(request, status=422, fault=fault, typed=typed)
    return _with_link(request, access, typed["account"], secret, INVITATION_LASTS.total_seconds())


def _kind(role: Role) -> str:
    """What a role must be given, as the texts call it."""
    kinds = {Role.FACTORY: "site", Role.INSTALLER: "site", Role.DRIVER: "car", Role.RETAILER: "party"}
    return kinds.get(role, "nothing")


def _with_link(request: Request, access: Access, account: str, secret: str, lasts_s: float) -> Response:
    origin = access.service.settings.public_url or f"http://{request.headers.get('host', '')}"
    link = f"{origin}/welcome/{secret}"
    return _page(request, link=(access.service.people.require(account), link, round(lasts_s / 3600)))


def _person(request: Request) -> str:
    """The account that an address names.

    Raises
    ------
    Problem
        If there is none.
    """
    name = str(request.path_params["person"])[:80]
    if access_of(request).service.people.find(name) is None:
        raise Problem("not_found")
    return name


async def reset(request: Request) -> Response:
    """End a password and every session; the link for a new one is shown once."""
    fields = await fields_of(request)
    return await run_in_threadpool(_reset, request, fields)


def _reset(request: Request, fields: dict[str, str]) -> Response:
    access, person = access_of(request), _person(request)
    if person == access.who.id:
        return _page(request, status=422, fault="admin.not_oneself")
    phone = fields.get("second_factor") == "yes"
    secret = access.service.people.reset(person, actor=access.who.id, second_factor=phone)
    return _with_link(request, access, person, secret, RESET_LASTS.total_seconds())


def disable(request: Request) -> Response:
    """Shut somebody out at once."""
    access, person = access_of(request), _person(request)
    if person == access.who.id:
        return _page(request, status=422, fault="admin.not_oneself")
    return _done(request, lambda: access.service.people.disable(person, actor=access.who.id))


async def change(request: Request) -> Response:
    """Another role, other sites."""
    fields = await fields_of(request)
    return await run_in_threadpool(_change, request, fields)


def _change(request: Request, fields: dict[str, str]) -> Response:
    access, person = access_of(request), _person(request)
    if person == access.who.id:
        return _page(request, status=422, fault="admin.not_oneself")
    role = next((one for one in Role if one.value == fields.get("role")), None)
    if role is None:
        return _page(request, status=422, fault="admin.bad_role")
    try:
        objects = _objects(role, fields.get("own", "")[:5_000])
    except ConfigError:
        return _page(request, status=422, fault=f"admin.bad_own_{_kind(role)}")
    people = access.service.people
    return _done(request, lambda: people.change(person, role=role, objects=objects, actor=access.who.id))


def _done(request: Request, act: Callable[[], object]) -> Response:
    """Do it and look at the list; what is refused by now can only be the last administrator."""
    try:
        act()
    except ConfigError:
        return _page(request, status=409, fault="admin.last_administrator")
    return go("/people")


PAGES: Final = (
    Page(path="/people", endpoint=everybody, rule="people", nav="nav.people"),
    Page(path="/people/invite", endpoint=invite, rule="people", method="POST"),
    Page(path="/people/{person}/reset", endpoint=reset, rule="people", method="POST"),
    Page(path="/people/{person}/disable", endpoint=disable, rule="people", method="POST"),
    Page(path="/people/{person}/change", endpoint=change, rule="people", method="POST"),
)
