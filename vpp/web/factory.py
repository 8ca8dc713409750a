"""The factory's pages: demand monitor, time line with reasons, one override per asset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import VppError
from energy.core.site import Season, Site
from energy.core.slots import JST
from energy.store import Snapshot
from vpp.api.common import known_now
from vpp.http.access import Access, access_of, service_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.paper.words import PaperWords
from vpp.people.rights import About
from vpp.report.svg import chart_css
from vpp.settlement.dr_events import EventBook
from vpp.site.ahead import ahead_of
from vpp.site.climate import comfort_limits, season_at
from vpp.site.minutes import COUNTER, MINUTE
from vpp.site.recorder import SiteSeries
from vpp.site.rooms import standing_of
from vpp.site.sitebook import kept_sites, named_assets, site_of
from vpp.views.factory_month import coins_of_month
from vpp.views.kept import kept_in_month
from vpp.views.monitor import Level, demand_now
from vpp.views.override import preview
from vpp.views.roomwords import room_sentences, value_rows
from vpp.views.sitewatch import AssetRow, Watch, watch_site
from vpp.web.doors import fields_of
from vpp.web.factory_view import gauge, headline, lanes, monitor_words, more_or_less, span_lines
from vpp.web.live import streamed
from vpp.web.pages import Page, go, render
from vpp.wishes import Act, ChargeNow, HoldPower, HoldRoom, PersonsWish, WishBook, wishes_at

__all__ = ["PAGES", "site_or_404", "sites_seen"]

_TURN_S: Final = 15.0
HOURS: Final = (1, 2, 4, 8)
"""For how long something may be held at once. [h]"""


def sites_seen(access: Access, known: Snapshot) -> list[str]:
    """Sites with a configuration that the caller may see."""
    return [site for site in kept_sites(known) if access.sees_site(site)]


def site_or_404(known: Snapshot, site: str) -> Site:
    """A site as it was configured.

    Raises
    ------
    Problem
        If the store was never told of it.
    """
    found = site_of(known, site)
    if found is None:
        raise Problem("not_found")
    return found


def _name(site: Site, messages: Messages) -> str:
    return site.name_ja if messages.lang == "ja" else site.name_en


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every handler of this page begins with."""

    access: Access
    known: Snapshot
    site: Site
    now: datetime
    messages: Messages

    @classmethod
    def of(cls, request: Request) -> _Desk:
        access = access_of(request)
        known = known_now(access)
        site = site_or_404(known, str(request.path_params["site"]))
        return cls(access, known, site, access.service.clock.now(), Messages(access.lang))

    def row(self, watch: Watch, asset: str) -> AssetRow:
        """One asset of the site.

        Raises
        ------
        Problem
            If it has none of this name.
        """
        found = next((one for one in watch.rows if one.asset == asset), None)
        if found is None:
            raise Problem("not_found")
        return found

    def name(self, asset: str) -> str:
        """What the reader calls an asset."""
        ja, en, _ = named_assets(self.site)[asset]
        return ja if self.messages.lang == "ja" else en


def factories(request: Request) -> Response:
    """The sites that one sees; straight to the only one."""
    access = access_of(request)
    known = known_now(access)
    seen = sites_seen(access, known)
    if len(seen) == 1:
        return go(f"/factory/{seen[0]}")
    messages = Messages(access.lang)
    named = [(site, _name(site_or_404(known, site), messages)) for site in seen]
    return render(
        request, "factories.html", sites=named, into="/factory", title="nav.factory", none="factory.none"
    )


def factory(request: Request) -> Response:
    """The page on the wall."""
    desk = _Desk.of(request)
    watch = watch_site(desk.known, desk.site, desk.now)
    month = f"{desk.now.astimezone(JST):%Y-%m}"
    axis, whole, rows = lanes(watch, desk.site, desk.messages)
    return render(
        request,
        "factory.html",
        site=desk.site.id,
        name=_name(desk.site, desk.messages),
        wall=request.query_params.get("wall") == "1",
        **_monitor(desk),
        axis=axis,
        whole=whole,
        rows=rows,
        kept=kept_in_month(desk.known, desk.site, month, desk.now),
        month=month,
        month_words=PaperWords(desk.messages.lang).month(month),
        coins=coins_of_month(desk.access.service.store, desk.site, month, desk.now),
        events=_events(desk),
        holds=_holds(desk),
        plan=watch.plan,
        target_kw=desk.site.target_demand_kw,
        m=desk.messages,
        can_hold=desk.access.who.role.value in {"operator", "factory"},
    )


def _monitor(desk: _Desk) -> dict[str, Any]:  # Any: values of a template
    told = demand_now(desk.known, desk.site, desk.now)
    return {
        "sentences": headline(told, ahead_of(desk.known, desk.site.id, desk.now), desk.messages),
        "told": told,
        "silent": told.level is Level.SILENT,
        "figures": monitor_words(told, desk.messages),
        "gauge": gauge(told, desk.messages),
        "slot": desk.messages.slot(told.slot.start),
        "now": f"{desk.now.astimezone(JST):%H:%M}",
        "last": None if told.last_kw is None else desk.messages.kw(told.last_kw),
    }


def monitor(request: Request) -> Response:
    """The monitor alone, for those who look at it all day: without anything about persons."""
    desk = _Desk.of(request)
    return render(
        request,
        "factory_monitor.html",
        site=desk.site.id,
        alone=request.headers.get("hx-request") != "true",
        **_monitor(desk),
    )


def live(request: Request) -> Response:
    """The monitor whenever the meter was read, and four times a minute: the half hour runs on."""
    site, service, lang = str(request.path_params["site"]), service_of(request), access_of(request).lang
    names = SiteSeries(site)

    def key() -> str:
        now = service.clock.now()
        read = service.store.as_of(now).latest(names[COUNTER], before=now + MINUTE)
        heard = "" if read is None else read.known_at.isoformat()
        return f"{heard} {int(now.timestamp() // _TURN_S)} {lang}"

    return streamed(request, key, lambda: bytes(monitor(request).body).decode())


# -- what stands below it -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Event:
    """An event as the factory sees it."""

    when: str
    kw: str
    state: str
    out: bool


def _events(desk: _Desk) -> list[_Event]:
    """Calls of the month around now, newest first."""
    m, around = desk.messages, timedelta(days=31)
    found = []
    for event in reversed(EventBook(desk.access.service.store).events(known_at=desk.now)):
        calls = [call for call in event.calls if call.site == desk.site.id]
        out = desk.site.id in event.opted_out
        if (not calls and not out) or abs(event.start - desk.now) > around:
            continue
        kw = sum((float(call.kw) for call in calls), 0.0) / max(1, len(calls))
        found.append(
            _Event(
                when=m.day_slot(event.start, event.end - event.start),
                kw=m.kw(kw) if calls else m.text("factory.unknown"),
                state=m.text(f"factory.event.{_stage(event.start, event.end, desk.now)}"),
                out=out,
            )
        )
    return found


def _stage(start: datetime, end: datetime, now: datetime) -> str:
    return "over" if end <= now else "runs" if start <= now else "comes"


def _holds(desk: _Desk) -> dict[str, PersonsWish]:
    """Overrides in force, by asset."""
    found = wishes_at(desk.known, desk.site.id, desk.now)
    return {one.asset: one for one in found if isinstance(one.act, (HoldPower, HoldRoom, ChargeNow))}


# -- why, and the one override ------------------------------------------------------------------------------


def why(request: Request) -> Response:
    """What an asset did and will do and why, and the form to hold it."""
    desk = _Desk.of(request)
    return _why(request, desk, str(request.path_params["asset"]))


def _why(
    request: Request,
    desk: _Desk,
    asset: str,
    *,
    status: int = 200,
    fault: str = "",
    asked: _Asked | None = None,
) -> Response:
    watch = watch_site(desk.known, desk.site, desk.now)
    row = desk.row(watch, asset)
    chosen = _instant(request.query_params.get("at", ""))
    span = row.span_at(chosen or desk.now)
    told = (
        None
        if asked is None
        else preview(desk.known, desk.site, asset, asked.act, until=asked.until, now=desk.now)
    )
    zone = next((one for one in desk.site.zones if one.id == asset), None)
    standing = None if zone is None else standing_of(desk.known, desk.site, zone)
    return render(
        request,
        "factory_why.html",
        status=status,
        site=desk.site.id,
        asset=asset,
        kind=row.kind,
        name=desk.name(asset),
        lines=span_lines(watch, row, desk.messages, chosen=chosen),
        chosen=None if span is None else desk.messages.day_slot(span.start, span.end - span.start),
        hours=HOURS,
        room=None if zone is None else _room_choices(desk, zone.id),
        learned=() if zone is None else room_sentences(desk.messages, zone, standing),
        values=[] if standing is None else value_rows(desk.messages, standing),
        hold=_holds(desk).get(asset),
        fault=fault,
        asked=asked,
        told=told,
        words_yen=lambda yen: more_or_less(yen, "yen", desk.messages),
        words_kwh=lambda kwh: more_or_less(kwh, "kwh", desk.messages),
        m=desk.messages,
        alone=request.headers.get("hx-request") != "true",
        can_hold=desk.access.who.role.value in {"operator", "factory"},
    )


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _room_choices(desk: _Desk, zone_id: str) -> list[float]:
    """Temperatures at which a room may be held: its band in half degrees."""
    zone = next(one for one in desk.site.zones if one.id == zone_id)
    season = season_at(desk.site, desk.now)
    low, high = comfort_limits(zone, Season.COOLING if season is Season.OFF else season)
    return [k / 2 for k in range(round(low * 2 + 0.49), int(high * 2) + 1)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A hold as the form said it."""

    act: Act
    until: datetime
    what: str
    how: str
    hours: int


def _asked(desk: _Desk, fields: dict[str, str]) -> _Asked | None:
    """The hold that a form asks for; None if it makes no sense."""
    what, hours = fields.get("what", ""), fields.get("hours", "")
    if hours not in {str(one) for one in HOURS}:
        return None
    until = _end_of(desk.now, int(hours))
    if what == "pause":
        return _Asked(HoldPower(power_kw=0.0), until, what, "", int(hours))
    if what == "charge":
        return _Asked(ChargeNow(), until, what, "", int(hours))
    try:
        room_c = float(fields.get("room_c", ""))
        return (
            _Asked(HoldRoom(room_c=room_c), until, "room", f"{room_c:g}", int(hours))
            if what == "room"
            else None
        )
    except ValueError:  # pydantic's error is one too
        return None


def _end_of(now: datetime, hours: int) -> datetime:
    """An end at a full minute, so that the preview and the act mean the same."""
    return (now + timedelta(hours=hours)).replace(second=0, microsecond=0)


async def hold(request: Request) -> Response:
    """Hold an asset: first what it costs, then done."""
    fields = await fields_of(request)
    return await run_in_threadpool(_hold, request, fields)


def _hold(request: Request, fields: dict[str, str]) -> Response:
    desk, asset = _Desk.of(request), str(request.path_params["asset"])
    zone = next((one for one in desk.site.zones if one.id == asset), None)
    asked = _asked(desk, fields)
    fits = asked is not None and isinstance(asked.act, HoldRoom) == (zone is not None)
    if asked is None or not fits:
        return _why(request, desk, asset, status=422, fault="factory.fault_hold")
    if zone is not None and float(asked.how) not in _room_choices(desk, asset):
        return _why(request, desk, asset, status=422, fault="factory.fault_room")
    if fields.get("sure") != "yes":
        return _why(request, desk, asset, asked=asked)
    try:
        WishBook(desk.access.service.store).make(
            desk.site.id, asset, asked.act, until=asked.until, at=desk.now, by=desk.access.who.id
        )
    except VppError:
        return _why(request, desk, asset, status=422, fault="factory.fault_hold")
    return go(f"/factory/{desk.site.id}/why/{asset}")


def release(request: Request) -> Response:
    """End a hold; one that ended already changes nothing."""
    desk, asset = _Desk.of(request), str(request.path_params["asset"])
    if asset not in named_assets(desk.site):
        raise Problem("not_found")
    book = WishBook(desk.access.service.store)
    found = _holds(desk).get(asset)
    if found is not None:
        book.cancel(desk.site.id, found.id, at=desk.now, by=desk.access.who.id)
    return go(f"/factory/{desk.site.id}/why/{asset}")


async def charts(_: Request) -> Response:
    """The style of all charts, from the module that draws them."""
    return Response(chart_css(), media_type="text/css", headers={"Cache-Control": "max-age=3600"})


PAGES: Final = (
    Page(path="/charts.css", endpoint=charts, rule="public"),
    Page(path="/factory", endpoint=factories, rule="plan-site", nav="nav.factory"),
    Page(path="/factory/{site}", endpoint=factory, rule="plan-site", about=About.SITE),
    Page(path="/factory/{site}/monitor", endpoint=monitor, rule="site", about=About.SITE),
    Page(path="/factory/{site}/live", endpoint=live, rule="site", about=About.SITE),
    Page(path="/factory/{site}/why/{asset}", endpoint=why, rule="plan-asset", about=About.ASSET),
    Page(
        path="/factory/{site}/hold/{asset}",
        endpoint=hold,
        rule="wish-write",
        about=About.ASSET,
        method="POST",
    ),
    Page(
        path="/factory/{site}/release/{asset}",
        endpoint=release,
        rule="wish-write",
        about=About.ASSET,
        method="POST",
    ),
)
