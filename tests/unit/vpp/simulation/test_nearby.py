"""The twins without the wire behave, to the digit, as they do behind it; forecasts may be made beforehand."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import numpy as np
import pytest

from energy.core.forecast import QuantileForecast
from energy.core.series import Grid, Unit
from energy.core.slots import parse_jst
from energy.store import open_store
from vpp.loop.operate import HORIZON, Mode
from vpp.simulation.rehearsal import RehearsedDesk
from vpp.simulation.scenario import load_scenario
from vpp.simulation.simulate import ScenarioRun
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.planning import Outlook

START = parse_jst("2026-08-05 12:00")
END = START + timedelta(hours=2)


def known_beforehand(world: SimulatedWorld) -> RehearsedDesk:
    """Forecasts that say what the load and the sun are at noon, for ever."""
    load, roof, outdoor, ghi = (float(values[0]) for values in world.truth(Grid(START, 1)))
    outlooks = {}
    for k in range(4):
        grid = Grid(START + k * timedelta(minutes=30), HORIZON)

        def flat(value: float, grid: Grid = grid) -> QuantileForecast:
            level = np.full(HORIZON, value)
            return QuantileForecast("x", grid.start, grid, Unit.KW, level, level, 1.1 * level, "flat")

        outlooks[grid.start] = Outlook(
            load=flat(load),
            pv=flat(roof),
            outdoor_c=np.full(HORIZON, outdoor),
            ghi_w_m2=np.full(HORIZON, ghi),
        )
    return RehearsedDesk(outlooks)


def two_hours(mode: Mode, *, wire: bool) -> dict[str, object]:
    """The state of twins, score and control after two hours."""
    scenario, folder = load_scenario("kitakata")
    world = SimulatedWorld(scenario, folder, START, END)
    with open_store("sqlite://") as store:
        run = ScenarioRun(scenario, folder, mode, START, END, store, wire=wire, desk=known_beforehand(world))
        asyncio.run(run.run())
        names = store.as_of(END + timedelta(days=1))
        imported = names.series("kitakata/meter/import_kwh", Grid(START, 4), Unit.KWH).values  # type: ignore[arg-type]
        warmth = names.series("kitakata/hall-north/temp_c", Grid(START, 4), Unit.CELSIUS).values  # type: ignore[arg-type]
        return {
            "imported": [round(float(one), 4) for one in imported],
            "hall": [round(float(one), 4) for one in warmth],
            "score": run.score.state(),
            "counts": {key: run.operator.counts[key] for key in ("plans", "guard_actions", "unconfirmed")},
        }


@pytest.mark.parametrize("mode", ["none", "rules"])
def test_two_hours_without_the_wire_are_two_hours_over_modbus(mode: Mode) -> None:
    assert two_hours(mode, wire=False) == two_hours(mode, wire=True)
