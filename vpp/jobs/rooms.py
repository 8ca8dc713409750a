"""The job of rooms that learn: refitted each night from the readings in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from energy.core.site import Site
from vpp.jobs.job import Outcome, Run
from vpp.site.rooms import RoomState, learn_rooms

__all__ = ["learn"]


def learn(sites: Mapping[str, Site]) -> Callable[[Run], Outcome]:
    """Fit the rooms of a site that learn; a second run of the same day finds them done."""

    def fit(run: Run) -> Outcome:
        made = learn_rooms(run.store, sites[run.subject], run.clock.now())
        if not made:
            return Outcome("rooms_done", idle=True)
        used = sum(one.state is not RoomState.DECLARED for one in made)
        facts = {"count": str(len(made)), "used": str(used)}
        bad = sorted(one.room for one in made if one.why in ("unreadable", "unmeasured"))
        if bad:
            return Outcome("rooms_unread", {**facts, "rooms": ", ".join(bad)}, attention=True)
        return Outcome("rooms", facts)

    return fit
