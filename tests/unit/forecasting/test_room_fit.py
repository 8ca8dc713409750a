"""Rooms learned from their own history: truth found, ignorance named, bad sensors survived."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from energy.core.assets import HvacZone
from energy.core.errors import DataError, ForecastError
from energy.core.series import Grid
from forecasting.room import Rating, RoomFit, fit_room
from forecasting.room_physics import RoomPhysics
from forecasting.room_record import RoomRecord, ready
from tests.unit.forecasting.room_plants import flexhouse, heated, history, one_capacity, two_capacities

EXACT = Rating(cooling=3.3, heating=3.4, doubt=0.0)


@pytest.fixture(scope="module")
def summer() -> RoomRecord:
    return history(one_capacity(), days=16, seed=1, step_min=20)


@pytest.fixture(scope="module")
def found(summer: RoomRecord) -> RoomFit:
    return fit_room(summer, rating=EXACT, kinds=("1R1C",))


def test_what_is_learned_holds_the_truth_and_names_what_it_cannot_know(found: RoomFit) -> None:
    for name, true in (("time_constant_h", 12.0), ("loss_kw_per_k", 1.0), ("solar_aperture_m2", 6.0)):
        one = found.parameters[name]
        assert one.low <= one.value <= one.high
        assert one.low <= true <= one.high, name
    assert found.identified
    assert [one.name for one in found.not_identified] == ["heating_cop"]


def test_a_held_out_day_is_foretold_much_better_than_by_persistence(found: RoomFit) -> None:
    assert found.errors is not None
    assert found.errors.forecasts > 20
    assert found.errors.rmse_24h_c < 0.5 * found.errors.rmse_24h_persistence_c
    assert found.days_used + found.days_held_out == 16


def test_a_room_of_two_capacities_is_seen_to_have_two() -> None:
    record = history(heated(two_capacities()), days=12, seed=2, sign=-1, step_min=20)
    learned = fit_room(record, rating=EXACT)
    assert learned.kind == "2R2C"
    assert learned.errors is not None
    assert learned.errors.rmse_24h_c < 0.4 * learned.errors.rmse_24h_persistence_c
    one = learned.parameters["time_constant_h"]
    assert one.low * 0.9 <= 9.09 <= one.high * 1.1  # -1 / eigenvalue of the plant's matrix


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Nine of ten: of 12 statements fewer than 9 would come by chance once in forty."""
    truth = {
        "time_constant_h": 12.0,
        "loss_kw_per_k": 1.0,
        "base_gain_kw": 2.0,
        "capacitance_kwh_per_k": 12.0,
    }
    held = 0
    for seed in range(3):
        record = history(one_capacity(), days=12, seed=100 + seed, step_min=20)
        learned = fit_room(record, rating=EXACT, kinds=("1R1C",))
        for name, true in truth.items():
            one = learned.parameters.get(name)
            held += one is not None and one.low <= true <= one.high
    assert held >= 9


def test_the_physics_agree_with_an_integrator_of_another_make() -> None:
    room = RoomPhysics(
        kind="2R2C",
        air_h=2.0,
        mass_h=10.0,
        coupling=4.0,
        direct=0.2,
        heat_noise=1.0,
        disturbance=1.0,
        disturbance_h=4.0,
    )
    a, b = room.rates()
    inputs = np.array([30.0, 4.0, 1.0])
    observer = room.observer(0.5)
    x = np.array([20.0, 22.0, 1.0])
    step = observer.phi @ x + observer.inputs @ inputs
    whole = solve_ivp(lambda _, y: a @ y + b @ inputs, (0.0, 0.5), x, rtol=1e-10, atol=1e-12)
    assert step == pytest.approx(whole.y[:, -1], abs=1e-7)
    assert room.time_constants_h[0] > room.time_constants_h[1] > 0.0


def test_steady_heat_of_one_kelvin_warms_the_room_by_one_kelvin() -> None:
    for room in (
        RoomPhysics(kind="1R1C", air_h=9.0, heat_noise=1.0, disturbance=1.0, disturbance_h=4.0),
        RoomPhysics(
            kind="2R2C",
            air_h=2.0,
            mass_h=20.0,
            coupling=3.0,
            direct=0.4,
            heat_noise=1.0,
            disturbance=1.0,
            disturbance_h=4.0,
        ),
    ):
        a, b = room.rates()
        assert -np.linalg.solve(a, b @ np.array([10.0, 1.0, 0.0]))[0] == pytest.approx(11.0)


def test_a_plan_is_the_same_whatever_cop_sets_the_scale(found: RoomFit) -> None:
    room = HvacZone(
        id="room",
        name_ja="部屋",
        name_en="Room",
        max_electric_kw=16.0,
        capacitance_kwh_per_k=5.0,
        loss_kw_per_k=0.5,
    )
    assert found.planner is not None
    small, large = found.planner.zone(room, 1.0), found.planner.zone(room, 2.0)
    for zone in (small, large):
        assert zone.capacitance_kwh_per_k / zone.loss_kw_per_k == pytest.approx(found.planner.time_constant_h)
        assert zone.cooling_cop.rated / zone.loss_kw_per_k == pytest.approx(found.planner.cool_k_per_kw)
        assert zone.base_gain_kw / zone.loss_kw_per_k == pytest.approx(small.base_gain_kw)
    assert found.zone(room).heating_cop == room.heating_cop  # never seen, so left as assumed


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda one: replace(one, room_c=np.full(one.grid.count, 25.0)), "everything"),
        (lambda one: replace(one, hvac_kw=0.0 * one.hvac_kw, mode=0.0 * one.mode), "cooling_cop"),
        (lambda one: _first_days(one, 3), "everything"),
    ],
    ids=["constant temperature", "never on", "three days"],
)
def test_what_the_data_cannot_tell_is_refused_by_name(summer: RoomRecord, change: object, name: str) -> None:
    learned = fit_room(change(summer), kinds=("1R1C",))  # type: ignore[operator]
    assert not learned.identified
    assert name in {one.name for one in learned.not_identified}
    assert all(one.why for one in learned.not_identified)
    with pytest.raises(ForecastError, match="cannot be planned"):
        learned.zone(
            HvacZone(
                id="a", name_ja="a", name_en="a", max_electric_kw=1, capacitance_kwh_per_k=1, loss_kw_per_k=1
            )
        )


def _first_days(record: RoomRecord, days: int) -> RoomRecord:
    count = days * 72
    cut = {
        name: getattr(record, name)[:count] for name in ("room_c", "outdoor_c", "hvac_kw", "mode", "ghi_w_m2")
    }
    return replace(record, grid=Grid(record.grid.start, count, record.grid.step), **cut)


def test_without_a_column_of_sun_the_room_is_learned_and_the_sun_is_not(summer: RoomRecord) -> None:
    learned = fit_room(replace(summer, ghi_w_m2=None), kinds=("1R1C",))
    assert "solar_aperture_m2" in {one.name for one in learned.not_identified}
    assert "time_constant_h" in learned.parameters


def test_gaps_and_a_hanging_sensor_are_counted_and_do_not_mislead(summer: RoomRecord, found: RoomFit) -> None:
    room, outdoor = summer.room_c.copy(), summer.outdoor_c.copy()
    room[180:270] = room[180]  # hangs for 30 hours
    room[600], room[601] = 85.0, np.nan
    outdoor[900:902] = np.nan
    learned = fit_room(replace(summer, room_c=room, outdoor_c=outdoor), rating=EXACT, kinds=("1R1C",))
    assert learned.set_aside["room_temp_c stuck"] == 89
    assert learned.set_aside["room_temp_c impossible"] == 1
    assert learned.set_aside["outdoor_temp_c bridged"] == 2
    before = found.parameters["time_constant_h"]
    assert learned.parameters["time_constant_h"].value == pytest.approx(before.value, rel=0.25)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda one: replace(one, room_c=one.room_c * 1.8 + 32.0), "Fahrenheit"),
        (lambda one: replace(one, outdoor_c=one.outdoor_c + 273.15), "kelvin"),
        (lambda one: replace(one, hvac_kw=one.hvac_kw * 1000.0), "watts"),
        (lambda one: replace(one, hvac_kw=one.hvac_kw / 1000.0), "megawatts"),
        (lambda one: replace(one, hvac_kw=-one.hvac_kw), "negative"),
        (lambda one: replace(one, ghi_w_m2=one.ghi_w_m2 / 1000.0), "kW/m2"),
        (lambda one: replace(one, room_c=np.full(one.grid.count, np.nan)), "no value"),
    ],
    ids=["fahrenheit", "kelvin", "watts", "megawatts", "sign", "sun", "empty"],
)
def test_units_that_cannot_be_meant_are_refused(summer: RoomRecord, change: object, match: str) -> None:
    with pytest.raises(DataError, match=match):
        ready(change(summer))  # type: ignore[operator]


def test_cooling_that_warms_is_a_wrong_mode_not_a_cop(summer: RoomRecord) -> None:
    learned = fit_room(replace(summer, mode=-summer.mode), kinds=("1R1C",))
    assert not learned.identified
    assert any("wrong way" in one.why or "would do" in one.why for one in learned.not_identified)


def test_a_step_of_hours_is_refused() -> None:
    grid = Grid(history(one_capacity(), days=1, seed=0).grid.start, 4, timedelta(hours=2))
    with pytest.raises(DataError, match="steps of 2:00:00"):
        RoomRecord(grid=grid, room_c=np.ones(4), outdoor_c=np.ones(4), hvac_kw=np.ones(4), mode=np.ones(4))


def test_the_published_house_has_its_published_time_constants_and_is_heated_at_what_it_draws() -> None:
    """Bacher and Madsen 2011, the model of four capacities: 0.0102, 0.105, 0.788 and 19.3 h."""
    house = flexhouse()
    constants = sorted(-1.0 / np.linalg.eigvals(house.a).real)
    assert constants == pytest.approx([0.0102, 0.105, 0.788, 19.3], rel=0.01)
    assert [house.cop_of(outdoor) for outdoor in (-10.0, 5.0)] == [1.0, 1.0]
