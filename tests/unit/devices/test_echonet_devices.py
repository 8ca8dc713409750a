"""ECHONET Lite objects over UDP on loopback: read by their maps, commanded, read back."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from devices.echonet.device import EchonetConfig, EchonetDevice
from devices.echonet.kinds import PackageAc, PackageAcOutdoor, SmartMeter, V2hCharger
from devices.echonet.node import EchonetNode
from devices.echonet.twin import (
    EchonetTwin,
    ac_properties,
    charger_properties,
    meter_properties,
    outdoor_properties,
)
from devices.guests import MixedGateway
from devices.natures import ChargerState, ClimateCode
from devices.transport import Access
from energy.core.clock import ManualClock
from energy.core.errors import ConfigError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    Command,
    CommandSource,
    NotApplied,
    Order,
    Outcome,
    Refused,
    RoomClimate,
    Unconfirmed,
    Unreachable,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId
from tests.unit.devices.npm import needs_npm, node

START = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
OURS, THEIRS = "127.0.0.3", "127.0.0.1"
CAR, ROOM, OUTSIDE, METER = (AssetId(name) for name in ("leaf", "hall", "outdoor", "meter"))
EVERYTHING = {
    "027e01": charger_properties(),
    "014501": ac_properties(),
    "014601": outdoor_properties(),
    "028801": meter_properties(),
}


class Made:
    """A gateway, our node, and a twin with everything."""

    def __init__(
        self, twin: EchonetTwin, ours: EchonetNode, gateway: MixedGateway, clock: ManualClock
    ) -> None:
        self.twin, self.node, self.gateway, self.clock = twin, ours, gateway, clock

    async def apply(self, asset: AssetId, order: Order) -> Outcome:
        now = self.clock.now()
        return await self.gateway.apply(
            Command(
                asset=asset,
                order=order,
                source=CommandSource.PLAN,
                reason=Reason(ReasonCode.PRICE),
                issued_at=now,
                expires_at=now + timedelta(hours=1),
            )
        )

    async def values(self, asset: AssetId) -> dict[str, float | None]:
        return {name: point.value for name, point in (await self.gateway.read())[asset].items()}

    def device(self, name: str) -> EchonetDevice:
        found = next(device for device in self.node.guests if device.config.id == name)
        assert isinstance(found, EchonetDevice)
        return found


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((THEIRS, 0))
        port: int = one.getsockname()[1]
    return port


@asynccontextmanager
async def made(
    *, access: Access = Access.CONTROL, commissioned: bool = True, setpoints: bool = True, instance: int = 1
) -> AsyncIterator[Made]:
    port, clock = free_port(), ManualClock(START)
    twin = EchonetTwin({**EVERYTHING, "027e01": charger_properties(setpoints=setpoints)})
    await twin.start(THEIRS, port)
    ours = EchonetNode(OURS, port=port, access=access, timeout_s=0.2)
    base = EchonetConfig("v2h", THEIRS, CAR, instance=instance, commissioned=commissioned)
    V2hCharger(base, ours, clock=clock)
    PackageAc(replace(base, id="ac", asset=ROOM, instance=1), ours, clock=clock, outdoor=(0x01, 0x46, 0x01))
    PackageAcOutdoor(replace(base, id="out", asset=OUTSIDE, instance=1), ours, clock=clock)
    SmartMeter(replace(base, id="smart", asset=METER, instance=1), ours, clock=clock)
    gateway = MixedGateway([], clock=clock, access=access)
    gateway.attach(ours)
    await gateway.connect()
    try:
        yield Made(twin, ours, gateway, clock)
    finally:
        await gateway.close()
        twin.stop()


# Reading


async def test_each_class_is_read_as_its_nature() -> None:
    async with made() as one:
        assert await one.values(CAR) == {
            "power_kw": 0.0,
            "soc": 0.5,
            "plugged": 1.0,
            "state": float(ChargerState.PAUSED),
        }
        assert await one.values(ROOM) == {
            "room_c": 27.0,
            "setpoint_c": 26.0,
            "mode": float(ClimateCode.COOL),
            "on": 1.0,
        }
        assert await one.values(OUTSIDE) == {"power_kw": 2.5, "import_kwh": None, "export_kwh": None}
        assert await one.values(METER) == {
            "power_kw": -1.5,
            "import_kwh": pytest.approx(1234.5),
            "export_kwh": pytest.approx(77.7),
        }


async def test_only_what_the_property_map_names_is_asked() -> None:
    async with made(setpoints=False) as one:
        await one.gateway.read()
        asked = {code for target, codes_ in one.twin.asked if target == "027e01" for code in codes_}
        assert 0xDA in asked
        assert not asked & {0xEB, 0xEC}  # optional, and this charger has none
        assert all(len(codes_) <= 8 for _, codes_ in one.twin.asked)


async def test_one_property_without_an_answer_takes_no_other_with_it() -> None:
    async with made() as one:
        del one.twin.objects["027e01"][0xE4]  # in the map that was read, and gone since
        values = await one.values(CAR)
        assert values["soc"] is None
        assert values["power_kw"] == 0.0


@pytest.mark.parametrize(
    ("asset", "point", "eoj", "code", "data"),
    [
        (CAR, "power_kw", "027e01", 0xD3, "7ffffffe"),
        (CAR, "soc", "027e01", 0xE4, "ff"),
        (CAR, "plugged", "027e01", 0xC7, "ff"),
        (ROOM, "room_c", "014501", 0xBB, "7e"),
        (ROOM, "room_c", "014501", 0xBB, "80"),
        (ROOM, "setpoint_c", "014501", 0xB3, "fd"),
        (OUTSIDE, "power_kw", "014601", 0xDB, "fffe"),
        (METER, "import_kwh", "028801", 0xE0, "fffffffe"),
        (METER, "power_kw", "028801", 0xE7, "7fffffff"),
        (METER, "power_kw", "028801", 0xE7, "00"),
    ],
)
async def test_what_is_no_value_is_none_and_never_a_number(
    asset: AssetId, point: str, eoj: str, code: int, data: str
) -> None:
    async with made() as one:
        one.twin.objects[eoj][code] = bytes.fromhex(data)
        measured = (await one.gateway.read())[asset][point]
        assert (measured.value, measured.quality) == (None, Quality.INVALID)


async def test_a_coefficient_that_a_meter_has_is_used_and_one_that_it_lacks_is_one() -> None:
    async with made() as one:
        assert (await one.values(METER))["import_kwh"] == pytest.approx(1234.5)
    saved = EVERYTHING["028801"]
    EVERYTHING["028801"] = ({**saved[0], 0xD3: (100).to_bytes(4, "big")}, saved[1])
    try:
        async with made() as one:
            assert (await one.values(METER))["import_kwh"] == pytest.approx(123450.0)
    finally:
        EVERYTHING["028801"] = saved


async def test_a_counter_that_wraps_goes_on() -> None:
    async with made() as one:
        one.twin.objects["028801"][0xE0] = (999_999).to_bytes(4, "big")
        guard = one.device("smart")
        assert isinstance(guard, SmartMeter)
        guard._counters["import_kwh"] = type(guard._counters["import_kwh"])("import", 60.0)
        assert (await one.values(METER))["import_kwh"] == pytest.approx(99_999.9)
        one.clock.advance(timedelta(minutes=1))
        one.twin.objects["028801"][0xE0] = (4).to_bytes(4, "big")
        assert (await one.values(METER))["import_kwh"] == pytest.approx(100_000.4)


async def test_the_meter_tells_its_last_half_hour_and_its_day() -> None:
    async with made() as one:
        meter = one.device("smart")
        assert isinstance(meter, SmartMeter)
        assert await meter.last_fixed_reading() == (
            datetime(2026, 11, 30, 15, 0, tzinfo=UTC),
            Decimal("1230.0"),
        )
        ago, counts = await meter.day()
        assert (ago, len(counts)) == (0, 48)
        assert counts[:2] == (Decimal("1200.0"), Decimal("1200.1"))
        assert counts[40:] == (None,) * 8


# Faults of the wire


async def test_a_lost_datagram_is_asked_again() -> None:
    async with made() as one:
        one.twin.drop = 1
        assert (await one.values(METER))["power_kw"] == -1.5


async def test_a_silent_node_shows_no_values_and_comes_back() -> None:
    async with made() as one:
        await one.gateway.read()
        one.twin.silent = True
        measured = (await one.gateway.read())[CAR]
        assert {(point.value, point.quality) for point in measured.values()} == {(None, Quality.STALE)}
        assert isinstance(await one.apply(CAR, ChargerPower(3.0)), Unreachable)
        one.twin.silent = False
        one.clock.advance(timedelta(seconds=16))
        assert (await one.values(CAR))["soc"] == 0.5


async def test_answers_of_the_past_of_others_and_garbage_are_nobodys() -> None:
    async with made() as one:

        def mangle(answer: bytes) -> list[bytes]:
            late = answer[:2] + b"\xff\xf0" + answer[4:]
            return [b"nonsense", answer[:13], late, answer, answer]

        one.twin.mangle = mangle
        assert (await one.values(METER))["power_kw"] == -1.5
        assert one.node.foreign > 0
        one.twin.mangle = lambda answer: [answer[:4] + bytes.fromhex("013001") + answer[7:]]
        with pytest.raises(RegisterError, match="another object"):
            await one.node.get(THEIRS, (0x02, 0x88, 0x01), (0xE7,))


async def test_a_node_without_the_object_is_not_it() -> None:
    async with made(instance=2) as one:
        one.clock.advance(timedelta(seconds=16))
        with pytest.raises(RegisterError, match="is not a V2hCharger"):
            await one.device("v2h").ensure_online()


async def test_our_node_says_what_it_is_when_asked() -> None:
    async with made() as one:
        said = await EchonetNode.get(one.node, OURS, (0x0E, 0xF0, 0x01), (0xD6, 0x80))
        assert said == {0xD6: bytes.fromhex("0105ff01"), 0x80: b"\x30"}


async def test_hosts_that_are_named_are_found() -> None:
    async with made() as one:
        (found,) = await one.node.find(hosts=[THEIRS])
        assert found.host == THEIRS
        assert (0x02, 0x7E, 0x01) in found.objects
        with pytest.raises(ConfigError, match="not an IPv4 address"):
            await one.node.find(hosts=["charger.example"])


async def test_an_address_that_cannot_be_had_is_named() -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        await EchonetNode("192.0.2.7").start()


# Commanding


async def test_power_and_mode_are_set_in_one_frame_and_seen() -> None:
    async with made() as one:
        assert isinstance(await one.apply(CAR, ChargerPower(-3.0)), Applied)
        assert one.twin.writes == [("027e01", {0xEC: bytes.fromhex("00000bb8"), 0xDA: b"\x43"})]
        assert await one.values(CAR) == {
            "power_kw": -3.0,
            "soc": 0.5,
            "plugged": 1.0,
            "state": float(ChargerState.DISCHARGING),
        }
        assert isinstance(await one.apply(CAR, ChargerPower(-3.0)), Applied)
        assert len(one.twin.writes) == 1  # already so
        assert isinstance(await one.apply(CAR, ChargerPower(0.0)), Applied)
        assert one.twin.writes[-1] == ("027e01", {0xDA: b"\x44"})


async def test_limits_of_eight_bytes_are_least_and_greatest_and_hold() -> None:
    async with made() as one:
        one.twin.objects["027e01"][0xC9] = bytes.fromhex("000003e8000007d0")  # 1 to 2 kW
        one.clock.advance(timedelta(seconds=1))
        device = one.device("v2h")
        device.connection = device.connection.NEVER
        much, little = await one.apply(CAR, ChargerPower(-5.0)), await one.apply(CAR, ChargerPower(-0.5))
        assert isinstance(much, Clipped)
        assert much.order == ChargerPower(-2.0)
        assert isinstance(little, Clipped)
        assert little.order == ChargerPower(0.0)


async def test_a_charger_without_power_setpoint_gets_all_or_nothing_and_never_more() -> None:
    async with made(setpoints=False) as one:
        part = await one.apply(CAR, ChargerPower(3.0))
        assert isinstance(part, Clipped)
        assert part.order == ChargerPower(0.0)
        assert isinstance(await one.apply(CAR, ChargerPower(6.0)), Applied)
        assert one.twin.writes[-1] == ("027e01", {0xDA: b"\x42"})


async def test_a_setting_that_is_acknowledged_and_not_kept_is_unconfirmed() -> None:
    async with made() as one:
        one.twin.forgets = True
        outcome = await one.apply(CAR, ChargerPower(3.0))
        assert isinstance(outcome, Unconfirmed)
        assert "0xDA reads 44 instead of 42" in outcome.read_back


async def test_a_setting_that_is_refused_is_named() -> None:
    async with made() as one:
        one.twin.refuses.add(0xEB)
        outcome = await one.apply(CAR, ChargerPower(3.0))
        assert isinstance(outcome, Refused)
        assert "0xEB" in outcome.why


async def test_a_charger_that_does_nothing_is_seen() -> None:
    async with made() as one:
        assert isinstance(await one.apply(CAR, ChargerPower(-3.0)), Applied)
        one.twin.objects["027e01"][0xD3] = bytes(4)
        one.clock.advance(timedelta(seconds=31))
        await one.gateway.read()
        assert one.gateway.not_applied[CAR].why == "it gives back 0 kW of 3"
        assert isinstance(await one.apply(CAR, ChargerPower(-3.0)), NotApplied)


@pytest.mark.parametrize(
    ("code", "data", "power_kw", "words"),
    [
        (0xC7, b"\x30", 3.0, "no car is plugged"),
        (0xC7, b"\x41", -3.0, "cannot be discharged"),
        (0xC7, b"\x42", 3.0, "cannot be charged"),
        (0x88, b"\x41", 3.0, "fault"),
        (0xDB, b"\x01", -3.0, "without the grid"),
    ],
)
async def test_orders_that_a_charger_cannot_carry_out_are_refused(
    code: int, data: bytes, power_kw: float, words: str
) -> None:
    async with made() as one:
        one.twin.objects["027e01"][code] = data
        outcome = await one.apply(CAR, ChargerPower(power_kw))
        assert isinstance(outcome, Refused)
        assert words in outcome.why
        assert one.twin.writes == []


async def test_without_commissioning_no_order_is_taken_for_nothing_would_end_it() -> None:
    async with made(commissioned=False) as one:
        outcome = await one.apply(CAR, ChargerPower(3.0))
        assert isinstance(outcome, Refused)
        assert "not commissioned" in outcome.why
        await one.gateway.safe_state()
        assert one.twin.writes == []
        assert (await one.values(CAR))["soc"] == 0.5


@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_without_control_nothing_is_set_by_any_path(access: Access) -> None:
    async with made(access=access) as one:
        for asset, order in ((CAR, ChargerPower(3.0)), (ROOM, RoomClimate(ClimateMode.HEAT, 20.0))):
            outcome = await one.apply(asset, order)
            assert isinstance(outcome, Refused)
            assert "nothing was written" in outcome.why
        with pytest.raises(RefusedError, match="nothing was written"):
            await one.node.set(THEIRS, (0x02, 0x7E, 0x01), {0xDA: b"\x42"})
        await one.gateway.safe_state()
        assert one.twin.writes == []


async def test_closing_leaves_the_charger_in_standby() -> None:
    async with made() as one:
        await one.apply(CAR, ChargerPower(-3.0))
        await one.gateway.safe_state()
        assert one.twin.objects["027e01"][0xDA] == b"\x44"
        assert one.twin.objects["027e01"][0xD3] == bytes(4)


async def test_a_room_is_commanded_and_a_person_is_left_alone() -> None:
    async with made() as one:
        order = RoomClimate(ClimateMode.COOL, 28.0)
        assert isinstance(await one.apply(ROOM, order), Applied)
        assert one.twin.writes == [("014501", {0xB0: b"\x42", 0xB3: b"\x1c", 0x80: b"\x30"})]
        one.twin.objects["014501"][0xB3] = b"\x18"  # at the remote controller
        outcome = await one.apply(ROOM, order)
        assert isinstance(outcome, Unconfirmed)
        assert "somebody chose otherwise" in outcome.read_back
        one.clock.advance(timedelta(minutes=10))
        assert isinstance(await one.apply(ROOM, order), Applied)
        assert len(one.twin.writes) == 2
        assert isinstance(await one.apply(ROOM, RoomClimate(ClimateMode.OFF, 28.0)), Applied)
        assert (await one.values(ROOM))["mode"] == float(ClimateCode.OFF)


async def test_a_unit_that_defrosts_is_not_called() -> None:
    async with made() as one:
        one.twin.objects["014601"][0xAA] = b"\x41"
        outcome = await one.apply(ROOM, RoomClimate(ClimateMode.HEAT, 20.0))
        assert isinstance(outcome, Refused)
        assert "defrosting" in outcome.why


async def test_setpoints_are_whole_degrees_inside_what_units_take() -> None:
    async with made() as one:
        outcome = await one.apply(ROOM, RoomClimate(ClimateMode.HEAT, 45.0))
        assert isinstance(outcome, Clipped)
        assert outcome.order == RoomClimate(ClimateMode.HEAT, 30.0)


async def test_a_meter_takes_no_orders() -> None:
    async with made() as one:
        assert isinstance(await one.apply(METER, ChargerPower(1.0)), Refused)
        assert isinstance(await one.apply(CAR, RoomClimate(ClimateMode.HEAT, 20.0)), Refused)


# A program that nobody here wrote


@needs_npm
async def test_the_npm_node_is_read_and_commanded_and_its_lie_is_seen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((OURS, 3610))
        except OSError:
            pytest.skip("UDP port 3610 is taken: another program speaks ECHONET Lite here")
    clock = ManualClock(START)
    for word, kind in (("applies", Applied), ("forgets", Unconfirmed)):
        async with node("echonet_node.js", word) as other:
            await other.until("up")
            ours = EchonetNode(OURS)
            base = EchonetConfig("v2h", THEIRS, CAR, commissioned=True)
            V2hCharger(base, ours, clock=clock)
            SmartMeter(replace(base, id="smart", asset=METER), ours, clock=clock)
            gateway = MixedGateway([], clock=clock)
            gateway.attach(ours)
            try:
                await gateway.connect()
                one = Made(EchonetTwin({}), ours, gateway, clock)
                assert await one.values(METER) == {
                    "power_kw": -1.5,
                    "import_kwh": pytest.approx(1234.5),
                    "export_kwh": pytest.approx(77.7),
                }
                assert (await one.values(CAR))["soc"] == 0.5
                assert (await ours.get(THEIRS, (0x02, 0x7E, 0x01), (0xDA, 0x99)))[0x99] is None
                assert isinstance(await one.apply(CAR, ChargerPower(-3.0)), kind)
                assert await other.until("told") == {"ec": "00000bb8", "da": "43"}
            finally:
                await gateway.close()


async def test_nothing_is_sent_before_the_node_runs() -> None:
    with pytest.raises(UnreachableError, match="does not run"):
        await EchonetNode().get(THEIRS, (0x02, 0x88, 0x01), (0xE7,))
