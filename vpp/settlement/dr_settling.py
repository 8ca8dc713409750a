"""What sites delivered in an event, from their meters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from energy.core.errors import DataError
from energy.core.series import Series
from energy.core.site import Site
from energy.market.baseline import Baseline, baseline
from energy.market.dr_products import Product, product_facts
from energy.market.rule_table import RuleFact
from energy.market.rules import facts_on
from energy.store import Store
from vpp.consents import DR_PARTICIPATION, admitted
from vpp.ingest.layout import read_bytes
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring, baseline_request, enrolled
from vpp.settlement.dr_settled import SettledSite, Settlement
from vpp.settlement.files import read_meter
from vpp.settlement.many import CHUNK, Run, chunks, here
from vpp.site.sitebook import SITE, read_site

__all__ = [
    "agreed",
    "settle_from_readings",
    "settle_sites",
    "settlement_rules",
    "unpriced",
    "without_consent",
]


def agreed(
    store: Store,
    sites: Collection[str],
    on: datetime,
    *,
    at: datetime,
    otherwise: Collection[Site] = (),
) -> dict[str, Measuring]:
    """The agreements of sites that have one of their own, as they were configured at an instant.

    Whoever settles, follows or reports an event asks here; a site that is left out is measured and paid as
    the one who settles says. What is changed after an event began holds for later events. A site that was
    made known only after it began is taken as it is known now.

    Parameters
    ----------
    on : datetime
        When the event begins.
    at : datetime
        Now.
    otherwise : collection of Site
        Sites as whoever asks knows them, for those that the store was never told.
    """
    found = store.across(on).documents(SITE, sorted(sites))
    later = sorted(set(sites) - set(found))
    if later:
        found = {**store.across(at).documents(SITE, later), **found}
    known = [read_site(one.body) for one in found.values()]
    known += [site for site in otherwise if site.id in sites and site.id not in found]
    return {site.id: enrolled(site) for site in known if site.dr is not None}


def unpriced(store: Store, event: DrEvent, *, at: datetime) -> tuple[str, ...]:
    """Sites in an event that no agreement of their own gives a price."""
    sites = event.taking_part()
    own = agreed(store, sites, event.start, at=at)
    return tuple(one for one in sites if one not in own)


def settle_sites(
    store: Store,
    event: DrEvent,
    how: Measuring,
    *,
    at: datetime,
    actor: str,
    run: Run = here,
    size: int = CHUNK,
) -> list[SettledSite]:
    """Delivered energy and yen of every site that took part.

    A site without a usable meter or baseline gets nothing automatically, and the reason is kept. Delivering
    less than nothing costs nothing, unless the site's own agreement says that it counts. The readings of a
    person without consent now are not opened; what an earlier version settled for them stays as it was. A
    site with an agreement of its own is measured and paid by that (:func:`agreed`).

    Parameters
    ----------
    how : Measuring
        Meter files, and how the sites without an agreement of their own are measured and paid.
    run : callable
        Who reads the meters and makes the baselines: this process unless said. The figures are the same.
    size : int
        Sites that a worker gets at a time.

    Raises
    ------
    DataError
        If a file is named for a site that did not take part, or a site has no price.
    """
    book = EventBook(store)
    sites = event.taking_part()
    strangers = sorted(set(how.meters) - set(sites))
    if strangers:
        raise DataError(
            f"{strangers[0]!r} did not take part in event {event.id!r}",
            where=f"taking part: {', '.join(sites) or 'nobody'}",
            hint="nominate the site before the event, or leave its file out",
        )
    own = agreed(store, sites, event.start, at=at)
    priceless = [site for site in sites if site not in own]
    if priceless and how.yen_per_kwh is None:
        raise DataError(
            f"no price is agreed with {priceless[0]!r}",
            where=f"event {event.id!r}; without a dr: part of their own: {', '.join(priceless)}",
            hint="name a price for them, or give the sites a dr: part",
        )
    silent = without_consent(store, event, at=at, actor=actor)
    before = book.settlement(event.id)
    kept = {one.site: _as_paid(one, before, how) for one in before.sites} if before else {}
    todo = [
        _Task(site, how.meters.get(site), book.event_days(site, event), own.get(site))
        for site in sites
        if site not in silent
    ]
    terms = replace(how, meters={})
    calls = [(event, chunk, terms) for chunk in chunks(todo, size)]
    found = {one.site: one for chunk in run(_settled_chunk, calls) for one in chunk}
    return [
        kept.get(site, SettledSite(site=site, delivered_kwh=None, yen=Decimal(0), why="no consent now"))
        if site in silent
        else found[site]
        for site in sites
    ]


def _as_paid(one: SettledSite, before: Settlement, how: Measuring) -> SettledSite:
    """What an earlier version settled, with the price it was paid at where that is no longer everybody's."""
    if one.yen_per_kwh is not None or before.yen_per_kwh == how.yen_per_kwh:
        return one
    return replace(one, yen_per_kwh=before.yen_per_kwh)


def without_consent(store: Store, event: DrEvent, *, at: datetime, actor: str) -> frozenset[str]:
    """Sites of persons in an event whose readings may not be looked at now; each is noted in the audit."""
    persons = sorted({one.site for one in event.calls if one.holder == "person"})
    return frozenset(persons) - admitted(store, persons, DR_PARTICIPATION, at=at, actor=actor)


@dataclass(frozen=True, slots=True)
class _Task:
    """A site that is to be measured: its meter file, the days of its earlier events, its own agreement."""

    site: str
    file: Path | None
    event_days: frozenset[date]
    own: Measuring | None = None


def _settled_chunk(event: DrEvent, tasks: Sequence[_Task], how: Measuring) -> list[SettledSite]:
    return [_settled(event, task, task.own or how) for task in tasks]


def _settled(event: DrEvent, task: _Task, how: Measuring) -> SettledSite:
    site, file = task.site, task.file
    nothing = _nothing(event, site, how)
    if file is None:
        return replace(nothing, why="no meter file")
    nothing = replace(nothing, meter_sha256=sha256(read_bytes(file)).hexdigest())
    paid = set(event.paid_slots(site))
    if not paid:
        return replace(nothing, delivered_kwh=Decimal(0), why="stopped before the first half hour ended")
    return _measured(event, task, how, nothing=nothing, meter=lambda: read_meter(file))


def _nothing(event: DrEvent, site: str, how: Measuring) -> SettledSite:
    """A site before it is measured, with what it has agreed to itself."""
    told = SettledSite(
        site=site, delivered_kwh=None, yen=Decimal(0), why="", called_kwh=event.called_kwh(site)
    )
    return replace(told, yen_per_kwh=how.yen_per_kwh, adjustment=how.adjustment.value) if how.own else told


def settle_from_readings(
    store: Store, event: DrEvent, site: str, meter: Series, how: Measuring
) -> SettledSite:
    """What a site delivered, from readings that are at hand instead of a file.

    Parameters
    ----------
    meter : Series
        Imported energy by half hour, from five weeks before the event on; NaN where nothing was read. [kWh]
    """
    task = _Task(site, None, EventBook(store).event_days(site, event))
    nothing = _nothing(event, site, how)
    return _measured(event, task, how, nothing=nothing, meter=lambda: meter)


def _measured(
    event: DrEvent, task: _Task, how: Measuring, *, nothing: SettledSite, meter: Callable[[], Series]
) -> SettledSite:
    """Delivered energy against the baseline, in the half hours that count."""
    paid = set(event.paid_slots(task.site))
    try:
        found = baseline(baseline_request(event, how, task.event_days), meter())
    except DataError as error:
        return replace(nothing, why=error.what)
    if not isinstance(found, Baseline):
        return replace(nothing, why="too few days for a baseline")
    sign = -1 if event.product is Product.UP else 1
    by_slot = [sign * slot.reduction_kwh for slot in found.slots if slot.slot in paid]
    return replace(
        nothing,
        delivered_kwh=sum(by_slot, Decimal(0)),
        yen=how.worth(how.counted(by_slot, nothing.called_kwh)),
        method=found.method,
        days_used=found.days_used,
    )


def settlement_rules(event: DrEvent) -> list[RuleFact]:
    """The dated rules behind an event: its product's terms and those of its baselines."""
    ids = ("dr_baseline_days", "dr_baseline_adjustment", "dr_baseline_shortage")
    return [
        *product_facts(event.product, event.start),
        *(fact for rule_id in ids for fact in facts_on(rule_id, event.day)),
    ]
