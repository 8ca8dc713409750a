"""Purchase agreements and receipts of coin batches, as the people who run the region see and use them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.ledger import BatchBook, Entry, Journal, Posting
from tests.e2e.console.desk import Desk
from tests.e2e.console.served import Console
from tests.unit.vpp.settlement.kept_ppa import keep_ppa

pytestmark = pytest.mark.e2e


def test_agreements_are_read_and_a_receipt_is_sent_without_a_script(own_console: Console, desk: Desk) -> None:
    store, now = own_console.service.store, own_console.clock.now()
    desk.check_page(
        own_console, "operator", "/operator/ppa", langs=("en",), widths=(390,)
    )  # nothing kept yet
    keep_ppa(store, "2026-07", at=now - timedelta(days=3))
    desk.check_page(own_console, "operator", "/operator/ppa", langs=("ja",), widths=(390, 1440))
    postings = (Posting("scheme", -40), Posting("driver/one", 40))
    Journal(store).post(Entry(key="grant/one", at=now, postings=postings, memo="tight", facts={}))
    made = BatchBook(store).make(at=now, actor="desk")
    assert made is not None
    path = f"/operator/ledger/batches/{made.id}/receipt"
    first = made.lines[0]
    rows = f"batch_id,line,points,status\n{made.id},{first.line},{first.points},refused\n"
    page = desk.log_in(own_console, "operator", lang="en", java_script_enabled=False)
    page.goto(path)
    page.set_input_files("#receipt", {"name": "answer.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.click("text=Compare and keep")
    assert "The receipt was kept" in page.inner_text("[role=status]")
    assert "Find out why" in page.inner_text("table")
    desk.check_page(own_console, "operator", path, langs=("ja",), widths=(390, 1440))
