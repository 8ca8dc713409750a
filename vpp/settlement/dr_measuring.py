"""How a site is measured and paid in events: by its own agreement, or as the one who settles says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from energy.core.calendar import SiteCalendar
from energy.core.errors import DataError
from energy.core.site import Site
from energy.core.slots import Slot
from energy.market.baseline import Adjustment, BaselineRequest, Method
from vpp.settlement.dr_event import DrEvent

__all__ = ["Measuring", "baseline_request", "enrolled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How sites are measured: meter files, price, baseline, days of rest.

    Parameters
    ----------
    meters : mapping of str to Path
        Meter file of each site.
    yen_per_kwh : Decimal or None
        What a delivered kWh is paid; None if only sites with an agreement of their own are paid. [yen/kWh]
    up_to_call : bool
        Whether a half hour is paid up to what the site was called for, and no further.
    negative_counts : bool
        Whether an event that comes out below nothing costs (a contract between businesses).
    own : bool
        Whether it is a site's own agreement, and not what holds for those without one.
    """

    meters: Mapping[str, Path] = field(default_factory=dict)
    yen_per_kwh: Decimal | None = None
    up_to_call: bool = False
    adjustment: Adjustment = Adjustment.ADD
    calendar: SiteCalendar | None = None
    method: Method = Method.HIGH_4_OF_5
    negative_counts: bool = False
    own: bool = False

    def counted(self, delivered_kwh: Sequence[Decimal], called_kwh: Decimal | None) -> Decimal:
        """What of the half hours that were measured is paid: each up to its call, where that is agreed. [kWh]

        Parameters
        ----------
        delivered_kwh : sequence of Decimal
            Half hour by half hour, below 0 where more was drawn than the baseline. [kWh]
        called_kwh : Decimal or None
            What the site was called for in these half hours; None if nobody called it. [kWh]
        """
        if not self.up_to_call or called_kwh is None or not delivered_kwh:
            return sum(delivered_kwh, Decimal(0))
        most = called_kwh / len(delivered_kwh)
        return sum((min(one, most) for one in delivered_kwh), Decimal(0))

    def worth(self, counted_kwh: Decimal) -> Decimal:
        """What the sum of an event is paid; below 0 only where a negative sum counts (RULES-JP T30). [yen]"""
        yen = counted_kwh * (self.yen_per_kwh or Decimal(0))
        return yen if self.negative_counts else max(Decimal(0), yen)

    def request(self, start: Slot, end: Slot, event_days: frozenset[date]) -> BaselineRequest:
        """The baseline that is agreed, for the half hours from ``start`` to before ``end``.

        Raises
        ------
        DataError
            If they are longer than a day.
        """
        return BaselineRequest(
            start=start,
            end=end,
            event_days=event_days,
            calendar=self.calendar or SiteCalendar(),
            method=self.method,
            adjustment=self.adjustment,
        )


def enrolled(site: Site) -> Measuring:
    """How a site that is enrolled in demand response is measured: as its ``dr`` says.

    Raises
    ------
    DataError
        If the site has no ``dr``.
    """
    if site.dr is None:
        raise DataError(
            "the site is not enrolled in demand response", where=site.id, hint="give the site a dr: part"
        )
    return Measuring(
        own=True,
        yen_per_kwh=Decimal(str(site.dr.reward_yen_per_kwh)),
        up_to_call=True,  # as its plans take it
        adjustment=Adjustment(site.dr.adjustment),
        calendar=site.calendar.calendar(),
        method=Method(site.dr.baseline),
        negative_counts=site.dr.negative_counts,
    )


def baseline_request(event: DrEvent, how: Measuring, event_days: frozenset[date]) -> BaselineRequest:
    """What plan, settlement and report ask for: the baseline of the event as announced.

    A stop or a release must not choose other days.

    Raises
    ------
    DataError
        If the event is longer than a day.
    """
    return how.request(Slot(event.start), Slot(event.end), event_days)
