"""Meters, upstreams and operators that send nonsense: handled by rule, and visible in the audit trail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from energy.core.errors import LedgerError
from energy.core.slots import parse_jst
from energy.ledger import BatchBook, Entry, Journal, Posting, ReceiptLine
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

METER = ROOT / "examples/meter.csv"
BEFORE, AFTER = parse_jst("2026-11-25 10:00"), parse_jst("2026-11-25 20:00")
STAMP = "2026-11-25T17:00:00+09:00"


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    found = ["--db", str(tmp_path / "dr.db")]
    sites = tmp_path / "sites.csv"
    sites.write_text("site,kw\nfactory,40\n", encoding="utf-8")
    when = ["--event", "2026-11-25T16:00/19:00", "--target-kw", "30"]
    assert vpp("dr", "event", "announce", "e-1", *when, *found, at=BEFORE)[0] == 0
    words = ["dr", "nominate", "e-1", "--resources", str(sites), *found]
    assert vpp(*words, at=BEFORE)[0] == 0
    return found


def settled(
    db: list[str], folder: Path, change: Callable[[list[str]], list[str]]
) -> tuple[int, dict[str, Any]]:
    """Settle with a meter file that something was done to; the site's line and the last act on the event."""
    path = folder / "meter.csv"
    path.write_text(
        "\n".join(change(METER.read_text(encoding="utf-8").splitlines())) + "\n", encoding="utf-8"
    )
    words = ["dr", "settle", "e-1", "--meter", f"factory={path}", "--yen-per-kwh", "20", *db, "--json"]
    status, out, err = vpp(*words, at=AFTER)
    assert out, err
    return status, json.loads(out)["sites"][0]


def row(lines: list[str], stamp: str = STAMP) -> int:
    return next(k for k, line in enumerate(lines) if line.startswith(stamp))


def without(lines: list[str]) -> list[str]:
    return lines[: row(lines)] + lines[row(lines) + 1 :]


def negative(lines: list[str]) -> list[str]:
    lines[row(lines)] = f"{STAMP},-4.0"
    return lines


def twice(lines: list[str]) -> list[str]:
    return [*lines, f"{STAMP},99.0"]


def clock_moved(lines: list[str]) -> list[str]:
    lines[row(lines)] = lines[row(lines)].replace("17:00:00", "17:07:00")
    return lines


def no_number(lines: list[str]) -> list[str]:
    lines[row(lines)] = f"{STAMP},-"
    return lines


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without, "lacks 1 of 6 half hours of the event"),
        (negative, "row that cannot be used"),
        (twice, "says a half hour twice"),
        (clock_moved, "row that cannot be used"),
        (no_number, "row that cannot be used"),
    ],
)
def test_a_meter_that_cannot_be_trusted_pays_nothing_and_is_named(
    db: list[str], tmp_path: Path, change: Callable[[list[str]], list[str]], complaint: str
) -> None:
    status, site = settled(db, tmp_path, change)
    assert (status, site["delivered_kwh"], site["yen"]) == (6, None, 0)
    assert complaint in site["why"]
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        told = {one.act: one.facts for one in store.audit_trail("dr/e-1")}
    assert told["dr.measured"]["unmeasured"] == 1
    assert complaint in told["dr.settled"]["unmeasured"]["factory"]  # type: ignore[index]


def test_a_day_may_end_at_24_00(db: list[str], tmp_path: Path) -> None:
    def written_so(lines: list[str]) -> list[str]:
        return [line.replace("2026-11-25T00:00:00", "2026-11-24T24:00:00") for line in lines]

    assert any("2026-11-25T00:00:00" in line for line in METER.read_text(encoding="utf-8").splitlines())
    status, site = settled(db, tmp_path, written_so)
    again, plain = settled(db, tmp_path, lambda lines: lines)
    assert (status, again) == (0, 0)
    assert site["delivered_kwh"] == plain["delivered_kwh"]


def test_an_upstream_that_repeats_itself_late_changes_nothing_and_is_noted(db: list[str]) -> None:
    when = ["--event", "2026-11-25T16:00/18:00", "--target-kw", "20", "--modification", "2"]
    assert vpp("dr", "event", "announce", "e-1", *when, *db, at=BEFORE + timedelta(minutes=1))[0] == 0
    old = ["--event", "2026-11-25T16:00/19:00", "--target-kw", "30", "--modification", "1"]
    assert vpp("dr", "event", "announce", "e-1", *old, *db, at=BEFORE + timedelta(minutes=2))[0] == 0
    assert vpp("dr", "event", "cancel", "e-1", *db, at=AFTER)[0] == 0
    late = ["--event", "2026-11-25T16:00/20:00", "--target-kw", "30", "--modification", "3"]
    status, _, err = vpp("dr", "event", "announce", "e-1", *late, *db, at=AFTER + timedelta(minutes=1))
    assert (status, "the event is ended" in err) == (3, True)
    told = json.loads(vpp("dr", "event", "show", "e-1", *db, "--json", at=AFTER)[1])
    assert (told["target_kw"], told["state"]) == (20, "ended")
    acts = [one["act"] for one in told["history"]]
    assert acts[2:] == ["dr.modified", "dr.stale_ignored", "dr.ended", "dr.cancel_ignored", "dr.refused"]


def test_a_receipt_that_comes_twice_or_says_a_line_twice_counts_once_and_is_noted(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'coins.db'}") as store:
        entry = Entry(
            key="grant/e-1/ev-1/coin@1",
            at=AFTER,
            postings=(Posting("driver/hanako", 40), Posting("operator/issue", -40)),
            facts={"event": "e-1", "point_class": "all_shops", "expires_on": "2027-05-24"},
        )
        Journal(store).post(entry)
        book = BatchBook(store)
        made = book.make(at=AFTER, actor="desk")
        assert made is not None
        line = ReceiptLine(batch_id=made.id, line=1, points=40, status="accepted")
        first = book.reconcile(made.id, [line], at=AFTER, actor="desk")
        again = book.reconcile(made.id, [line], at=AFTER + timedelta(minutes=1), actor="desk")
        assert (first.known, again.known, again.differences) == (False, True, ())
        with pytest.raises(LedgerError, match="says a line twice"):
            book.reconcile(made.id, [line, line], at=AFTER + timedelta(minutes=2), actor="desk")
        other = replace(line, batch_id="b-000099")
        with pytest.raises(LedgerError, match="is not that of batch"):
            book.reconcile(made.id, [other], at=AFTER + timedelta(minutes=3), actor="desk")
        assert [one.act for one in store.audit_trail(f"batch/{made.id}")] == [
            "coin.batch",
            "coin.reconciled",
            "coin.receipt_repeated",
            "coin.receipt_refused",
            "coin.receipt_refused",
        ]
        assert Journal(store).balance("driver/hanako") == 40
        assert book.make(at=AFTER + timedelta(hours=1), actor="desk") is None
