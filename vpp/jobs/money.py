"""Jobs around money: events that are over, months that are over, points to the coin operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from energy.core.errors import DataError
from energy.core.site import Site
from energy.core.slots import JST
from energy.core.units import AssetId
from energy.ledger import BatchBook, Journal, TightEvent, batch_csv, expire_points
from energy.ledger.caps import points_of_event
from energy.market.demand import first_day, month_shift
from energy.market.rule_table import Area
from energy.store import Store
from vpp.jobs.job import Outcome, Run
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import EventState
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settling import settle_sites, settlement_rules, unpriced
from vpp.settlement.month import MonthTerms, month_account, to_keep
from vpp.settlement.month_events import known_events
from vpp.settlement.ppa_record import keep_from_store
from vpp.settlement.readings import write_readings
from vpp.settlement.record import SettlementBook
from vpp.settlement.settle import settle_event
from vpp.settlement.stored_prices import Voltage, stored_imbalance
from vpp.wholefile import whole_file
from vpp.wishes.book import wishes_at
from vpp.wishes.obey import asked_now

__all__ = [
    "LOOKED_AT",
    "expire",
    "points_batch",
    "settle_dr_events",
    "settle_month",
    "settle_tight_events",
]

LOOKED_AT: Final = "event-paid"
"""Kind of the documents that say that a tight-supply event was settled at a site; key ``SITE/EVENT``."""
_READINGS_IN: Final = timedelta(minutes=30)  # meters have closed the last half hour by then
_BASELINE_DAYS: Final = timedelta(days=60)
_OVER: Final = frozenset({EventState.ENDED, EventState.CANCELLED, EventState.MEASURED})


def settle_tight_events(
    sites: Mapping[str, Site], terms: Mapping[str, MonthTerms]
) -> Callable[[Run], Outcome]:
    """Pay cars for the events that are over and that nobody paid; the loop of a running site pays its own."""

    def pay(run: Run) -> Outcome:
        coin = terms[run.subject].coin if run.subject in terms else None
        now, site = run.clock.now(), sites[run.subject]
        if coin is None:
            return Outcome("no_points", idle=True)
        known = run.store.as_of(now)
        over = [
            one
            for one in known_events(run.store)
            if one.known_at <= now
            and one.end.start + _READINGS_IN <= now
            and known.document(LOOKED_AT, f"{site.id}/{one.id}") is None
        ]
        if not over:
            return Outcome("no_events", idle=True)

        def write() -> Outcome:
            journal, points = Journal(run.store), 0
            for event in over:
                if not points_of_event(journal, event.id):
                    grants = settle_event(
                        journal,
                        known,
                        site,
                        coin,
                        event,
                        opted_out=_said_no(run.store, site.id, event),
                        at=now,
                        store=run.store,
                    )
                    points += sum(one.points for one in grants)
                run.store.put_document(LOOKED_AT, f"{site.id}/{event.id}", known_at=now, body="{}")
            return Outcome("events_paid", {"count": str(len(over)), "points": str(points)})

        return run.once(write)

    return pay


def _said_no(store: Store, site: str, event: TightEvent) -> frozenset[AssetId]:
    """Cars whose drivers wanted no discharge when the event began."""
    known = store.as_of(event.end.start)
    return asked_now(wishes_at(known, site, event.start.start)).no_discharge


def settle_dr_events(sites: Mapping[str, Site], yen_per_kwh: Decimal | None) -> Callable[[Run], Outcome]:
    """Settle events of the portfolio that are over from the readings in the store, all of them or none.

    Sites with an agreement of their own are paid by that. An event with a site that has no price waits for a
    person.

    Parameters
    ----------
    yen_per_kwh : Decimal or None
        What sites without an agreement of their own are paid. [yen/kWh]
    """

    def settle(run: Run) -> Outcome:
        now, book = run.clock.now(), EventBook(run.store)
        over = [
            one
            for one in book.events(known_at=now)
            if one.state_at(now) in _OVER
            and one.end + _READINGS_IN <= now
            and book.settlement(one.id) is None
        ]
        if not over:
            return Outcome("no_events", idle=True)
        wait = [one for one in over if yen_per_kwh is None and unpriced(run.store, one, at=now)]
        facts = {"waiting": str(len(wait)), "first": wait[0].id} if wait else {}
        over = [one for one in over if one not in wait]
        if not over:
            return Outcome("events_wait", {"count": facts.pop("waiting"), **facts}, attention=True)
        with TemporaryDirectory(prefix="vpp-settle-") as folder:
            meters = {one.id: _meters(run.store, sites, one, Path(folder)) for one in over}

            def write() -> Outcome:
                yen = Decimal(0)
                for event in over:
                    how = Measuring(meters=meters[event.id], yen_per_kwh=yen_per_kwh)
                    told = settle_sites(run.store, event, how, at=now, actor=run.actor)
                    made, _ = book.settle(
                        event.id,
                        told,
                        yen_per_kwh=yen_per_kwh,
                        at=now,
                        actor=run.actor,
                        rules=settlement_rules(event),
                    )
                    yen += made.yen
                facts.update(count=str(len(over)), yen=f"{yen:,.0f}")
                return Outcome("events_part" if wait else "events_settled", facts, attention=bool(wait))

            return run.once(write)

    return settle


def _meters(store: Store, sites: Mapping[str, Site], event: DrEvent, folder: Path) -> dict[str, Path]:
    """Meter files of the sites that took part and are ours, as the store knows them."""
    found = {}
    first = (event.start - _BASELINE_DAYS).astimezone(JST).date()
    last = (event.end - timedelta(microseconds=1)).astimezone(JST).date()
    for name in event.taking_part():
        if name in sites:
            place = folder / event.id / name
            place.mkdir(parents=True)
            written = write_readings(store, sites[name], first, last, place)
            found[name] = written[0][0]
    return found


def settle_month(
    sites: Mapping[str, Site],
    terms: Mapping[str, MonthTerms],
    *,
    area: Area = Area.TOHOKU,
    voltage: Voltage = "high",
) -> Callable[[Run], Outcome]:
    """The account of the month before the one in which the run was due; the same again is that version.

    Imbalances are settled by the prices in the store once they are complete; until then the account has none
    and says so, and a run that is asked for later makes the next version.
    """

    def settle(run: Run) -> Outcome:
        month = month_shift(f"{run.due_at.astimezone(JST):%Y-%m}", -1)
        told, stored = terms.get(run.subject, MonthTerms()), None
        if told.imbalance is None:
            known, first = run.store.as_of(run.clock.now()), first_day(month)
            last = first_day(month_shift(month, 1)) - timedelta(days=1)
            stored = stored_imbalance(known, first, last, area=area, voltage=voltage)
            told = replace(told, imbalance=stored.prices)
        account = month_account(run.store, sites[run.subject], month, told, events=known_events(run.store))

        def write() -> Outcome:
            kept = SettlementBook(run.store).keep(to_keep(account), at=run.clock.now(), actor=run.actor)
            facts = {"month": month, "id": kept.id, "yen": f"{account.settled_yen:,}"}
            if told.ppa is not None:
                keep_from_store(
                    run.store, sites[run.subject], month, told.ppa, at=run.clock.now(), actor=run.actor
                )
            if stored is not None and stored.any and stored.missing:
                facts["missing"] = str(stored.missing)
                return Outcome("month_prices_missing", facts, attention=True)
            return Outcome("month_settled" if kept.new else "month_stands", facts)

        return run.once(write)

    return settle


def expire(run: Run) -> Outcome:
    """Book away the points whose last day of use is over."""
    now = run.clock.now()

    def write() -> Outcome:
        over = expire_points(run.store, now.astimezone(JST).date(), at=now, actor=run.actor)
        if not over:
            return Outcome("expired_nothing", idle=True)
        points = sum(one.points for one in over)
        return Outcome("expired", {"count": str(len(over)), "points": f"{points:,}"})

    return run.once(write)


def points_batch(folder: Path | None) -> Callable[[Run], Outcome]:
    """The next batch for the coin operator, and its file; a file that is missing is written again."""

    def make(run: Run) -> Outcome:
        book = BatchBook(run.store)
        now = run.clock.now()

        def write() -> Outcome:
            made = book.make(at=now, actor=run.actor)
            if made is None:
                return Outcome("batch_nothing", idle=True)
            facts = {"id": made.id, "lines": str(len(made.lines)), "points": f"{made.points:,}"}
            return Outcome("batch", facts)

        if folder is not None:  # before the run is done: a crash in between is mended by the next run
            _write_missing(book, folder, now)
        outcome = run.once(write)
        if folder is not None:
            _write_missing(book, folder, now)
        return outcome

    return make


def _write_missing(book: BatchBook, folder: Path, now: datetime) -> None:
    """Files of batches that are recorded and lack one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for batch in book.batches():
            path = folder / f"coin-{batch.id}.csv"
            if not path.exists() and batch.made_at <= now:
                with whole_file(path, encoding="utf-8-sig") as file:
                    file.write(batch_csv(batch))
    except OSError as error:
        raise DataError(
            "cannot write the batch",
            where=f"{folder}: {error.strerror}",
            hint="check jobs.folder and its rights",
        ) from error
