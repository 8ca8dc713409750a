"""Rooms: bands, orders, and how far they may drift."""

from __future__ import annotations

from datetime import datetime, time

import pytest

from energy.core.assets import ComfortBand, HvacZone
from energy.core.outcome import ClimateMode, RoomClimate
from energy.core.plan import Reason, ReasonCode, Setpoint
from energy.core.site import Season
from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId
from vpp.simulation.scenario import load_scenario
from vpp.site.climate import (
    band_applies,
    coasting_order,
    comfort_band,
    comfort_limits,
    headroom_k,
    planned_order,
    room_season,
    thermostat_order,
)

SITE = load_scenario("kitakata")[0].site
HALL = HvacZone(
    id="hall",
    name_ja="工場棟",
    name_en="Hall",
    max_electric_kw=10,
    capacitance_kwh_per_k=10,
    loss_kw_per_k=1,
    comfort=ComfortBand(
        cooling_c=(22, 28),
        heating_c=(18, 23),
        opens=time(8),
        closes=time(18),
        setback_c=14,
        start_hours=2,
    ),
)
COOL, HEAT, OFF = ClimateMode.COOL, ClimateMode.HEAT, ClimateMode.OFF


def at(text: str) -> datetime:
    return parse_jst(text)


def planned(text: str, power_kw: float, expected_c: float) -> RoomClimate:
    slot = Slot(at(text))
    point = Setpoint(
        asset=AssetId("hall"),
        slot=slot,
        power_kw=power_kw,
        reason=Reason(ReasonCode.PRICE),
        expected=expected_c,
    )
    return planned_order(SITE, HALL, point)


@pytest.mark.parametrize(
    ("season", "expected"), [(Season.COOLING, (22.2, 27.8)), (Season.HEATING, (18.2, 22.8))]
)
def test_setpoints_stay_inside_the_band_by_what_a_thermostat_misses(
    season: Season, expected: tuple[float, float]
) -> None:
    zone = HvacZone(
        id="hall",
        name_ja="工場",
        name_en="Hall",
        max_electric_kw=10,
        capacitance_kwh_per_k=10,
        loss_kw_per_k=1,
        comfort=ComfortBand(cooling_c=(22, 28), heating_c=(18, 23)),
    )
    assert comfort_limits(zone, season) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ("2026-08-05 07:59", False),
        ("2026-08-05 08:00", True),
        ("2026-08-05 18:00", True),
        ("2026-08-05 18:01", False),
        ("2026-08-09 12:00", False),  # Sunday
        ("2026-07-30 12:00", False),  # shutdown
    ],
)
def test_a_band_holds_while_people_are_in(when: str, applies: bool) -> None:
    assert band_applies(SITE, HALL, at(when)) is applies


@pytest.mark.parametrize(
    ("when", "order"),
    [
        ("2026-08-05 05:59", RoomClimate(OFF, 26)),
        ("2026-08-05 06:00", RoomClimate(COOL, 26)),  # two hours before people come
        ("2026-08-05 12:00", RoomClimate(COOL, 26)),
        ("2026-08-05 19:00", RoomClimate(OFF, 26)),
        ("2026-01-21 12:00", RoomClimate(HEAT, 20)),
        ("2026-01-21 02:00", RoomClimate(HEAT, 14)),  # setback
        ("2026-05-20 12:00", RoomClimate(OFF, 26)),  # between the seasons
    ],
)
def test_a_thermostat_without_a_plan(when: str, order: RoomClimate) -> None:
    assert thermostat_order(SITE, HALL, at(when)) == order


def test_a_planned_temperature_is_cut_to_the_band_while_people_are_in() -> None:
    assert planned("2026-08-05 10:00", 5, 25.13) == RoomClimate(COOL, 25.1)
    assert planned("2026-08-05 10:00", 5, 20.0) == RoomClimate(COOL, 22.2)
    assert planned("2026-08-05 05:00", 5, 20.0) == RoomClimate(COOL, 20.0)  # cooled ahead, nobody is in


def test_a_room_that_is_not_to_run_waits_at_the_edge_or_off() -> None:
    assert planned("2026-08-05 10:00", 0, 27) == RoomClimate(COOL, 27.8)
    assert planned("2026-08-05 22:00", 0, 27) == RoomClimate(OFF, 26)


def test_a_coasting_empty_room_in_winter_is_not_heated_to_the_band() -> None:
    assert coasting_order(SITE, HALL, at("2026-01-21 22:00")) == RoomClimate(HEAT, 14)
    assert coasting_order(SITE, HALL, at("2026-01-21 12:00")) == RoomClimate(HEAT, 18.2)


def test_headroom_is_the_way_to_the_edge() -> None:
    assert headroom_k(SITE, HALL, 26.0, at("2026-08-05 12:00")) == pytest.approx(1.8)
    assert headroom_k(SITE, HALL, 20.0, at("2026-01-21 12:00")) == pytest.approx(1.8)
    assert headroom_k(SITE, HALL, 15.0, at("2026-01-21 22:00")) == pytest.approx(1.0)


def test_in_spring_a_warm_room_cools_a_cold_one_heats_and_the_band_is_that_of_both() -> None:
    morning, afternoon = at("2026-04-08 09:00"), at("2026-04-08 15:00")
    assert room_season(SITE, HALL, morning, 18.0) is Season.HEATING
    assert room_season(SITE, HALL, afternoon, 27.0) is Season.COOLING
    assert comfort_band(SITE, HALL, afternoon) == (18, 28)
    assert thermostat_order(SITE, HALL, afternoon, season=Season.COOLING) == RoomClimate(COOL, 26)


def test_in_winter_a_warm_room_is_not_cooled_and_the_band_is_that_of_heating() -> None:
    noon = at("2026-01-21 12:00")
    assert room_season(SITE, HALL, noon, 27.0) is Season.HEATING
    assert comfort_band(SITE, HALL, noon) == (18, 23)


def test_no_band_holds_at_night_nor_where_no_unit_runs() -> None:
    assert comfort_band(SITE, HALL, at("2026-04-08 03:00")) is None
    assert comfort_band(SITE, HALL, at("2026-05-13 12:00")) is None
