"""The month of a factory as a page and as a paper."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import DataError
from energy.core.slots import JST, jst_midnight
from energy.market.demand import month_shift
from vpp.api.common import known_now
from vpp.http.access import access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.paper.words import PaperWords
from vpp.people.rights import About
from vpp.report.chart import Bars, ChartSpec, ChartTable, Line, Reference, chart_table
from vpp.report.svg import NARROW_PX, render_svg
from vpp.views.factory_month import FactoryMonth, factory_month
from vpp.web.factory import site_or_404
from vpp.web.pages import Page, render

__all__ = ["PAGES", "Figure", "day_chart", "figure_of", "peaks_chart"]


class Figure:
    """A chart as a page shows it: wide, narrow, and as a table."""

    def __init__(self, spec: ChartSpec, messages: Messages) -> None:
        self.id = spec.id
        self.title = spec.title
        self.wide = Markup(render_svg(spec, messages))  # noqa: S704 - every text in it is escaped
        narrow = render_svg(spec, messages, width=NARROW_PX, plot_height=190)
        self.narrow = Markup(narrow)  # noqa: S704 - every text in it is escaped
        self.table: ChartTable = chart_table(spec, messages)


def figure_of(spec: ChartSpec | None, messages: Messages) -> Figure | None:
    """A chart for a page, if there is one."""
    return None if spec is None else Figure(spec, messages)


def _month(request: Request) -> FactoryMonth:
    access = access_of(request)
    site = site_or_404(known_now(access), str(request.path_params["site"]))
    try:
        return factory_month(
            access.service.store, site, str(request.path_params["period"]), access.service.clock.now()
        )
    except DataError:
        raise Problem("not_found") from None


def day_chart(told: FactoryMonth, messages: Messages) -> ChartSpec | None:
    """The day of the peak, half hour by half hour."""
    if told.peak_day is None or told.kept.peak is None:
        return None
    start, target = jst_midnight(told.peak_day), told.peak_target_kw
    series: list[Bars | Line] = [
        Bars(label=messages.text("month.demand"), values=told.peak_demand_kw, tone=1)
    ]
    if any(one is not None for one in target):
        series.append(Line(label=messages.text("factory.target"), values=target, tone=5))
    return ChartSpec(
        id="peak-day",
        title=messages.text("month.peak_day", day=messages.day(told.peak_day)),
        description=messages.text(
            "month.peak_about", kw=messages.kw(told.kept.peak.kw), when=messages.slot(told.kept.peak.at)
        ),
        starts=tuple(start + k * timedelta(minutes=30) for k in range(len(told.peak_demand_kw))),
        unit="kW",
        series=tuple(series),
    )


def _whole_month(told: FactoryMonth) -> dict[date, float | None]:
    """The highest demand of each day of the month; days that are to come, or were not metered, have none."""
    first, after = (date.fromisoformat(f"{one}-01") for one in (told.month, month_shift(told.month, 1)))
    known = {one.day: one.peak_kw for one in told.days}
    days = (first + timedelta(days=k) for k in range((after - first).days))
    return {day: known.get(day) for day in days}


def peaks_chart(told: FactoryMonth, messages: Messages) -> ChartSpec | None:
    """The highest demand of each day."""
    if not any(day.peak_kw is not None for day in told.days):
        return None
    days = _whole_month(told)
    return ChartSpec(
        id="peaks",
        title=messages.text("month.peaks"),
        description=messages.text("month.peaks_about"),
        starts=tuple(datetime.combine(day, time(), tzinfo=JST) for day in days),
        step=timedelta(days=1),
        unit="kW",
        series=(Bars(label=messages.text("month.day_peak"), values=tuple(days.values()), tone=1),),
        references=(
            Reference(label=messages.text("month.memory"), value=told.kept.memory_kw, tone=5),
            Reference(
                label=messages.text("month.set_target"),
                value=told.site.target_demand_kw,
                tone=3,
                dash="dashdot",
            ),
        ),
    )


def _not_to_come(month: str, now: datetime) -> str:
    """A month, or nothing if it has not begun."""
    return month if month <= f"{now.astimezone(JST):%Y-%m}" else ""


def month(request: Request) -> Response:
    """The month as a page."""
    told, messages = _month(request), Messages(access_of(request).lang)
    return render(
        request,
        "factory_month.html",
        site=told.site.id,
        name=told.site.name_ja if messages.lang == "ja" else told.site.name_en,
        told=told,
        kept=told.kept,
        month=told.month,
        month_words=PaperWords(messages.lang).month(told.month),
        before=month_shift(told.month, -1),
        after=_not_to_come(month_shift(told.month, 1), access_of(request).service.clock.now()),
        day=figure_of(day_chart(told, messages), messages),
        peaks=figure_of(peaks_chart(told, messages), messages),
        m=messages,
    )


def month_pdf(request: Request) -> Response:
    """The month as a paper."""
    from vpp.paper.factory_month import factory_month_pdf

    told, lang = _month(request), access_of(request).lang
    name = f"{told.site.id}-{told.month}.pdf"
    return Response(
        factory_month_pdf(told, lang=lang),
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": "no-store"},
    )


PAGES: Final = (
    Page(path="/factory/{site}/month/{period}", endpoint=month, rule="plan-site", about=About.SITE),
    Page(
        path="/factory/{site}/month/{period}/report.pdf",
        endpoint=month_pdf,
        rule="plan-site",
        about=About.SITE,
    ),
)
