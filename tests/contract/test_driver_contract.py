"""One contract for all device models: whoever ships a profile ships a case here and a twin, and passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from devices.device import Device
from devices.gateway import Access
from devices.natures import CLIMATE_CODE, NATURES, Nature
from devices.profile import load_profile, profile_names
from devices.transport import Space
from energy.core.measurement import Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    DemandStep,
    GenerationLimit,
    Order,
    Refused,
    RoomClimate,
    Unconfirmed,
    Unreachable,
)
from energy.core.units import AssetId
from tests.unit.devices.bench import Bench, bench


@dataclass(frozen=True)
class Case:
    """A model in the bench: its device and asset, an order it can carry out, one beyond its limits.

    Also what it lacks of its nature, and how many requests it takes to read it.
    """

    profile: str
    device: str
    asset: str
    order: Order | None = None
    beyond: Order | None = None
    lacks: frozenset[str] = frozenset()
    requests: int = 2  # eight rooms, 32 registers at a time

    @property
    def alone(self) -> str | None:
        """The profile, where its twin stands alone instead of in the site."""
        return self.profile if self.device == "alone" else None


def alone(
    profile: str,
    order: Order | None = None,
    beyond: Order | None = None,
    *,
    lacks: str = "",
    requests: int = 2,
) -> Case:
    missing = frozenset(lacks.split())
    return Case(profile, "alone", "asset", order, beyond, lacks=missing, requests=requests)


CASES = [
    alone("schneider-iem3155"),
    alone("carlo-gavazzi-em24", requests=3),
    alone("janitza-umg"),
    alone("sunspec-der-inverter", GenerationLimit(20.0), GenerationLimit(-1.0)),
    alone("sunspec-der-storage", ChargerPower(-3.0), ChargerPower(50.0), requests=3),
    alone("sunspec-hybrid-storage"),
    alone("huawei-sun2000", GenerationLimit(20.0), GenerationLimit(-1.0), requests=3),
    alone("evtec-bidipro", ChargerPower(-3.0), ChargerPower(50.0)),
    alone("keba-p30", ChargerPower(6.9), ChargerPower(50.0), lacks="soc", requests=3),
    alone("alfen-ng9xx", ChargerPower(6.9), ChargerPower(50.0), lacks="soc"),
    alone("phoenix-charx", ChargerPower(6.9), ChargerPower(90.0), requests=3),
    alone("relay-demand", DemandStep(0.7), DemandStep(0.1)),
    alone(
        "daikin-ekmbpp1",
        RoomClimate(ClimateMode.OFF, 25.0),
        RoomClimate(ClimateMode.COOL, 60.0),
        lacks="setpoint_c",
        requests=4,
    ),
    Case("eastron-sdm630", "main-meter", "meter"),
    Case("sunspec-inverter", "inverter", "roof", GenerationLimit(20.0), GenerationLimit(-1.0)),
    Case("wallbox-quasar1", "charger-leaf", "leaf", ChargerPower(-3.0), ChargerPower(50.0)),
    Case(
        "daikin-dta116a51",
        "hvac-adapter",
        "hall-7",
        RoomClimate(ClimateMode.COOL, 25.0),
        RoomClimate(ClimateMode.HEAT, 60.0),
    ),
]
ROOMS = 8
every_model = pytest.mark.parametrize("case", CASES, ids=lambda case: case.profile)
every_commanded_model = pytest.mark.parametrize(
    "case", [case for case in CASES if case.order is not None], ids=lambda case: case.profile
)


def device_of(made: Bench, case: Case) -> Device:
    return made.gateway._devices[case.device]


def ordered(case: Case) -> tuple[Order, Order]:
    assert case.order is not None
    assert case.beyond is not None
    return case.order, case.beyond


def test_every_profile_has_a_case() -> None:
    assert {case.profile for case in CASES} == set(profile_names())
    for case in CASES:
        assert (load_profile(case.profile).control != "none") is (case.order is not None)


@every_model
async def test_every_point_of_the_nature_is_read_good_with_its_unit(case: Case) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        made.step()
        points = await made.read(case.asset)
        assert {name: point.unit for name, point in points.items()} == NATURES[
            load_profile(case.profile).nature
        ]
        for name, point in points.items():
            known = name not in case.lacks
            assert point.quality is (Quality.GOOD if known else Quality.INVALID)
            assert (point.value is not None and point.raw != ()) is known
        assert all(point.point == name for name, point in points.items())
        known_at = {point.read_at for name, point in points.items() if name not in case.lacks}
        assert known_at == {made.clock.now()}


@every_model
async def test_every_point_of_the_profile_decodes_from_the_twin(case: Case) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        made.step()
        device = device_of(made, case)
        for name, point in device.profile.points.items():
            if device.profile.shown_by(name) != name:
                continue  # it can only be written
            await device.read_points([name])
            reading = device.reading(name)
            assert reading is not None, name
            assert reading.text or reading.value is not None, name
            assert len(reading.raw) == point.width


@every_model
async def test_requests_stay_within_what_the_device_allows(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        device = device_of(made, case)
        wire = device.profile.wire
        asked: list[tuple[Space, int, int]] = []
        read = device._transport.read

        async def recorded(unit_id: int, space: Space, address: int, count: int) -> tuple[int, ...]:
            asked.append((space, address, count))
            return await read(unit_id, space, address, count)

        monkeypatch.setattr(device._transport, "read", recorded)
        await made.gateway.read([case.device])
        assert asked
        assert len(asked) <= case.requests
        for space, address, count in asked:
            assert space.read_function in wire.functions
            assert count <= wire.max_read
            assert not wire.even_only or (address % 2, count % 2) == (0, 0)


@every_model
async def test_silence_makes_stale_points_without_values_until_the_device_is_back(case: Case) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        made.step()
        await made.gateway.read()
        await made.twin(case.device).stop()
        for _ in range(2):
            made.step()
            gone = await made.read(case.asset)
            assert {point.value for point in gone.values()} == {None}
            assert {point.quality for point in gone.values()} == {Quality.STALE}
        await made.twin(case.device).start(port=made.config(case.device).port)
        made.step()
        back = await made.read(case.asset)
        assert {back[name].quality for name in back.keys() - case.lacks} == {Quality.GOOD}


@every_model
@pytest.mark.parametrize("fault", ["missing_words", "wrong_function"])
async def test_a_garbled_answer_never_becomes_a_value(case: Case, fault: str) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        made.step()
        setattr(made.twin(case.device).faults, fault, 1)
        points = await made.read(case.asset)
        assert {point.value for point in points.values()} == {None}
        assert Quality.GOOD not in {point.quality for point in points.values()}


@every_commanded_model
async def test_an_order_is_written_and_read_back(case: Case) -> None:
    order, _ = ordered(case)
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        before = made.gateway.writes[case.device]
        assert await made.apply(case.asset, order) == Applied(made.command(case.asset, order))
        written = made.gateway.writes[case.device]
        assert written > before
        assert await made.apply(case.asset, order) == Applied(made.command(case.asset, order))
        assert made.gateway.writes[case.device] == written


@every_commanded_model
async def test_an_order_beyond_the_limits_is_clipped(case: Case) -> None:
    _, beyond = ordered(case)
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        outcome = await made.apply(case.asset, beyond)
        assert isinstance(outcome, Clipped)
        assert outcome.order != beyond
        assert isinstance(outcome.order, type(beyond))


def blind(case: Case) -> bool:
    """Whether what was ordered cannot be read back."""
    profile = load_profile(case.profile)
    return any(point.write and profile.shown_by(name) is None for name, point in profile.points.items())


def test_only_one_model_cannot_be_read_back() -> None:
    assert [case.profile for case in CASES if blind(case)] == ["keba-p30"]


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.order is not None and not blind(case)],
    ids=lambda case: case.profile,
)
async def test_an_acknowledged_write_without_effect_is_unconfirmed(case: Case) -> None:
    order, _ = ordered(case)
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        made.twin(case.device).faults.ignore_writes = True
        assert isinstance(await made.apply(case.asset, order), Unconfirmed)


@every_commanded_model
async def test_a_refusal_and_a_silence_are_told_apart(case: Case) -> None:
    order, _ = ordered(case)
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        twin = made.twin(case.device)
        twin.faults.exception, twin.faults.writes_only = 3, True
        assert isinstance(await made.apply(case.asset, order), Refused)
        await twin.stop()
        assert isinstance(await made.apply(case.asset, order), Unreachable)


@every_commanded_model
@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_without_control_the_device_receives_no_write(case: Case, access: Access) -> None:
    order, _ = ordered(case)
    async with bench(rooms=ROOMS, access=access, alone=case.alone) as made:
        assert isinstance(await made.apply(case.asset, order), Refused)
        await made.gateway.refresh()
        await made.gateway.safe_state()
        assert made.twin(case.device).writes == 0


@every_commanded_model
async def test_a_device_takes_no_orders_until_it_is_commissioned_however_good_its_map(case: Case) -> None:
    order, _ = ordered(case)
    async with bench(rooms=ROOMS, alone=case.alone, connect=False) as made:
        made.only = None
        made.use([replace(config, commissioned=False) for config in made.configs])
        await made.gateway.connect()
        outcome = await made.apply(case.asset, order)
        await made.gateway.refresh()
        await made.gateway.safe_state()
        assert isinstance(outcome, Refused)
        assert "not commissioned" in outcome.why
        assert case.device in made.gateway.untried
        assert made.twin(case.device).writes == 0


@every_model
async def test_the_safe_state_can_be_reached_twice_and_from_anywhere(case: Case) -> None:
    async with bench(rooms=ROOMS, alone=case.alone) as made:
        if case.order is not None:
            await made.apply(case.asset, case.order)
        made.step()
        await made.gateway.safe_state()
        await made.gateway.safe_state()
        made.step()
        points = await made.values(case.asset)
        if case.order is None:
            assert made.twin(case.device).writes == 0
        elif "limit_ratio" in points:
            assert points["limit_ratio"] == 1.0
        elif "demand_ratio" in points:
            assert points["demand_ratio"] == 1.0
        elif "plugged" in points:
            assert points["power_kw"] == 0.0
        elif load_profile(case.profile).nature is Nature.STORAGE:
            await device_of(made, case).read_points(["set_enabled"])
            released = device_of(made, case).reading("set_enabled")
            assert released is not None
            assert released.value == 0.0  # it follows its own rules
        else:
            assert isinstance(case.order, RoomClimate)
            assert points["mode"] == CLIMATE_CODE[case.order.mode]  # rooms stay as they are
            assert points["setpoint_c"] == (None if "setpoint_c" in case.lacks else 25.0)
        assert AssetId(case.asset) in made.gateway.assets
