"""The monthly report of a site: what was promised, what was settled, and every yen between the two."""

from __future__ import annotations

from vpp.i18n import Lang
from vpp.paper.sheet import Column, Sheet, make_pdf, paper_number
from vpp.paper.words import PaperWords
from vpp.settlement.month import MonthAccount

__all__ = ["factory_pdf"]


def factory_pdf(told: MonthAccount, *, lang: Lang) -> bytes:
    """The report as PDF."""
    text = PaperWords(lang)
    name = told.name_ja if lang == "ja" else told.name_en

    def draw(sheet: Sheet) -> None:
        sheet.heading(
            text("factory_title"),
            over=text("energy_office"),
            under=text("factory_for", name=name, month=text.month(told.month)),
        )
        sheet.figures(
            [
                (text("promised"), paper_number(told.promised_yen), text("yen")),
                (text("settled"), paper_number(told.settled_yen), text("yen")),
                (text("apart"), f"{told.settled_yen - told.promised_yen:+,}".replace("-", "−"), text("yen")),
            ],
            size=24,
        )
        sheet.paragraph(text("factory_lead", days=told.days_promised, of=told.days))
        sheet.section(text("every_yen"))
        sheet.table(
            [Column(text("item"), 0.3), Column(text("because"), 0.48), Column(text("yen"), 0.22, "right")],
            [
                [text("promised"), "", paper_number(told.promised_yen)],
                *[
                    [text(f"part_{one.name}"), _because(one.facts, text, one.name), _signed(one.yen)]
                    for one in told.lines
                ],
                [text("settled"), "", paper_number(told.settled_yen)],
            ],
            size=11,
            last_is_total=True,
        )
        sheet.section(text("each_day"), then=150)
        sheet.bars(
            [float(kwh) for kwh in told.day_kwh],
            [str(k + 1) if k % 5 == 0 else "" for k in range(len(told.day_kwh))],
            unit="kWh",
        )
        sheet.paragraph(
            text("factory_figures", kwh=f"{told.kwh:,.0f}", peak=told.peak_kw, planned=told.promised_peak_kw)
        )
        if told.unverified:
            sheet.paragraph(text("unverified", rules=", ".join(told.unverified)), size=9)

    return make_pdf(
        draw,
        title=f"{text('factory_title')} {told.site} {told.month}",
        lang=lang,
        footer=f"month/{told.site}/{told.month}",
        page_word=text("page"),
    )


def _because(facts: dict[str, str], text: PaperWords, name: str) -> str:
    return text(f"why_{name}", **facts)


def _signed(yen: object) -> str:
    return f"{yen:+,}".replace("-", "−")
