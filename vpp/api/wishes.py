"""Wishes: what people ask of a car or a room; a driver of the own car only."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Final, Literal

from fastapi import Path
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request

from energy.core.assets import Weekday
from vpp.api.common import Answer, AssetId, Cursor, Instant, Limit, SiteId, known_now, noun, page_of
from vpp.api.sites import site_ids
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.http.wishwords import refused_text
from vpp.people.rights import About
from vpp.people.roles import Role
from vpp.site.sitebook import site_of
from vpp.wishes import Act, HoldPower, HoldRoom, PersonsWish, WishBook, wishes_of
from vpp.wishes.ask import Asking, ask

__all__ = ["wishes"]

wishes = noun("wishes")

WishId = Annotated[str, Path(pattern=r"^[a-z0-9TZ-]{1,120}$", description="Id of a wish.")]
_ACT: Final = TypeAdapter[Act](Act)


class WishOrder(Answer):
    """What is asked for; which fields are needed depends on the kind."""

    kind: Literal["departure", "charge-now", "no-discharge", "hold-power", "hold-room"]
    at: Annotated[time | None, Field(description="`departure`: Japanese time.", examples=["07:30"])] = None
    day: Annotated[date | None, Field(description="`departure`: on one day.")] = None
    days: list[Weekday] = Field(default_factory=list, description="`departure`: every week.", max_length=7)
    charge: Annotated[float | None, Field(ge=0, le=1, description="At least this much. [0..1]")] = None
    power_kw: Annotated[float | None, Field(ge=0, le=1000, description="`hold-power`. [kW]")] = None
    room_c: Annotated[float | None, Field(ge=10, le=32, description="`hold-room`. [degC]")] = None
    until: Annotated[Instant | None, Field(description="End of all but a departure.")] = None


class Wish(Answer):
    """A wish, what became of it, and what can be."""

    id: str
    site: str
    asset: str
    kind: str
    what: Annotated[dict[str, str | float | list[str] | None], Field(description="As it was asked for.")]
    made_at: datetime
    made_by: str
    until: datetime | None
    in_force: bool
    ended_at: datetime | None
    ended_by: str | None
    ended_why: str | None
    departs: Annotated[datetime | None, Field(description="The next departure that it means.")] = None
    possible_charge: Annotated[
        float | None, Field(description="What the car can leave with, at most what was asked for. [0..1]")
    ] = None
    ready_at: Annotated[datetime | None, Field(description="When what was asked for can be had.")] = None


class WishPage(Answer):
    """Wishes, newest first."""

    items: list[Wish]
    next: str | None = None


def _shown(wish: PersonsWish, now: datetime) -> Wish:
    told = _ACT.dump_python(wish.act, mode="json")
    ended = wish.ended
    return Wish(
        id=wish.id,
        site=wish.site,
        asset=wish.asset,
        kind=wish.act.kind,
        what={name: value for name, value in told.items() if name != "kind"},
        made_at=wish.made_at,
        made_by=wish.made_by,
        until=wish.until,
        in_force=wish.holds_at(now),
        ended_at=None if ended is None else ended.at,
        ended_by=None if ended is None else ended.by,
        ended_why=None if ended is None else ended.why.value,
    )


def _must_exist(access: Access, site: str) -> None:
    if site not in site_ids(known_now(access)):
        raise Problem("not_found")


@wishes.get("/wishes/{site}/{asset}")
@guarded("wish", About.ASSET)
def list_wishes(
    request: Request, site: SiteId, asset: AssetId, cursor: Cursor = None, limit: Limit = 100
) -> WishPage:
    """Everything that was ever asked of an asset, by id; ids begin with asset and instant."""
    access = access_of(request)
    _must_exist(access, site)
    now = access.service.clock.now()
    found = sorted(wishes_of(known_now(access), site, asset), key=lambda one: one.id)
    shown, more = page_of(found, cursor, limit, key=lambda one: one.id)
    return WishPage(items=[_shown(one, now) for one in shown], next=more)


@wishes.post("/wishes/{site}/{asset}")
@guarded("wish-write", About.ASSET)
def make_wish(request: Request, site: SiteId, asset: AssetId, order: WishOrder) -> Wish:
    """Ask for something. A departure that cannot be met is kept, and answered with what can be."""
    access = access_of(request)
    place = site_of(known_now(access), site)
    if place is None:
        raise Problem("not_found")
    act = _act(order)
    if access.who.role is Role.DRIVER and order.kind.startswith("hold-"):
        raise Problem("forbidden", role=access.who.role.value)
    now = access.service.clock.now()
    made = ask(access.service.store, place, asset, act, at=now, by=access.who.id, until=order.until)
    if not isinstance(made, Asking):
        if made.code == "no-such-asset":
            raise Problem("not_found")
        raise Problem(
            "invalid", said=refused_text(made, access.lang), errors=[{"place": "body", "fault": made.code}]
        )
    shown = _shown(made.wish, now)
    if made.possible is None:
        return shown
    told = {"departs": made.departs, "possible_charge": round(made.possible.charge, 3)}
    return shown.model_copy(update={**told, "ready_at": made.possible.ready_at})


def _act(order: WishOrder) -> Act:
    fields = {
        "departure": ("at", "day", "days", "charge"),
        "charge-now": ("charge",),
        "no-discharge": (),
        "hold-power": ("power_kw",),
        "hold-room": ("room_c",),
    }[order.kind]
    told = {name: getattr(order, name) for name in fields}
    if order.kind == "departure":
        told["days"] = tuple(order.days)
    try:
        return _ACT.validate_python({"kind": order.kind, **told})
    except ValidationError as error:
        faults = [{"place": ".".join(map(str, one["loc"])), "fault": one["msg"]} for one in error.errors()]
        raise Problem("invalid", errors=faults[:20]) from None


@wishes.post("/wishes/{site}/{asset}/{wish}/cancel")
@guarded("wish-write", About.ASSET)
def cancel_wish(request: Request, site: SiteId, asset: AssetId, wish: WishId) -> Wish:
    """End a wish; one that is over already stays as it is."""
    access = access_of(request)
    now, store = access.service.clock.now(), access.service.store
    found = next((one for one in wishes_of(known_now(access), site, asset) if one.id == wish), None)
    holds = found is not None and isinstance(found.act, (HoldPower, HoldRoom))
    if found is None or (access.who.role is Role.DRIVER and holds):
        raise Problem("not_found")
    ended = WishBook(store).cancel(site, wish, at=now, by=access.who.id)
    return _shown(ended or found, now)
