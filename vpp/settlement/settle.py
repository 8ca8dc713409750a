"""From verified energy to coins: an event that ended is paid once, car by car."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from energy.core.series import Grid, Unit
from energy.core.site import Site
from energy.core.slots import Slot, slots_between
from energy.core.units import AssetId
from energy.ledger import (
    CoinRule,
    Grant,
    Journal,
    SlotEnergy,
    TightEvent,
    apply_caps,
    grant_for,
    metered_kwh,
    points_of_day,
    points_of_month,
    post_grant,
)
from energy.store import Snapshot, Store
from vpp.consents import REWARDS, admitted
from vpp.site.recorder import SiteSeries

__all__ = ["energy_of_slot", "event_slots", "settle_event"]


def event_slots(event: TightEvent) -> list[Slot]:
    """Slots of an event, in order."""
    return slots_between(event.start.start, event.end.start)


def energy_of_slot(slot: Slot, discharge_kwh: float, charge_kwh: float) -> SlotEnergy:
    """AC energies of a slot as the sub-meter's register says them. [kWh]"""
    return SlotEnergy(slot=slot, discharge_kwh=metered_kwh(discharge_kwh), charge_kwh=metered_kwh(charge_kwh))


def settle_event(
    journal: Journal,
    known: Snapshot,
    site: Site,
    rule: CoinRule,
    event: TightEvent,
    *,
    opted_out: Collection[AssetId],
    at: datetime,
    store: Store,
    stopped_at: datetime | None = None,
) -> Sequence[Grant]:
    """Grant the coins of an event from the sub-meters' energies; granting twice posts nothing new.

    A slot whose sub-meter is missing counts nothing: only verified energy is paid.

    Parameters
    ----------
    at : datetime
        When the entries are posted, UTC.
    store : Store
        Where consents are kept: the readings of a driver without one for :data:`~vpp.consents.REWARDS` at
        this moment are not looked at, and nothing is granted. What was granted before a withdrawal stays.
    stopped_at : datetime, optional
        When the event was cancelled: energy after it earns nothing.
    """
    names = SiteSeries(site.id)
    slots = event_slots(event)
    grid = Grid(slots[0].start, len(slots))
    earned = []
    drivers = sorted({vehicle.driver for vehicle in site.vehicles if vehicle.driver is not None})
    agreed = admitted(store, drivers, REWARDS, at=at, actor="settlement")
    for vehicle in site.vehicles:
        if vehicle.driver is not None and vehicle.driver not in agreed:
            continue
        given = known.series(names[vehicle.id, "discharge_kwh"], grid, Unit.KWH).values.tolist()
        taken = known.series(names[vehicle.id, "charge_kwh"], grid, Unit.KWH).values.tolist()
        energies = [
            energy_of_slot(slot, discharge, charge)
            for slot, discharge, charge in zip(slots, given, taken, strict=True)
            if not (math.isnan(discharge) or math.isnan(charge))
        ]
        opted_in = AssetId(vehicle.id) not in opted_out
        result = grant_for(
            rule,
            event,
            vehicle=vehicle,
            energies=energies,
            opted_in=opted_in,
            cancelled_at=stopped_at,
        )
        if isinstance(result, Grant):
            earned.append(replace(result, site=site.id))
    day, month = (
        {grant.account: count(journal, grant.account, grant.day, except_event=event.id) for grant in earned}
        for count in (points_of_day, points_of_month)
    )
    capped = apply_caps(rule, earned, booked_points=day, booked_month=month)
    paid = [grant for grant in capped if isinstance(grant, Grant)]
    for grant in paid:
        post_grant(journal, grant, at)
    return paid
