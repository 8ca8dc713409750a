"""The retailer's page: the sum that consenting sites share, how right it was, what being off may cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import DataError
from energy.core.slots import JST, SLOT_LENGTH, jst_midnight
from vpp.consents import CONTROLLER
from vpp.forecasts.delivery import Order, Withheld, preview, recipients
from vpp.forecasts.handover import Delivery, DeliveryTarget
from vpp.forecasts.issued import DAY_AHEAD_HOURS
from vpp.forecasts.sumscore import SPANS, SumScore, expected_miss_kwh, sum_scores
from vpp.http.access import Access, access_of
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.people.roles import Role
from vpp.report.chart import Band, ChartSpec, Line
from vpp.report.html import figure_of
from vpp.web.pages import Page, render

__all__ = ["PAGES"]

_USUAL_YEN: Final = 10.0  # what stands in the field before anybody writes his own price
_MOST_YEN: Final = 1_000.0
_MESSAGES: Final = 10


def companies(request: Request) -> Response:
    """The own page of a retailer; for others the companies that sites share with."""
    access = access_of(request)
    if access.who.role is Role.RETAILER:
        return _page(request, access.who.objects.party)
    parties = recipients(access.service.store, access.service.clock.now())
    return render(request, "retailers.html", parties=parties)


def company(request: Request) -> Response:
    """What one company sees."""
    return _page(request, str(request.path_params["party"])[:40])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the address asks for; what makes no sense in it is as if it were not there."""

    target: DeliveryTarget
    day: date
    yen: float


def _asked(request: Request, now: datetime) -> _Asked:
    query = request.query_params
    target = query.get("target", "demand")
    tomorrow = now.astimezone(JST).date() + timedelta(days=1)
    try:
        day = date.fromisoformat(query.get("day", ""))
    except ValueError:
        day = tomorrow
    try:
        yen = float(query.get("yen", _USUAL_YEN))
    except ValueError:
        yen = _USUAL_YEN
    return _Asked(
        target=DeliveryTarget.PV if target == "pv" else DeliveryTarget.DEMAND,
        day=day if abs(day - tomorrow) < timedelta(days=400) else tomorrow,
        yen=yen if 0.0 <= yen <= _MOST_YEN else _USUAL_YEN,
    )


def _page(request: Request, party: str) -> Response:
    access = access_of(request)
    now, words = access.service.clock.now(), Messages(access.lang)
    asked = _asked(request, now)
    order = Order(recipient=party, controller=CONTROLLER, target=asked.target, day=asked.day)
    made, none = _made(access, order, now)
    delivery = None if made is None or isinstance(made, Withheld) else made
    scores = sum_scores(access.service.store, order, at=now)
    return render(
        request,
        "retailer.html",
        party=party,
        order=asked,
        days=_days(asked, now, words),
        delivery=delivery,
        withheld=made if isinstance(made, Withheld) else None,
        headline=_headline(delivery, asked, made, none, words),
        figure=figure_of(_chart(delivery, now, words), words) if delivery and _shows(delivery) else None,
        expected_kwh=None if delivery is None else expected_miss_kwh(delivery.slots),
        next_issue=_next_issue(now),
        scores=list(scores.items()),
        week=scores.get(SPANS[0]),
        how="" if delivery is None else _how(delivery.method, words),
        best=_best,
        hooks=_hooks(access),
        own=access.who.role is Role.RETAILER,
        m=words,
        slot=lambda at: words.slot(at.astimezone(JST)),
    )


def _made(access: Access, order: Order, now: datetime) -> tuple[Delivery | Withheld | None, bool]:
    """The sum of the day, or why there is none."""
    try:
        made = preview(access.service.store, order, at=now)
    except DataError:
        return None, True
    if isinstance(made, Withheld):
        return made, False
    access.audit(
        "forecast.read",
        f"forecast-delivery/{order.key}",
        version=made.delivery.version,
        sites=made.delivery.sites,
    )
    return made.delivery, False


def _how(method: str, words: Messages) -> str:
    """How the sites' errors were put together, in words; a method that has none as it is called."""
    key = f"retailer.together_{method.rpartition(', ')[2].replace('-', '_')}"
    return words.text(key) if words.has(key) else method


def _shows(delivery: Delivery) -> bool:
    return delivery.suppressed < len(delivery.slots)


def _headline(
    delivery: Delivery | None,
    asked: _Asked,
    made: Delivery | Withheld | None,
    none: bool,
    words: Messages,
) -> str:
    day = words.day(asked.day)
    if none or made is None:
        return words.text("retailer.none", day=day)
    if isinstance(made, Withheld):
        return words.text(
            "retailer.withheld" if made.why == "too_few_sites" else "retailer.dominated",
            day=day,
            sites=made.sites,
            needed=made.needed,
        )
    assert delivery is not None
    shown = [one for one in delivery.slots if one.p50_kw is not None]
    if not shown:
        return words.text("retailer.all_hidden", day=day, sites=delivery.sites)
    peak = max(shown, key=lambda one: one.p50_kw or 0.0)
    return words.text(
        f"retailer.lead_{asked.target.value}",
        day=day,
        energy=words.quantity(delivery.energy_kwh, "kWh", 0),
        kw=words.kw(peak.p50_kw or 0.0),
        slot=words.slot(peak.start.astimezone(JST)),
        sites=delivery.sites,
    )


def _days(asked: _Asked, now: datetime, words: Messages) -> list[tuple[str, str]]:
    """Days to choose from: three back, a week ahead, and the one that is shown."""
    today = now.astimezone(JST).date()
    days = {today + timedelta(days=k) for k in range(-3, 8)} | {asked.day}
    return [(day.isoformat(), words.day(day)) for day in sorted(days)]


def _next_issue(now: datetime) -> datetime:
    """When the next day-ahead forecast is made."""
    today = now.astimezone(JST).date()
    times = [
        jst_midnight(today + timedelta(days=day)) + timedelta(hours=hour)
        for day in (0, 1)
        for hour in DAY_AHEAD_HOURS
    ]
    return next(at for at in times if at > now)


def _chart(delivery: Delivery, now: datetime, words: Messages) -> ChartSpec:
    starts = tuple(one.start for one in delivery.slots)
    inside = starts[0] <= now < starts[-1] + SLOT_LENGTH
    return ChartSpec(
        id="sum",
        title=words.text(f"retailer.chart_{delivery.target.value}"),
        description=words.text("retailer.chart_about"),
        starts=starts,
        unit="kW",
        series=(
            Band(
                label="P10-P90",
                low=tuple(one.p10_kw for one in delivery.slots),
                high=tuple(one.p90_kw for one in delivery.slots),
            ),
            Line(label="P50", values=tuple(one.p50_kw for one in delivery.slots)),
        ),
        now=now if inside else None,
    )


def _best(score: SumScore) -> str:
    """Which of the three forecasts was nearest."""
    errors = {"ours": score.ours, "persistence": score.persistence, "same_weekday": score.same_weekday}
    return min(errors, key=lambda name: errors[name])


@dataclass(frozen=True, slots=True)
class _Hook:
    """An address that is told, and the last messages to it."""

    url: str
    kinds: tuple[str, ...]
    messages: tuple[tuple[datetime, str, int | None, str, int], ...]


def _hooks(access: Access) -> list[_Hook]:
    """Addresses of the caller; of nobody else's."""
    if access.who.role is not Role.RETAILER:
        return []
    rows = access.service.store.rows
    found = []
    for hook in rows.hooks.find(account=access.who.id, ended_at=None):
        sent = sorted(rows.messages.find(hook=hook.id), key=lambda one: one.created_at, reverse=True)
        log = tuple((one.created_at, one.kind, one.answer, one.fault, one.tries) for one in sent[:_MESSAGES])
        found.append(_Hook(hook.url, tuple(json.loads(hook.kinds)), log))
    return found


PAGES: Final = (
    Page(path="/retailer", endpoint=companies, rule="forecast-sum", nav="nav.retailer"),
    Page(path="/retailer/{party}", endpoint=company, rule="forecast-sum", about=About.PARTY),
)
