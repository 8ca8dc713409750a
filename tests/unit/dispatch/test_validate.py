"""Problems that cannot be planned are refused by asset, interval and value."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatch.validate import require_sound
from energy.core.errors import DataError, ExitStatus
from energy.core.plan import Problem, Promise
from energy.core.series import Grid
from tests.unit.dispatch.problems import START, battery, car, factory, limits, problem, pv, zone

NAN = float("nan")
BASE = problem(100.0, 4)


@pytest.mark.parametrize(
    ("site", "told"),
    [
        (problem([]), "grid.*horizon is empty"),
        (replace(BASE, grid=Grid(START, 4, timedelta(minutes=15))), "grid.*0:15:00 are not whole half-hours"),
        (replace(BASE, grid=Grid(START + timedelta(minutes=10), 4)), "grid.*does not start a slot"),
        (replace(BASE, load_p50_kw=(100.0, NAN, 100.0, 100.0)), r"load.*load_p50_kw\[1\] is nan"),
        (problem([100.0, -1.0]), r"load.*load_p10_kw\[1\] is -1.0, below 0"),
        (replace(BASE, load_p90_kw=(90.0,) * 4), r"load.*cross at \[0\]: 100.0, 100.0, 90.0"),
        (replace(BASE, price_yen_per_kwh=(20.0,) * 3), "price.*has 3 values, the horizon 4 intervals"),
        (replace(BASE, tight=(False,) * 5), "tight.*has 5 values, the horizon 4"),
        (replace(BASE, outdoor_c=(5.0, 5.0, float("inf"), 5.0)), r"weather.*outdoor_c\[2\] is inf"),
        (replace(BASE, limits=limits(contract_kw=-1.0)), "limits.*contract_kw is -1.0, below 0"),
        (
            replace(BASE, limits=limits(demand_so_far_kwh=9.0)),
            "demand_so_far_kwh.*is not inside the first interval",
        ),
        (replace(BASE, cars=(car(4), car(4))), "leaf.*2 assets have this id"),
        (replace(BASE, cars=(car(4, id="site"),)), "site.*means the connection point"),
        (replace(BASE, cars=(car(3),)), "leaf.*has 3 values, the horizon 4"),
        (
            replace(BASE, cars=(car(4, soc0_kwh=41.0),)),
            "leaf.*soc0_kwh is 41.0, above the capacity of 40.0 kWh",
        ),
        (replace(BASE, cars=(car(4, soc0_kwh=-1.0),)), "leaf.*soc0_kwh is -1.0, below 0"),
        (replace(BASE, cars=(car(4, floor_kwh=39.0),)), "leaf.*floor 39.0 kWh is above the ceiling 38.0 kWh"),
        (
            replace(BASE, cars=(car(4, charge_efficiency=1.2),)),
            r"leaf.*charge_efficiency is 1.2, not in \(0, 1\]",
        ),
        (replace(BASE, cars=(car(4, drive_kwh=(0.0, -2.0, 0.0, 0.0)),)), r"leaf.*drive_kwh\[1\] is -2.0"),
        (replace(BASE, cars=(car(4, plugged=(True,) * 5),)), "leaf.*plugged has 5 values"),
        (
            replace(BASE, cars=(car(4, promises=(Promise(index=2, soc_kwh=39.0),)),)),
            "leaf.*promised are 39.0 kWh at interval 2, the ceiling is 38.0 kWh",
        ),
        (
            replace(BASE, cars=(car(4, promises=(Promise(index=5, soc_kwh=30.0),)),)),
            "leaf.*a promise at interval 5 lies outside the horizon of 4",
        ),
        (
            replace(BASE, zones=(zone(4, low_c=(18.5, 18.5, 24.0, 18.5)),)),
            r"hall.*upside down at \[2\]: 24.0 degC is above 23.0 degC",
        ),
        (replace(BASE, zones=(zone(4, cop=(3.0, 0.0, 3.0, 3.0)),)), r"hall.*cop\[1\] is 0.0"),
        (replace(BASE, zones=(zone(4, mode_sign=(2,) * 4),)), "hall.*mode_sign"),
        (replace(BASE, zones=(zone(4, capacitance_kwh_per_k=0.0),)), "hall.*capacitance_kwh_per_k is 0.0"),
        (replace(BASE, pv=(pv([1.0, NAN, 1.0, 1.0]),)), r"pv.*p10_kw\[1\] is nan"),
        (
            replace(BASE, batteries=(battery(reserve_kwh=30.0),)),
            "battery.*floor 30.0 kWh is above the ceiling 20.0",
        ),
    ],
)
def test_an_impossible_problem_is_refused_with_its_place_and_value(site: Problem, told: str) -> None:
    with pytest.raises(DataError) as error:
        require_sound(site)
    what, where, hint = error.value.lines()
    pattern = told.split(".*")
    assert where.startswith(pattern[0]) or pattern[0] in what
    with pytest.raises(DataError, match=pattern[-1]):
        require_sound(site)
    assert hint
    assert error.value.exit_status is ExitStatus.DATA


def test_all_findings_are_kept_for_machines() -> None:
    site = replace(BASE, load_p50_kw=(NAN,) * 4, price_yen_per_kwh=())
    with pytest.raises(DataError) as error:
        require_sound(site)
    findings = error.value.details["findings"]
    assert isinstance(findings, tuple)
    assert len(findings) == 2


def test_sound_problems_pass_untouched() -> None:
    site = factory(48)
    assert require_sound(site) is site


def test_an_hourly_grid_is_sound() -> None:
    assert require_sound(replace(BASE, grid=Grid(START, 4, timedelta(hours=1))))


def test_a_car_that_came_fuller_than_its_ceiling_is_sound() -> None:
    assert require_sound(replace(BASE, cars=(car(4, soc0_kwh=39.5),)))
