"""What came of the events that a site was called for: baseline, demand, settlement, and the hours after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from energy.core.errors import DataError
from energy.core.series import Grid, Unit
from energy.core.site import DrTerms, Site
from energy.core.slots import SLOT_LENGTH, Slot
from energy.market.baseline import Adjustment, Baseline, BaselineSlot, Method, baseline
from energy.market.rules import BaselineDays, rule_row
from energy.store import Store
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import baseline_request, enrolled
from vpp.settlement.dr_settled import SettledSite
from vpp.simulation.results import CallResult, CoinGrant
from vpp.site.recorder import SiteSeries

__all__ = ["reviewed_calls"]


def reviewed_calls(
    store: Store, site: Site, until: datetime, grants: Iterable[CoinGrant] = ()
) -> tuple[CallResult, ...]:
    """The settled events of a site, in order.

    Parameters
    ----------
    until : datetime
        Readings from here on were not taken.
    grants : iterable of CoinGrant
        Coins of the site's cars: those of an event's hours are shown with it.
    """
    if site.dr is None:
        return ()
    book, granted = EventBook(store), tuple(grants)
    found = []
    for event in sorted(book.events(), key=lambda one: one.start):
        settled = book.settlement(event.id)
        own = [one for one in settled.sites if one.site == site.id] if settled is not None else []
        if own:
            points = sum(one.coins for one in granted if event.start <= one.at <= event.end)
            found.append(_review(store, site, site.dr, event, own[0], until=until, points=points))
    return tuple(found)


def _review(
    store: Store,
    site: Site,
    terms: DrTerms,
    event: DrEvent,
    settled: SettledSite,
    *,
    until: datetime,
    points: int,
) -> CallResult:
    calm = min(until, event.end + terms.recovery_slots * SLOT_LENGTH)
    during = _slots(store, site, event, event.end)
    after = [one for one in _slots(store, site, event, calm) if one.slot.start >= event.end]
    window = baseline_request(event, enrolled(site), frozenset()).window()
    moves = terms.adjustment != Adjustment.NONE.value or terms.baseline == Method.SAME_DAY.value
    return CallResult(
        id=event.id,
        announced=event.announced_at,
        start=event.start,
        end=event.end,
        asked_kw=max(float(one.kw) for one in event.calls if one.site == site.id),
        reward_yen_per_kwh=terms.reward_yen_per_kwh,
        method=settled.method,
        adjustment=terms.adjustment,
        window_start=window[0].start,
        window_end=window[-1].end if moves else window[0].start,
        baseline_kw=tuple(2.0 * float(one.adjusted_kwh) for one in during),
        import_kw=tuple(2.0 * float(one.actual_kwh) for one in during),
        after_baseline_kw=tuple(2.0 * float(one.adjusted_kwh) for one in after),
        after_import_kw=tuple(2.0 * float(one.actual_kwh) for one in after),
        delivered_kwh=None if settled.delivered_kwh is None else float(settled.delivered_kwh),
        yen=round(settled.yen),
        points=points,
        why=settled.why,
    )


def _slots(store: Store, site: Site, event: DrEvent, end: datetime) -> tuple[BaselineSlot, ...]:
    """Baseline and demand of an event that lasts until an instant; nothing where there is no baseline."""
    longer = replace(event, end=end)
    days = timedelta(days=rule_row(BaselineDays, Slot(event.start).local_date).values.lookback_days + 1)
    grid = Grid.between(event.start - days, end)
    meter = store.as_of(end + SLOT_LENGTH).series(SiteSeries(site.id)["meter", "import_kwh"], grid, Unit.KWH)
    try:
        request = baseline_request(longer, enrolled(site), EventBook(store).event_days(site.id, event))
        found = baseline(request, meter)
    except DataError:  # a gap, or longer than a day: the settlement says so
        return ()
    return found.slots if isinstance(found, Baseline) else ()
