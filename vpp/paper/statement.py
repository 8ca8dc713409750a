"""The monthly statement of a person: large print, the whole of it in Japanese and then in English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from energy.core.slots import JST
from energy.ledger import ClassBalance, Statement, StatementLine, is_expiry
from vpp.i18n import LANGUAGES, Lang
from vpp.paper.sheet import Column, Sheet, make_pdf, paper_number
from vpp.paper.words import PaperWords

__all__ = ["PersonStatement", "statement_pdf"]

_SIZE = 14.0  # of running text; 14 and more counts as large print


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonStatement:
    """What a person's statement says.

    Parameters
    ----------
    name : str
        As it shall stand on the sheet; given when it is printed and not kept.
    balances : sequence of ClassBalance
        Points of the account by class and last day of use.
    contact : str
        Whom to ask: a telephone number, an office. Empty for none.
    """

    name: str
    month: str
    statement: Statement
    balances: Sequence[ClassBalance]
    contact: str = ""


def statement_pdf(told: PersonStatement, *, languages: Sequence[Lang] = LANGUAGES) -> bytes:
    """The statement as PDF; each language begins on a page of its own."""
    first = PaperWords(languages[0])

    def draw(sheet: Sheet) -> None:
        for number, lang in enumerate(languages):
            if number:
                sheet.new_page()
            _one(sheet, told, PaperWords(lang))

    return make_pdf(
        draw,
        title=f"{first('statement_title')} {told.month}",
        lang=languages[0],
        footer=f"{told.statement.account} · {told.month}",
        page_word=" / ".join(dict.fromkeys(PaperWords(lang)("page") for lang in languages)),
    )


def _one(sheet: Sheet, told: PersonStatement, text: PaperWords) -> None:
    statement = told.statement
    earned = sum(line.points for line in statement.lines)
    sheet.heading(
        text("statement_title"),
        over=text("coin_office"),
        under=text("statement_for", name=told.name, month=text.month(told.month)),
    )
    sheet.figures(
        [
            (text("balance_now"), paper_number(statement.closing_points), text("points")),
            (text("this_month"), paper_number(earned), text("points")),
        ],
        size=34,
    )
    sheet.section(text("what_happened"))
    if statement.lines:
        sheet.table(
            [Column(text("date"), 0.3), Column(text("what"), 0.5), Column(text("points"), 0.2, "right")],
            [
                [text("carried_over"), "", paper_number(statement.opening_points)],
                *[_row(line, text) for line in statement.lines],
                [text("balance_now"), "", paper_number(statement.closing_points)],
            ],
            size=_SIZE,
            last_is_total=True,
        )
    else:
        sheet.paragraph(text("nothing_happened"), size=_SIZE)
    held = [one for one in told.balances if one.points]
    if held:
        sheet.section(text("use_by"))
        sheet.table(
            [
                Column(text("where_usable"), 0.4),
                Column(text("last_day"), 0.4),
                Column(text("points"), 0.2, "right"),
            ],
            [_balance(one, text) for one in held],
            size=_SIZE,
        )
    sheet.section(text("how_to_read"), then=86)
    for key in ("explain_points", "explain_no_loss"):
        sheet.paragraph(text(key), size=_SIZE)
    if told.contact:
        sheet.paragraph(text("ask", contact=told.contact), size=_SIZE, bold=True)


def _row(line: StatementLine, text: PaperWords) -> list[str]:
    facts = line.facts
    kwh = facts.get("net_kwh")
    if is_expiry(line.key):
        what = text("points_expired", day=text.day(date.fromisoformat(str(facts["expires_on"]))))
    elif line.key.startswith("reverse/"):
        what = text("taken_back", why=line.memo)
    elif kwh is not None:
        what = text(f"earned_{facts.get('way', 'car')}", kwh=kwh)
    else:
        what = line.memo or text("booking")
    sign = "+" if line.points > 0 else ""
    return [text.short_day(line.at.astimezone(JST).date()), what, sign + paper_number(line.points)]


def _balance(one: ClassBalance, text: PaperWords) -> list[str]:
    last = "–" if one.expires_on is None else text.day(one.expires_on)
    if one.expired:
        last = text("expired", day=last)
    return [text(f"class_{one.point_class}"), last, paper_number(one.points)]
