"""Time between two changes of a charger's setpoint: what waits, what never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from energy.core.outcome import Applied, ChargerPower, Clipped, CommandSource
from energy.core.units import AssetId
from tests.unit.devices.bench import START, bench, quasar


async def test_more_power_waits_for_the_interval_and_then_comes_by_itself_as_last_asked() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        until = START + timedelta(seconds=5)
        writes = made.gateway.writes["charger-leaf"]
        for power_kw in (5.0, -2.0):
            outcome = await made.apply("leaf", ChargerPower(power_kw))
            assert isinstance(outcome, Clipped)
            assert (outcome.order, outcome.more_at) == (ChargerPower(3.0), until)
            assert outcome.limit == "set_power_kw changes again at 00:00:05 UTC"
        made.clock.advance(timedelta(seconds=4))
        await made.gateway.refresh()
        assert made.gateway.writes["charger-leaf"] == writes
        made.clock.advance(timedelta(seconds=1))
        await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == -2.0


@pytest.mark.parametrize("less_kw", [1.0, 0.0])
async def test_less_power_and_a_stop_never_wait(less_kw: float) -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        assert isinstance(await made.apply("leaf", ChargerPower(less_kw)), Applied)
        made.step()
        assert quasar(made).power_kw == less_kw


async def test_an_emergency_and_the_end_of_an_order_do_not_wait() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        emergency = replace(made.command("leaf", ChargerPower(-3.0)), source=CommandSource.EMERGENCY)
        assert isinstance(await made.gateway.apply(emergency), Applied)
        assert isinstance(await made.gateway.apply(replace(emergency, order=ChargerPower(4.0))), Applied)
        waiting = await made.apply("leaf", ChargerPower(6.0))  # the same issuer: the emergency is over
        assert isinstance(waiting, Clipped)
        assert waiting.order == ChargerPower(4.0)
        await made.gateway.withdraw(AssetId("leaf"), "control")
        made.step()
        assert quasar(made).power_kw == 0.0


async def test_the_limit_of_the_site_is_named_while_the_rest_of_an_order_waits() -> None:
    async with bench() as made:
        made.gateway.envelope = lambda command: (ChargerPower(4.0), "contract 4")
        await made.apply("leaf", ChargerPower(3.0))
        made.gateway.envelope = lambda command: (ChargerPower(5.0), "contract 5")
        outcome = await made.apply("leaf", ChargerPower(6.0))
        assert isinstance(outcome, Clipped)
        assert (outcome.order, outcome.limit) == (ChargerPower(4.0), "contract 5")
        made.step()
        await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == 5.0
