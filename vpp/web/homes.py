"""A home's own page: use against last week and similar homes, sun, and tips in kWh and yen."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from energy.core.slots import JST
from vpp.api.common import known_now
from vpp.http.access import access_of
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.report.chart import Bars, ChartSpec, Line
from vpp.views.household import HomeWeek, Tip, home_week
from vpp.web.factory import site_or_404, sites_seen
from vpp.web.factory_month import figure_of
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]


def homes(request: Request) -> Response:
    """The homes that one sees; straight to the only one."""
    access = access_of(request)
    known, messages = known_now(access), Messages(access.lang)
    seen = sites_seen(access, known)
    if len(seen) == 1:
        return go(f"/home/{seen[0]}")
    places = [(one, site_or_404(known, one)) for one in seen]
    named = [(one, site.name_ja if messages.lang == "ja" else site.name_en) for one, site in places]
    return render(request, "factories.html", sites=named, into="/home", title="nav.homes", none="homes.none")


def home(request: Request) -> Response:
    """One home's week."""
    access = access_of(request)
    site = site_or_404(known_now(access), str(request.path_params["site"]))
    messages = Messages(access.lang)
    told = home_week(access.service.store, site, access.service.clock.now(), actor=access.who.id)
    return render(
        request,
        "home_week.html",
        name=site.name_ja if messages.lang == "ja" else site.name_en,
        told=told,
        week=messages.day(told.this.first),
        until=messages.day(told.this.first + timedelta(days=6)),
        chart=figure_of(_chart(told, messages), messages),
        before=_against(told, messages),
        similar=_similar(told, messages),
        bought=float(np.nansum(told.this.bought)),
        sun=None if told.this.sun is None else float(np.nansum(told.this.sun)),
        sold=float(np.nansum(told.this.sold)),
        tips=[_tip(one, told, messages) for one in told.tips],
        m=messages,
    )


def _chart(told: HomeWeek, messages: Messages) -> ChartSpec | None:
    if told.empty:
        return None
    earlier = [None if np.isnan(day).all() else float(np.nansum(day)) for day in told.before.used]
    series: list[Bars | Line] = [Bars(label=messages.text("homes.used"), values=tuple(told.days()), tone=1)]
    if any(one is not None for one in earlier):
        label = messages.text("homes.week_before")
        series.append(Line(label=label, values=tuple(earlier), tone=2, dash="dashed"))
    midnight = datetime.combine(told.this.first, time(), tzinfo=JST)
    return ChartSpec(
        id="week",
        title=messages.text("homes.chart"),
        description=messages.text("homes.chart_about", kwh=messages.kwh(told.used_kwh)),
        starts=tuple(midnight + timedelta(days=k) for k in range(7)),
        step=timedelta(days=1),
        unit="kWh",
        series=tuple(series),
    )


def _against(told: HomeWeek, messages: Messages) -> str:
    """Against the week before, over the half hours that both have."""
    if told.compared_slots < 48 or told.before_kwh <= 0.0:
        return messages.text("homes.no_week_before")
    change = told.compared_kwh - told.before_kwh
    words = "homes.more" if change > 0 else "homes.less"
    share = messages.percent(abs(change) / told.before_kwh)
    hours = messages.number(told.compared_slots / 2, 0)
    return messages.text(words, kwh=messages.kwh(abs(change)), share=share, hours=hours)


def _similar(told: HomeWeek, messages: Messages) -> str:
    """Against similar homes, or why nothing is said."""
    similar = told.similar
    if similar.kwh is None:
        return messages.text("homes.similar_few", sites=similar.sites, least=similar.least)
    bought = float(np.nansum(told.this.bought))
    words = "homes.similar_more" if bought > similar.kwh else "homes.similar_less"
    return messages.text(
        words,
        kwh=messages.kwh(abs(bought - similar.kwh)),
        mean=messages.kwh(similar.kwh),
        sites=similar.sites,
    )


def _tip(tip: Tip, told: HomeWeek, messages: Messages) -> tuple[str, str]:
    """A tip in words: what it would bring, and from what."""
    facts = {
        "kwh": messages.about_kwh(tip.kwh),
        "yen": messages.about_yen(tip.yen),
        "kw": messages.quantity(tip.facts.get("kw", 0.0), "kW", 2),
        "share": messages.percent(tip.facts.get("share", 0.0)),
        "days": messages.number(tip.facts.get("days", 0.0), 0),
        "day": messages.day(told.this.first + timedelta(days=int(tip.facts.get("day", 0.0)))),
        "more": messages.kwh(tip.facts.get("more", 0.0)),
    }
    return messages.text(f"homes.tip.{tip.name}", **facts), messages.text(
        f"homes.tip_why.{tip.name}", **facts
    )


PAGES: Final = (
    Page(path="/home", endpoint=homes, rule="plan-site", nav="nav.homes"),
    Page(path="/home/{site}", endpoint=home, rule="plan-site", about=About.SITE),
)
