"""What the factory page shows, in words and pictures; values in, markup out, no request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode

from markupsafe import Markup

from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH
from vpp.i18n import Messages, reason_sentence
from vpp.report.gauge import gauge_svg
from vpp.report.lanes import Fill, Lane, LaneBar, LaneLine, axis_svg, lane_svg
from vpp.site.ahead import Ahead
from vpp.site.sitebook import Names, named_assets
from vpp.views.monitor import DemandNow, Level
from vpp.views.sitewatch import AssetRow, Span, Watch

__all__ = [
    "LaneView",
    "SpanLine",
    "Told",
    "headline",
    "lanes",
    "monitor_words",
    "more_or_less",
    "span_lines",
    "span_sentence",
]

_LOOKS: Final[Mapping[str, tuple[Fill, int]]] = {
    "charge": ("solid", 1),
    "give": ("hatch", 2),
    "wait": ("faint", 5),
    "away": ("shade", 5),
    "run": ("solid", 3),
    "rest": ("faint", 5),
    "coast": ("dots", 4),
    "unknown": ("outline", 5),
}
_NOTHING: Final = 0.05  # kWh or yen; nobody would see it
_SEEN_KW: Final = 0.5  # the panel shows whole kW
_LIST_BACK: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Told:
    """A figure of the monitor: what it is, how much, and in which unit."""

    name: str
    label: str
    value: str
    unit: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """A row of the time line beside its picture."""

    asset: str
    name: str
    state: str
    doing: str
    picture: Markup
    stale: bool


@dataclass(frozen=True, slots=True)
class SpanLine:
    """One line of the list of what an asset did and will do."""

    when: str
    what: str
    sentence: str
    ahead: bool


def age_words(messages: Messages, age: timedelta) -> str:
    """How old something is, roughly."""
    minutes = int(age / timedelta(minutes=1))
    if minutes < 60:
        return messages.text("factory.minutes", count=max(1, minutes))
    if minutes < 48 * 60:
        return messages.text("factory.hours", count=minutes // 60)
    return messages.text("factory.days", count=minutes // (24 * 60))


def more_or_less(amount: float, unit: Literal["yen", "kwh"], messages: Messages) -> str:
    """A difference in words: no bare sign."""
    written = messages.about_yen(abs(amount)) if unit == "yen" else messages.kwh(abs(amount))
    if abs(amount) < _NOTHING:
        return messages.text("factory.target_same")
    return messages.text(f"factory.{unit}_{'more' if amount > 0.0 else 'less'}", amount=written)


def headline(told: DemandNow, plan: Ahead | None, messages: Messages) -> list[str]:
    """What is to be known first, in one or two sentences."""
    t = messages.text
    if told.level is Level.SILENT:
        if told.heard_at is None or told.silent_for is None:
            first = t("factory.never_heard")
        else:
            at, age = messages.moment(told.heard_at), age_words(messages, told.silent_for)
            first = t("factory.head_silent", at=at, age=age)
    else:
        first = t(
            f"factory.head_{told.level.value}",
            ends=messages.kw(told.projected_kw or 0.0),
            least=messages.kw(told.so_far_kw or 0.0),
            target=messages.kw(told.target_kw),
            shed=messages.kw(told.shed_kw or 0.0),
            room=messages.kw(max(0.0, told.target_kw - (told.projected_kw or 0.0))),
        )
    return [first, _peak_ahead(plan, told.now, messages)]


def _peak_ahead(plan: Ahead | None, now: datetime, messages: Messages) -> str:
    """The highest half hour of the plan that is still to come within a day."""
    if plan is None:
        return messages.text("factory.no_plan")
    slots = zip(plan.import_kw, plan.slots(), strict=True)
    coming = [(kw, start) for kw, start in slots if now < start < now + timedelta(days=1)]
    if not coming:
        return messages.text("factory.no_plan")
    kw, start = max(coming)
    return messages.text("factory.head_peak", when=messages.day_slot(start), kw=messages.kw(kw))


def monitor_words(told: DemandNow, messages: Messages) -> list[Told]:
    """The figures of the panel; those that are not known say so."""
    t = messages.text

    def kw(name: str, label: str, value: float | None, kind: str = "") -> Told:
        if value is None:
            return Told(name, t(f"factory.{label}"), t("factory.unknown"), "", "unknown")
        return Told(name, t(f"factory.{label}"), messages.number(value, 0), "kW", kind)

    over = told.level in {Level.ALARM, Level.OVER}
    if told.shed_kw is None or told.shed_kw > _SEEN_KW:
        change = kw("shed", "shed", told.shed_kw, "bad")
    else:
        change = kw("shed", "room", told.room_kw, "good")
        if (told.room_kw or 0.0) > told.contract_kw:  # a minute before the end it is any power, and no news
            change = replace(change, value=t("factory.over", amount=messages.number(told.contract_kw, 0)))
    return [
        kw("projected", "projected", told.projected_kw, "bad" if over else ""),
        change,
        kw("so_far", "so_far", told.so_far_kw),
        kw("target", "target", told.target_kw),
        kw("contract", "contract", told.contract_kw),
        Told(
            "left", t("factory.left"), messages.number(max(0.0, told.left_min), 0), t("factory.minutes_unit")
        ),
    ]


def gauge(told: DemandNow, messages: Messages) -> Markup:
    """The picture of the running half hour."""
    says = headline(told, None, messages)[0]
    return Markup(gauge_svg(told, messages, says=says))  # noqa: S704 - every text in it is escaped


# -- the time line ------------------------------------------------------------------------------------------


def lanes(watch: Watch, site: Site, messages: Messages) -> tuple[Markup, LaneView, list[LaneView]]:
    """Axis, the lane of the whole site, and one lane per asset."""
    names = named_assets(site)
    axis = Markup(axis_svg(watch.starts[0], watch.end, watch.now, messages))  # noqa: S704 - escaped there
    return axis, _site_lane(watch, messages), [_lane(watch, row, site, names, messages) for row in watch.rows]


def _svg(lane: Lane) -> Markup:
    return Markup(lane_svg(lane))  # noqa: S704 - every text in it is escaped


def _site_lane(watch: Watch, messages: Messages) -> LaneView:
    levels = [one for one in (*watch.import_kw, *watch.plan_kw, *watch.target_kw) if one is not None]
    highest = max([*levels, 1.0]) * 1.1
    peak = max((kw for kw in watch.import_kw if kw is not None), default=None)
    says = messages.text(
        "factory.site_says", peak=messages.text("factory.unknown") if peak is None else messages.kw(peak)
    )
    lane = Lane(
        id="lane-site",
        says=says,
        starts=watch.starts,
        step=SLOT_LENGTH,
        now=watch.now,
        high=highest,
        lines_px=150,
        bars_px=0,
        labels=_labels(watch, messages),
        lines=(
            LaneLine(values=watch.pv_kw, tone=3, stairs=True),
            LaneLine(values=watch.pv_plan_kw, tone=3, stairs=True, dashed=True),
            LaneLine(values=watch.target_kw, tone=5, stairs=True),
            LaneLine(values=watch.import_kw, tone=1, stairs=True),
            LaneLine(values=watch.plan_kw, tone=1, stairs=True, dashed=True),
        ),
    )
    return LaneView(
        asset="",
        name=messages.text("factory.site_demand"),
        state="",
        doing=says,
        picture=_svg(lane),
        stale=False,
    )


def _labels(watch: Watch, messages: Messages) -> tuple[tuple[float, str], ...]:
    """The target that holds, in numbers."""
    known = [one for one in watch.target_kw if one is not None]
    return ((known[0], messages.kw(known[0])),) if known else ()


def _lane(watch: Watch, row: AssetRow, site: Site, names: Names, messages: Messages) -> LaneView:
    ja, en, _ = names[row.asset]
    name = ja if messages.lang == "ja" else en
    low, high = (0.0, 1.0) if row.kind == "car" else _room_scale(row)
    state, stale = _state(watch, row, messages)
    now = row.span_at(watch.now)
    doing = messages.text("factory.doing.unknown") if now is None else _what(now, messages)
    lane = Lane(
        id=f"lane-{row.asset}",
        says=messages.text("factory.lane_says", name=name, state=state, doing=doing),
        starts=watch.starts,
        step=SLOT_LENGTH,
        now=watch.now,
        low=low,
        high=high,
        lines=(
            LaneLine(values=row.state, tone=5),
            LaneLine(values=row.expected, tone=5, dashed=True),
        ),
        band=row.band,
        points=row.promises,
        bars=tuple(_bar(span, row, site, name, messages) for span in row.spans),
    )
    return LaneView(asset=row.asset, name=name, state=state, doing=doing, picture=_svg(lane), stale=stale)


def _room_scale(row: AssetRow) -> tuple[float, float]:
    known = [one for one in (*row.state, *row.expected) if one is not None]
    known += [edge for band in row.band if band is not None for edge in band]
    return (min(known) - 0.5, max(known) + 0.5) if known else (15.0, 30.0)


def _state(watch: Watch, row: AssetRow, messages: Messages) -> tuple[str, bool]:
    """What was measured last, with its age if it is not of the half hour before."""
    if row.newest is None:
        return messages.text("factory.unknown"), True
    k, value = row.newest
    shown = messages.percent(value) if row.kind == "car" else messages.celsius(value)
    age = watch.now - (watch.starts[k] + SLOT_LENGTH)
    away = row.kind == "car" and (now := row.span_at(watch.now)) is not None and now.doing == "away"
    if age <= SLOT_LENGTH and not away:
        return shown, False
    return messages.text("factory.was", value=shown, age=age_words(messages, age)), True


def _what(span: Span, messages: Messages) -> str:
    """What an asset does in a span, with its power where it has one."""
    word = messages.text(f"factory.doing.{span.doing}")
    if span.kw is None or span.doing not in {"charge", "give", "run"}:
        return word
    return messages.text("factory.doing_kw", what=word, kw=messages.kw(abs(span.kw)))


def _bar(span: Span, row: AssetRow, site: Site, name: str, messages: Messages) -> LaneBar:
    fill, tone = _LOOKS[span.doing]
    tall = span.doing in {"charge", "give", "run"}
    when = messages.slot(span.start, span.end - span.start)
    says = f"{name} {when}: {span_sentence(span, row, messages)}"
    query = urlencode({"at": span.start.isoformat()})
    return LaneBar(
        start=span.start,
        end=span.end,
        height=0.35 + 0.65 * span.share if tall else 0.35,
        fill=fill,
        tone=tone,
        says=says,
        asks=f"/factory/{site.id}/why/{row.asset}?{query}",
        ahead=span.ahead,
    )


def span_sentence(span: Span, row: AssetRow, messages: Messages) -> str:
    """Why an asset does what it does in a span."""
    if span.reason is None:
        return messages.text("factory.nobody_planned")
    return reason_sentence(messages, span.reason, kind=row.kind, power_kw=span.kw)


def span_lines(
    watch: Watch, row: AssetRow, messages: Messages, *, chosen: datetime | None = None
) -> list[SpanLine]:
    """What an asset did in the last hours, or since an earlier instant, and will do, each with its reason."""
    since = watch.now - _LIST_BACK
    shown = [span for span in row.spans if span.end > min(since, chosen or since)]
    return [
        SpanLine(
            when=messages.day_slot(span.start, span.end - span.start),
            what=_what(span, messages),
            sentence=span_sentence(span, row, messages),
            ahead=span.ahead,
        )
        for span in shown
    ]
