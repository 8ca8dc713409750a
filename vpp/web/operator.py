"""The region's page: what is next to watch, how tight it is, what can be done, which site does not speak."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from energy.core.series import FloatArray
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY
from energy.ledger import Consent
from energy.market.deadlines import PlanWindow, submission
from energy.market.products import SupplyLevel
from energy.store import AuditFilter, Store
from vpp.consents import on_record
from vpp.forecasts.errormap import SHOWN_DAYS, errors_by_day
from vpp.http.access import Access, access_of
from vpp.http.alerted import open_alerts
from vpp.i18n import Messages
from vpp.ops.alerts_tell import alert_sentence
from vpp.report.chart import Band, ChartSpec, Line
from vpp.report.html import figure_of
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import OPEN, EventState
from vpp.settlement.plan_book import PlanBook, PlanState
from vpp.site.sitebook import site_names
from vpp.views.areawatch import Area, SiteLine, watch_area
from vpp.views.planfollow import Following, plan_following
from vpp.web.live import streamed
from vpp.web.pages import Page, render

__all__ = ["PAGES"]

_SHOWN: Final = 30
_LOOKS: Final = 5
_ACTS: Final = 50
_QUIET: Final = frozenset({"measurement.written", "personal.seen"})
"""Acts that change nothing on this page before the minute is over."""
_ASTRAY: Final = 0.8
"""Below this share of its plan a site is marked. [-]"""
_STEPS: Final = (0.03, 0.08, 0.15)
"""Limits of the four depths of an error's colour, as a share of the day's mean load."""
_SIGN: Final = {SupplyLevel.NORMAL: "●", SupplyLevel.ADVISORY: "△", SupplyLevel.WARNING: "▲"}
_DONE: Final = frozenset({PlanState.SUBMITTED, PlanState.ACCEPTED})


def region(request: Request) -> Response:
    """The whole page."""
    access = access_of(request)
    every = request.query_params.get("all") == "1"
    wall = request.query_params.get("wall") == "1"
    return render(request, "operator.html", wall=wall, every=every, **_panel(access, every=every))


def panel(request: Request) -> Response:
    """The part that changes."""
    access = access_of(request)
    every = request.query_params.get("all") == "1"
    return render(request, "operator_panel.html", every=every, **_panel(access, every=every))


def live(request: Request) -> Response:
    """The part that changes, whenever somebody did something, and once a minute: half hours run on."""
    service = access_of(request).service
    turns = itertools.count()
    minute = act = -1

    def key() -> str:
        nonlocal minute, act
        # Minutes of a demonstration pass in a moment: however fast they are, one look in five is at the time.
        if next(turns) % _LOOKS == 0:
            minute = int(service.clock.now().timestamp() // 60)
        # Programs write values and people look at cars all the time: a region would be drawn without end.
        recent = service.store.audit_page(AuditFilter(), limit=_ACTS)
        act = next((one.number for one in recent if one.act not in _QUIET), act)
        return f"{minute} {act}"

    return streamed(request, key, lambda: bytes(panel(request).body).decode())


def errors(request: Request) -> Response:
    """How far off the forecasts were, by half hour of the last two weeks."""
    access = access_of(request)
    words = Messages(access.lang)
    days = errors_by_day(access.service.store, access.service.clock.now(), SHOWN_DAYS)
    rows = [
        (words.day(day), [_cell(float(value), words) for value in values], _mean(values, words))
        for day, values in days
    ]
    part = request.headers.get("hx-request") == "true"
    template = "operator_errors.html" if part else "operator_errors_page.html"
    return render(request, template, rows=rows, hours=range(0, 24, 3), known=any(mean for *_, mean in rows))


def _cell(value: float, words: Messages) -> tuple[str, str]:
    """Class and words of one cell."""
    if not np.isfinite(value):
        return "none", ""
    depth = sum(abs(value) >= step for step in _STEPS)
    side = "none" if depth == 0 else "over" if value > 0 else "under"
    return (f"{side} d{depth}" if depth else "d0"), words.percent(abs(value), 1)


def _mean(values: FloatArray, words: Messages) -> str:
    known = np.abs(values[np.isfinite(values)])
    return words.percent(float(known.mean()), 1) if known.size else ""


def _panel(access: Access, *, every: bool) -> dict[str, Any]:  # Any: values of a template
    store, now, words = access.service.store, access.service.clock.now(), Messages(access.lang)
    area = watch_area(store, now)
    events = EventBook(store).events(known_at=now)
    alerts = open_alerts(store, access.who)
    lines = area.sites if every else area.sites[:_SHOWN]
    shared = _shared(on_record(store, now), now)
    followed = plan_following(store, [one.site for one in lines], now)
    flex = _flexibility(area, events, now)
    names = site_names(store, now, [*(one.site for one in lines), *(one["site"] for one in flex)], words.lang)
    return {
        "m": words,
        "at": words.moment(now),
        "headline": _headline(area, words),
        "second": _second(area, events, words),
        "strip": _strip(area, len(alerts), words),
        "figure": figure_of(_chart(area, words), words) if area.sites else None,
        "unlike": _unlike(area, words),
        "flex": flex,
        "names": names,
        "sites": [_row(one, shared, followed.get(one.site), now=now, words=words) for one in lines],
        "hidden": len(area.sites) - len(lines),
        "count": len(area.sites),
        "work": [*_plans(store, now, words), *_answers(events, words), *_silent(area, names, words)],
        "alerts": [(one.level.value, alert_sentence(words, one)) for one in alerts[:3]],
        "alerted": sum(not one.silent(now) for one in alerts),
    }


def _slot(area: Area, place: int, words: Messages) -> str:
    return words.day_slot(area.starts[place])


def _headline(area: Area, words: Messages) -> str:
    place = area.tightest()
    if place is None:
        return words.text("operator.nothing_known" if area.sites else "operator.no_sites")
    margin = area.reserve(place)
    if margin is None and area.forecast_ends < SLOTS_PER_DAY:
        return _partly(area, place, words)
    if margin is None:
        return words.text(
            "operator.peak_ahead", slot=_slot(area, place, words), power=words.kw(float(area.p50_kw[place]))
        )
    return words.text(
        f"operator.margin_{area.level(place).name.lower()}",
        slot=_slot(area, place, words),
        percent=words.percent(margin, 1),
    )


def _partly(area: Area, place: int, words: Messages) -> str:
    """What is forecast, where that is not the whole region for a whole day: no part is passed off as all."""
    known = area.forecast_sites[place // SLOTS_PER_DAY]
    last = int(np.flatnonzero(np.isfinite(area.p50_kw))[-1])
    return words.text(
        "screens.partly" if known < len(area.sites) else "screens.until",
        known=known,
        count=len(area.sites),
        until=words.moment(area.starts[last] + SLOT_LENGTH),
        slot=_slot(area, place, words),
        power=words.kw(float(area.p50_kw[place])),
    )


def _second(area: Area, events: list[DrEvent], words: Messages) -> str:
    """What stands ready for it, and what is called next."""
    cars = sum(one.cars for one in area.flex)
    ready = words.text(
        "operator.ready" if cars else "operator.none_ready", cars=cars, power=words.kw(area.up_kw)
    )
    ahead = [one for one in events if one.end > area.now and one.calls]
    if not ahead:
        return ready
    called = sum(float(one.kw) for one in ahead[0].standing())
    told = words.text(
        "operator.called", power=words.kw(called), at=words.moment(ahead[0].start), event=ahead[0].id
    )
    return f"{ready} {told}"


def _strip(area: Area, alerts: int, words: Messages) -> list[dict[str, str]]:
    place, last = area.present, area.last
    margin, usage, level = area.reserve(place), area.usage(place), area.level(place)
    unknown = words.text("chart.missing")
    told = "" if margin is None else f"{_SIGN[level]} {words.text(f'operator.level_{level.name.lower()}')}"
    demand = unknown if last is None else words.kw(float(area.demand_kw[last]))
    sun = next((float(one) for one in area.pv_kw[place::-1] if np.isfinite(one)), None)
    when = "" if last is None else words.slot(area.starts[last])
    return [
        {
            "key": "usage",
            "value": unknown if usage is None else words.percent(usage, 1),
            "note": words.text("operator.usage_note"),
            "level": level.name.lower(),
        },
        {
            "key": "reserve",
            "value": unknown if margin is None else words.percent(margin, 1),
            "note": told or words.text("operator.no_plan"),
            "level": level.name.lower(),
        },
        {"key": "demand", "value": demand, "note": when, "level": ""},
        {"key": "sun", "value": unknown if sun is None else words.kw(sun), "note": when, "level": ""},
        {
            "key": "up",
            "value": words.kw(area.up_kw),
            "note": words.text("operator.cars", cars=sum(one.cars for one in area.flex)),
            "level": "",
        },
        {
            "key": "down",
            "value": words.kw(area.down_kw),
            "note": words.text("operator.cars", cars=sum(one.cars for one in area.flex)),
            "level": "",
        },
        {"key": "alerts", "value": str(alerts), "note": "", "level": "warning" if alerts else ""},
    ]


def _values(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(float(one) if np.isfinite(one) else None for one in values)


def _chart(area: Area, words: Messages) -> ChartSpec:
    t = words.text
    return ChartSpec(
        id="region",
        title=t("operator.chart"),
        description=t("operator.chart_about"),
        starts=area.starts,
        unit="kW",
        now=area.now,
        series=(
            Band(label=t("operator.band"), low=_values(area.p10_kw), high=_values(area.p90_kw), tone=1),
            Line(label=t("operator.p50"), values=_values(area.p50_kw), tone=1, dash="dashed"),
            Line(label=t("operator.actual"), values=_values(area.demand_kw), tone=5),
            Line(label=t("operator.planned"), values=_values(area.planned_kw), tone=2, dash="dashdot"),
            Line(label=t("operator.sun"), values=_values(area.pv_kw), tone=3, dash="dotted"),
        ),
    )


def _unlike(area: Area, words: Messages) -> str:
    """Said below the chart where today's forecast is of fewer sites than what was measured: unlike sums."""
    known, count = area.forecast_sites[0], len(area.sites)
    return words.text("operator.unlike", known=known, count=count) if 0 < known < count else ""


def _flexibility(area: Area, events: list[DrEvent], now: datetime) -> list[dict[str, Any]]:
    """By site: what cars could give back now, and what is called of the site from now on. [kW]"""
    called: dict[str, float] = {}
    for event in events:
        if event.end > now and event.state not in {EventState.CANCELLED, EventState.OPTED_OUT}:
            for one in event.standing() or event.nominated:
                called[one.site] = called.get(one.site, 0.0) + float(one.kw)
    ready = {one.site: one for one in area.flex}
    most = max([*called.values(), *(one.up_kw for one in area.flex), 1.0])
    rows = []
    for site in sorted({*called, *ready}, key=lambda name: -called.get(name, 0.0)):
        up = ready[site].up_kw if site in ready else 0.0
        rows.append(
            {
                "site": site,
                "called": called.get(site, 0.0),
                "up": up,
                "called_share": round(100 * called.get(site, 0.0) / most),
                "up_share": round(100 * up / most),
            }
        )
    return rows[:12]


def _shared(consents: list[Consent], now: datetime) -> dict[str, set[str]]:
    """Who receives data of each site now."""
    found: dict[str, set[str]] = {}
    for one in consents:
        ended = one.withdrawn_at is not None or (one.valid_until is not None and one.valid_until <= now)
        if not ended:
            found.setdefault(one.subject, set()).update(one.recipients)
    return found


def _row(
    one: SiteLine, shared: dict[str, set[str]], followed: Following | None, *, now: datetime, words: Messages
) -> dict[str, Any]:
    minutes = 0 if one.until is None else max(0, int((now - one.until) / timedelta(minutes=1)))
    age = "operator.age_minutes" if minutes < 120 else "operator.age_hours"
    return {
        "site": one.site,
        "late": one.late,
        "age": words.text(age, minutes=minutes, hours=minutes // 60),
        "power": words.text("chart.missing") if one.demand_kw is None else words.kw(one.demand_kw),
        "follows": "-" if followed is None else words.percent(followed.share, 0),
        "astray": followed is not None and followed.share < _ASTRAY,
        "shares": len(shared.get(one.site, ())),
    }


def _plans(store: Store, now: datetime, words: Messages) -> list[dict[str, str]]:
    """Plans of tomorrow that are not handed in, with the time that is left."""
    tomorrow = now.astimezone(JST).date() + timedelta(days=1)
    window = submission(tomorrow, now)
    key = "operator.due" if window.finish_by else "operator.opens"
    at = window.finish_by or window.changes_at
    if at is None or window.window is PlanWindow.OVER:
        return []
    found = [one for one in PlanBook(store).day(tomorrow.isoformat()) if one.state not in _DONE]
    return [
        {
            "href": f"/operator/plans/{one.key.replace('/', '~')}",
            "kind": "plan",
            "text": words.text(
                key,
                plan=words.text(
                    "operator.plan_named",
                    day=words.day(one.plan.day),
                    kind=words.text(f"operator.kind_{one.plan.kind.value}"),
                    group=one.plan.group,
                    version=one.version,
                ),
                state=words.text(f"plans.state_{one.state.value}"),
                at=words.moment(at),
            ),
        }
        for one in found
    ]


def _answers(events: list[DrEvent], words: Messages) -> list[dict[str, str]]:
    """Events that are open, those that nobody has answered in other words."""
    return [
        {
            "href": f"/operator/events/{one.id}",
            "kind": "event",
            "text": words.text(
                "operator.to_answer" if one.state is EventState.ANNOUNCED else "operator.coming",
                event=one.id,
                at=words.moment(one.start),
                power=words.kw(float(one.target_kw)),
            ),
        }
        for one in events
        if one.state in OPEN
    ]


def _silent(area: Area, names: Mapping[str, str], words: Messages) -> list[dict[str, str]]:
    late = [one for one in area.sites if one.late]
    return [
        {
            "href": "#sites",
            "kind": "late",
            "text": words.text(
                "operator.silent",
                site=names.get(one.site, one.site),
                at="" if one.until is None else words.moment(one.until),
            ),
        }
        for one in late[:5]
    ]


PAGES: Final = (
    Page(path="/operator", endpoint=region, rule="region", nav="nav.operator"),
    Page(path="/operator/live", endpoint=live, rule="region"),
    Page(path="/operator/errors", endpoint=errors, rule="region"),
)
