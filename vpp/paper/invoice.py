"""The invoice of a power purchase agreement for one month."""

from __future__ import annotations

from decimal import Decimal

from energy.market.ppa import Invoice, PpaContract, Supply
from vpp.i18n import Lang
from vpp.paper.sheet import Column, Sheet, make_pdf, paper_number
from vpp.paper.words import PaperWords
from vpp.settlement.ppa import PpaMonth

__all__ = ["invoice_pdf"]


def invoice_pdf(
    supply: Supply, contract: PpaContract, told: Invoice, month: PpaMonth, *, lang: Lang
) -> bytes:
    """The invoice as PDF."""
    text = PaperWords(lang)
    place = supply.name_ja if lang == "ja" else supply.name_en
    name = contract.name_ja if lang == "ja" else contract.name_en

    def draw(sheet: Sheet) -> None:
        sheet.heading(
            text("invoice_title"),
            over=text("invoice_from", supplier=contract.supplier, number=contract.invoice_number or "-"),
            under=text("invoice_to", place=place, month=told.month, contract=name),
        )
        sheet.figures(
            [
                (text("to_pay"), paper_number(told.total_yen), text("yen")),
                (text("delivered"), f"{told.delivered_kwh:,.1f}", "kWh"),
            ]
        )
        sheet.section(text("invoice_lines"))
        sheet.table(_columns(text), _rows(told, text), size=11, last_is_total=True)
        sheet.section(text("delivery"))
        sheet.table(
            [Column("", 0.6), Column("kWh", 0.4, "right")],
            _delivery(told, text),
            size=11,
        )
        sheet.section(text("renewable"))
        share = month.share
        sheet.paragraph(
            text(
                "renewable_share",
                matched="-" if share.matched is None else f"{share.matched * 100:.1f}",
                annual="-" if share.annual is None else f"{share.annual * 100:.1f}",
            )
        )
        sheet.paragraph(text(f"value_{contract.value_to}"))
        unverified = sorted(
            {fact.rule.partition(".")[0] for fact in told.rules if fact.status == "unverified"}
        )
        if unverified or supply.status == "unverified":
            sheet.space(6)
            sheet.paragraph(text("unverified", rules=", ".join(unverified) or supply.source), size=9)

    return make_pdf(
        draw,
        title=f"{text('invoice_title')} {contract.id} {told.month}",
        lang=lang,
        footer=f"ppa/{supply.place}/{told.month} · {contract.id}",
        page_word=text("page"),
    )


def _columns(text: PaperWords) -> list[Column]:
    return [
        Column(text("item"), 0.24),
        Column(text("period"), 0.28),
        Column("kWh", 0.17, "right"),
        Column(text("yen_per_kwh"), 0.13, "right"),
        Column(text("yen"), 0.18, "right"),
    ]


def _yen(value: Decimal) -> str:
    shown = f"{value:,.2f}" if value != value.to_integral_value() else f"{value:,.0f}"
    return shown.replace("-", "−")


def _rows(told: Invoice, text: PaperWords) -> list[list[str]]:
    rows = [
        [
            text(f"line_{line.what}"),
            f"{line.first:%m/%d} – {line.last:%m/%d}",
            f"{line.kwh:,.2f}",
            f"{line.yen_per_kwh:.2f}",
            _yen(line.yen),
        ]
        for line in told.lines
    ]
    rate = f"{told.tax_rate * 100:.0f}"
    rows.append([text("subtotal"), "", "", "", paper_number(told.subtotal_yen)])
    rows.append([text("tax", rate=rate), "", "", "", paper_number(told.tax_yen)])
    rows.append([text("total"), "", "", "", paper_number(told.total_yen)])
    return rows


def _delivery(told: Invoice, text: PaperWords) -> list[list[str]]:
    contracted = told.contracted_kwh
    rows = [[text("delivered"), f"{told.delivered_kwh:,.2f}"]]
    if contracted is not None:
        rows.insert(0, [text("contracted"), f"{contracted:,.2f}"])
        rows.append([text("difference"), f"{told.delivered_kwh - contracted:+,.2f}".replace("-", "−")])
    rows.append([text("surplus"), f"{told.surplus_kwh:,.2f}"])
    return rows
