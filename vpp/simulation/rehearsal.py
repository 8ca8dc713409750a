"""Forecasts of some days made once, for all controllers that live through the same days.

The load and what the roof could give do not depend on who controls; so neither do their forecasts, but for
the little that is not learned from an array while it is held back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from energy.core.series import Grid
from energy.core.slots import SLOT_LENGTH, slots_between
from energy.store import Point, Snapshot, open_store
from vpp.forecasts import ForecastDesk
from vpp.loop.operate import HORIZON
from vpp.simulation.scenario import Scenario
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.planning import Outlook
from vpp.site.recorder import SiteSeries

__all__ = ["RehearsedDesk", "rehearse"]


@dataclass(frozen=True, slots=True)
class RehearsedDesk:
    """Says again what was forecast before, by the start of the slot."""

    outlooks: Mapping[datetime, Outlook]

    def outlook(self, known: Snapshot, now: datetime, grid: Grid) -> Outlook:  # noqa: ARG002  (as a desk)
        """Forecasts on a grid, as they were made at its start."""
        return self.outlooks[grid.start]

    def keep(self, outlook: Outlook, now: datetime) -> None:
        """Nothing is kept of a rehearsal."""


def rehearse(scenario: Scenario, world: SimulatedWorld) -> RehearsedDesk:
    """Forecast every slot of a world by the site's own desk, each from what was known at its start."""
    names = SiteSeries(scenario.site.id)
    load, roof, _, _ = world.truth(Grid.between(world.start, world.end))
    pv = scenario.site.pv
    outlooks = {}
    with open_store("sqlite://") as store:
        with store.transaction():
            world.seed(store)
        desk = ForecastDesk(scenario.site, store)
        for k, slot in enumerate(slots_between(world.start, world.end)):
            with store.transaction():
                world.publish(store, slot.start - SLOT_LENGTH, slot.start)
            now = slot.start
            outlooks[now] = desk.outlook(store.as_of(now), now, Grid(now, HORIZON))
            measured = {names["load", "demand_kw"]: float(load[k])}
            if pv is not None:
                measured[names[pv.id, "generation_kwh"]] = float(np.minimum(roof[k], pv.inverter_kw)) / 2.0
                measured[names[pv.id, "limited"]] = 0.0
            with store.transaction():
                store.append(
                    Point(series=name, at=slot.start, known_at=slot.end, value=value, source="rehearsal")
                    for name, value in measured.items()
                )
    return RehearsedDesk(outlooks)
