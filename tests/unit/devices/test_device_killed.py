"""``kill -9`` of a controller in the middle of its work: what each model then does, and how it goes on."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.profile import load_profile, profile_names
from devices.twins.car import CarTwin
from devices.twins.contacts import ContactsTwin
from devices.twins.pv import PvTwin
from energy.core.outcome import Applied, ChargerPower, DemandStep, GenerationLimit, Order
from tests.unit.devices.bench import Bench, bench

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
    Death("relay-demand", ("step", "0.4"), DemandStep(0.4), 0.4, 1.0),
]
# Nothing is known of a timer that would end what these were told: their profiles name no fail-safe.
HELPLESS = {"evtec-bidipro", "phoenix-charx", "daikin-dta116a51"}
TIMER_S = 60.0  # of a relay block, whose profile cannot know it


def doing(made: Bench) -> float:
    """What the device really does, without asking it over the wire."""
    twin = made.twin("alone")
    if isinstance(twin, ContactsTwin):
        return 0.4 if twin.closed[1] else 0.7 if twin.closed[0] else 1.0
    assert isinstance(twin, CarTwin | PvTwin)
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
        assert doing(made) == pytest.approx(death.safe, abs=5.1 if isinstance(twin, PvTwin) else 1e-6)
        assert twin.requests == heard

        await made.gateway.connect()  # the next controller
        assert isinstance(await made.apply("asset", death.order), Applied)
        pass_time(made, 1.0)
        assert doing(made) == pytest.approx(death.working)
        written = twin.writes
        assert isinstance(await made.apply("asset", death.order), Applied)
        assert twin.writes == written  # once is enough
