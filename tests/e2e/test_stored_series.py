"""The page of stored series lists exactly what a simulated day leaves in its database."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from energy.store import open_store
from tests.arch.rules import ROOT
from tests.e2e.days import Day
from vpp.simulation.scenario import load_scenario

PAGE = ROOT / "docs" / "reference" / "store-series-names.md"
LATER = datetime(2030, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.e2e


def listed(*, learning: bool = False) -> set[str]:
    """Names of the page; those that only a room that learns has, or all others."""
    simulated, imported = PAGE.read_text(encoding="utf-8").split("\n## Imported\n")
    assert "jepx/" in imported
    rows = (line.split("|") for line in simulated.splitlines() if line.startswith("| `"))
    wanted = (row[1] for row in rows if ("room learns" in row[3] or "room that learns" in row[3]) is learning)
    return {name for row in wanted for name in re.findall(r"`([^`]+)`", row)}


def as_listed(series: str) -> str:
    site = load_scenario("kitakata")[0].site
    _, asset, quantity = series.split("/")
    kinds = {vehicle.id: "CAR" for vehicle in site.vehicles} | {zone.id: "ZONE" for zone in site.zones}
    if site.pv is not None:
        kinds[site.pv.id] = "PV"
    return f"{kinds.get(asset, asset)}/{quantity}"


def test_the_page_lists_exactly_what_a_simulated_day_stores(wednesday: Day) -> None:
    database = next((wednesday[0] / "state").glob("*/rules.db"))
    store = open_store(f"sqlite:///{database}", read_only=True)
    try:
        stored = {as_listed(str(series)) for series in store.as_of(LATER).ids()}
    finally:
        store.close()
    assert len(listed()) > 20
    assert stored == listed()
    assert listed(learning=True) == {"ZONE/energy_kwh", "ZONE/mode"}  # no room of this site learns
