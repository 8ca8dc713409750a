"""A twin whose walls have a temperature of their own: it settles as its loss says, and invents no heat."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from devices.twins.rooms import Room, Surroundings
from devices.twins.site import TwinSite
from devices.twins.walls import WalledRoom, Walls
from energy.core.assets import HvacZone
from energy.core.outcome import ClimateMode

ZONE = HvacZone(
    id="office",
    name_ja="事務室",
    name_en="Office",
    max_electric_kw=10,
    capacitance_kwh_per_k=12,
    loss_kw_per_k=1.0,
    base_gain_kw=2.0,
    occupied_gain_kw=6.0,
    solar_aperture_m2=8.0,
    initial_c=20.0,
)
WALLS = Walls(share=0.8, coupling=4.0, direct=0.3, sun_share=0.5)
DAY = Surroundings(outdoor_c=10.0, ghi_w_m2=500.0, occupied=True)


def live(room: Room, hours: float, around: Surroundings = DAY) -> Room:
    for _ in range(round(hours * 60)):
        room.step(60.0, around)
    return room


def test_with_time_it_settles_where_a_room_of_one_capacity_does() -> None:
    walled, plain = live(WalledRoom(ZONE, WALLS), 300), live(Room(ZONE), 300)
    # half of the sun enters at the walls and partly leaves outwards before it reaches the air
    through = 0.7 * 4.0 / (4.0 - 0.7)
    share = 0.5 + 0.5 * 4.0 / (4.0 + through)
    assert plain.temp_c == pytest.approx(10.0 + 2.0 + 6.0 + 4.0, abs=1e-6)
    assert walled.temp_c == pytest.approx(10.0 + 2.0 + 6.0 + 4.0 * share, abs=1e-3)


def test_its_path_is_that_of_an_integrator_of_another_make() -> None:
    outwards = 0.7 * 4.0 / (4.0 - 0.7)

    def rates(_: float, x: np.ndarray) -> list[float]:
        air, wall = x
        flow = 4.0 * (wall - air)
        return [
            (flow + 0.3 * (10.0 - air) + 8.0 + 2.0) / 2.4,
            (outwards * (10.0 - wall) - flow + 2.0) / 9.6,
        ]

    whole = solve_ivp(rates, (0.0, 6.0), [20.0, 20.0], rtol=1e-10, atol=1e-12).y[:, -1]
    room = WalledRoom(ZONE, WALLS)
    live(room, 6)
    assert (room.temp_c, room.wall_c) == pytest.approx(tuple(whole), abs=0.01)


def test_its_unit_holds_the_air_and_its_walls_survive_a_restart() -> None:
    room = WalledRoom(ZONE, WALLS)
    room.order(ClimateMode.HEAT, 23.0)
    live(room, 5, Surroundings(outdoor_c=0.0, ghi_w_m2=0.0, occupied=False))
    assert room.temp_c == pytest.approx(23.0, abs=0.2)
    assert room.wall_c < room.temp_c - 0.2
    again = WalledRoom(ZONE, WALLS)
    again.restore(room.state())
    live(room, 1)
    live(again, 1)
    assert (again.temp_c, again.wall_c) == (room.temp_c, room.wall_c)


def test_twice_the_people_bring_twice_their_heat_and_usual_ones_what_they_always_did() -> None:
    usual, few, many = (
        live(Room(ZONE), 1, Surroundings(10.0, 0.0, occupied=True, people=people)).temp_c
        for people in (1.0, 0.0, 2.0)
    )
    assert many - usual == pytest.approx(usual - few)
    assert live(Room(ZONE), 1, Surroundings(10.0, 0.0, occupied=True)).temp_c == usual


def test_a_site_of_twins_has_walls_only_where_it_is_told() -> None:
    other = Room(ZONE).zone
    twins = TwinSite(pv=None, zones=[other], vehicles=[], chargers=[], walls={"office": WALLS})
    plain = TwinSite(pv=None, zones=[other], vehicles=[], chargers=[])
    assert twins.adaptor is not None
    assert plain.adaptor is not None
    assert isinstance(twins.adaptor.rooms[0], WalledRoom)
    assert type(plain.adaptor.rooms[0]) is Room
