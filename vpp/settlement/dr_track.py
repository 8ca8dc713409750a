"""Delivery while an event runs: what was promised, called and delivered, half hour by half hour.

The figures are provisional: the baseline is made from the half hours that are over, while the settlement
takes the whole event. They decide whom to replace. What would be paid by now is worked out as the settlement
does it, up to the call where that is agreed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from energy.core.errors import DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, Slot
from energy.market.baseline import Baseline, baseline
from energy.market.dr_products import Product
from energy.market.dr_rules import DeliveryTracking
from energy.market.portfolio import (
    Nomination,
    Resource,
    SiteTrack,
    SlotTrack,
    failing,
    measured_resource,
    nominate,
    slot_totals,
)
from energy.market.rules import rule_row
from energy.store import Store
from vpp.settlement.dr_event import Call, DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settling import agreed, without_consent
from vpp.settlement.files import read_meter
from vpp.site.recorder import SiteSeries

__all__ = ["Due", "Tracked", "choose", "replacement", "track"]

_HOURS: Final = Decimal(int(SLOT_LENGTH.total_seconds())) / 3600
_REACH: Final = timedelta(days=45)  # before an event: days of a baseline and those it leaves out


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What would be paid to a site for what was read until now.

    Parameters
    ----------
    kwh : Decimal
        What counts of its delivery. [kWh]
    yen : Decimal or None
        What that is worth; None if whoever settles will say the price. [yen]
    """

    kwh: Decimal
    yen: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """How an event goes.

    Parameters
    ----------
    slots : tuple of SlotTrack
        Half hours that are over, all sites together.
    sites : tuple of SiteTrack
        The same by site.
    failing : mapping of str to str
        Sites that fail now, and how.
    why : mapping of str to str
        Why a site has no figures.
    due : mapping of str to Due
        What would be paid by now, for the sites of which a half hour was read.
    left : int
        Half hours that are still to come or under way.
    """

    slots: tuple[SlotTrack, ...]
    sites: tuple[SiteTrack, ...]
    failing: Mapping[str, Literal["low", "unread"]]
    why: Mapping[str, str]
    due: Mapping[str, Due]
    left: int

    @property
    def delivered_kwh(self) -> Decimal:
        """Delivered until now, as far as it was read. [kWh]"""
        return sum((one.delivered_kwh for one in self.slots), Decimal(0))

    @property
    def projected_kwh(self) -> Decimal | None:
        """Delivered in the end if every half hour left brings what the newest fully read one brought. [kWh]

        Half hours that are not read from every site yet count as left. None as long as there is no other.
        """
        read = [one.delivered_kwh for one in self.slots if not one.unread]
        rest = self.left + len(self.slots) - len(read)
        return None if not read else sum(read, Decimal(0)) + rest * read[-1]


def choose(
    book: EventBook, event: DrEvent, stated: Sequence[Resource], *, target_kw: Decimal, reserve: Decimal
) -> Nomination:
    """Nominate for a target with the reliability that settled events show, leaving out who said no."""
    rule = rule_row(DeliveryTracking, event.day).values
    deliveries = book.deliveries()
    asked = [
        measured_resource(one, deliveries, prior_events=rule.prior_events)
        for one in stated
        if one.site not in event.opted_out
    ]
    return nominate(asked, target_kw, reserve=reserve, certainty=rule.certainty)


def track(store: Store, event: DrEvent, meters: Mapping[str, Path], *, at: datetime, actor: str) -> Tracked:
    """Look at every half hour of an event that is over by now.

    Parameters
    ----------
    meters : mapping of str to Path
        Meter files; a site without one is read from the store, and counts as not read if that knows nothing.

    Raises
    ------
    DataError
        If a file is named for a site that was not called.
    """
    strangers = sorted(set(meters) - set(event.taking_part()))
    if strangers:
        raise DataError(
            f"{strangers[0]!r} was not called in event {event.id!r}",
            where=f"called: {', '.join(event.taking_part()) or 'nobody'}",
            hint="leave its file out",
        )
    book = EventBook(store)
    silent = without_consent(store, event, at=at, actor=actor)
    own = agreed(store, event.taking_part(), event.start, at=at)
    stop = min(at, event.stopped_at or event.end)
    over = [slot for slot in event.slots() if slot.end <= stop]
    why: dict[str, str] = {}
    rows = []
    for site in event.taking_part():
        delivered: dict[Slot, Decimal] = {}
        if site in silent:
            why[site] = "no consent now"
        else:
            meter, how = _meter(store, event, site, meters, at), own.get(site, Measuring())
            delivered, why[site] = _delivered(event, meter, how, book.event_days(site, event), over)
        rows += [
            SiteTrack(site=site, slot=slot, called_kwh=call.kw * _HOURS, delivered_kwh=delivered.get(slot))
            for call in event.calls
            if call.site == site
            for slot in over
            if call.start <= slot.start and slot.end <= call.end
        ]
    released = {one.site for one in event.calls} - {one.site for one in event.standing()}
    rule = rule_row(DeliveryTracking, event.day).values
    return Tracked(
        slots=tuple(slot_totals(event.target_kw, rows)),
        sites=tuple(rows),
        failing=failing(rows, rule, released=released),
        why={site: said for site, said in why.items() if said},
        due=_due(rows, own),
        left=0 if event.stopped_at is not None else len(event.slots()) - len(over),
    )


def _due(rows: Sequence[SiteTrack], own: Mapping[str, Measuring]) -> dict[str, Due]:
    """What would be paid to each site by now, by the settlement's own rule."""
    found = {}
    for site in dict.fromkeys(one.site for one in rows):
        mine = [one for one in rows if one.site == site]
        read = [one.delivered_kwh for one in mine if one.delivered_kwh is not None]
        called = sum((one.called_kwh for one in mine if one.delivered_kwh is not None), Decimal(0))
        how = own.get(site, Measuring())
        if read:
            kwh = how.counted(read, called)
            found[site] = Due(kwh=kwh, yen=None if how.yen_per_kwh is None else how.worth(kwh))
    return found


def _meter(
    store: Store, event: DrEvent, site: str, meters: Mapping[str, Path], at: datetime
) -> Series | DataError | None:
    """Imported energy of a site from its file, else from the store; None if neither has any. [kWh]"""
    if site in meters:
        try:
            return read_meter(meters[site])
        except DataError as error:
            return error
    known, name = store.as_of(at), SiteSeries(site)["meter", "import_kwh"]
    if known.span(name) is None:
        return None
    return known.series(name, Grid.between(event.start - _REACH, event.end), Unit.KWH)


def _delivered(
    event: DrEvent,
    meter: Series | DataError | None,
    how: Measuring,
    event_days: frozenset[date],
    over: Sequence[Slot],
) -> tuple[dict[Slot, Decimal], str]:
    """Delivered energy of the half hours that are over and read, and why the rest is missing. [kWh]

    The baseline is the one that the site will be settled by. A meter that is behind is looked at up to its
    last reading.
    """
    if meter is None:
        return {}, "no readings"
    if isinstance(meter, DataError):
        return {}, meter.what
    said = ""
    for count in range(len(over), 0, -1):
        try:
            found = baseline(how.request(over[0], over[count - 1].shifted(1), event_days), meter)
        except DataError as error:
            said = said or error.what
            continue
        if not isinstance(found, Baseline):
            return {}, "too few days for a baseline"
        sign = -1 if event.product is Product.UP else 1
        return {one.slot: sign * one.reduction_kwh for one in found.slots}, said
    return {}, said


def replacement(
    book: EventBook,
    event: DrEvent,
    failed: Collection[str],
    stated: Sequence[Resource],
    *,
    reserve: Decimal,
) -> tuple[tuple[Resource, ...], Nomination]:
    """Who is called from now on: those who deliver, and new sites for what the failing ones leave open.

    Returns
    -------
    tuple
        All resources to be called, and the nomination of the new ones.
    """
    kept = tuple(one for one in event.nominated if one.site not in failed and _stands(event, one.site))
    open_kw = event.target_kw * (1 + reserve) - sum((one.expected_kw for one in kept), Decimal(0))
    used = {one.site for one in event.calls} | {one.site for one in kept}
    fresh = [one for one in stated if one.site not in used]
    if open_kw <= 0:
        none = Nomination(
            chosen=(), expected_kw=Decimal(0), needed_kw=Decimal(0), target_kw=Decimal(0), firm_kw=Decimal(0)
        )
        return kept, none
    made = choose(book, event, fresh, target_kw=open_kw, reserve=Decimal(0))
    return (*kept, *made.chosen), made


def _stands(event: DrEvent, site: str) -> bool:
    calls: tuple[Call, ...] = event.standing()
    return any(one.site == site for one in calls)
