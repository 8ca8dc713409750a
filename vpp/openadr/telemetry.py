"""What is reported upstream: the power that the portfolio's sites draw together, never that of one of them.

Before anything leaves, in this order:

1. The sites with a ``dr`` of their own; of those the ones that agreed to it (``dr-telemetry``), asked anew
   each time: a withdrawal counts from its instant on.
2. Enough sites for a group (``energy/rules/minimum_group.yaml``).
3. The newest half hour that is over, read from every one of these sites. Where one is missing nothing is
   sent: no value is guessed, and a sum over fewer sites would look like a reduction.
4. No site with more than the group's largest share of the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np

from energy.core.series import Grid
from energy.core.slots import SLOT_HOURS, SLOT_LENGTH, Slot
from energy.market.rules import minimum_group
from energy.store import Store
from vpp.consents import DR_TELEMETRY, decided
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import SITE, read_site

__all__ = ["OLDEST", "PortfolioPower", "Silence", "portfolio_power"]

OLDEST: Final = 2 * SLOT_LENGTH
"""A half hour that ended longer ago is no telemetry any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioPower:
    """What the sites drew together.

    Parameters
    ----------
    slot : Slot
        The half hour.
    import_kw : float
        Mean power drawn from the grid in it. [kW]
    sites : int
        How many sites it is the sum of.
    left_out : int
        Enrolled sites without consent now.
    """

    slot: Slot
    import_kw: float
    sites: int
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Why nothing is sent: ``few`` sites agreed, one is too ``large``, or a reading is ``stale``."""

    why: Literal["few", "large", "stale"]
    sites: int
    left_out: int


def portfolio_power(store: Store, *, at: datetime) -> PortfolioPower | Silence:
    """The newest power of the portfolio that may leave now, or why none may."""
    known = store.as_of(at)
    found = [read_site(one.body) for one in known.documents(SITE)]
    enrolled = sorted(site.id for site in found if site.dr is not None)
    permitted, denied = decided(store, enrolled, DR_TELEMETRY, at=at)
    sites, left_out = [one.subject for one in permitted], len(denied)
    now = Slot.containing(at)
    rule = minimum_group(now.local_date)
    if len(sites) < rule.min_sites:
        return Silence(why="few", sites=len(sites), left_out=left_out)
    first = now.shifted(-1 - OLDEST // SLOT_LENGTH)
    grid = Grid.between(first.start, now.start)
    names = [SiteSeries(site)["meter", "import_kwh"] for site in sites]
    table = store.across(at).table(names, grid)
    whole = np.flatnonzero(~np.isnan(table).any(axis=0))
    ended = [k for k in whole.tolist() if at - grid.time(k + 1) < OLDEST]
    if not ended:
        return Silence(why="stale", sites=len(sites), left_out=left_out)
    drawn = table[:, ended[-1]]
    if drawn.max() > float(rule.max_site_share) * drawn.sum():
        return Silence(why="large", sites=len(sites), left_out=left_out)
    return PortfolioPower(
        slot=Slot(grid.time(ended[-1])),
        import_kw=round(float(drawn.sum()) / SLOT_HOURS, 3),
        sites=len(sites),
        left_out=left_out,
    )


def half_hours(duration: timedelta | None) -> timedelta:
    """How often a report is sent that was asked for at an interval: by whole half hours, at least one."""
    if duration is None or duration <= SLOT_LENGTH:
        return SLOT_LENGTH
    return (duration // SLOT_LENGTH) * SLOT_LENGTH
