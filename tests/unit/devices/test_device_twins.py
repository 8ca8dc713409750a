"""The physics of the twins, against hand calculation; nothing here goes over a wire unless it says so."""

from __future__ import annotations

import itertools
import json
import math
import socket

import pytest

from devices.twins.charger import ChargerTwin
from devices.twins.inverter import InverterTwin
from devices.twins.p1p2 import P1P2Twin
from devices.twins.rooms import Room, Surroundings
from devices.twins.site import TwinSite
from energy.core.assets import HvacZone
from energy.core.errors import ConfigError, DataError
from energy.core.outcome import Applied, ClimateMode, Clipped, GenerationLimit, RoomClimate
from tests.unit.devices.bench import (
    ACTION,
    CONTROL,
    POWER,
    PV,
    TIMEOUT,
    TYPE,
    bench,
    busy,
    charger,
    site,
    vehicle,
    zone,
)

HOT = Surroundings(outdoor_c=33.0, ghi_w_m2=600.0, occupied=True)
COLD = Surroundings(outdoor_c=0.0, ghi_w_m2=0.0, occupied=False)


def started(power_kw: float, *, initial_soc: float = 0.5, discharge_kw: float = 6.0) -> ChargerTwin:
    twin = ChargerTwin("charger", charger(discharge_kw=discharge_kw), vehicle(initial_soc=initial_soc))
    watts = round(power_kw * 1000.0)
    for address, value in ((CONTROL, 1), (TYPE, 1), (ACTION, 1), (POWER, watts % 65536)):
        assert twin.take(address, [value]) is None
    return twin


# Rooms


def test_a_room_without_cooling_follows_the_exponential_law() -> None:
    room = Room(zone(initial_c=20.0))
    for _ in range(90):
        room.step(60.0, HOT)
    end_c = 33.0 + (2.0 + 9.0 + 6.0 * 0.6) / 1.0  # all heat leaves through the loss coefficient
    expected = end_c + (20.0 - end_c) * math.exp(-1.0 / 12.0 * 1.5)
    assert room.temp_c == pytest.approx(expected, abs=1e-9)


def test_heat_balance_closes_over_a_day_of_cooling() -> None:
    hall = zone(initial_c=26.0)
    room = Room(hall)
    room.order(ClimateMode.COOL, 26.0)
    leaked = 0.0
    for _ in range(24 * 60 * 6):  # steps of ten seconds: the losses can be summed by the mid-point rule
        before = room.temp_c
        room.step(10.0, HOT)
        leaked += (33.0 - 0.5 * (before + room.temp_c)) * hall.loss_kw_per_k * 10.0 / 3600.0
    gained = 24.0 * (2.0 + 9.0 + 3.6)
    moved = room.electric_kwh * hall.cooling_cop.at(33.0)
    stored = hall.capacitance_kwh_per_k * (room.temp_c - 26.0)
    assert leaked + gained - moved == pytest.approx(stored, abs=1e-3)


@pytest.mark.parametrize(
    ("hall", "mode", "setpoint_c", "around", "minutes"),
    [
        (zone(initial_c=26.5), ClimateMode.COOL, 26.0, HOT, 12),
        (zone(initial_c=19.5), ClimateMode.HEAT, 20.0, COLD, 12),
        (
            zone(
                max_electric_kw=3.0,
                capacitance_kwh_per_k=0.8,
                loss_kw_per_k=0.1,
                base_gain_kw=0.3,
                occupied_gain_kw=1.0,
                initial_c=27.0,
            ),
            ClimateMode.COOL,
            26.0,
            HOT,
            12,
        ),
        (
            zone(initial_c=26.4),
            ClimateMode.COOL,
            26.0,
            Surroundings(26.0, 0.0, False),
            12,
        ),  # stops and starts
    ],
    ids=["hall in summer", "hall in winter", "small office", "light load"],
)
def test_the_thermostat_reaches_its_setpoint_soon_and_holds_it(
    hall: HvacZone, mode: ClimateMode, setpoint_c: float, around: Surroundings, minutes: int
) -> None:
    room = Room(hall)
    room.order(mode, setpoint_c)
    course = []
    for _ in range(240):
        room.step(60.0, around)
        course.append(room.temp_c - setpoint_c)
    assert any(abs(away) <= 0.2 for away in course[:minutes])
    side = 1.0 if mode is ClimateMode.HEAT else -1.0
    assert max(side * away for away in course) <= 0.2  # no big overshoot
    assert all(abs(away) <= 0.2 for away in course[minutes:])


def test_the_compressor_keeps_its_range_and_its_ramp() -> None:
    room = Room(zone(initial_c=28.0))
    room.order(ClimateMode.COOL, 26.0)
    shares = [room.share]
    for minute in range(600):
        if minute == 200:
            room.order(ClimateMode.COOL, 27.5)
        room.step(10.0, HOT)
        shares.append(room.share)
    running = [share for share in shares if share > 0.0]
    assert min(running) >= 0.10
    assert max(running) == 1.0
    steps = [after - before for before, after in itertools.pairwise(shares) if before and after]
    assert max(map(abs, steps)) <= 0.25 / 6.0 + 1e-12


def test_cooling_never_heats_and_off_uses_nothing() -> None:
    room = Room(zone(initial_c=22.0))
    room.order(ClimateMode.COOL, 26.0)
    for _ in range(30):
        room.step(60.0, COLD)
    room.order(ClimateMode.OFF, 26.0)
    for _ in range(30):
        room.step(60.0, HOT)
    assert room.electric_kwh == 0.0


# Cars


def test_charging_and_discharging_lose_what_the_efficiencies_say() -> None:
    twin = started(6.0)
    for _ in range(60):
        twin.step(60.0)
    assert twin.charge_kwh == pytest.approx(6.0)
    assert twin.battery_kwh == pytest.approx(20.0 + 6.0 * 0.92)
    twin.take(POWER, [65536 - 3000])
    for _ in range(60):
        twin.step(60.0)
    assert twin.discharge_kwh == pytest.approx(3.0)
    assert twin.battery_kwh == pytest.approx(20.0 + 6.0 * 0.92 - 3.0 / 0.92)


def test_a_full_battery_takes_exactly_what_fits_and_an_empty_one_gives_what_is_left() -> None:
    full = started(6.0, initial_soc=0.999)
    assert sum(full.step(60.0) for _ in range(10)) == pytest.approx(0.04 / 0.92)
    assert full.battery_kwh == pytest.approx(40.0)
    empty = started(-6.0, initial_soc=0.001)
    assert sum(empty.step(60.0) for _ in range(10)) == pytest.approx(-0.04 * 0.92)
    assert empty.battery_kwh == pytest.approx(0.0)


@pytest.mark.parametrize(("asked", "given"), [(7.4, 6.0), (-7.4, -2.0), (-1.0, -1.0)])
def test_power_stays_within_charger_and_direction(asked: float, given: float) -> None:
    twin = started(asked, discharge_kw=2.0)
    twin.step(60.0)
    assert twin.power_kw == pytest.approx(given)


def test_a_one_way_charger_never_discharges() -> None:
    twin = started(-3.0, discharge_kw=0.0)
    twin.step(60.0)
    assert (twin.power_kw, twin.discharge_kwh) == (0.0, 0.0)


def test_the_idle_timeout_stops_to_the_second() -> None:
    twin = started(6.0)
    twin.take(TIMEOUT, [90])
    twin.heard()
    for _ in range(3):
        twin.step(60.0)
    assert twin.charge_kwh == pytest.approx(6.0 * 90.0 / 3600.0)
    twin.heard()
    twin.step(60.0)
    assert twin.power_kw == 0.0  # it waits for a new start


def test_a_car_that_drove_comes_back_with_less_and_waits() -> None:
    twin = started(6.0)
    twin.unplug()
    twin.step(60.0)
    assert twin.charge_kwh == 0.0
    twin.plug(used_kwh=5.0)
    twin.step(60.0)
    assert (twin.battery_kwh, twin.driven_kwh, twin.power_kw) == (15.0, 5.0, 0.0)
    twin.unplug()
    twin.plug(used_kwh=99.0)
    assert (twin.battery_kwh, twin.driven_kwh) == (0.0, 20.0)


# Roof


@pytest.mark.parametrize(
    ("available", "percent", "generated"),
    [(40.0, None, 40.0), (60.0, None, 50.0), (40.0, 2500, 12.5), (10.0, 2500, 10.0), (-1.0, None, 0.0)],
)
def test_generation_is_the_least_of_sun_inverter_and_limit(
    available: float, percent: int | None, generated: float
) -> None:
    twin = InverterTwin("inverter", PV)
    if percent is not None:
        twin.take(40159, [percent, 0, 0, 0, 1])
    assert twin.step(3600.0, available_kw=available) == pytest.approx(generated)
    assert twin.curtailed_kwh == pytest.approx(max(0.0, min(available, 50.0) - generated))


def test_a_limit_reverts_to_the_second() -> None:
    twin = InverterTwin("inverter", PV)
    twin.take(40159, [2000, 0, 90, 0, 1])
    assert sum(twin.step(60.0, available_kw=40.0) for _ in range(3)) == pytest.approx(
        (10 * 90 + 40 * 90) / 3600
    )
    assert twin.limit[4] == 0


# Site


def drive(twins: TwinSite, minutes: range) -> None:
    for minute in minutes:
        if minute == 30:
            twins.unplug("ariya")
        if minute == 70:
            twins.plug("ariya", used_kwh=4.0)
        twins.step(
            60.0,
            load_kw=50.0 + 10.0 * math.sin(minute / 7.0),
            pv_available_kw=max(0.0, 70.0 * math.sin(minute / 40.0)),
            outdoor_c=30.0,
            ghi_w_m2=500.0,
            occupied=minute > 20,
        )


def test_what_flows_in_flows_out() -> None:
    twins = site()
    busy(twins)
    drive(twins, range(120))
    truth = twins.truth()
    cars = sum(car.charge_kwh - car.discharge_kwh for car in truth.cars.values())
    rooms = sum(room.electric_kwh for room in truth.zones.values())
    net = truth.load_kwh + cars + rooms - truth.pv_kwh
    assert truth.import_kwh - truth.export_kwh == pytest.approx(net, abs=1e-9)
    assert truth.export_kwh > 0.0
    assert truth.curtailed_kwh > 0.0
    assert rooms == pytest.approx(twins.hvac_meter.import_kwh if twins.hvac_meter else math.nan)
    for name, car in truth.cars.items():
        meter = twins.submeters[name]
        assert (meter.import_kwh, meter.export_kwh) == pytest.approx((car.charge_kwh, car.discharge_kwh))


def test_a_restored_site_goes_on_exactly_as_if_nothing_had_happened() -> None:
    through, first = site(), site()
    for twins in (through, first):
        busy(twins)
    drive(through, range(120))
    drive(first, range(45))  # in the middle of ramps, timers and an absence
    saved = json.dumps(first.state())
    second = site()
    second.restore(json.loads(saved))
    drive(second, range(45, 120))
    assert second.truth() == through.truth()
    assert second.state() == through.state()


def test_a_state_of_another_site_is_refused() -> None:
    with pytest.raises(DataError, match="saved state"):
        site().restore({"load_kwh": 0.0, "twins": {}})


def test_a_site_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="no charger 'cp-9'"):
        TwinSite(pv=None, zones=[], vehicles=[vehicle(charger="cp-9")], chargers=[charger()])
    with pytest.raises(ConfigError, match="17 rooms"):
        TwinSite(pv=None, zones=[zone(f"z{n}") for n in range(17)], vehicles=[], chargers=[])


async def test_a_bare_site_has_only_its_meter() -> None:
    twins = TwinSite(pv=None, zones=[], vehicles=[], chargers=[])
    configs = await twins.start()
    twins.step(60.0, load_kw=60.0, pv_available_kw=5.0, outdoor_c=20.0, ghi_w_m2=0.0, occupied=False)
    assert [config.id for config in configs] == ["main-meter"]
    assert twins.truth().import_kwh == pytest.approx(1.0)
    await twins.stop()


async def test_the_devices_of_a_site_have_the_agreed_names() -> None:
    twins = site()
    configs = await twins.start()
    assert {config.id: config.assets for config in configs} == {
        "main-meter": ("meter",),
        "hvac-meter": ("hvac-meter",),
        "inverter": ("roof",),
        "charger-leaf": ("leaf",),
        "charger-ariya": ("ariya",),
        "submeter-leaf": ("submeter-leaf",),
        "submeter-ariya": ("submeter-ariya",),
        "hvac-adapter": ("hall-0", "hall-1"),
    }
    await twins.stop()


async def test_a_taken_port_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            await site().start(first_port=port)
    what, where, hint = caught.value.lines()
    assert "main-meter" in what
    assert f"127.0.0.1:{port}" in where
    assert "another first port" in hint


async def test_a_room_that_would_switch_on_by_itself_is_kept_off_and_people_are_not_fought() -> None:
    async with bench(alone="daikin-ekmbpp1") as made:
        twin = made.twin("alone")
        assert isinstance(twin, P1P2Twin)
        assert isinstance(await made.apply("asset", RoomClimate(ClimateMode.OFF, 25.0)), Applied)
        for _ in range(5):
            made.step()  # its master timeout is two minutes
            await made.gateway.read()
            await made.gateway.refresh()
        assert twin.orders[5] == 0
        twin.take(5, [1])  # by hand
        made.step()
        await made.gateway.read()
        written = twin.writes
        await made.gateway.refresh()
        assert (twin.orders[5], twin.writes) == (1, written)


async def test_an_order_without_a_setpoint_register_says_so_and_keeps_the_airflow() -> None:
    async with bench(alone="daikin-ekmbpp1") as made:
        twin = made.twin("alone")
        assert isinstance(twin, P1P2Twin)
        outcome = await made.apply("asset", RoomClimate(ClimateMode.HEAT, 22.0))
        assert isinstance(outcome, Clipped)
        assert outcome.limit == "the setpoint is set by hand"
        assert twin.orders[3:] == [1, 1, 1]


async def test_a_limit_without_a_switch_is_released_by_full_power() -> None:
    async with bench(alone="huawei-sun2000") as made:
        assert isinstance(await made.apply("asset", GenerationLimit(20.0)), Applied)
        made.step()
        assert (await made.values("asset"))["limit_ratio"] == pytest.approx(0.4)
        assert (await made.values("asset"))["generation_kw"] == pytest.approx(20.0)
        assert isinstance(await made.apply("asset", GenerationLimit(None)), Applied)
        made.step()
        assert (await made.values("asset"))["limit_ratio"] == 1.0
