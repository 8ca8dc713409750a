"""The driver's page: one car, one card, large controls; what people ask is answered with what can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.assets import Weekday
from energy.core.slots import JST
from energy.store import Snapshot
from vpp.api.common import known_now
from vpp.api.sites import only_here
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.http.wishwords import answer_text, refused_text
from vpp.i18n import Messages
from vpp.people.rights import RULES, About, reach_of
from vpp.people.roles import Role
from vpp.site.sitebook import kept_sites, site_of
from vpp.views.drivercard import DriverCard, coins_of, driver_card
from vpp.web.doors import fields_of
from vpp.web.driver_view import card_words
from vpp.web.pages import Page, go, render
from vpp.wishes import Act, ChargeNow, Departure, HoldPower, NoDischarge, WishBook
from vpp.wishes.ask import Asking, ask

__all__ = ["PAGES"]

WORKDAYS: Final = (Weekday.MON, Weekday.TUE, Weekday.WED, Weekday.THU, Weekday.FRI)
_EVERY: Final[Mapping[str, tuple[Weekday, ...]]] = {"workdays": WORKDAYS, "daily": tuple(Weekday)}


@dataclass(frozen=True, slots=True)
class _Said:
    """A word on top of the page: what became of a wish."""

    text: str
    good: bool


def cars(request: Request) -> Response:
    """The cars that one sees; the only one at once."""
    access = access_of(request)
    known = known_now(access)
    named = [site_of(known, name) for name in kept_sites(known) if access.sees_site(name)]
    own = access.who.objects.cars if access.who.role is Role.DRIVER else None
    found = [
        (site.id, vehicle.id, vehicle.name_ja if access.lang == "ja" else vehicle.name_en)
        for site in named
        if site is not None
        for vehicle in site.vehicles
        if own is None or f"{site.id}/{vehicle.id}" in own
    ]
    if len(found) == 1:
        return _page(request, found[0][0], found[0][1])
    names = {one.id: one.name_ja if access.lang == "ja" else one.name_en for one in named if one is not None}
    return render(request, "cars.html", cars=found, names=names)


def car(request: Request) -> Response:
    """One car."""
    site, asset = str(request.path_params["site"]), str(request.path_params["asset"])
    return _page(request, site, asset, said=_after(request))


def _after(request: Request) -> _Said | None:
    """What to say after a form was sent."""
    text = request.query_params.get("undone")
    return None if text is None else _Said(Messages(access_of(request).lang).text("driver.undone"), good=True)


def _card(access: Access, known: Snapshot, site: str, asset: str) -> DriverCard:
    """The card of a car.

    Raises
    ------
    Problem
        If the store knows no such car.
    """
    place = site_of(known, site)
    vehicle = next((one for one in place.vehicles if one.id == asset), None) if place is not None else None
    if place is None or vehicle is None:
        raise Problem("not_found")
    return driver_card(known, place, vehicle, access.service.clock.now())


def _page(
    request: Request,
    site: str,
    asset: str,
    *,
    said: _Said | None = None,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
) -> Response:
    access = access_of(request)
    known = known_now(access)
    card = _card(access, known, site, asset)
    words = Messages(access.lang)
    sees_coins = reach_of(RULES["ledger"], access.who) is not None
    coins = coins_of(access.service.store, card, only_here=only_here(known, asset)) if sees_coins else None
    return render(
        request,
        "car.html",
        status=status,
        site=site,
        asset=asset,
        card=card,
        told=card_words(card, words),
        coins=coins,
        said=said,
        days=_days(card.now, words),
        charges=_charges(card),
        form=typed or _usual(card),
        may_ask=reach_of(RULES["wish-write"], access.who) is not None,
        m=words,
        jst=lambda at: f"{at.astimezone(JST):%H:%M}",
    )


def _days(now: datetime, words: Messages) -> list[tuple[str, str]]:
    """Days that a departure can be on, and what they are called."""
    today = now.astimezone(JST).date()
    named = [(today + timedelta(days=k)) for k in range(7)]
    near = {0: words.text("driver.today"), 1: words.text("driver.tomorrow")}
    days = [
        (day.isoformat(), f"{near[k]} {words.day(day)}" if k in near else words.day(day))
        for k, day in enumerate(named)
    ]
    return [*days, *((every, words.text(f"driver.{every}")) for every in _EVERY)]


def _charges(card: DriverCard) -> list[int]:
    """Percent that can be asked for, in steps of five between the owner's limits."""
    low, high = round(100 * card.vehicle.soc_min), round(100 * card.vehicle.soc_max)
    return sorted({low, high, *(k for k in range(0, 101, 5) if low < k < high)})


def _usual(card: DriverCard) -> dict[str, str]:
    """What stands in the form: the next departure as it is planned, else tomorrow morning."""
    now = card.now.astimezone(JST)
    if card.leaves is None:
        tomorrow = (now.date() + timedelta(days=1)).isoformat()
        return {"at": "07:30", "day": tomorrow, "charge": str(min(80, _charges(card)[-1]))}
    local = card.leaves.trip.departs.astimezone(JST)
    promised = 100 * card.leaves.trip.promise_soc
    nearest = min(_charges(card), key=lambda one: abs(one - promised))
    return {"at": f"{local:%H:%M}", "day": local.date().isoformat(), "charge": str(nearest)}


# -- asking ------------------------------------------------------------------------------------------------


async def wish(request: Request) -> Response:
    """Ask for something by form."""
    fields = await fields_of(request)
    return await run_in_threadpool(_wish, request, fields)


def _wish(request: Request, fields: dict[str, str]) -> Response:
    access = access_of(request)
    site, asset = str(request.path_params["site"]), str(request.path_params["asset"])
    known = known_now(access)
    _card(access, known, site, asset)
    place = site_of(known, site)
    assert place is not None
    typed = {name: fields.get(name, "")[:20] for name in ("at", "day", "charge")}
    form = typed if fields.get("kind") == "departure" else None
    act = _act(fields)
    if act is None:
        text = Messages(access.lang).text("driver.not_understood")
        return _page(request, site, asset, said=_Said(text, good=False), status=422, typed=form)
    made = ask(access.service.store, place, asset, act, at=access.service.clock.now(), by=access.who.id)
    if not isinstance(made, Asking):
        said = _Said(refused_text(made, access.lang), good=False)
        return _page(request, site, asset, said=said, status=422, typed=form)
    met = made.possible is None or made.possible.met
    return _page(request, site, asset, said=_Said(answer_text(made, access.lang), good=met))


def _act(fields: Mapping[str, str]) -> Act | None:
    """The act that a form asks for; None if it makes no sense."""
    match fields.get("kind"):
        case "charge-now":
            return ChargeNow()
        case "no-discharge":
            return NoDischarge()
        case "departure":
            try:
                every = _EVERY.get(fields.get("day", ""), ())
                return Departure(
                    at=time.fromisoformat(fields.get("at", "")),
                    day=None if every else date.fromisoformat(fields.get("day", "")),
                    days=every,
                    charge=int(fields.get("charge", "")) / 100,
                )
            except ValueError:  # pydantic's error is one too
                return None
        case _:
            return None


def cancel(request: Request) -> Response:
    """Undo something that was asked for; what is over already stays over."""
    access = access_of(request)
    site, asset = str(request.path_params["site"]), str(request.path_params["asset"])
    card = _card(access, known_now(access), site, asset)
    found = next((one for one in card.wishes if one.id == request.path_params["wish"]), None)
    if found is not None and isinstance(found.act, HoldPower) and access.who.role is Role.DRIVER:
        raise Problem("not_found")
    if found is not None:
        WishBook(access.service.store).cancel(site, found.id, at=access.service.clock.now(), by=access.who.id)
    return go(f"/car/{site}/{asset}?undone=1")


PAGES: Final = (
    Page(path="/car", endpoint=cars, rule="wish", nav="nav.car"),
    Page(path="/car/{site}/{asset}", endpoint=car, rule="wish", about=About.ASSET),
    Page(path="/car/{site}/{asset}/wish", endpoint=wish, rule="wish-write", about=About.ASSET, method="POST"),
    Page(
        path="/car/{site}/{asset}/wish/{wish}/cancel",
        endpoint=cancel,
        rule="wish-write",
        about=About.ASSET,
        method="POST",
    ),
)
