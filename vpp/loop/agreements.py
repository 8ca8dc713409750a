"""What a plan has to heed beside the tariff: feeders, what was promised for the day, the plan in force.

The site file names the rules; what they mean at an instant comes from the store and from the last plan.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from energy.core.plan import Plan
from energy.core.plan_parts import Feeder, SubmittedPlan
from energy.core.series import Grid
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, Slot
from energy.core.units import AssetId
from energy.store import Snapshot
from vpp.settlement.promise import promises
from vpp.site.planning import Agreements

__all__ = ["agreements_of"]


def agreements_of(site: Site, known: Snapshot, grid: Grid, *, in_force: Plan | None) -> Agreements:
    """What binds the plan of a site on a grid.

    Parameters
    ----------
    known : Snapshot
        What is known when the plan is made.
    in_force : Plan or None
        The plan that the new one replaces.
    """
    rules = site.planning
    return Agreements(
        feeders=tuple(
            Feeder(
                id=feeder.id,
                members=tuple(AssetId(member) for member in feeder.members),
                limit_kw=feeder.limit_kw,
                back_kw=feeder.limit_kw if feeder.back_kw is None else feeder.back_kw,
            )
            for feeder in site.feeders
        ),
        submitted=_submitted(site, known, grid),
        divisions=rules.divisions,
        in_force=in_force,
        change_yen_per_kwh=rules.change_yen_per_kwh,
    )


def _submitted(site: Site, known: Snapshot, grid: Grid) -> SubmittedPlan | None:
    """The promised import of the days that have a promise; half-hours without one cost nothing.

    A site with imbalance prices always has the rows in its model, so that its structure stays the same.
    """
    terms = site.imbalance
    if terms is None:
        return None
    days = [grid.time(k).astimezone(JST).date() for k in range(grid.count)]
    promised = promises(known, site.id, days[0], days[-1] + timedelta(days=1))
    import_kw, priced = np.zeros(grid.count), np.zeros(grid.count)
    for k, day in enumerate(days):
        if day in promised:
            koma = Slot(grid.time(k)).koma
            import_kw[k], priced[k] = promised[day].import_kwh[koma - 1] / SLOT_HOURS, 1.0
    return SubmittedPlan(
        import_kw=tuple(import_kw.tolist()),
        short_yen_per_kwh=tuple((terms.short_yen_per_kwh * priced).tolist()),
        long_yen_per_kwh=tuple((terms.long_yen_per_kwh * priced).tolist()),
    )
