"""Counters become energies, energies the load; what is missing stays missing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from energy.core.measurement import Measurement, Quality
from energy.core.series import Unit
from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId
from energy.store import Point
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import Counters, SiteSeries, counters_of, slot_points

SITE = load_scenario("kitakata")[0].site
SLOT = Slot(parse_jst("2026-08-05 14:00"))
BEFORE: Counters = {
    ("meter", "import_kwh"): 1000.0,
    ("meter", "export_kwh"): 0.0,
    ("hvac-meter", "import_kwh"): 100.0,
    ("pv", "generation_kwh"): 50.0,
    **{
        (f"submeter-{car.id}", point): 10.0 for car in SITE.vehicles for point in ("import_kwh", "export_kwh")
    },
}


def after(**grown: float) -> dict[tuple[str, str], float]:
    """The counters half an hour later: asset__point=kWh that it counted."""
    counters = dict(BEFORE)
    for name, energy in grown.items():
        asset, point = name.split("__")
        counters[asset.replace("_", "-"), point] += energy
    return counters


def values(points: list[Point]) -> dict[str, float | None]:
    return {str(point.series).removeprefix("kitakata/"): point.value for point in points}


def recorded(counters: Counters) -> dict[str, float | None]:
    points = list(slot_points(SITE, SLOT, BEFORE, counters, {}))
    assert all(point.at == SLOT.start and point.known_at == SLOT.end for point in points)
    return values(points)


def test_the_load_is_what_is_left_of_the_meter_after_everything_known() -> None:
    counters = after(
        meter__import_kwh=40,
        hvac_meter__import_kwh=12,
        pv__generation_kwh=30,
        submeter_leaf__import_kwh=3,
        submeter_ariya__export_kwh=2,
    )
    found = recorded(counters)
    # 40 bought + 30 sun + 2 from the Ariya - 12 for the rooms - 3 into the Leaf = 57 kWh in half an hour
    assert found["load/demand_kw"] == pytest.approx(114)
    assert found["ariya/discharge_kwh"] == pytest.approx(2)
    assert found["leaf/charge_kwh"] == pytest.approx(3)
    assert found["hvac/energy_kwh"] == pytest.approx(12)


@pytest.mark.parametrize(
    "lost", [("meter", "import_kwh"), ("pv", "generation_kwh"), ("submeter-leaf", "import_kwh")]
)
def test_a_missing_counter_makes_the_load_unknown_not_wrong(lost: tuple[str, str]) -> None:
    counters = after(meter__import_kwh=40)
    del counters[lost]
    points = list(slot_points(SITE, SLOT, BEFORE, counters, {}))
    load = next(point for point in points if point.series == SiteSeries("kitakata")["load", "demand_kw"])
    assert load.value is None
    assert load.quality is Quality.INVALID


def test_a_counter_that_ran_back_is_not_booked() -> None:
    assert recorded(after(hvac_meter__import_kwh=-100))["hvac/energy_kwh"] is None


def test_only_good_readings_near_the_boundary_close_a_slot() -> None:
    def reading(at: datetime, quality: Quality = Quality.GOOD) -> dict[AssetId, dict[str, Measurement]]:
        measurement = Measurement("import_kwh", 5.0, Unit.KWH, at, quality)
        return {AssetId("meter"): {"import_kwh": measurement}}

    assert counters_of(reading(SLOT.end), SLOT.end) == {("meter", "import_kwh"): 5.0}
    assert counters_of(reading(SLOT.end - timedelta(minutes=5)), SLOT.end) == {}
    assert counters_of(reading(SLOT.end, Quality.STALE), SLOT.end) == {}
