"""What sites delivered in an event, from their meters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from energy.core.calendar import SiteCalendar
from energy.core.errors import DataError
from energy.core.slots import Slot
from energy.market.baseline import Adjustment, Baseline, BaselineRequest, baseline
from energy.market.rule_table import RuleFact
from energy.market.rules import facts_on
from vpp.ingest.layout import read_bytes
from vpp.settlement.dr_events import DrEvent, EventBook, Product, SettledSite
from vpp.settlement.files import read_meter

__all__ = ["settle_sites", "settlement_rules"]


def settle_sites(
    book: EventBook,
    event: DrEvent,
    meters: Mapping[str, Path],
    *,
    yen_per_kwh: Decimal,
    adjustment: Adjustment = Adjustment.ADD,
    calendar: SiteCalendar | None = None,
) -> list[SettledSite]:
    """Delivered energy and yen of every site that took part.

    A site without a usable meter or baseline gets nothing automatically, and the reason is kept. Delivering
    less than nothing costs nothing: there is no penalty.

    Parameters
    ----------
    meters : mapping of str to Path
        Meter file of each site.
    yen_per_kwh : Decimal
        What a delivered kWh is paid. [yen/kWh]

    Raises
    ------
    DataError
        If a file is named for a site that did not take part.
    """
    sites = [one.site for one in event.taking_part()]
    strangers = sorted(set(meters) - set(sites))
    if strangers:
        raise DataError(
            f"{strangers[0]!r} did not take part in event {event.id!r}",
            where=f"taking part: {', '.join(sites) or 'nobody'}",
            hint="nominate the site before the event, or leave its file out",
        )
    return [
        _settled(book, event, site, meters.get(site), yen_per_kwh, adjustment, calendar or SiteCalendar())
        for site in sites
    ]


def _settled(
    book: EventBook,
    event: DrEvent,
    site: str,
    file: Path | None,
    yen_per_kwh: Decimal,
    adjustment: Adjustment,
    calendar: SiteCalendar,
) -> SettledSite:
    nothing = SettledSite(site=site, delivered_kwh=None, yen=Decimal(0), why="")
    if file is None:
        return replace(nothing, why="no meter file")
    nothing = replace(nothing, meter_sha256=sha256(read_bytes(file)).hexdigest())
    paid = set(event.paid_slots())
    if not paid:
        return replace(nothing, delivered_kwh=Decimal(0), why="stopped before the first half hour ended")
    request = BaselineRequest(  # of the event as announced: a stop must not choose other days
        start=Slot(event.start),
        end=Slot(event.end),
        event_days=book.event_days(site, event),
        calendar=calendar,
        adjustment=adjustment,
    )
    try:
        found = baseline(request, read_meter(file))
    except DataError as error:
        return replace(nothing, why=error.what)
    if not isinstance(found, Baseline):
        return replace(nothing, why="too few days for a baseline")
    reduced = sum((slot.reduction_kwh for slot in found.slots if slot.slot in paid), Decimal(0))
    delivered = -reduced if event.product is Product.UP else reduced
    return replace(
        nothing,
        delivered_kwh=delivered,
        yen=max(Decimal(0), delivered * yen_per_kwh),
        method=found.method,
        days_used=found.days_used,
    )


def settlement_rules(event: DrEvent) -> list[RuleFact]:
    """The dated rules behind the baselines of an event."""
    ids = ("dr_baseline_days", "dr_baseline_adjustment", "dr_baseline_shortage")
    return [fact for rule_id in ids for fact in facts_on(rule_id, event.day)]
