#!/usr/bin/env python3
"""How long a year of bills, a season of demand response and the proof of a large journal take.

Prints what was done, how long it took and what that is per piece, beside the target of two minutes (bills
and events together, on two cores) and thirty seconds (journal). Nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import TypeAdapter

from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY, Slot, jst_midnight
from energy.ledger import Entry, Journal, Posting
from energy.ledger.journal import _body, _digest
from energy.market.baseline import Baseline, BaselineRequest, baseline
from energy.market.bill import bills_by_month
from energy.market.demand import PeakMemory
from energy.market.imbalance import settle_slots
from energy.market.tariff_file import TariffFile, range_tariff
from energy.store import open_store

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
DAYS = (LAST - FIRST).days + 1
CONTRACT = TypeAdapter(TariffFile).validate_python(
    {
        "name_ja": "例",
        "name_en": "example",
        "power_factor_percent": 95,
        "periods": [
            {
                "valid_from": FIRST,
                "valid_to": LAST,
                "basic_yen_per_kw_month": 2000,
                "summer_yen_per_kwh": 19,
                "other_yen_per_kwh": 18,
            }
        ],
    }
)


def year(site: int) -> Series:
    """A year of half hours of one site. [kWh]"""
    use = np.round(np.random.default_rng(site).uniform(5, 60, DAYS * SLOTS_PER_DAY), 1)
    return Series(Grid(jst_midnight(FIRST), use.size), use, Unit.KWH)


def bills(sites: range) -> int:
    """Bills of some sites, in yen."""
    tariff = range_tariff(CONTRACT, FIRST, LAST)
    made = [bill for site in sites for bill in bills_by_month(tariff, year(site), PeakMemory({}))]
    assert len(made) == 12 * len(sites)
    return sum(bill.total_yen for bill in made)


def events(sites: range, days: list[date]) -> float:
    """Reductions of some sites in events of three hours. [kWh]"""
    total = Decimal(0)
    for site in sites:
        meter = year(site)
        past: frozenset[date] = frozenset()
        for day in days:
            request = BaselineRequest(start=Slot.of(day, 33), end=Slot.of(day, 39), event_days=past)
            found = baseline(request, meter)
            assert isinstance(found, Baseline)
            total += found.reduction_kwh
            past |= {day}
    return float(total)


def event_days(count: int) -> list[date]:
    """Days of events, spread so that enough ordinary days lie between them."""
    return [date(2026, 2, 2) + timedelta(days=int(k * 330 / count)) for k in range(count)]


def parts(sites: int, workers: int) -> list[range]:
    """Sites of each worker."""
    step = -(-sites // workers)
    return [range(begin, min(begin + step, sites)) for begin in range(0, sites, step)]


def shown(what: str, pieces: int, seconds: float) -> None:
    """One line of the result."""
    print(f"{what}: {pieces:,} in {seconds:.1f} s, {1000 * seconds / pieces:.3f} ms each", flush=True)


def imbalance(days: int) -> None:
    """A year of imbalance of one group."""
    slots = [Slot(jst_midnight(FIRST) + timedelta(minutes=30 * k)) for k in range(days * SLOTS_PER_DAY)]
    told = [dict.fromkeys(slots, Decimal(value)) for value in ("500", "480", "12.5", "7.5")]
    began = time.perf_counter()
    settle_slots(*told, loss_rate=Decimal("0.05"))
    shown("slots of imbalance settled", len(slots), time.perf_counter() - began)


def journal(entries: int) -> None:
    """Post some entries, fill the journal up by bulk insertion of sound rows, and prove all of it."""
    at = datetime.fromisoformat("2026-11-24T10:00:00+00:00")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        with open_store(f"sqlite:///{path}", durability="process") as store:
            book = Journal(store)
            posted = min(entries, 2_000)
            began = time.perf_counter()
            with book.writing():
                for number in range(1, posted + 1):
                    book.post(entry(number, at))
            shown("entries posted", posted, time.perf_counter() - began)
            head = store.journal.head()
        assert head is not None
        fill(path, range(posted + 1, entries + 1), head.digest, at)
        with open_store(f"sqlite:///{path}", read_only=True) as store:
            began = time.perf_counter()
            assert Journal(store).verify().entries == entries
            seconds = time.perf_counter() - began
    shown("entries verified", entries, seconds)
    print(f"a journal of 1,000,000 entries: {seconds * 1e6 / entries:.1f} s of 30 s")


def entry(number: int, at: datetime) -> Entry:
    """A grant to one of five thousand drivers."""
    postings = (Posting(f"driver/{number % 5000}", 20), Posting("operator/issue", -20))
    return Entry(key=f"grant/{number}", at=at, postings=postings, facts={"event": "e", "net_kwh": "1"})


def fill(path: Path, numbers: range, previous: str, at: datetime) -> None:
    """Rows as the journal writes them, in bulk: posting a million one by one would take half an hour."""
    rows, lines = [], []
    for number in numbers:
        made = entry(number, at)
        body = _body(made, number, previous)
        previous = _digest(body)
        rows.append((number, made.key, body, previous))
        lines += [(number, k, one.account, one.points) for k, one in enumerate(made.postings)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO journal (number, key, body, digest) VALUES (?, ?, ?, ?)", rows)
        connection.executemany(
            "INSERT INTO journal_posting (number, line, account, points) VALUES (?, ?, ?, ?)", lines
        )


def main() -> None:
    """Bills and events on some processes, then imbalance and the journal on one."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sites", type=int, default=1000)
    options.add_argument("--events", type=int, default=100)
    options.add_argument("--entries", type=int, default=1_000_000)
    options.add_argument("--workers", type=int, default=2)
    told = options.parse_args()
    with ProcessPoolExecutor(told.workers) as pool:
        began = time.perf_counter()
        yen = sum(pool.map(bills, parts(told.sites, told.workers)))
        billed = time.perf_counter() - began
        shown("bills made", told.sites * 12, billed)
        began = time.perf_counter()
        days = event_days(told.events)
        kwh = sum(pool.map(events, parts(told.sites, told.workers), [days] * told.workers))
        settled = time.perf_counter() - began
        shown("baselines settled", told.sites * told.events, settled)
    print(f"bills and events: {billed + settled:.1f} s of 120 s ({yen:,} yen, {kwh:,.0f} kWh)")
    imbalance(DAYS)
    journal(told.entries)


if __name__ == "__main__":
    main()
