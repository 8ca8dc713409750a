"""Units with stages: whatever they are told, they run at their stages and keep their minimum times."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from devices.twins.rooms import Surroundings
from devices.twins.staged import StagedRoom, room_of
from energy.core.assets import HvacUnit, HvacZone
from energy.core.outcome import ClimateMode

WINTER = Surroundings(outdoor_c=1.0, ghi_w_m2=0.0, occupied=True)


def zone(**unit: object) -> HvacZone:
    return HvacZone(
        id="hall",
        name_ja="部屋",
        name_en="Hall",
        max_electric_kw=12.0,
        capacitance_kwh_per_k=6.0,
        loss_kw_per_k=0.6,
        initial_c=18.0,
        unit=HvacUnit(**unit),  # type: ignore[arg-type] # named by the test
    )


STAGED = zone(stages_kw=(4.0, 8.0, 12.0), min_on_minutes=20.0, min_off_minutes=10.0)


def test_orders_that_come_too_early_are_obeyed_when_the_minimum_time_is_over() -> None:
    chance, room, seen = random.Random(4), room_of(STAGED), []
    for minute in range(600):
        if minute % 3 == 0:  # somebody who cannot make up his mind
            room.order(chance.choice([ClimateMode.HEAT, ClimateMode.OFF]), chance.choice([16.0, 24.0]))
        room.step(60.0, WINTER)
        seen.append(round(12.0 * room.share, 6))
    assert set(seen) <= {0.0, 4.0, 8.0, 12.0}
    stretches = [(on, len(list(same))) for on, same in groupby(kw > 0.0 for kw in seen)]
    assert len(stretches) > 10
    assert [one for one in stretches[1:-1] if one[1] < (20 if one[0] else 10)] == []


def test_a_staged_unit_holds_its_setpoint_between_its_stages() -> None:
    room = room_of(STAGED)
    room.order(ClimateMode.HEAT, 20.0)
    for _ in range(360):
        room.step(60.0, WINTER)
    assert room.temp_c == pytest.approx(20.0, abs=0.7)


def test_defrosting_takes_power_and_gives_no_heat() -> None:
    used = {}
    for share in (0.0, 0.2):
        room = room_of(zone(least_kw=3.0, defrost_share=share, defrost_c=(-7.0, 5.0)))
        room.order(ClimateMode.HEAT, 20.0)
        used[share] = sum(room.step(60.0, WINTER) for _ in range(1200))
    assert used[0.2] == pytest.approx(used[0.0] / 0.8, rel=0.10)


def test_a_unit_goes_on_from_its_state() -> None:
    one, other = room_of(STAGED), room_of(STAGED)
    one.order(ClimateMode.HEAT, 21.0)
    for _ in range(37):
        one.step(60.0, WINTER)
    one.order(ClimateMode.OFF, 21.0)
    other.restore(one.state())
    for room in (one, other):
        for _ in range(30):
            room.step(60.0, WINTER)
    assert isinstance(other, StagedRoom)
    assert other.state() == one.state()


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ({"stages_kw": (8.0, 4.0)}, "must rise"),
        ({"stages_kw": (4.0, 8.0)}, "max_electric_kw is 12.0 kW"),
        ({"stages_kw": (12.0,), "least_kw": 2.0}, "its first stage is the least"),
        ({"min_on_minutes": 5.0}, "minimum times need"),
        ({"least_kw": 13.0}, "is above max_electric_kw"),
        ({"defrost_c": (5.0, -7.0)}, "upside down"),
    ],
)
def test_a_unit_that_cannot_be_is_refused_by_name(unit: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        zone(**unit)
