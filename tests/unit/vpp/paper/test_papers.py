"""Papers are read back by another program: words, figures, pages; the same content is the same bytes."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from pypdf import PdfReader

from energy.ledger import ClassBalance, Statement, StatementLine
from energy.market.plans import BalancingPlan, Member, PlanKind, Trade, internal_checks
from energy.market.rule_table import Area
from tests.unit.vpp.settlement.accounts import FIRST, SITE, day_values, store_of
from vpp.i18n import Lang
from vpp.paper.factory import factory_pdf
from vpp.paper.plan_sheet import plan_sheet_pdf
from vpp.paper.sheet import Column, Sheet, make_pdf
from vpp.paper.statement import PersonStatement, statement_pdf
from vpp.settlement.month import MonthTerms, month_account
from vpp.settlement.plan_book import PlanState, PlanVersion


def pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]


def person(lines: int = 3, name: str = "会津 花子") -> PersonStatement:
    booked = tuple(
        StatementLine(
            number=k + 1,
            at=datetime(2026, 8, 1 + k, 10, tzinfo=UTC),
            key=f"grant/e{k}/commuter",
            points=100,
            balance_points=240 + 100 * (k + 1),
            memo="",
            facts={"net_kwh": "5.00"},
        )
        for k in range(lines)
    )
    balance = ClassBalance(
        account="driver/driver-1",
        point_class="all_shops",
        expires_on=date(2027, 2, 5),
        points=240 + 100 * lines,
        expired=False,
    )
    told = Statement("driver/driver-1", 240, booked, 240 + 100 * lines)
    return PersonStatement(
        name=name, month="2026-08", statement=told, balances=[balance], contact="0242-00-0000"
    )


def test_what_expired_stands_on_the_statement_with_its_last_day() -> None:
    told = person()
    over = replace(
        told.statement.lines[-1],
        key="expire/driver/driver-1/local_only/2026-08-02",
        points=-240,
        balance_points=300,
        facts={"point_class": "local_only", "expires_on": "2026-08-02"},
    )
    lines = (*told.statement.lines, over)
    statement = replace(told.statement, lines=lines, closing_points=300)
    japanese, english = pages(statement_pdf(replace(told, statement=statement)))
    assert "期限切れ（最終利用日2026年8月2日）" in "".join(japanese.split())
    assert "Expired, last day of use 2 Aug 2026" in " ".join(english.split())
    assert "-240" in english.replace("−", "-")


def test_the_statement_says_everything_in_japanese_and_then_in_english() -> None:
    japanese, english = pages(statement_pdf(person()))
    for said in (
        "今月のポイント明細",
        "会津 花子 様",
        "8月1日",
        "お車から 5.00 kWh を供給",
        "540",
        "2027年2月5日",
    ):
        assert said in japanese
    for said in (
        "Your points this month",
        "August 2026",
        "Your car gave back 5.00 kWh",
        "+100",
        "540",
        "5 Feb 2027",
    ):
        assert said in english
    assert "0242-00-0000" in japanese
    assert "Page 2 / 2" in english.replace("ページ / ", "")


def test_what_people_without_a_car_earned_is_told_in_its_own_words() -> None:
    told = person(1)
    line = replace(told.statement.lines[0], facts={"net_kwh": "1.50", "way": "saving"})
    comfort = replace(line, facts={"net_kwh": "0", "way": "comfort"})
    told = replace(told, statement=replace(told.statement, lines=(line, comfort)))
    japanese, english = pages(statement_pdf(told))
    assert "1.50 kWh の節電" in japanese
    assert "You saved 1.50 kWh" in english
    assert "You let your room be" in english


def test_a_long_month_goes_on_on_the_next_page_under_its_heads_again() -> None:
    told = pages(statement_pdf(person(31)))
    half = len(told) // 2
    assert half >= 2
    assert all("ポイント" in page for page in told[:2])
    assert sum(page.count("+100") for page in told[:half]) == 31


def test_a_month_without_bookings_and_a_sign_that_no_font_has_still_make_a_sheet() -> None:
    japanese, _ = pages(statement_pdf(person(0, name="𠮷田")))
    assert "今月の記録はありません" in japanese
    assert "〓田" in japanese


def test_the_same_content_is_the_same_file() -> None:
    assert statement_pdf(person()) == statement_pdf(person())
    assert statement_pdf(person()) != statement_pdf(person(2))


def plan_version() -> PlanVersion:
    plan = BalancingPlan(
        kind=PlanKind.DEMAND,
        day=date(2026, 11, 25),
        group="bg-aizu",
        area=Area.TOHOKU,
        sender="00002",
        recipient="00000",
        on_behalf_of="retailer-a",
        members=(Member(code="office", kwh=(20,) * 48),),
        totals_kwh=(20,) * 48,
        trades=(Trade(party="spot", side="buy", kwh=(18,) * 48),),
    )
    return PlanVersion(plan=plan, version=1, state=PlanState.CHECKED, author="ito")


def test_the_plan_sheet_has_all_slots_the_findings_and_room_for_two_signatures() -> None:
    told = plan_version()
    both = pages(plan_sheet_pdf(told, internal_checks(told.plan), lang="en"))
    assert len(both) == 2
    text = "\n".join(both)
    for said in (
        "Demand and procurement plan",
        "retailer-a",
        "960",
        "48 (1 to 48)",
        "short 96, over 0",
        "23:30",
    ):
        assert said in text
    assert "no official form" in both[0]
    assert "not yet" in text
    assert "需要調達計画" in pages(plan_sheet_pdf(told, [], lang="ja"))[0]


@pytest.mark.parametrize(
    ("lang", "title"), [("ja", "月間エネルギー報告"), ("en", "Energy report of the month")]
)
def test_the_month_report_shows_every_line_of_the_account(lang: Lang, title: str) -> None:
    rng = np.random.default_rng(11)
    store = store_of(day_values(rng, 1), day_values(rng, 1), promised_days=1)
    made = month_account(store, SITE, "2026-08", MonthTerms(), from_day=FIRST, last_day=FIRST)
    page = "\n".join(pages(factory_pdf(made, lang=lang)))
    assert title in page
    assert f"{made.settled_yen:,}" in page
    for line in made.lines:
        assert f"{line.yen:+,}".replace("-", "−") in page


def test_a_word_longer_than_its_cell_and_a_table_longer_than_a_page_are_set() -> None:
    def draw(sheet: Sheet) -> None:
        sheet.heading("T" * 80, over="over", under="under")
        sheet.figures([("a very long label " * 4, f"{Decimal(10) ** 12:,}", "yen")])
        rows = [[f"row {k}", "x" * 90, "1"] for k in range(60)]
        sheet.table([Column("a", 0.2), Column("b", 0.6), Column("c", 0.2, "right")], rows)

    told = pages(make_pdf(draw, title="t", lang="en", footer="f", page_word="Page"))
    assert len(told) > 1
    assert sum(page.count("row ") for page in told) == 60
    assert f"Page {len(told)} / {len(told)}" in told[-1]
