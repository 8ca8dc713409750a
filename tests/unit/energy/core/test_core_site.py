"""A site whose parts contradict each other cannot be made; problems and plans survive JSON."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from energy.core.calendar import DayType
from energy.core.plan import (
    CarProblem,
    Plan,
    PlanSource,
    Problem,
    Promise,
    Reason,
    ReasonCode,
    Setpoint,
    Shortfall,
    SiteLimits,
    Trajectory,
    plan_from_json,
    plan_to_json,
    problem_from_json,
    problem_to_json,
)
from energy.core.series import Grid
from energy.core.site import CalendarRules, Season, Site
from energy.core.slots import Slot
from energy.core.units import AssetId

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "id": "kitakata",
    "name_ja": "喜多方工場",
    "name_en": "Kitakata factory",
    "latitude": 37.65,
    "longitude": 139.87,
    "contract_kw": 400,
    "target_demand_kw": 240,
    "peak_memory_kw": {"2026-07": 225},
    "tariff": {
        "name_ja": "例",
        "name_en": "example",
        "periods": [
            {
                "valid_from": "2026-05-01",
                "valid_to": "2027-04-30",
                "basic_yen_per_kw_month": 2000,
                "summer_yen_per_kwh": 19,
                "other_yen_per_kwh": 18,
            }
        ],
    },
    "drivers": [{"id": "driver-1", "name_ja": "通勤者", "name_en": "Commuter"}],
    "chargers": [{"id": f"cp-{k}", "max_charge_kw": 6, "max_discharge_kw": 6} for k in (1, 2)],
    "vehicles": [
        {
            "id": f"car-{k}",
            "name_ja": "車",
            "name_en": "Car",
            "capacity_kwh": 20,
            "charger": f"cp-{k}",
            "owner": "employee",
            "driver": "driver-1",
        }
        for k in (1, 2)
    ],
    "trips": {
        "car-1": [
            {
                "days": ["mon"],
                "departs": "17:30",
                "hours_away": 14.5,
                "energy_kwh": 3.2,
                "promise_soc": 0.6,
            }
        ]
    },
    "meters": [{"id": "meter", "measures": "site"}],
}


def site(change: object = None, *keys: str | int) -> Site:
    facts = copy.deepcopy(FACTS)
    if keys:
        inner: Any = facts
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = change
    return TypeAdapter(Site).validate_python(facts)


def test_a_site_is_made_of_parts_that_know_each_other() -> None:
    made = site()
    assert made.charger_of(made.vehicles[1]).id == "cp-2"


@pytest.mark.parametrize(
    ("change", "keys", "complaint"),
    [
        ("cp-9", ("vehicles", 0, "charger"), "no 'cp-9' among cp-1, cp-2"),
        ("nobody", ("vehicles", 0, "driver"), "no 'nobody' among driver-1"),
        ("cp-2", ("vehicles", 0, "charger"), "is given to 2 vehicles"),
        ("cp-1", ("meters", 0, "id"), "used 2 times"),
        (401, ("target_demand_kw",), "is above contract_kw"),
        ({"2026-7": 1}, ("peak_memory_kw",), "not a month"),
        ({"car-9": []}, ("trips",), "no 'car-9'"),
        (91, ("latitude",), "latitude"),
        ("x", ("latitudes",), "latitudes"),
    ],
)
def test_a_site_that_contradicts_itself_cannot_be_made(
    change: object, keys: tuple[str | int, ...], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        site(change, *keys)


def test_weekly_trips_that_run_into_each_other_are_found_before_anyone_drives() -> None:
    facts = copy.deepcopy(FACTS)
    facts["trips"]["car-1"][0] |= {"days": ["mon", "tue"], "hours_away": 25}
    with pytest.raises(ValidationError, match="trips of car-1 overlap"):
        TypeAdapter(Site).validate_python(facts)


def test_a_site_says_when_it_rests_and_what_its_air_conditioners_do() -> None:
    rules = CalendarRules(closed=(date(2026, 8, 14),))
    calendar = rules.calendar()
    assert [calendar.day_type(date(2026, 8, day)) for day in (13, 14, 15)] == [
        DayType.WEEKDAY,
        DayType.REST,
        DayType.REST,
    ]
    assert [rules.season(date(2026, month, 1)) for month in (1, 5, 7)] == [
        Season.HEATING,
        Season.OFF,
        Season.COOLING,
    ]
    assert CalendarRules(changeover_months=(4,)).changes_over(date(2026, 4, 1))
    assert not CalendarRules(changeover_months=(4,)).changes_over(date(2026, 1, 1))
    for months in (
        {"cooling_months": (6, 11)},
        {"heating_months": (0,)},
        {"heating_months": (13,)},
        {"changeover_months": (5,)},
    ):
        with pytest.raises(ValidationError, match="months"):
            CalendarRules(**months)


def test_a_problem_comes_back_from_json_as_it_was() -> None:
    pair = (1.5, 0.1 + 0.2)
    car = CarProblem(
        id=AssetId("car-1"),
        capacity_kwh=20.0,
        soc0_kwh=12.0,
        floor_kwh=6.0,
        ceiling_kwh=19.0,
        max_charge_kw=6.0,
        max_discharge_kw=6.0,
        charge_efficiency=0.92,
        discharge_efficiency=0.92,
        wear_yen_per_kwh=5.0,
        plugged=(True, False),
        drive_kwh=pair,
        may_discharge=(True, False),
        promises=(Promise(index=1, soc_kwh=12.0),),
        discharge_value_yen_per_kwh=(0.0, 20.0),
    )
    problem = Problem(
        site="kitakata",
        made_at=NOW,
        grid=Grid(NOW, 2),
        load_p10_kw=pair,
        load_p50_kw=pair,
        load_p90_kw=pair,
        outdoor_c=(-3.5, -4.0),
        price_yen_per_kwh=pair,
        tight=(False, True),
        limits=SiteLimits(
            contract_kw=400.0, peak_memory_kw=240.0, peak_yen_per_kw=20400.0, import_margin_kw=5.0
        ),
        cars=(car,),
    )
    assert problem_from_json(problem_to_json(problem)) == problem
    with pytest.raises(ValidationError):
        problem_from_json(problem_to_json(problem).replace('"tight"', '"loose"'))


def test_a_plan_comes_back_from_json_as_it_was_and_is_read_by_asset_and_slot() -> None:
    first, second = Slot(NOW), Slot(NOW).shifted(1)
    points = tuple(
        Setpoint(
            asset=AssetId("car-1"),
            slot=slot,
            power_kw=power,
            reason=Reason(ReasonCode.PEAK, {"until": "15:00", "soc_percent": 80.0}),
        )
        for slot, power in ((first, -6.0), (second, 3.0))
    )
    flat = (1.0, 2.0)
    plan = Plan(
        site="kitakata",
        made_at=NOW,
        grid=Grid(NOW, 2),
        source=PlanSource.OPTIMAL,
        setpoints=points,
        trajectory=Trajectory(
            import_kw=flat, load_kw=flat, pv_kw=flat, curtailed_kw=flat, energy_yen=1.0, peak_yen=0.0
        ),
        target_demand_kw=240.0,
        objective_yen=123.4,
        gap=0.001,
        shortfalls=(Shortfall(asset=AssetId("car-1"), kind="departure", index=1, amount=0.5),),
    )
    back = plan_from_json(plan_to_json(plan))
    assert back == plan
    assert back.of(AssetId("car-1")) == points
    assert back.at(second)[AssetId("car-1")].power_kw == 3.0
