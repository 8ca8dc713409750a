"""A charging station of each version is read and commanded like every other charger."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")

from devices.natures import ChargerState
from devices.ocpp.twin import StationTwin
from devices.transport import Access
from energy.core.errors import RefusedError
from energy.core.measurement import Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    Clipped,
    DemandStep,
    NotApplied,
    Refused,
    Unconfirmed,
    Unreachable,
)
from tests.unit.devices.ocpp_bench import LEAF, VERSIONS, made


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_gets_its_safe_profile_before_anything_else(version: str) -> None:
    async with made(version, max_kw=11.0) as one:
        await one.dial()
        first = [payload for name, payload in one.twin.heard][:2]
        assert [name for name, _ in one.twin.heard][:2] == ["SetChargingProfile"] * 2
        assert {"ChargePointMaxProfile", "ChargingStationMaxProfile"} & set(json.dumps(first[0]).split('"'))
        assert one.twin.allowed_w() == 1500.0
        assert one.station.control_error is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_order_reaches_the_car_and_is_seen_on_the_meter(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        assert await one.apply(ChargerPower(4.2)) == Applied(one.gateway._carried[LEAF].command)
        assert one.twin.power_w == 4200.0
        await one.twin.meter()
        points = await one.points()
        assert {name: point.value for name, point in points.items()} == {
            "power_kw": pytest.approx(4.2),
            "soc": pytest.approx(0.5),
            "plugged": 1.0,
            "state": float(ChargerState.CHARGING),
        }
        assert {point.quality for point in points.values()} == {Quality.GOOD}


@pytest.mark.parametrize("version", VERSIONS)
async def test_zero_pauses_the_charge_and_does_not_end_it(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        assert isinstance(await one.apply(ChargerPower(0.0)), Applied)
        assert one.twin.power_w == 0.0
        await one.twin.status()
        await one.twin.meter()
        points = await one.points()
        assert points["state"].value == float(ChargerState.PAUSED)
        assert points["power_kw"].value == 0.0
        assert one.station._spots[1].transaction is not None


async def test_a_car_gives_back_with_ocpp_2_1() -> None:
    async with made("2.1") as one:
        await one.dial()
        await one.twin.plug(modes=("DC_BPT",))
        await one.twin.start()
        await one.settled()
        assert isinstance(await one.apply(ChargerPower(-3.0)), Applied)
        assert one.twin.power_w == -3000.0
        period = one.said("SetChargingProfile")[-1]["chargingProfile"]["chargingSchedule"][0]  # type: ignore[index]
        assert period["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -3000.0}
        ]
        await one.twin.meter()
        points = await one.points()
        assert points["power_kw"].value == pytest.approx(-3.0)
        assert points["state"].value == float(ChargerState.DISCHARGING)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_older_versions_know_no_giving_back_and_the_outcome_says_so(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        outcome = await one.apply(ChargerPower(-3.0))
        assert isinstance(outcome, Clipped)
        assert outcome.order == ChargerPower(0.0)
        assert outcome.limit == f"OCPP {version} knows no discharging"
        assert one.said("DataTransfer") == []


async def test_a_car_that_cannot_give_back_is_not_asked_to() -> None:
    async with made("2.1") as one:
        await one.dial()
        await one.twin.plug(modes=("AC_three_phase",))
        await one.twin.start()
        outcome = await one.apply(ChargerPower(-3.0))
        assert isinstance(outcome, Clipped)
        assert outcome.limit == "the car does not give back"


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_lost_central_system_leaves_the_safe_current(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        await one.apply(ChargerPower(7.0))
        await one.twin.hang_up()
        await one.gone()
        assert one.twin.power_w == 7000.0
        one.clock.advance(timedelta(seconds=121))
        assert one.twin.power_w == 1500.0


async def test_a_lost_central_system_ends_a_discharge() -> None:
    async with made("2.1") as one:
        await one.charging()
        await one.apply(ChargerPower(-6.0))
        assert one.twin.power_w == -6000.0
        await one.twin.hang_up()
        one.clock.advance(timedelta(seconds=121))
        assert one.twin.power_w == 1500.0


async def test_refreshing_keeps_an_order_alive_and_says_it_no_more_often_than_needed() -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(7.0))
        before = len(one.said("SetChargingProfile"))
        for _ in range(30):
            one.clock.advance(timedelta(seconds=10))
            await one.gateway.refresh()
            assert one.twin.power_w == 7000.0
        assert len(one.said("SetChargingProfile")) - before == 7  # every 40 s


async def test_the_same_order_again_is_not_sent_again() -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(4.0))
        before = len(one.twin.heard)
        assert isinstance(await one.apply(ChargerPower(4.0)), Applied)
        assert len(one.twin.heard) == before


@pytest.mark.parametrize("version", VERSIONS)
async def test_closing_leaves_the_safe_current_at_once(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        await one.apply(ChargerPower(7.0))
        await one.gateway.safe_state()
        assert one.twin.power_w == 1500.0


@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_without_control_a_station_is_only_asked(access: Access) -> None:
    async with made(access=access, token="house") as one:
        await one.charging()
        for power_kw in (0.0, 3.0):
            outcome = await one.apply(ChargerPower(power_kw))
            assert isinstance(outcome, Refused)
            assert "nothing was written" in outcome.why
        with pytest.raises(RefusedError, match="nothing was written"):
            await one.station.stop_charge(0)
        assert one.station._link is not None
        with pytest.raises(RefusedError, match="nothing was written"):  # past everything, at the link
            await one.station._link.call("Reset", {"type": "Soft"})
        await one.gateway.refresh()
        await one.gateway.safe_state()
        assert {name for name, _ in one.twin.heard} <= {"TriggerMessage", "GetCompositeSchedule"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_order_starts_a_charge_where_a_token_was_given(version: str) -> None:
    async with made(version, token="house") as one:
        await one.dial()
        await one.twin.plug()
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)
        assert one.twin.power_w == 3000.0
        await one.station.stop_charge(0)
        async with asyncio.timeout(5.0):
            while one.station._spots[1].transaction is not None:
                await asyncio.sleep(0.001)
        assert one.station.finished[-1].reason in ("Remote", None)


async def test_a_charge_that_does_not_begin_is_not_called_applied() -> None:
    async with made(token="house", start_s=0.05) as one:
        await one.dial()
        await one.twin.plug()
        one.twin._later = lambda token: None  # type: ignore[method-assign]  # accepts, and does nothing
        outcome = await one.apply(ChargerPower(3.0))
        assert isinstance(outcome, Unconfirmed)
        assert "not begun" in outcome.read_back


async def test_without_a_token_the_driver_starts_and_the_order_waits_for_him() -> None:
    async with made() as one:
        await one.dial()
        await one.twin.plug()
        refused = await one.apply(ChargerPower(3.0))
        assert isinstance(refused, Refused)
        assert "nobody has started a charge" in refused.why
        assert isinstance(await one.apply(ChargerPower(0.0)), Applied)
        await one.twin.start()
        await one.settled()
        assert one.twin.power_w == 0.0  # not the safe current: the order was told as the charge began


async def test_orders_that_nobody_can_carry_out_are_refused_in_words() -> None:
    async with made() as one:
        assert isinstance(await one.apply(ChargerPower(3.0)), Unreachable)
        await one.dial()
        empty = await one.apply(ChargerPower(3.0))
        assert isinstance(empty, Refused)
        assert "no car is plugged" in empty.why
        assert isinstance(await one.apply(DemandStep(0.4)), Refused)
        too_much = await one.apply(ChargerPower(0.0))
        assert isinstance(too_much, Applied)


async def test_power_above_the_connector_is_clipped() -> None:
    async with made() as one:
        await one.charging()
        outcome = await one.apply(ChargerPower(50.0))
        assert isinstance(outcome, Clipped)
        assert outcome.order == ChargerPower(7.0)


async def test_a_station_that_takes_no_safe_profile_takes_no_orders() -> None:
    async with made() as one:
        one.twin.refuses.add("SetChargingProfile")
        await one.charging()
        outcome = await one.apply(ChargerPower(3.0))
        assert isinstance(outcome, Refused)
        assert "no safe profile" in outcome.why
        one.twin.refuses.clear()  # somebody has switched smart charging on
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)


async def test_a_station_that_shows_another_limit_is_unconfirmed() -> None:
    async with made() as one:
        await one.charging()
        one.twin.shows_w = 2000.0
        outcome = await one.apply(ChargerPower(4.0))
        assert isinstance(outcome, Unconfirmed)
        assert outcome.read_back == "the station shows 2000 W instead of 4000"


async def test_a_station_that_cannot_say_its_limit_is_believed_until_the_meter_speaks() -> None:
    async with made() as one:
        one.twin.refuses.add("GetCompositeSchedule")
        await one.charging()
        one.twin.shows_w = 6000.0
        assert isinstance(await one.apply(ChargerPower(2.0)), Applied)
        one.clock.advance(timedelta(seconds=21))
        await one.twin.meter()
        await one.points()
        assert one.gateway.not_applied[LEAF].why == "the meter shows 6 kW instead of 2"
        assert isinstance(await one.apply(ChargerPower(2.0)), NotApplied)


async def test_amperes_are_told_where_a_station_knows_no_watts() -> None:
    async with made(rate_unit="A") as one:
        await one.charging()
        assert isinstance(await one.apply(ChargerPower(6.0)), Applied)  # 10 A on three phases of 200 V
        limit = one.said("SetChargingProfile")[-1]["csChargingProfiles"]["chargingSchedule"]  # type: ignore[index]
        assert limit["chargingRateUnit"] == "A"
        assert limit["chargingSchedulePeriod"][0]["limit"] == 10.0
        small = await one.apply(ChargerPower(2.0))
        assert isinstance(small, Clipped)
        assert small.order == ChargerPower(0.0)


async def test_an_answer_that_does_not_come_is_unreachable_and_the_next_one_is_not_mixed_up() -> None:
    async with made(answer_s=0.05) as one:
        await one.charging()
        one.twin.mute = True
        assert isinstance(await one.apply(ChargerPower(3.0)), Unreachable)
        one.twin.mute = False
        one.twin.noise = json.dumps([3, "v1", {"status": "Rejected"}])  # late, to the first question of all
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)


async def test_a_station_that_goes_shows_no_values_and_comes_back_with_its_safe_profile() -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(3.0))
        await one.twin.hang_up()
        await one.gone()
        points = await one.points()
        assert {point.value for point in points.values()} == {None}
        assert {point.quality for point in points.values()} == {Quality.STALE}
        one.twin.profiles.clear()  # it has restarted
        await one.dial(boot=False)
        assert one.twin.allowed_w() == 1500.0
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)
        assert one.twin.power_w == 3000.0


async def test_values_grow_old_where_a_station_forgets_to_report() -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(3.0))
        await one.twin.status()
        await one.twin.meter()
        one.clock.advance(timedelta(seconds=31))
        await one.twin.call("Heartbeat", {})
        points = await one.points()
        assert (points["power_kw"].value, points["power_kw"].quality) == (None, Quality.STALE)
        assert points["plugged"].value == 1.0


async def test_a_newer_connection_takes_the_place_of_an_older_one() -> None:
    async with made() as one:
        await one.charging()
        first = one.twin._task
        again = StationTwin(one.twin.url, "cp-1", version="1.6", clock=one.clock)
        again.plugged, again.transaction = True, one.twin.transaction
        await again.dial(boot=False)
        await one.settled()
        assert first is not None
        async with asyncio.timeout(5.0):
            await first
        assert one.station.online
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)
        assert again.power_w == 3000.0
        await again.hang_up()
