"""Rooms that learn: what a night makes of their readings, and what plans reckon with afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from energy.core.measurement import Measurement, Quality
from energy.core.series import Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_LENGTH, Slot, jst_midnight
from energy.core.units import AssetId
from energy.store import Point, SqlStore, open_store
from forecasting.room import RoomFit, fit_room
from forecasting.room_record import RoomRecord, ready
from forecasting.room_use import UseWhy, judge, lead_error_k
from tests.unit.forecasting.room_plants import history, one_capacity
from vpp.i18n import Messages
from vpp.live.standard import standard_jobs
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import SiteSeries, slot_points
from vpp.site.rooms import (
    ROOM_FIT,
    RoomState,
    RoomValues,
    learn_rooms,
    learns_at,
    room_history,
    room_record,
    site_as_learned,
    standing_of,
)
from vpp.views.roomwords import room_sentences, value_rows

BENCH = Path(__file__).parents[3] / "bench" / "learned-room"
SITE = load_scenario(str(BENCH))[0].site
NAMES = SiteSeries(SITE.id)
ROOM = SITE.zones[0]
TRUE = replace(
    ROOM,
    capacitance_kwh_per_k=12.0,
    loss_kw_per_k=1.0,
    base_gain_kw=2.0,
    occupied_gain_kw=10.0,
    solar_aperture_m2=6.0,
)
DAYS = 28


@cache
def lived() -> RoomRecord:
    """Four weeks of a room of twice the inertia that its file says, in half hours."""
    return history(one_capacity(), days=DAYS, seed=1, step_min=30)


@cache
def learned() -> RoomFit:
    return fit_room(replace(lived(), label=0.0), kinds=("1R1C",))


def night() -> datetime:
    return lived().grid.end + timedelta(hours=3)


def kept(record: RoomRecord, *, skip: tuple[str, ...] = ()) -> SqlStore:
    """A store with the readings of a room as the recorder leaves them: a temperature is that of the end."""
    assert record.ghi_w_m2 is not None
    store, late = open_store("sqlite://", durability="process"), timedelta(0)
    columns = {
        ("office", "room_c"): (np.r_[record.room_c[1:], np.nan], late),
        ("hvac", "energy_kwh"): (record.hvac_kw * 0.5, late),
        ("weather", "outdoor_c"): (record.outdoor_c, late),
        ("weather", "ghi_forecast_w_m2"): (record.ghi_w_m2, -timedelta(hours=6)),
    }
    store.append(
        Point(series=NAMES[name], at=at, known_at=at + SLOT_LENGTH + lead, value=float(value), source="test")
        for name, (values, lead) in columns.items()
        if name[1] not in skip
        for at, value in zip(record.grid.times(), values, strict=True)
        if not np.isnan(value)
    )
    return store


@pytest.fixture(scope="module")
def store() -> Iterator[SqlStore]:
    """The readings, and the night after them; the fit is that of the same readings, made once."""
    made = kept(lived())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forecasting.room.fit_room", lambda _record, *, rating: learned())
        learn_rooms(made, SITE, night())
    yield made
    made.close()


def test_a_night_learns_the_room_and_plans_reckon_with_it(store: SqlStore) -> None:
    known = store.as_of(night())
    standing = standing_of(known, SITE, ROOM)
    assert standing is not None
    assert (standing.state, standing.why, standing.since) == (
        RoomState.LEARNED,
        "better",
        night().astimezone(JST).date(),
    )
    (room,) = site_as_learned(SITE, known).zones
    assert room.capacitance_kwh_per_k / room.loss_kw_per_k == pytest.approx(12.0, rel=0.25)
    assert room.comfort == ROOM.comfort
    assert standing.learned_k is not None
    assert standing.declared_k is not None
    assert standing.learned_k < 0.5 * standing.declared_k


def test_before_that_night_plans_reckon_with_the_very_site_of_the_file(store: SqlStore) -> None:
    assert site_as_learned(SITE, store.as_of(night() - timedelta(hours=1))) is SITE


def test_a_room_that_is_not_told_to_learn_is_left_alone_whatever_is_kept(store: SqlStore) -> None:
    quiet = replace(SITE, zones=(replace(ROOM, learn=False),))
    assert site_as_learned(quiet, store.as_of(night())) is quiet
    assert learn_rooms(store, quiet, night() + timedelta(days=1)) == ()


def test_a_second_run_of_the_night_does_nothing(store: SqlStore) -> None:
    assert learn_rooms(store, SITE, night() + timedelta(hours=2)) == ()
    assert len(room_history(store.as_of(night() + timedelta(hours=2)), SITE.id, ROOM.id)) == 1


def test_another_file_is_another_room(store: SqlStore) -> None:
    changed = replace(SITE, zones=(replace(ROOM, loss_kw_per_k=1.7),))
    known = store.as_of(night())
    assert standing_of(known, changed, changed.zones[0]) is None
    assert site_as_learned(changed, known) is changed
    words = room_sentences(Messages("en"), changed.zones[0], None)
    assert "no night has passed" in words[0]


def test_the_words_name_what_is_used_why_and_what_the_file_says(store: SqlStore) -> None:
    standing = standing_of(store.as_of(night()), SITE, ROOM)
    assert standing is not None
    for lang in ("ja", "en"):
        first, why = room_sentences(Messages(lang), ROOM, standing)
        assert "5.0" in first
        assert f"{standing.learned_k:.2f} K" in why
        rows = value_rows(Messages(lang), standing)
        assert rows[0][2] == "5.0 h"
        assert rows[0][1] != rows[0][2]


def test_readings_that_fall_silent_leave_what_was_learned_for_sixty_days(store: SqlStore) -> None:
    for days, state in ((40, RoomState.KEPT), (61, RoomState.DECLARED)):
        (standing,) = learn_rooms(store, SITE, night() + timedelta(days=days))
        assert (standing.state, standing.why) == (state, "unmeasured")
    known = store.as_of(night() + timedelta(days=40))
    assert site_as_learned(SITE, known).zones[0].loss_kw_per_k != ROOM.loss_kw_per_k
    assert site_as_learned(SITE, store.as_of(night() + timedelta(days=61))) is SITE


def test_without_a_meter_of_the_unit_nothing_is_learned_and_it_says_so() -> None:
    with kept(lived(), skip=("energy_kwh",)) as store:
        (standing,) = learn_rooms(store, SITE, night())
        assert (standing.state, standing.why) == (RoomState.DECLARED, "unmeasured")
        assert "the unit's meter" in room_sentences(Messages("en"), ROOM, standing)[1]


def test_readings_that_cannot_be_meant_are_told_and_not_learned_from() -> None:
    fahrenheit = replace(lived(), room_c=lived().room_c * 1.8 + 32.0)
    with kept(fahrenheit) as store:
        (standing,) = learn_rooms(store, SITE, night())
        assert standing.why == "unreadable"
        assert "Fahrenheit" in standing.facts["why"]


def test_the_record_is_the_one_that_was_lived() -> None:
    with kept(lived()) as store:
        found = room_record(store.as_of(night()), SITE, ROOM, jst_midnight(night().astimezone(JST).date()))
    was = lived()
    assert found.grid == was.grid
    np.testing.assert_allclose(found.room_c[1:], was.room_c[1:])  # that of the first start nobody kept
    np.testing.assert_allclose(found.hvac_kw, was.hvac_kw)
    np.testing.assert_array_equal(found.mode, was.mode)


# -- judging -------------------------------------------------------------------------------------------------


def at_work(at: datetime) -> bool:
    local = at.astimezone(JST)
    return local.weekday() < 5 and 8 <= local.hour < 18


def test_where_the_file_is_right_it_stays_in_use() -> None:
    judged = judge(lived(), learned(), TRUE, occupied=at_work)
    assert judged.learned_k is not None
    assert judged.declared_k is not None
    assert judged.declared_k < judged.learned_k < 0.3
    assert (judged.why, judged.zone) == (UseWhy.NO_BETTER, None)


def test_a_value_far_from_the_declared_one_is_not_believed() -> None:
    odd = replace(ROOM, capacitance_kwh_per_k=1.0)
    judged = judge(lived(), learned(), odd, occupied=at_work)
    assert judged.why is UseWhy.OUT_OF_REACH
    assert judged.zone is None
    assert judged.facts["name"] == "time_constant_h"
    assert judged.facts["high"] == "2.50"


def test_what_the_data_cannot_tell_is_not_used() -> None:
    still = replace(lived(), room_c=np.full(lived().grid.count, 25.0))
    judged = judge(still, fit_room(still), ROOM, occupied=at_work)
    assert (judged.why, judged.zone) == (UseWhy.NOT_KNOWN, None)


def test_the_error_of_a_room_is_that_of_stepping_it_by_hand() -> None:
    room = ready(replace(lived(), ghi_w_m2=None))
    alone = replace(room, stretches=((1200, 1300),), cool_kw=0.0 * room.cool_kw)
    told = lead_error_k(alone, TRUE, np.zeros(room.grid.count))
    keep, misses = np.exp(-0.5 / 12.0), []
    held = (int(room.day.max()) - room.day) % 8 < 2
    for lead in (2, 4, 8, 16):
        for k in range(1200, 1300 - lead):
            if held[k] and held[k + lead]:
                temp = room.room_c[k]
                for ahead in range(k, k + lead):
                    target = room.outdoor_c[ahead] + 2.0
                    temp = target + (temp - target) * keep
                misses.append(temp - room.room_c[k + lead])
    assert told == pytest.approx(float(np.sqrt(np.mean(np.square(misses)))))


# -- the site's file, the recorder, the job ------------------------------------------------------------------


def two_rooms(*meters: dict[str, str]) -> Site:
    from pydantic import TypeAdapter

    adapter = TypeAdapter(Site)
    told = adapter.dump_python(SITE, mode="json")
    told["zones"] = [told["zones"][0], {**told["zones"][0], "id": "hall", "learn": False}]
    told["meters"] = list(meters)
    return adapter.validate_python(told)


def test_one_room_of_several_needs_a_meter_of_its_own() -> None:
    with pytest.raises(ValueError, match="no meter measures its unit alone"):
        two_rooms({"id": "meter", "measures": "site"})
    site = two_rooms({"id": "submeter-office", "measures": "office"})
    assert site.meter_of(site.zones[0]) == "submeter-office"


def test_the_recorder_keeps_the_energy_and_the_mode_of_a_room_that_learns() -> None:
    site = two_rooms({"id": "submeter-office", "measures": "office"})
    slot = Slot(night() - timedelta(hours=3))
    before = {("submeter-office", "import_kwh"): 10.0}
    after = {("submeter-office", "import_kwh"): 12.5}
    heat = Measurement("mode", 2.0, Unit.RATIO, slot.end, Quality.GOOD)
    readings = {AssetId("office"): {"mode": heat}}
    found = {
        str(one.series).split("/", 1)[1]: one.value
        for one in slot_points(site, slot, before, after, readings)
    }
    assert found["office/energy_kwh"] == 2.5
    assert found["office/mode"] == 1.0
    assert "hall/energy_kwh" not in found
    assert "hall/mode" not in found


def test_the_job_is_there_only_where_a_room_learns(store: SqlStore) -> None:
    quiet = replace(SITE, zones=(replace(ROOM, learn=False),))
    assert "rooms" in {job.name for job in standard_jobs(store, [SITE])}
    assert "rooms" not in {job.name for job in standard_jobs(store, [quiet])}


def test_a_simulation_learns_at_three_at_night() -> None:
    midnight = jst_midnight(night().astimezone(JST).date())
    assert [k for k in range(48) if learns_at(midnight + k * SLOT_LENGTH)] == [6]


def test_what_is_kept_can_be_pruned_by_a_rule() -> None:
    from vpp.ops.retention import MAY_GO

    assert ROOM_FIT in MAY_GO["documents"]
    assert RoomValues.of(ROOM).zone(replace(ROOM, loss_kw_per_k=9.0)) == ROOM
