"""What happens when something is not allowed, restarts, or dies."""

from __future__ import annotations

import pytest

from devices.gateway import Access
from energy.core.errors import RefusedError
from energy.core.outcome import Applied, ChargerPower, GenerationLimit, Refused
from tests.unit.devices.bench import ORDERS, bench, quasar


@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_without_control_nothing_is_ever_written(access: Access) -> None:
    async with bench(access=access) as made:
        made.step()
        await made.gateway.read()
        for asset, order in ORDERS:
            outcome = await made.apply(asset, order)
            assert isinstance(outcome, Refused), asset
            assert "nothing was written" in outcome.why
        await made.gateway.refresh()
        await made.gateway.safe_state()
        for device in made.gateway._devices.values():  # past the drivers, too
            point = {"charger": "set_power_kw", "inverter": "limit_enabled", "climate": "set_setpoint_c"}
            name = point.get(device.profile.nature)
            if name is not None:
                with pytest.raises(RefusedError, match="nothing was written"):
                    await device.write({name: 1.0})
        await made.gateway.close()
        assert [twin.writes for twin in made.site.twins.values()] == [0] * len(made.site.twins)
        assert set(made.gateway.writes.values()) == {0}


async def test_control_is_taken_and_the_fail_safe_set_at_connection() -> None:
    async with bench() as made:
        assert {address: quasar(made).settings[address] for address in (81, 82, 83, 88)} == {
            81: 1,
            82: 0,
            83: 1,
            88: 60,
        }
        assert made.gateway.writes["charger-leaf"] == 4


async def test_a_charger_that_keeps_its_settings_is_read_but_not_commanded() -> None:
    async with bench(connect=False) as made:
        made.twin("charger-leaf").faults.ignore_writes = True
        await made.gateway.connect()
        outcome = await made.apply("leaf", ChargerPower(3.0))
        assert isinstance(outcome, Refused)
        assert "hand over control" in outcome.why
        assert (await made.values("leaf"))["soc"] == 0.5
        made.twin("charger-leaf").faults.ignore_writes = False  # somebody allowed it
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Applied)


async def test_a_restarted_charger_is_taken_over_again_before_it_is_commanded() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        await made.twin("charger-leaf").stop()
        await made.gateway.read()
        rebooted = quasar(made)
        rebooted.settings.update({81: 0, 82: 1, 83: 0, 88: 0, 257: 2, 260: 0})
        await rebooted.start(port=made.config("charger-leaf").port)
        made.step()
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Applied)
        made.step()
        assert rebooted.power_kw == 3.0
        assert rebooted.settings[88] == 60


async def test_a_dead_controller_stops_the_charger_and_frees_the_roof() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(6.0))
        await made.apply("roof", GenerationLimit(10.0))
        made.step(minutes=10)  # nobody reads, nobody refreshes
        assert made.site.truth().cars["leaf"].charge_kwh == pytest.approx(6.0 / 60.0)
        assert made.site.truth().cars["leaf"].power_kw == 0.0
        assert made.site.truth().pv_kwh == pytest.approx((10.0 * 5 + 40.0 * 5) / 60.0)


async def test_refreshing_keeps_charger_and_limit_alive() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(6.0))
        await made.apply("roof", GenerationLimit(10.0))
        for _ in range(10):
            made.step()
            await made.gateway.refresh()
        assert made.site.truth().cars["leaf"].charge_kwh == pytest.approx(1.0)
        assert made.site.truth().pv_kwh == pytest.approx(10.0 * 10 / 60.0)


async def test_after_a_lapse_of_contact_the_order_is_written_again() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(6.0))
        made.step(minutes=3)
        assert quasar(made).power_kw == 0.0
        await made.gateway.read()
        assert isinstance(await made.apply("leaf", ChargerPower(6.0)), Applied)
        made.step()
        assert quasar(made).power_kw == 6.0


async def test_a_charger_started_by_a_person_is_stopped_again() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(0.0))
        quasar(made).settings.update({257: 1, 260: 5000})
        made.step()
        await made.gateway.read()
        await made.apply("leaf", ChargerPower(0.0))
        made.step()
        assert quasar(made).power_kw == 0.0


@pytest.mark.parametrize("ending", ["safe_state", "close"])
async def test_the_safe_state_stops_cars_frees_the_roof_and_leaves_the_rooms(ending: str) -> None:
    async with bench() as made:
        for asset, order in ORDERS:
            await made.apply(asset, order)
        made.step()
        await (made.gateway.safe_state() if ending == "safe_state" else made.gateway.close())
        made.step(minutes=2)
        truth = made.site.truth()
        assert truth.cars["leaf"].power_kw == 0.0
        assert made.site.inverter is not None
        assert made.site.inverter.power_kw == pytest.approx(40.0)
        assert made.site.adaptor is not None
        assert made.site.adaptor.rooms[0].setpoint_c == 25.0
