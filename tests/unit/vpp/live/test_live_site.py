"""A site that runs: what it does while all is well, and what it does when a part of it is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.clock import ManualClock
from energy.core.outcome import ChargerPower
from energy.core.slots import SLOT_LENGTH, parse_jst
from energy.store import SqlStore, open_store
from tests.unit.vpp.live.running import LEAF, START, Works, plan_of, usual, works
from vpp.loop.control import Window
from vpp.loop.halfhour import PlanOrder
from vpp.ops.status import PartState

NEXT = START + SLOT_LENGTH


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as made:
        yield made


@pytest.fixture
def made(store: SqlStore, tmp_path: Path) -> Works:
    return works(store, tmp_path / "works.json")


def test_an_hour_is_planned_carried_out_and_kept(made: Works) -> None:
    before = made.twins.meter.import_kwh
    made.run(61)
    for start in (START, NEXT):
        record = made.record(start)
        assert record is not None
        assert (record.source, record.target_kw) == ("optimal", 100.0)
    assert [order.slot.start for order in made.operator.asked] == [START, NEXT, NEXT + SLOT_LENGTH]
    imported = [made.value("meter", "import_kwh", start) for start in (START, NEXT)]
    assert None not in imported
    minute_kwh = made.twins.meter.power_kw / 60.0
    assert sum(one or 0.0 for one in imported) == pytest.approx(
        made.twins.meter.import_kwh - before - minute_kwh, abs=2 * minute_kwh
    )
    assert made.value("leaf", "charge_kwh", NEXT) == pytest.approx(1.5, abs=0.05)
    minutes = made.store.as_of(made.clock.now()).values("works/meter/power_kw", START, NEXT)  # type: ignore[arg-type]
    assert len(minutes) == 30


def test_it_leaves_the_safe_state_behind(made: Works) -> None:
    seen: list[float] = []
    made.run(10, m9=lambda: seen.append(made.car_kw))
    assert seen == [3.0]
    made.world.twins.step(
        60.0, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True
    )
    assert made.car_kw == 0.0


def test_a_silent_meter_ends_charging_and_is_said_and_its_return_as_well(made: Works) -> None:
    states: list[tuple[str, ...]] = []
    powers: list[float] = []

    def look() -> None:
        states.append(made.live.part.why)
        powers.append(made.car_kw)

    made.run(
        12,
        m2=look,
        m3=lambda: setattr(made.near, "silent", True),
        m4=look,
        m6=lambda: setattr(made.near, "silent", False),
        m8=look,
    )
    assert states == [(), ("meter_silent",), ()]
    assert powers == [3.0, 0.0, 3.0]


def test_a_planner_that_fails_leaves_the_guard_at_work_by_rules(store: SqlStore, tmp_path: Path) -> None:
    def fails(_order: PlanOrder) -> Window:
        msg = "the optimiser fell over"
        raise ZeroDivisionError(msg)

    made = works(store, tmp_path / "works.json", says=fails)
    whys: list[tuple[str, ...]] = []
    made.run(31, m5=lambda: whys.append(made.live.part.why))
    assert whys == [("plan_failed",)]
    assert "fell over" in made.live.plan_trouble
    record = made.record(START)
    assert record is not None
    assert (record.source, record.target_kw) == ("none", 100.0)  # the site's own target
    assert ChargerPower(6.0) in [one.order for one in made.near.orders if one.asset == LEAF]


def test_the_plan_in_force_goes_on_while_the_next_ones_fail(made: Works) -> None:
    def fails(order: PlanOrder) -> Window:
        if order.slot.start == START:
            return Window(slot=order.slot, plan=plan_of(order, slots=2), target_kw=100.0)
        raise TimeoutError

    made.operator.says = fails
    made.run(91)
    sources = [
        record.source for k in range(3) if (record := made.record(START + k * SLOT_LENGTH)) is not None
    ]
    assert sources == ["optimal", "shifted", "none"]  # it was a plan of two half-hours


def test_a_planner_that_hangs_is_late_is_left_behind_and_not_started_for_ever(
    store: SqlStore, tmp_path: Path
) -> None:
    held: list[object] = []
    made = works(store, tmp_path / "works.json", spawn=held.append)
    made.live.deadline_s = 0.0
    object.__setattr__(made.live._planner, "_deadline_s", 0.0)
    whys: list[tuple[str, ...]] = []
    made.run(30 * 8, m1=lambda: whys.append(made.live.part.why))
    assert whys == [("plan_late",)]
    assert made.live.steps > 8 * 30 * 2  # every step was taken
    assert len(held) == 4  # three are left behind, the fourth is the last
    assert made.operator.renewed == 3
    assert made.live.part.why == ("plan_late",)
    record = made.record(START + 6 * SLOT_LENGTH)
    assert record is not None


def test_a_plan_that_comes_late_is_followed_as_far_as_it_still_speaks(
    store: SqlStore, tmp_path: Path
) -> None:
    held: list[Callable[[], None]] = []
    made = works(store, tmp_path / "works.json", spawn=held.append)
    made.run(61, m35=lambda: held[0]())
    assert [order.slot.start for order in made.operator.asked] == [START]  # its answer was awaited
    assert len(held) == 2  # and then the half-hour that ran was planned
    first, second = made.record(START), made.record(NEXT)
    assert first is not None
    assert second is not None
    assert (first.source, second.source) == ("none", "shifted")
    assert ChargerPower(3.0) in [one.order for one in made.near.orders]


def test_a_program_that_starts_again_goes_on_in_the_same_half_hour(made: Works) -> None:
    made.run(14)
    assert made.near.safe == 1
    again = made.again(after=timedelta(minutes=2))
    again.run(20)
    assert [order.slot.start for order in again.operator.asked] == [NEXT]  # not asked for this one again
    record = again.record(START)
    assert record is not None
    assert record.source == "optimal"
    truth_kwh = 0.5 * 60.0
    imported = again.value("meter", "import_kwh", START)
    assert imported is not None
    assert imported > truth_kwh * 0.8  # counted over the gap, from the counter at the start
    assert ChargerPower(3.0) in [one.order for one in again.near.orders]


def test_a_program_that_died_without_a_plan_asks_for_one_at_once(made: Works) -> None:
    def fails(_order: PlanOrder) -> Window:
        raise TimeoutError

    made.operator.says = fails
    made.run(10)
    again = made.again()
    again.run(5)
    assert [order.slot.start for order in again.operator.asked] == [START]
    assert again.operator.asked[0].measured_soc  # with what was read, not before


def test_a_half_hour_in_which_nobody_ran_stays_unknown(made: Works) -> None:
    made.run(14)
    again = made.again(after=timedelta(minutes=40))
    again.run(20)
    assert again.record(START) is None
    assert again.value("meter", "import_kwh", START) is None


def test_the_highest_demand_of_the_month_is_found_again_in_the_store(made: Works) -> None:
    made.world.load_kw = 90.0
    made.run(31)
    made.memory.path.unlink()
    again = made.again()
    again.run(1)
    highest = again.operator.asked[0].state.peak_memory_kw
    assert highest == pytest.approx(made.value("meter", "import_kwh", START) * 2.0)  # type: ignore[operator]


def test_a_memory_that_cannot_be_read_is_put_aside(made: Works) -> None:
    made.memory.path.write_text("{half", encoding="utf-8")
    made.run(3)
    assert made.memory.path.with_suffix(".unusable").read_text(encoding="utf-8") == "{half"
    assert json.loads(made.memory.path.read_text(encoding="utf-8"))["version"] == 1


def test_equipment_that_breaks_is_left_safe_and_tried_again(made: Works) -> None:
    parts: list[PartState] = []
    powers: list[float] = []

    def mends() -> None:
        parts.append(made.live.part.state)
        made.world.twins.step(
            1.0, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True
        )
        powers.append(made.car_kw)
        made.near.broken = None

    made.run(
        20,
        m5=lambda: setattr(made.near, "broken", ZeroDivisionError("a bug")),
        m8=mends,
        m15=lambda: powers.append(made.car_kw),
    )
    assert parts == [PartState.FAILED]
    assert powers == [0.0, 3.0]
    assert made.live.part.state is PartState.OK


def test_a_clock_that_is_set_back_opens_no_half_hour_twice(store: SqlStore, tmp_path: Path) -> None:
    class Loose(ManualClock):
        back = timedelta(0)

        def now(self):  # type: ignore[no-untyped-def]
            return super().now() - self.back

    clock = Loose(START)
    made = works(store, tmp_path / "works.json", clock=clock)

    def set_back() -> None:
        clock.back = timedelta(minutes=10)

    made.run(80, m32=set_back)
    asked = [order.slot.start for order in made.operator.asked]
    assert asked == sorted(set(asked))
    assert made.live.part.state is PartState.OK


def test_a_clock_that_jumps_ahead_leaves_the_time_between_unknown(made: Works) -> None:
    made.run(150, m10=lambda: made.clock.advance(timedelta(hours=2)))
    assert made.value("meter", "import_kwh", START) is None
    assert made.record(START + SLOT_LENGTH) is None
    assert made.live.part.state is PartState.OK
    assert made.operator.asked[-1].slot.start >= parse_jst("2026-08-05 16:00")


def test_the_usual_planner_is_asked_once_a_half_hour(made: Works) -> None:
    made.operator.says = usual
    made.run(29)
    assert len(made.operator.asked) == 1
