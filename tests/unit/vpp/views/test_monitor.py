"""The demand monitor: what it counts, what it projects, and that a silent meter is said to be silent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.core.measurement import Measurement, Quality
from energy.core.series import Unit
from energy.core.slots import parse_jst
from energy.core.units import AssetId
from energy.store import Point, Store, open_store
from vpp.simulation.scenario import load_scenario
from vpp.site.minutes import COUNTER, POWER, minute_points
from vpp.site.recorder import SiteSeries
from vpp.views.monitor import Level, demand_now

SITE = load_scenario("kitakata")[0].site
START = parse_jst("2026-08-05 14:00")
NAMES = SiteSeries("kitakata")
MINUTE = timedelta(minutes=1)


def with_minutes(store: Store, kw: dict[int, float]) -> Store:
    """A meter that is read at every minute of a table: minute of the half hour to power until the next."""
    counter = 5000.0
    for minute in sorted(kw):
        at = START + minute * MINUTE
        store.append(
            Point(series=NAMES[name], at=at, known_at=at, value=value, source="meter")
            for name, value in ((COUNTER, counter), (POWER, kw[minute]))
        )
        later = [one for one in kw if one > minute]
        counter += kw[minute] * ((min(later) - minute) if later else 0.0) / 60.0
    return store


def test_demand_is_projected_as_the_panel_on_the_wall_does() -> None:
    # 12 minutes at 300 kW are 60 kWh; at 360 kW from there the half hour ends at 2 x (60 + 108) = 336 kW
    with open_store("sqlite://") as store:
        with_minutes(store, {**dict.fromkeys(range(12), 300.0), 12: 360.0})
        now = demand_now(store.as_of(START + 12 * MINUTE), SITE, START + 12 * MINUTE)
    assert now.so_far_kw == pytest.approx(120.0)
    assert now.projected_kw == pytest.approx(336.0)
    assert now.left_min == pytest.approx(18.0)
    assert now.target_kw == 230.0
    # 115 kWh less 60 in 18 minutes are 183.3 kW
    assert now.shed_kw == pytest.approx(360.0 - 55.0 / 0.3)
    assert now.level is Level.ALARM
    assert now.marks[-1].demand_kw == pytest.approx(120.0)


@pytest.mark.parametrize(
    ("kw", "level"),
    [(100.0, Level.CALM), (215.0, Level.ATTENTION), (235.0, Level.ALARM), (700.0, Level.OVER)],
)
def test_each_level_has_its_demand(kw: float, level: Level) -> None:
    with open_store("sqlite://") as store:
        with_minutes(store, dict.fromkeys(range(11), kw))
        assert demand_now(store.as_of(START + 10 * MINUTE), SITE, START + 10 * MINUTE).level is level


def test_no_more_can_be_shed_than_flows() -> None:
    # 10 minutes at 700 kW are 116.7 kWh, more than the target's 115; then 60 kW run
    with open_store("sqlite://") as store:
        with_minutes(store, {**dict.fromkeys(range(10), 700.0), 10: 60.0})
        now = demand_now(store.as_of(START + 10 * MINUTE), SITE, START + 10 * MINUTE)
    assert now.level is Level.OVER
    assert now.shed_kw == pytest.approx(60.0)
    assert now.so_far_kw == pytest.approx(2 * 700.0 / 6.0)


def test_a_silent_meter_shows_no_number_of_this_half_hour_but_how_long_it_is_silent() -> None:
    with open_store("sqlite://") as store:
        with_minutes(store, dict.fromkeys(range(5), 200.0))
        now = demand_now(store.as_of(START + 9 * MINUTE), SITE, START + 9 * MINUTE)
    assert now.level is Level.SILENT
    assert (now.so_far_kw, now.projected_kw, now.shed_kw, now.now_kw) == (None, None, None, None)
    assert now.silent_for == 5 * MINUTE
    assert now.marks, "the way until then is still drawn"


def test_a_site_whose_meter_was_never_read_has_no_age() -> None:
    with open_store("sqlite://") as store:
        now = demand_now(store.as_of(START), SITE, START)
    assert (now.level, now.silent_for, now.last_kw) == (Level.SILENT, None, None)


def test_what_is_learnt_later_is_not_seen() -> None:
    with open_store("sqlite://") as store:
        with_minutes(store, {**dict.fromkeys(range(10), 100.0), **dict.fromkeys(range(10, 30), 900.0)})
        now = demand_now(store.as_of(START + 9 * MINUTE), SITE, START + 9 * MINUTE)
    assert now.projected_kw == pytest.approx(100.0)


def reading(
    name: str, value: float | None, *, age_s: float = 0.0, quality: Quality = Quality.GOOD
) -> Measurement:
    return Measurement(name, value, Unit.KW, START - timedelta(seconds=age_s), quality)


def test_a_minute_keeps_what_was_read_in_it_and_nothing_older() -> None:
    readings = {
        AssetId("meter"): {
            "import_kwh": reading("import_kwh", 5000.0),
            "power_kw": reading("power_kw", 90.0),
        },
        AssetId("leaf"): {"power_kw": reading("power_kw", -3.0)},
        AssetId("ariya"): {"power_kw": reading("power_kw", 6.0, age_s=300)},
        AssetId("office"): {"room_c": reading("room_c", 24.0, quality=Quality.STALE)},
    }
    found = {str(point.series): point.value for point in minute_points(SITE, readings, START)}
    assert found == {
        "kitakata/meter/counter_kwh": 5000.0,
        "kitakata/meter/power_kw": 90.0,
        "kitakata/leaf/power_kw": -3.0,
    }
