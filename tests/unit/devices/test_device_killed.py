"""``kill -9`` of a controller in the middle of its work: what each model then does, and how it goes on."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.profile import load_profile, profile_names
from devices.twins.car import CarTwin
from devices.twins.contacts import ContactsTwin
from devices.twins.inverters import DerStorageTwin
from devices.twins.p1p2 import P1P2Twin
from devices.twins.pv import PvTwin
from devices.twins.server import Twin
from devices.twins.stands import stand_for
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    DemandStep,
    GenerationLimit,
    Order,
    RoomClimate,
)
from tests.unit.devices.bench import Bench, bench
from tests.unit.devices.served_controller import ORDERS

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Death:
    """A model, the order it was carrying out, and what it does before and after its timer."""

    profile: str
    words: tuple[str, str]
    order: Order
    working: float
    safe: float


DEATHS = [
    Death("wallbox-quasar1", ("charge", "-3"), ChargerPower(-3.0), -3.0, 0.0),
    Death("keba-p30", ("charge", "11.04"), ChargerPower(11.04), 11.04, 4.14),  # fail-safe current of 6 A
    Death("alfen-ng9xx", ("charge", "11.04"), ChargerPower(11.04), 11.04, 4.14),  # safe current of 6 A
    Death("sunspec-inverter", ("limit", "20"), GenerationLimit(20.0), 20.0, 40.0),  # the sun: 35 to 45
    Death("sunspec-der-inverter", ("limit", "20"), GenerationLimit(20.0), 20.0, 40.0),
    Death("sunspec-der-storage", ("charge", "-3"), ChargerPower(-3.0), -3.0, 2.0),  # its own: -1 to 5
    Death("daikin-ekmbpp1", ("off", "0"), RoomClimate(ClimateMode.OFF, 25.0), 0.0, 1.0),  # it switches ON
    Death("relay-demand", ("step", "0.4"), DemandStep(0.4), 0.4, 1.0),
]
# Nothing is known of a timer that would end what these were told: their profiles name no fail-safe.
HELPLESS = {"evtec-bidipro", "phoenix-charx", "daikin-dta116a51", "huawei-sun2000"}
TIMER_S = 60.0  # of a relay block, whose profile cannot know it


def doing(made: Bench) -> float:
    """What the device really does, without asking it over the wire."""
    twin = made.twin("alone")
    if isinstance(twin, P1P2Twin):
        return float(twin.orders[5])
    if isinstance(twin, ContactsTwin):
        return 0.4 if twin.closed[1] else 0.7 if twin.closed[0] else 1.0
    assert isinstance(twin, CarTwin | PvTwin | DerStorageTwin)
    return twin.power_kw


def pass_time(made: Bench, seconds: float) -> None:
    assert made.lonely is not None
    made.lonely.step(seconds)


def test_every_model_that_takes_orders_is_killed_or_named_as_helpless() -> None:
    commanded = {name for name in profile_names() if load_profile(name).control != "none"}
    assert {death.profile for death in DEATHS} | HELPLESS == commanded
    for name in HELPLESS:
        assert load_profile(name).failsafe is None


@pytest.mark.parametrize("death", DEATHS, ids=lambda death: death.profile)
async def test_after_kill_9_a_device_is_safe_when_its_timer_ends_and_is_taken_over_again(
    death: Death,
) -> None:
    async with bench(alone=death.profile, connect=False) as made:
        twin, failsafe = made.twin("alone"), load_profile(death.profile).failsafe
        timer_s = failsafe.value_s if failsafe is not None else TIMER_S
        words = (death.profile, str(twin.port), str(twin.unit_id), *death.words)
        controller = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.unit.devices.killed_controller", *words),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert controller.stdout is not None
        async with asyncio.timeout(30.0):
            assert await controller.stdout.readline() == b'"Applied"\n'
        pass_time(made, 1.0)
        assert doing(made) == pytest.approx(death.working)
        controller.kill()
        await controller.wait()
        heard = twin.requests
        pass_time(made, 0.9 * timer_s)
        assert doing(made) == pytest.approx(death.working)
        pass_time(made, 0.2 * timer_s)
        pass_time(made, 10.0)
        own = {PvTwin: 5.1, DerStorageTwin: 3.1}  # kW around which sun and battery swing by themselves
        swing = next((kw for kind, kw in own.items() if isinstance(twin, kind)), 1e-6)
        assert doing(made) == pytest.approx(death.safe, abs=swing)
        assert twin.requests == heard

        await made.gateway.connect()  # the next controller
        assert isinstance(await made.apply("asset", death.order), Applied)
        pass_time(made, 1.0)
        assert doing(made) == pytest.approx(death.working)
        written = twin.writes
        assert isinstance(await made.apply("asset", death.order), Applied)
        assert twin.writes == written  # once is enough


# A whole site under one controller


class Works:
    """A charger that gives back, one that charges, a roof under a limit and a closed contact, as twins."""

    def __init__(self) -> None:
        self.stands = {name: stand_for(name) for name in ORDERS}
        self.taken: list[tuple[str, int, list[int]]] = []
        for name, stand in self.stands.items():
            self._note(name, stand.twin)

    def _note(self, name: str, twin: Twin) -> None:
        take, take_bits = twin.take, twin.take_bits

        def taken(address: int, values: list[int]) -> object:
            self.taken.append((name, address, list(values)))
            return take(address, values)

        def bits_taken(address: int, values: list[bool]) -> object:
            self.taken.append((name, address, [int(bit) for bit in values]))
            return take_bits(address, values)

        twin.take, twin.take_bits = taken, bits_taken  # type: ignore[method-assign, assignment]

    async def __aenter__(self) -> Works:
        for stand in self.stands.values():
            await stand.twin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for stand in self.stands.values():
            await stand.twin.stop()

    async def controller(self) -> asyncio.subprocess.Process:
        """A running controller that has given its orders."""
        places = [(name, stand.twin.port, stand.twin.unit_id) for name, stand in self.stands.items()]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.unit.devices.served_controller", json.dumps(places)),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60.0):
            assert json.loads(await process.stdout.readline()) == dict.fromkeys(ORDERS, "Applied")
        return process

    def step(self, seconds: float) -> None:
        for stand in self.stands.values():
            stand.step(seconds)

    def doing(self) -> dict[str, float]:
        """What all of it really does."""
        found: dict[str, float] = {}
        for name, stand in self.stands.items():
            twin = stand.twin
            assert isinstance(twin, CarTwin | PvTwin | ContactsTwin)
            found[name] = float(twin.closed[1]) if isinstance(twin, ContactsTwin) else twin.power_kw
        return found


WORKING = {"wallbox-quasar1": -3.0, "keba-p30": 11.04, "sunspec-inverter": 20.0, "relay-demand": 1.0}
# KEBA has no stop of its own: its fail-safe current. The roof is free: the sun gives 35 to 45 kW.
DEAD = {"wallbox-quasar1": 0.0, "keba-p30": 4.14, "sunspec-inverter": 40.0, "relay-demand": 0.0}
STOPPED = {**DEAD, "keba-p30": 0.0}


async def test_kill_9_while_discharging_ends_safely_and_the_next_controller_orders_once() -> None:
    async with Works() as works:
        process = await works.controller()
        works.step(1.0)
        assert works.doing() == pytest.approx(WORKING)
        process.kill()
        await process.wait()
        heard = {name: stand.twin.requests for name, stand in works.stands.items()}
        works.step(60.0)  # the longest timer of those that stop a flow
        works.step(1.0)
        assert works.doing() == pytest.approx({**DEAD, "sunspec-inverter": 20.0})
        works.step(240.0)  # the inverter's revert timer
        works.step(1.0)
        assert works.doing() == pytest.approx(DEAD, abs=5.1)
        assert {name: stand.twin.requests for name, stand in works.stands.items()} == heard

        works.taken.clear()
        process = await works.controller()
        works.step(1.0)
        assert works.doing() == pytest.approx(WORKING)
        quasar = [address for name, address, _ in works.taken if name == "wallbox-quasar1"]
        assert quasar == [81, 82, 83, 88, 260, 257]  # control, fail-safe, setpoint, start: each once
        keba = [address for name, address, _ in works.taken if name == "keba-p30"]
        assert keba == [5018, 5004, 5014]
        assert len([1 for name, *_ in works.taken if name == "sunspec-inverter"]) == 1
        assert len([1 for name, *_ in works.taken if name == "relay-demand"]) == 1
        process.kill()
        await process.wait()


async def test_sigterm_leaves_the_safe_state_before_the_process_ends() -> None:
    async with Works() as works:
        process = await works.controller()
        works.step(1.0)
        process.terminate()
        async with asyncio.timeout(30.0):
            assert await process.wait() == 0
        works.step(1.0)
        assert works.doing() == pytest.approx(STOPPED, abs=5.1)
        assert works.doing()["wallbox-quasar1"] == works.doing()["keba-p30"] == 0.0
