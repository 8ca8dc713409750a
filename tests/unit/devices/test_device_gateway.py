from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from devices.gateway import Connection, DeviceConfig, Gateway
from devices.natures import ChargerState, climate_mode
from devices.transport import Framing
from energy.core.clock import ManualClock
from energy.core.errors import ConfigError
from energy.core.measurement import Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    GenerationLimit,
    Order,
    Refused,
    RoomClimate,
    Unconfirmed,
    Unreachable,
)
from energy.core.series import Unit
from energy.core.units import AssetId
from tests.unit.devices.bench import ORDERS, START, bench, quasar

# Reading


async def test_everything_is_read_in_the_units_and_signs_of_the_house() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(-6.0))
        made.step()
        table = await made.gateway.read()
        truth = made.site.truth()
        meter = {name: point.value for name, point in table[AssetId("meter")].items()}
        assert meter["power_kw"] == pytest.approx(100.0 - 6.0 - 40.0)
        assert meter["import_kwh"] == pytest.approx(truth.import_kwh)
        leaf = {name: point.value for name, point in table[AssetId("leaf")].items()}
        assert leaf == {"power_kw": -6.0, "soc": 0.5, "plugged": 1.0, "state": ChargerState.DISCHARGING}
        roof = {name: point.value for name, point in table[AssetId("roof")].items()}
        assert roof["generation_kw"] == pytest.approx(40.0)
        assert roof["generation_kwh"] == pytest.approx(truth.pv_kwh, abs=0.001)
        assert roof["limit_ratio"] == 1.0
        hall = {name: point.value for name, point in table[AssetId("hall-0")].items()}
        room_c = round(truth.zones["hall-0"].temp_c, 1)
        assert hall == {"room_c": pytest.approx(room_c), "setpoint_c": 26.0, "mode": 0.0, "on": 0.0}
        assert all(point.quality is Quality.GOOD for points in table.values() for point in points.values())
        assert all(
            point.read_at == START + timedelta(minutes=1)
            for points in table.values()
            for point in points.values()
        )
        assert table[AssetId("meter")]["power_kw"].unit is Unit.KW
        assert table[AssetId("submeter-leaf")]["export_kwh"].value == pytest.approx(0.1)


async def test_only_the_asked_devices_are_read() -> None:
    async with bench() as made:
        assert set(await made.gateway.read(["main-meter"])) == {AssetId("meter")}
        with pytest.raises(ConfigError, match="no device 'main-metre'") as caught:
            await made.gateway.read(["main-metre"])
        assert caught.value.hint == "did you mean main-meter?"


async def test_a_car_that_left_has_no_soc_and_no_last_value() -> None:
    async with bench() as made:
        made.site.unplug("leaf")
        points = await made.read("leaf")
        assert points["soc"].value is None
        assert points["soc"].quality is Quality.INVALID
        assert points["plugged"].value == 0.0
        assert points["state"].value == ChargerState.UNPLUGGED


async def test_a_silent_device_gives_stale_points_without_values_and_leaves_the_others_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench() as made:
        made.step()
        await made.gateway.read()
        await made.twin("main-meter").stop()
        caplog.clear()
        for _ in range(5):
            made.step()
            table = await made.gateway.read()
        gone = table[AssetId("meter")]
        assert {point.value for point in gone.values()} == {None}
        assert {point.quality for point in gone.values()} == {Quality.STALE}
        assert gone["power_kw"].age(made.clock.now()) == timedelta(minutes=5)
        assert table[AssetId("hvac-meter")]["power_kw"].quality is Quality.GOOD
        assert made.gateway.connections["main-meter"] is Connection.OFFLINE
        await made.twin("main-meter").start(port=made.config("main-meter").port)
        with caplog.at_level(logging.INFO):
            made.step()
            assert (await made.values("meter"))["power_kw"] == pytest.approx(60.0)
        said = [record.getMessage().split(" why=")[0] for record in caplog.records]
        assert [line for line in said if line.startswith("device.offline")] == [
            "device.offline id=main-meter"
        ]
        assert [line for line in said if line.startswith("device.online")] == [
            "device.online id=main-meter tries=6"
        ]


async def test_a_silent_device_is_not_asked_again_before_its_time() -> None:
    async with bench(only=["main-meter"]) as made:
        await made.twin("main-meter").stop()
        await made.gateway.read()
        await made.twin("main-meter").start(port=made.config("main-meter").port)
        assert (await made.values("meter"))["power_kw"] is None  # within the back-off
        made.clock.advance(timedelta(seconds=1))
        assert (await made.values("meter"))["power_kw"] == 0.0


async def test_a_gateway_starts_without_its_devices() -> None:
    config = DeviceConfig("main-meter", "eastron-sdm630", "127.0.0.1", 9, assets=(AssetId("meter"),))
    async with bench(only=[]) as made:
        gateway = Gateway([config], clock=made.clock)
        await gateway.connect()
        assert gateway.connections == {"main-meter": Connection.OFFLINE}
        points = (await gateway.read())[AssetId("meter")]
        assert points["import_kwh"].value is None
        await gateway.close()


async def test_a_hole_in_the_map_costs_its_point_and_not_the_device(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as made:
        device = made.gateway._devices["charger-leaf"]
        made.site.chargers["leaf"].spans = lambda table: [(81, 3), (88, 1), (257, 4), (514, 1), (526, 12)]  # type: ignore[method-assign]
        port = made.config("charger-leaf").port
        await made.twin("charger-leaf").stop()
        await made.twin("charger-leaf").start(port=port)
        made.step()
        points = await made.read("leaf")
        assert points["soc"].quality is Quality.INVALID
        assert points["power_kw"].quality is Quality.GOOD
        assert "device.hole id=charger-leaf points=soc" in caplog.text
        before = made.twin("charger-leaf").requests
        await made.read("leaf")
        assert made.twin("charger-leaf").requests - before == len(
            device._blocks
        )  # the hole is not tried again


# Commands


@pytest.mark.parametrize(("asset", "order"), ORDERS)
async def test_an_order_is_written_read_back_and_seen_in_the_physics(asset: str, order: Order) -> None:
    async with bench() as made:
        assert await made.apply(asset, order) == Applied(made.command(asset, order))
        for _ in range(6):
            made.step()
            await made.gateway.refresh()
        truth = made.site.truth()
        match order:
            case ChargerPower():
                assert truth.cars["leaf"].power_kw == pytest.approx(3.0)
            case GenerationLimit():
                assert (await made.values("roof"))["generation_kw"] == pytest.approx(20.0)
            case RoomClimate():
                assert truth.zones["hall-0"].power_kw > 10.0
                assert climate_mode((await made.values("hall-0"))["mode"] or 0.0) is ClimateMode.COOL


@pytest.mark.parametrize(
    ("asset", "order", "minutes"),
    [
        ("leaf", ChargerPower(3.0), 12),
        ("leaf", ChargerPower(0.0), 12),
        ("roof", GenerationLimit(20.0), 4),  # its revert timer ends after five
        ("hall-0", RoomClimate(ClimateMode.COOL, 25.0), 12),
        ("hall-0", RoomClimate(ClimateMode.OFF, 25.0), 12),
    ],
)
async def test_what_is_already_so_is_not_written_again(asset: str, order: Order, minutes: int) -> None:
    async with bench() as made:
        await made.apply(asset, order)
        before = dict(made.gateway.writes)
        for _ in range(minutes):
            made.step()
            await made.gateway.read()
            assert isinstance(await made.apply(asset, order), Applied)
        assert made.gateway.writes == before


async def test_a_changed_order_is_written() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        before = made.gateway.writes["charger-leaf"]
        assert isinstance(await made.apply("leaf", ChargerPower(3.04)), Applied)
        assert made.gateway.writes["charger-leaf"] == before  # within the dead band
        made.step()
        assert isinstance(await made.apply("leaf", ChargerPower(-3.0)), Applied)
        made.step()
        assert quasar(made).power_kw == -3.0
        assert isinstance(await made.apply("leaf", ChargerPower(0.0)), Applied)
        made.step()
        assert quasar(made).power_kw == 0.0


@pytest.mark.parametrize(
    ("asset", "asked", "given"),
    [
        ("leaf", ChargerPower(11.0), ChargerPower(6.0)),
        ("leaf", ChargerPower(-11.0), ChargerPower(-6.0)),
        ("roof", GenerationLimit(-5.0), GenerationLimit(0.0)),
        ("hall-0", RoomClimate(ClimateMode.COOL, 10.0), RoomClimate(ClimateMode.COOL, 16.0)),
    ],
)
async def test_an_order_beyond_the_limits_is_clipped_and_says_by_what(
    asset: str, asked: Order, given: Order
) -> None:
    async with bench() as made:
        outcome = await made.apply(asset, asked)
        assert isinstance(outcome, Clipped)
        assert outcome.order == given
        assert outcome.limit


async def test_a_limit_above_the_rating_binds_nobody() -> None:
    async with bench() as made:
        assert isinstance(await made.apply("roof", GenerationLimit(80.0)), Applied)
        made.step()
        assert (await made.values("roof"))["generation_kw"] == pytest.approx(40.0)


async def test_a_limit_is_never_exceeded_by_rounding() -> None:
    async with bench() as made:
        await made.apply("roof", GenerationLimit(33.3337))
        made.step()
        assert 33.32 < made.site.truth().pv_kwh * 60.0 <= 33.3337


async def test_a_released_limit_is_gone() -> None:
    async with bench() as made:
        await made.apply("roof", GenerationLimit(10.0))
        made.step()
        assert isinstance(await made.apply("roof", GenerationLimit(None)), Applied)
        made.step()
        assert (await made.values("roof"))["limit_ratio"] == 1.0
        assert (await made.values("roof"))["generation_kw"] == pytest.approx(40.0)


async def test_the_fan_stays_as_people_set_it() -> None:
    async with bench() as made:
        assert made.site.adaptor is not None
        made.site.adaptor.fans[1] = (4, 5)
        made.site.adaptor.changed()
        assert isinstance(await made.apply("hall-1", RoomClimate(ClimateMode.HEAT, 20.0)), Applied)
        made.step()
        assert made.site.adaptor.fans[1] == (4, 5)
        assert made.site.adaptor.orders[1] == [0b0101_0100_0110_0001, 1, 200]


async def test_switching_off_leaves_mode_and_setpoint_for_people() -> None:
    async with bench() as made:
        await made.apply("hall-0", RoomClimate(ClimateMode.COOL, 24.5))
        made.step()
        assert isinstance(await made.apply("hall-0", RoomClimate(ClimateMode.OFF, 30.0)), Applied)
        made.step()
        assert await made.values("hall-0") == {
            "room_c": pytest.approx(26.5, abs=0.3),
            "setpoint_c": 24.5,
            "mode": 0.0,
            "on": 0.0,
        }


async def test_switching_off_right_after_an_order_keeps_that_order_for_people() -> None:
    async with bench() as made:
        await made.apply("hall-0", RoomClimate(ClimateMode.HEAT, 21.5))
        assert isinstance(await made.apply("hall-0", RoomClimate(ClimateMode.OFF, 30.0)), Applied)
        made.step()
        assert made.site.adaptor is not None
        assert made.site.adaptor.orders[0][1:] == [1, 215]
        assert (await made.values("hall-0"))["on"] == 0.0


async def test_what_people_choose_at_the_remote_controller_is_reported_and_not_fought() -> None:
    async with bench() as made:
        order = RoomClimate(ClimateMode.COOL, 27.0)
        await made.apply("hall-0", order)
        made.step()
        assert made.site.adaptor is not None
        made.site.adaptor.rooms[0].setpoint_c = 23.0
        made.step()
        await made.gateway.read()
        before = made.gateway.writes["hvac-adapter"]
        outcome = await made.apply("hall-0", order)
        assert isinstance(outcome, Unconfirmed)
        assert "setpoint_c=23" in outcome.read_back
        assert made.gateway.writes["hvac-adapter"] == before
        made.step(minutes=10)
        await made.gateway.read()
        assert isinstance(await made.apply("hall-0", order), Applied)
        made.step()
        assert (await made.values("hall-0"))["setpoint_c"] == 27.0


async def test_a_write_that_is_not_applied_is_unconfirmed() -> None:
    async with bench() as made:
        for name in ("charger-leaf", "inverter", "hvac-adapter"):
            made.twin(name).faults.ignore_writes = True
        for asset, order in ORDERS:
            outcome = await made.apply(asset, order)
            assert isinstance(outcome, Unconfirmed), asset
            assert "reads" in outcome.read_back


@pytest.mark.parametrize(("code", "said"), [(3, "illegal value"), (6, "busy"), (1, "illegal function")])
async def test_a_refusing_device_makes_a_refused_command(code: int, said: str) -> None:
    async with bench() as made:
        for device in made.gateway._devices.values():
            device._transport._wire = device.profile.wire.model_copy(  # type: ignore[attr-defined]
                update={"busy_wait_s": 0.0, "min_gap_ms": 0}
            )
        for asset, order in ORDERS:
            device_id = made.gateway.assets[AssetId(asset)]
            made.twin(device_id).faults.exception = code
            made.twin(device_id).faults.writes_only = True
            outcome = await made.apply(asset, order)
            assert isinstance(outcome, Refused), asset
            assert said in outcome.why


async def test_an_unreachable_device_makes_an_unreachable_command() -> None:
    async with bench() as made:
        for asset, order in ORDERS:
            await made.twin(made.gateway.assets[AssetId(asset)]).stop()
            assert isinstance(await made.apply(asset, order), Unreachable), asset


async def test_orders_that_make_no_sense_are_refused() -> None:
    async with bench() as made:
        for asset, order in (
            ("leaf", RoomClimate(ClimateMode.COOL, 25.0)),
            ("roof", ChargerPower(1.0)),
            ("hall-0", GenerationLimit(1.0)),
            ("meter", ChargerPower(1.0)),
        ):
            outcome = await made.apply(asset, order)
            assert isinstance(outcome, Refused)
            assert "is no order for" in outcome.why
        with pytest.raises(ConfigError, match="no device speaks for 'leav'") as caught:
            await made.apply("leav", ChargerPower(1.0))
        assert caught.value.hint == "did you mean leaf?"


async def test_an_expired_command_binds_nobody() -> None:
    async with bench() as made:
        command = made.command("leaf", ChargerPower(3.0))
        made.clock.advance(timedelta(minutes=30))
        outcome = await made.gateway.apply(command)
        assert isinstance(outcome, Refused)
        assert "expired" in outcome.why


async def test_a_charger_without_a_car_is_not_started() -> None:
    async with bench() as made:
        made.site.unplug("leaf")
        await made.gateway.read()
        outcome = await made.apply("leaf", ChargerPower(3.0))
        assert isinstance(outcome, Refused)
        assert "no car" in outcome.why
        assert isinstance(await made.apply("leaf", ChargerPower(0.0)), Applied)


async def test_a_car_that_left_and_returned_is_started_again() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        made.step()
        made.site.unplug("leaf")
        made.step()
        await made.gateway.read()
        made.site.plug("leaf", used_kwh=2.0)
        made.step()
        await made.gateway.read()
        assert quasar(made).power_kw == 0.0
        await made.apply("leaf", ChargerPower(3.0))
        made.step()
        assert quasar(made).power_kw == 3.0


# Configuration


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "a"}, "two devices are called"),
        ({"assets": (AssetId("x"),)}, "two devices speak for"),
        ({"assets": ()}, "speaks for 0 assets"),
        ({"assets": (AssetId("y"), AssetId("z"))}, "speaks for 2 assets"),
        ({"profile": "eastron"}, "no device profile"),
    ],
)
def test_a_list_of_devices_that_makes_no_sense_is_refused(changes: dict[str, object], said: str) -> None:
    first = {"id": "a", "profile": "eastron-sdm630", "host": "h", "port": 1, "assets": (AssetId("x"),)}
    second = {**first, "id": "b", "assets": (AssetId("y"),), **changes}
    from energy.core.clock import ManualClock

    with pytest.raises(ConfigError, match=said):
        Gateway(
            [DeviceConfig(**first), DeviceConfig(**second)],  # type: ignore[arg-type]
            clock=ManualClock(START),
        )


async def test_two_units_behind_one_address_share_a_link_and_one_may_be_missing() -> None:
    async with bench(only=["main-meter"]) as made:
        config = made.config("main-meter")
        second = replace(config, id="second", unit_id=2, assets=(AssetId("second"),))
        gateway = Gateway([config, second], clock=made.clock)
        await gateway.connect()
        made.step()
        table = await gateway.read()
        assert table[AssetId("second")]["power_kw"].value is None
        assert table[AssetId("meter")]["power_kw"].value == 60.0
        assert len(gateway._links) == 1
        await gateway.close()


def test_what_cannot_share_a_link_is_refused_with_what_to_change() -> None:
    clock = ManualClock(START)
    meter = DeviceConfig(
        "meter", "eastron-sdm630", "/dev/ttyUSB0", 0, 1, (AssetId("a"),), framing=Framing.RTU
    )
    same = replace(meter, id="twice", assets=(AssetId("b"),))
    with pytest.raises(ConfigError, match="meter and twice are both unit 1"):
        Gateway([meter, same], clock=clock)
    other = replace(same, unit_id=2, profile="schneider-iem3155")
    with pytest.raises(ConfigError, match="cannot share a serial line") as caught:
        Gateway([meter, other], clock=clock)
    assert "eastron-sdm630 9600 baud, parity N" in caught.value.where
    assert "schneider-iem3155 19200 baud, parity E" in caught.value.where
    with pytest.raises(ConfigError, match="cannot share a link"):
        Gateway([meter, replace(other, framing=Framing.TCP)], clock=clock)
    Gateway([meter, replace(same, unit_id=2)], clock=clock)


async def test_the_wrong_box_behind_an_address_is_not_commanded() -> None:
    async with bench() as made:
        config = made.config("inverter")
        wrong = DeviceConfig("hvac", "daikin-dta116a51", config.host, config.port, 1, (AssetId("x"),), 0)
        gateway = Gateway([wrong], clock=made.clock)
        await gateway.connect()
        assert gateway.connections == {"hvac": Connection.OFFLINE}
        await gateway.close()
