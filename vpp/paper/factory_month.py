"""The manager's month on paper: the peak and its day, what was kept, the bill so far, events and coins."""

from __future__ import annotations

from vpp.i18n import Lang, Messages
from vpp.paper.sheet import Column, Sheet, make_pdf, paper_number
from vpp.paper.words import PaperWords
from vpp.views.factory_month import FactoryMonth

__all__ = ["factory_month_pdf"]


def factory_month_pdf(told: FactoryMonth, *, lang: Lang) -> bytes:
    """The month as PDF; the figures are those of the page."""
    text, m = PaperWords(lang), Messages(lang)
    name = told.site.name_ja if lang == "ja" else told.site.name_en

    def draw(sheet: Sheet) -> None:
        under = text("factory_for", name=name, month=text.month(told.month))
        sheet.heading(m.text("month.title"), over=text("energy_office"), under=under)
        if told.empty:
            sheet.paragraph(m.text("month.empty", month=text.month(told.month)), size=14)
            return
        _figures(sheet, told, m)
        _days(sheet, told, m)
        _kept(sheet, told, m)
        _money(sheet, told, m)

    return make_pdf(
        draw,
        title=f"{m.text('month.title')} {told.site.id} {told.month}",
        lang=lang,
        footer=f"factory/{told.site.id}/{told.month}",
        page_word=text("page"),
    )


def _figures(sheet: Sheet, told: FactoryMonth, m: Messages) -> None:
    kept = told.kept
    assert kept.peak is not None
    sheet.figures(
        [
            (m.text("month.peak"), f"{kept.peak.kw:,.1f}", "kW"),
            (m.text("month.avoided"), f"{kept.avoided_kw:,.1f}", "kW"),
            (m.text("month.set_target"), f"{told.site.target_demand_kw:,.0f}", "kW"),
        ],
        size=24,
    )
    when = m.day_slot(kept.peak.at)
    sheet.paragraph(m.text("month.peak_said", when=when, memory=m.kw(kept.memory_kw)))


def _days(sheet: Sheet, told: FactoryMonth, m: Messages) -> None:
    sheet.section(m.text("month.peaks"), then=150)
    sheet.bars(
        [day.peak_kw or 0.0 for day in told.days],
        [str(day.day.day) if day.day.day % 5 == 1 else "" for day in told.days],
        unit="kW",
    )
    if told.peak_day is not None:
        sheet.section(m.text("month.peak_day", day=m.day(told.peak_day)), then=150)
        hours = [f"{k // 2}:00" if k % 12 == 0 else "" for k in range(len(told.peak_demand_kw))]
        sheet.bars([one or 0.0 for one in told.peak_demand_kw], hours, unit="kW")


def _kept(sheet: Sheet, told: FactoryMonth, m: Messages) -> None:
    kept = told.kept
    sheet.section(m.text("month.kept"), then=120)
    rows = [
        [m.text("month.avoided"), m.kw(kept.avoided_kw)],
        [m.text("month.avoided_yen"), m.yen(float(kept.avoided_yen_month))],
        [m.text("month.comfort"), m.text("factory.minutes", count=kept.comfort.minutes_outside)],
        [m.text("month.trips"), f"{kept.departures.kept} / {kept.departures.measured}"],
        [m.text("month.coins"), paper_number(told.coins)],
    ]
    sheet.table([Column(m.text("month.item"), 0.6), Column(m.text("month.value"), 0.4, "right")], rows)
    sheet.paragraph(m.text("factory.saved_method", kwh=m.kwh(kept.given_kwh)), size=9)


def _money(sheet: Sheet, told: FactoryMonth, m: Messages) -> None:
    sheet.section(m.text("month.bill"), then=110)
    if told.bill is None:
        sheet.paragraph(m.text("month.no_bill", missing=told.missing))
    else:
        bill = told.bill
        rows = [
            [m.text("month.basic"), m.yen(float(bill.basic_yen))],
            [m.text("month.energy"), m.yen(float(bill.energy_yen + bill.adjustment_yen))],
            [m.text("month.levy"), m.yen(bill.levy_yen)],
            [m.text("month.total"), m.yen(bill.total_yen)],
        ]
        columns = [Column(m.text("month.item"), 0.6), Column(m.text("month.yen"), 0.4, "right")]
        sheet.table(columns, rows, last_is_total=True)
        sheet.paragraph(m.text("month.bill_about", days=len(told.days), kwh=m.kwh(float(bill.kwh))), size=9)
    sheet.section(m.text("factory.events_title"), then=60)
    if not told.events:
        sheet.paragraph(m.text("month.no_events"))
        return
    sheet.table(
        [
            Column(m.text("factory.event_when"), 0.5),
            Column("kWh", 0.25, "right"),
            Column(m.text("month.yen"), 0.25, "right"),
        ],
        [
            [
                m.day_slot(one.start, one.end - one.start),
                "–" if one.kwh is None else f"{one.kwh:,.1f}",
                "–" if one.yen is None else m.yen(float(one.yen)),
            ]
            for one in told.events
        ],
    )
