"""Demand contacts: closed when nothing else helps, opened late, and really moved over Modbus."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from devices.twins.contacts import ContactsTwin
from dispatch.guard import DemandGuard
from energy.core.clock import ManualClock
from energy.core.outcome import CommandSource, DemandStep
from energy.core.series import Unit
from energy.core.units import AssetId
from tests.unit.devices.bench import bench
from tests.unit.vpp.loop.test_control import SLOT, START, Recorder, plan, shown, site
from vpp.loop.contacts import DemandContacts
from vpp.loop.control import Readings, SiteController, Window

RELAY = AssetId("relay")


def readings() -> Readings:
    clock = ManualClock(START)
    return asyncio.run(Recorder(clock, {"relay": {"demand_ratio": 1.0}, "meter": {"power_kw": 1.0}}).read())


@pytest.mark.parametrize(
    ("unmet_kw", "running_kw", "ratio"),
    [
        (0.0, 80.0, None),  # never needed, never touched
        (5.0, 90.0, 0.7),
        (25.0, 90.0, 0.4),
        (70.0, 90.0, 0.4),  # there is no lower step
        (5.0, None, 0.7),
    ],
)
def test_the_step_leaves_what_the_target_allows(
    unmet_kw: float, running_kw: float | None, ratio: float | None
) -> None:
    decided = DemandContacts().decide(
        readings(), unmet_kw=unmet_kw, running_kw=running_kw, full_kw=100.0, now=START
    )
    assert decided == ({} if ratio is None else {RELAY: ratio})


def test_contacts_open_late_and_one_after_the_other() -> None:
    contacts, seen = DemandContacts(), []
    for minute in range(13):
        decided = contacts.decide(
            readings(),
            unmet_kw=40.0 if minute == 0 else 0.0,
            running_kw=90.0 if minute == 0 else 40.0,
            full_kw=100.0,
            now=START + timedelta(minutes=minute),
        )
        seen.append(decided[RELAY])
    assert seen == [0.4] * 5 + [0.7] * 5 + [1.0] * 3


def test_a_site_without_contacts_is_given_none() -> None:
    assert DemandContacts().decide({}, unmet_kw=9.0, running_kw=9.0, full_kw=9.0, now=START) == {}


def test_the_guard_closes_a_contact_when_cars_and_rooms_are_not_enough() -> None:
    clock = ManualClock(START + timedelta(minutes=20))
    world = shown(meter={"power_kw": 200.0, "import_kwh": 1060.0}) | {"relay": {"demand_ratio": 1.0}}
    equipment = Recorder(clock, world)
    controller = SiteController(site=site(), equipment=equipment, clock=clock, trips=(), guard=DemandGuard())
    controller.begin_slot(Window(slot=SLOT, plan=plan(6.0, 8.0), target_kw=100.0))
    decision = asyncio.run(controller.tick()).decision
    assert decision is not None
    assert decision.unmet_kw > 0.0
    told = next(command for command in equipment.commands if command.asset == RELAY)
    assert (told.order, told.source) == (DemandStep(0.4), CommandSource.GUARD)


async def test_the_order_moves_a_real_contact() -> None:
    async with bench(alone="relay-demand") as made:
        twin = made.twin("alone")
        assert isinstance(twin, ContactsTwin)
        made.step()
        table = await made.gateway.read()
        assert table[AssetId("asset")]["demand_ratio"].unit is Unit.RATIO
        decided = DemandContacts().decide(
            table, unmet_kw=30.0, running_kw=60.0, full_kw=60.0, now=made.clock.now()
        )
        await made.apply("asset", DemandStep(decided[AssetId("asset")]))
        made.step()
        assert twin.closed == [False, True]
