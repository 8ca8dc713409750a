"""The sheet of a thirty-minute plan: what a person looks at before approving it."""

from __future__ import annotations

from collections.abc import Sequence

from energy.core.slots import SLOTS_PER_DAY
from energy.market.plans import BalancingPlan, Mismatch
from vpp.i18n import Lang
from vpp.paper.sheet import Column, Sheet, make_pdf, paper_number
from vpp.paper.words import PaperWords
from vpp.settlement.plan_book import PlanVersion

__all__ = ["plan_sheet_pdf"]


def plan_sheet_pdf(told: PlanVersion, found: Sequence[Mismatch], *, lang: Lang) -> bytes:
    """The plan as PDF: totals, what does not balance, all 48 slots, two signatures."""
    text, plan = PaperWords(lang), told.plan

    def draw(sheet: Sheet) -> None:
        sheet.heading(
            text(f"plan_{plan.kind.value}"),
            over=text("draft_for", principal=plan.on_behalf_of, sender=plan.sender),
            under=text("plan_for", day=text.day(plan.day), group=plan.group, area=plan.area.value),
        )
        bought, sold = (_sum(plan, side) for side in ("buy", "sell"))
        sheet.figures(
            [
                (text(f"total_{plan.kind.value}"), paper_number(sum(plan.totals_kwh)), "kWh"),
                (text("bought"), paper_number(bought), "kWh"),
                (text("sold"), paper_number(sold), "kWh"),
            ],
            size=24,
        )
        sheet.bars(list(plan.totals_kwh), _hours(), unit="kWh")
        sheet.section(text("to_look_at"))
        if found:
            sheet.table(
                [
                    Column(text("class"), 0.09),
                    Column(text("slot"), 0.19),
                    Column(text("finding"), 0.46),
                    Column("kWh", 0.26, "right"),
                ],
                _findings(found, text),
                size=10,
            )
        else:
            sheet.paragraph(text("balanced"))
        sheet.section(text("all_slots"))
        _slots(sheet, plan, text)
        _signatures(sheet, told, text)

    return make_pdf(
        draw,
        title=f"{text(f'plan_{plan.kind.value}')} {told.key}",
        lang=lang,
        footer=f"{told.key} · {text('not_official')}",
        page_word=text("page"),
    )


def _sum(plan: BalancingPlan, side: str) -> int:
    return sum(sum(trade.kwh) for trade in plan.trades if trade.side == side)


def _hours() -> list[str]:
    return [f"{k // 2}:00" if k % 8 == 0 else "" for k in range(SLOTS_PER_DAY)]


def _findings(found: Sequence[Mismatch], text: PaperWords) -> list[list[str]]:
    """One row for each kind of finding; the slots themselves stand in the table of all slots."""
    groups: dict[tuple[str, str, str], list[Mismatch]] = {}
    for one in found:
        groups.setdefault((one.kind.value, one.what, one.where), []).append(one)
    rows = []
    for (kind, what, where), ones in groups.items():
        slots = [one.slot for one in ones if one.slot]
        short = sum(one.kwh for one in ones if one.kwh < 0)
        over = sum(one.kwh for one in ones if one.kwh > 0)
        rows.append(
            [
                kind,
                "–" if not slots else text("slots_count", slots=len(slots), first=slots[0], last=slots[-1]),
                text(f"found_{what}", where=where),
                text("short_over", short=paper_number(-short), over=paper_number(over)),
            ]
        )
    return rows


def _slots(sheet: Sheet, plan: BalancingPlan, text: PaperWords) -> None:
    columns = [
        Column(text("slot"), 0.1),
        Column(text("time"), 0.2),
        Column(text(f"total_{plan.kind.value}"), 0.2, "right"),
        Column(text("bought"), 0.16, "right"),
        Column(text("sold"), 0.16, "right"),
        Column(text("rest"), 0.18, "right"),
    ]
    rows = [
        [
            str(k + 1),
            f"{k // 2:02d}:{k % 2 * 30:02d} – {(k + 1) // 2:02d}:{(k + 1) % 2 * 30:02d}",
            paper_number(plan.totals_kwh[k]),
            paper_number(plan.bought_kwh(k)),
            paper_number(plan.sold_kwh(k)),
            paper_number(plan.surplus_kwh(k)),
        ]
        for k in range(SLOTS_PER_DAY)
    ]
    total = [
        text("total"),
        "",
        paper_number(sum(plan.totals_kwh)),
        paper_number(_sum(plan, "buy")),
        paper_number(_sum(plan, "sell")),
        paper_number(sum(plan.surplus_kwh(k) for k in range(SLOTS_PER_DAY))),
    ]
    sheet.table(columns, [*rows, total], size=9, last_is_total=True, dense=True)


def _signatures(sheet: Sheet, told: PlanVersion, text: PaperWords) -> None:
    sheet.section(text("signatures"))
    rows = [
        [text("drafted_by"), told.author, ""],
        [text("approved_by"), told.approver or text("not_yet"), ""],
        [text("receipt"), told.receipt or "–", ""],
    ]
    if told.consent:
        rows.append([text("consent"), told.consent, ""])
    sheet.table([Column("", 0.3), Column(text("who"), 0.4), Column(text("sign_here"), 0.3)], rows, size=11)
