"""Receipts of the coin operator on screen: kept once, differences with what to do, wrong files refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from energy.ledger import BatchBook
from tests.unit.vpp.api.filled import filled_town
from tests.unit.vpp.web.browser import Town, form_key
from vpp.people.roles import Role
from vpp.web.operator_receipt import LARGEST

PAGE = "/operator/ledger/batches/b-000001/receipt"
HEADER = "batch_id,line,points,status\n"
BOOKED = {1: -5, 2: 5, 3: -5, 4: 5}


def said(points: dict[int, int] | None = None, refused: int = 0) -> str:
    """A receipt of the town's batch: as it was sent, but for what is said here."""
    rows = (
        f"b-000001,{line},{each},{'refused' if line == refused else 'accepted'}\n"
        for line, each in (points or BOOKED).items()
    )
    return HEADER + "".join(rows)


GOOD = said()


@pytest.fixture
def town() -> Town:
    made = filled_town()
    BatchBook(made.house.store).make(at=made.house.clock.now(), actor="desk")
    return made


def send(town: Town, browser: TestClient, content: bytes, name: str = "receipt.csv") -> Any:
    key = form_key(browser.get(PAGE).text)
    town.house.clock.advance(timedelta(seconds=1))
    return browser.post(PAGE, data={"form_key": key}, files={"receipt": (name, content, "text/csv")})


def test_a_batch_without_a_receipt_says_so_and_the_ledger_leads_to_it(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    assert "has not answered yet: 4 lines" in browser.get(PAGE).text
    ledger = browser.get("/operator/ledger").text
    assert f'<a href="{PAGE}">△ no receipt yet</a>' in ledger


def test_a_receipt_that_agrees_is_kept_and_sent_again_changes_nothing(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    first = send(town, browser, GOOD.encode())
    assert first.headers["location"] == f"{PAGE}?told=new"
    assert "booked all 4 lines" in browser.get(PAGE).text
    again = send(town, browser, GOOD.encode())
    assert again.headers["location"] == f"{PAGE}?told=known"
    assert "Nothing was changed" in browser.get(f"{PAGE}?told=known").text
    acts = [one.act for one in town.house.store.audit_trail("batch/b-000001")]
    assert acts == ["coin.batch", "coin.reconciled", "coin.receipt_repeated"]
    assert "✓ agrees" in browser.get("/operator/ledger").text


def test_every_kind_of_difference_says_what_to_do(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    assert send(town, browser, said({1: -5, 2: 4, 9: 7}).encode())
    page = browser.get(PAGE).text
    for words in ("other points", "no answer", "not in the batch", "Ask the coin operator to take it back"):
        assert words in page
    assert send(town, browser, said(refused=4).encode())
    page = browser.get(PAGE).text
    assert "1 of 4 lines differ" in page
    assert "Find out why" in page
    assert "▲ 1 differences" in browser.get("/operator/ledger").text


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\xff\xfe", 422, "is no receipt"),
        (b"", 422, "is no receipt"),
        (HEADER.encode(), 422, "holds no line"),
        (b"batch_id;line;points\nb-000001;1;5\n", 422, "is no receipt"),
        ((HEADER + "b-000001,1,<b>five</b>,accepted\n").encode(), 422, "receipt.csv line 2, points"),
        ((HEADER + "b-000001,1,5,maybe\n").encode(), 422, "neither accepted nor refused"),
        ((HEADER + "b-000002,1,5,accepted\n").encode(), 409, "not the receipt of this batch"),
        ((HEADER + "b-000001,1,5,accepted\n" * 2).encode(), 409, "line 1 of b-000001 comes twice"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_nothing_is_kept(
    town: Town, content: bytes, status: int, words: str
) -> None:
    answer = send(town, town.logged_in(Role.OPERATOR), content)
    assert (answer.status_code, words in answer.text) == (status, True)
    assert "<b>five" not in answer.text
    assert BatchBook(town.house.store).standing("b-000001") is None
    assert town.house.store.audit_trail("batch/b-000001")[-1].act == "coin.receipt_refused"


def test_a_file_that_is_too_large_or_none_at_all_is_refused(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    assert send(town, browser, b"x" * (LARGEST + 1)).status_code == 413
    key = form_key(browser.get(PAGE).text)
    nothing = browser.post(PAGE, data={"form_key": key})
    assert (nothing.status_code, "Choose a file first" in nothing.text) == (422, True)


def test_a_file_without_the_key_of_the_form_and_one_of_an_auditor_are_refused(town: Town) -> None:
    browser, auditor = town.logged_in(Role.OPERATOR), town.logged_in(Role.AUDITOR)
    files = {"receipt": ("r.csv", GOOD.encode(), "text/csv")}
    assert browser.post(PAGE, files=files).status_code == 403
    assert browser.post(PAGE, data={"form_key": "x"}, files=files).status_code == 403
    assert "Compare and keep" not in auditor.get(PAGE).text
    assert auditor.post(PAGE, data={"form_key": form_key(auditor.get("/account").text)}).status_code == 403
    assert BatchBook(town.house.store).standing("b-000001") is None


def test_a_batch_that_is_not_there_has_no_receipt(town: Town) -> None:
    assert town.logged_in(Role.OPERATOR).get(PAGE.replace("1/", "7/")).status_code == 404
