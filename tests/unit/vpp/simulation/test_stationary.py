"""What the envelope leaves a stationary battery and a cable; what is known of units with minimum times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dispatch.rules import rules_plan
from energy.core.plan import ReasonCode
from energy.core.site import FeederGroup
from energy.core.slots import parse_jst
from energy.core.units import AssetId
from tests.unit.dispatch.problems import problem, zone
from vpp.simulation.scenario import load_scenario
from vpp.site.envelope import battery_range, on_feeders
from vpp.site.setpoints import now_of
from vpp.site.unitwatch import UnitWatch

SITE = load_scenario("tight-evening")[0].site
BATTERY = SITE.batteries[0]  # 30 kWh, 10 kW, reserve 30 %
WORKSHOP = AssetId("workshop")


@pytest.mark.parametrize(
    ("soc", "gives", "low_kw", "high_kw", "code"),
    [
        (0.6, True, -10.0, 10.0, ReasonCode.IDLE),
        (0.31, True, 0.0, 10.0, ReasonCode.IDLE),  # one more minute would reach into the reserve
        (0.2, True, 0.0, 10.0, ReasonCode.IDLE),
        (1.0, True, -10.0, 0.0, ReasonCode.IDLE),
        (0.6, False, 0.0, 10.0, ReasonCode.SAFE_STATE),
        (None, True, 0.0, 0.0, ReasonCode.SAFE_STATE),
    ],
)
def test_what_a_battery_may_do(
    soc: float | None, gives: bool, low_kw: float, high_kw: float, code: ReasonCode
) -> None:
    bounds = battery_range(BATTERY, soc, gives=gives)
    assert (bounds.low_kw, bounds.high_kw, bounds.low_reason.code) == (low_kw, high_kw, code)


def test_a_cable_cuts_everyone_behind_it_by_the_same_share() -> None:
    cut = on_feeders(SITE, {"van": 6.0, "pool": 6.0, "battery": 8.0}, {})  # it carries 12
    assert {name: round(power, 6) for name, (power, _) in cut.items()} == {
        "van": 3.6,
        "pool": 3.6,
        "battery": 4.8,
    }
    assert {why.code for _, why in cut.values()} == {ReasonCode.FEEDER}
    back = on_feeders(SITE, {"van": -6.0, "pool": -6.0, "battery": -10.0}, {})  # and 15 back
    assert sum(power for power, _ in back.values()) == pytest.approx(-15.0)
    assert on_feeders(SITE, {"van": 6.0, "pool": 6.0, "battery": 0.0}, {}) == {}
    assert on_feeders(SITE, {"van": 6.0, "pool": 6.0, "battery": 10.0, "other": 9.0}, {}).keys() == {
        "van",
        "pool",
        "battery",
    }


def test_rooms_behind_a_cable_come_first() -> None:
    group = FeederGroup(id="hall", members=("van", "workshop"), limit_kw=10.0)
    site = replace(SITE, feeders=(group,))
    cut = on_feeders(site, {"van": 6.0}, {WORKSHOP: 8.0})
    assert cut[AssetId("van")][0] == pytest.approx(2.0)
    assert on_feeders(site, {"van": 6.0}, {WORKSHOP: 12.0})[AssetId("van")][0] == 0.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"members": ("van", "ghost")}, "no 'ghost' among"),
        ({"members": ("van", "van")}, "names van 2 times"),
    ],
)
def test_a_feeder_of_strangers_is_refused_by_name(given: dict[str, object], said: str) -> None:
    feeder = replace(SITE.feeders[0], **given)  # type: ignore[arg-type] # named by the case
    with pytest.raises(ValueError, match=said):
        replace(SITE, feeders=(feeder,))


def test_a_part_of_a_half_hour_is_found_by_its_instant() -> None:
    begins = parse_jst("2026-08-03 10:00")
    point = rules_plan(problem(100.0, 2, zones=(zone(2),))).setpoints[0]
    slot = replace(point.slot, start=begins)
    parts = replace(point, slot=slot, power_kw=4.0, steps_kw=(12.0, 0.0, 0.0))
    at = [now_of(parts, begins + timedelta(minutes=minute)).power_kw for minute in (0, 9, 10, 29, 30)]
    assert at == [12.0, 12.0, 0.0, 0.0, 0.0]
    assert now_of(point, begins) is point


def test_a_watch_follows_what_units_are_told_and_survives_a_restart() -> None:
    watch, begins = UnitWatch(SITE), parse_jst("2026-08-03 10:00")
    assert not watch.states(begins)[WORKSHOP].on
    plan = rules_plan(problem(100.0, 2, zones=(zone(2, id=WORKSHOP),)))
    slot = replace(plan.setpoints[0].slot, start=begins)
    runs = replace(plan.setpoints[0], slot=slot, power_kw=4.0, steps_kw=(12.0, 0.0, 0.0))
    told = replace(plan, setpoints=(runs,))
    for minute in range(15):
        watch.note(told, begins + timedelta(minutes=minute), shed=())
    state = watch.states(begins + timedelta(minutes=15))[WORKSHOP]
    assert not state.on
    assert state.for_h == pytest.approx(5 / 60)
    again = UnitWatch(SITE)
    again.restore(watch.state())
    assert again.states(begins + timedelta(minutes=15)) == watch.states(begins + timedelta(minutes=15))
    watch.note(told, begins, shed=(WORKSHOP,))  # the guard lets it coast
    assert not watch.states(begins)[WORKSHOP].on
