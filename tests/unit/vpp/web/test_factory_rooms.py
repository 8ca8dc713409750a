"""The page of a room says whether it is planned with what was learned, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from energy.core.slots import JST
from tests.unit.vpp.web.browser import NOON, Town
from vpp.people.roles import Role
from vpp.simulation.scenario import load_scenario
from vpp.site.rooms import ROOM_FIT, RoomStanding, RoomState, RoomValues
from vpp.site.sitebook import keep_site

SITE = load_scenario("tight-evening")[0].site


def town(*, learn: bool) -> Town:
    made = Town()
    zone = replace(SITE.zones[0], learn=learn)
    site = replace(SITE, id="kitakata", zones=(zone,))
    keep_site(made.house.store, site, at=NOON - timedelta(days=2))
    night = NOON - timedelta(hours=9)
    day = night.astimezone(JST).date()
    told = RoomStanding(
        site=site.id,
        room=zone.id,
        day=day,
        state=RoomState.LEARNED,
        why="better",
        declared=RoomValues.of(zone),
        since=day,
        values=RoomValues.of(replace(zone, capacitance_kwh_per_k=2.0 * zone.capacitance_kwh_per_k)),
        learned_k=0.4,
        declared_k=0.8,
    )
    key = f"{site.id}/{zone.id}/{day.isoformat()}"
    made.house.store.put_document(ROOM_FIT, key, known_at=night, body=told.to_json())
    return made


def page(made: Town) -> str:
    return made.logged_in(Role.FACTORY).get(f"/factory/kitakata/why/{SITE.zones[0].id}").text


def test_a_room_that_learned_shows_both_values_and_the_proof() -> None:
    shown = page(town(learn=True))
    zone = SITE.zones[0]
    tau = zone.capacitance_kwh_per_k / zone.loss_kw_per_k
    assert f"<td>{2 * tau:.1f} h</td><td>{tau:.1f} h</td>" in shown
    assert "0.40 K off 1 to 8 hours ahead, the file 0.80 K" in shown


def test_a_room_that_does_not_learn_shows_nothing_of_it() -> None:
    assert "What plans reckon this room with" not in page(town(learn=False))
