"""The page of alerts in a real browser: read by everybody whom it is for, acknowledged without a mouse."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.served import Console
from tests.e2e.console.town import FACTORY
from vpp.ops.alerts import AlertBook, Kind, Level, Trouble

pytestmark = pytest.mark.e2e


def troubled(console: Console) -> None:
    """One of each sort, a few seen, silent or over."""
    book, now = AlertBook(console.service.store), console.clock.now()
    silent = {"site": FACTORY, "since": "08-07 17:41"}
    found = [
        Trouble(
            kind=Kind.LEDGER_BROKEN,
            level=Level.ALARM,
            facts={"fault": "the journal does not hold at entry 7"},
        ),
        Trouble(kind=Kind.DATA_STALE, subject=FACTORY, facts=silent),
        Trouble(kind=Kind.DISK_LOW, facts={"percent": "9", "gb": "4.1"}),
        Trouble(kind=Kind.BACKUP_OLD, facts={"since": "08-05 03:00"}),
    ]
    lost = Trouble(
        kind=Kind.JOB_FAILED, subject=f"plan/{FACTORY}", facts={"job": "plan", "at": "08-07 17:30"}
    )
    for k in range(6):
        at = now - timedelta(minutes=60 - k)
        book.review([*found, lost] if k == 0 else found, at)
    book.acknowledge("disk_low", "", by="operator", note="新しいディスクは金曜日", at=now)
    book.silence("backup_old", "", by="operator", until=now + timedelta(hours=8), at=now)


def test_alerts_can_be_read_by_everybody_whom_they_are_for(own_console: Console, desk: Desk) -> None:
    desk.check_page(own_console, "operator", "/alerts", langs=("ja",), widths=(390,))  # none
    troubled(own_console)
    desk.check_page(own_console, "operator", "/alerts")
    desk.check_page(own_console, "factory", "/alerts", langs=("ja",), widths=(390,))


def test_an_alert_is_acknowledged_without_a_mouse(own_console: Console, desk: Desk) -> None:
    troubled(own_console)
    page = desk.log_in(own_console, "operator", lang="en", width=390)
    page.goto("/alerts")
    assert "Alarms: 1. Warnings: 3. Not acknowledged: 3." in page.inner_text("main")
    page.get_by_label("Note (optional)").first.focus()
    page.keyboard.type("calling the auditor")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=calling the auditor")
    told = page.inner_text("main")
    assert "Alarms: 1. Warnings: 3. Not acknowledged: 2." in told
    assert "operator has seen it" in told
    assert "calling the auditor" in told
    assert desk.faults(page) == []
