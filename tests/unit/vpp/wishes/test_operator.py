"""The loop obeys: what people asked for reaches the plan and the equipment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.clock import ManualClock
from energy.core.forecast import QuantileForecast
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ChargerPower
from energy.core.plan import ReasonCode
from energy.core.series import Grid, Unit
from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId
from energy.store import Snapshot, Store, open_store
from tests.unit.vpp.loop.test_control import Recorder
from tests.unit.vpp.loop.test_control import site as small_site
from vpp.loop.control import Readings
from vpp.loop.operate import SiteOperator
from vpp.site.ahead import ahead_of
from vpp.site.planning import Outlook
from vpp.wishes import Act, ChargeNow, Departure, EndedWhy, NoDischarge, WishBook, wishes_of

NOW = parse_jst("2026-08-05 16:00")
SITE = replace(small_site(), pv=None, zones=(), peak_memory_kw={"2026-07": Decimal(200)})
LEAF = "leaf"


class Quiet:
    """A desk whose load never changes."""

    def outlook(self, known: Snapshot, now: datetime, grid: Grid) -> Outlook:
        flat = np.full(grid.count, 80.0)
        load = QuantileForecast("load", now, grid, Unit.KW, flat, flat, flat, "test")
        return Outlook(load=load, pv=None, outdoor_c=np.full(grid.count, 25.0), ghi_w_m2=np.zeros(grid.count))

    def keep(self, outlook: Outlook, now: datetime) -> object:
        return None


def readings(soc: float) -> Readings:
    values = {
        "meter": {"power_kw": 80.0, "import_kwh": 10.0},
        LEAF: {"power_kw": 0.0, "soc": soc, "plugged": 1.0},
    }
    return {
        AssetId(asset): {
            name: Measurement(point=name, value=value, unit=Unit.KW, read_at=NOW, quality=Quality.GOOD)
            for name, value in points.items()
        }
        for asset, points in values.items()
    }


class Works:
    """A works with one car, its operator and its store."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, ManualClock(NOW)
        shown = {
            "meter": {"power_kw": 80.0, "import_kwh": 10.0},
            LEAF: {"power_kw": 0.0, "soc": 0.5, "plugged": 1.0},
        }
        self.equipment = Recorder(self.clock, shown)  # type: ignore[arg-type] # never None here
        self.operator = SiteOperator(
            site=SITE,
            mode="optimal",
            store=store,
            clock=self.clock,
            equipment=self.equipment,
            trips=(),
            desk=Quiet(),
        )

    def ask(self, act: Act, hours: float = 6) -> None:
        until = None if isinstance(act, Departure) and act.day is None else NOW + timedelta(hours=hours)
        WishBook(self.store).make(SITE.id, LEAF, act, until=until, at=self.clock.now(), by="driver")

    def begin(self, soc: float = 0.5) -> None:
        self.operator.begin(Slot.containing(self.clock.now()), readings(soc))

    def leaf(self) -> list[float]:
        ahead = ahead_of(self.store.as_of(self.clock.now()), SITE.id, self.clock.now())
        assert ahead is not None
        return list(ahead.assets[LEAF].power_kw)


@pytest.fixture
def works() -> Iterator[Works]:
    with open_store("sqlite://") as store:
        yield Works(store)


def test_a_wished_departure_is_planned_for(works: Works) -> None:
    works.begin()
    charged_before = sum(works.leaf()[:14])
    works.ask(Departure(at=time(22, 30), day=date(2026, 8, 5), charge=0.9), hours=30)
    works.clock.advance(timedelta(minutes=30))
    works.begin()
    assert sum(works.leaf()[:13]) * 0.5 * 0.92 >= 0.4 * 40 - 0.1
    assert charged_before < 1.0


def test_a_car_that_shall_charge_at_once_charges_in_this_very_minute(works: Works) -> None:
    works.begin()
    asyncio.run(works.operator.minute())
    assert works.equipment.orders()[LEAF] != ChargerPower(6.0)
    works.clock.advance(timedelta(minutes=1))
    works.ask(ChargeNow())
    asyncio.run(works.operator.minute())
    assert works.equipment.orders()[LEAF] == ChargerPower(6.0)
    assert works.equipment.commands[-1].reason.code is ReasonCode.MANUAL


def test_charging_at_once_is_over_when_the_car_is_full_enough(works: Works) -> None:
    works.ask(ChargeNow(charge=0.8))
    works.clock.advance(timedelta(minutes=30))
    works.begin(soc=0.79)
    [wish] = wishes_of(works.store.as_of(works.clock.now()), SITE.id, LEAF)
    assert wish.ended is not None
    assert (wish.ended.why, wish.ended.by) == (EndedWhy.DONE, "control")
    assert works.operator.control.asked.charge == {}


def test_no_discharge_is_obeyed_planned_and_undone(works: Works) -> None:
    works.ask(NoDischarge())
    works.begin()
    assert works.operator.control.asked.no_discharge == {AssetId(LEAF)}
    assert min(works.leaf()) >= 0.0
    [wish] = wishes_of(works.store.as_of(NOW), SITE.id, LEAF)
    works.clock.advance(timedelta(minutes=1))
    WishBook(works.store).cancel(SITE.id, wish.id, at=works.clock.now(), by="driver")
    asyncio.run(works.operator.minute())
    assert works.operator.control.asked.no_discharge == set()
