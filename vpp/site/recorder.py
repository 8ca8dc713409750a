"""What the store keeps of each half-hour: counters become energies, and energies the uncontrolled load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.natures import climate_mode
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ClimateMode
from energy.core.site import Site
from energy.core.slots import SLOT_HOURS, Slot
from energy.core.units import AssetId, SeriesId, series_id
from energy.store import Point

__all__ = ["Counters", "SiteSeries", "counters_of", "slot_points"]

# A counter reading further from the boundary than this does not close the slot.
CLOSE_ENOUGH = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class SiteSeries:
    """Names of a site's series, ``site/asset/quantity_unit`` (docs/reference/store-series-names.md)."""

    site: str

    def __getitem__(self, asset_and_quantity: tuple[str, str]) -> SeriesId:
        """Name of one series: ``names["meter", "import_kwh"]``."""
        return series_id(self.site, *asset_and_quantity)


# Register values at one instant: (asset, point) to kWh; a reading that cannot be trusted is missing.
Counters = Mapping[tuple[str, str], float]

_MODE_SIGNS = {ClimateMode.HEAT: 1.0, ClimateMode.COOL: -1.0, ClimateMode.OFF: 0.0}
_COUNTED = ("import_kwh", "export_kwh", "generation_kwh")


def counters_of(readings: Mapping[AssetId, Mapping[str, Measurement]], at: datetime) -> Counters:
    """The energy counters among some readings, those that are good and close to an instant."""
    return {
        (str(asset), name): measurement.value
        for asset, points in readings.items()
        for name, measurement in points.items()
        if name in _COUNTED
        and measurement.value is not None
        and measurement.quality is Quality.GOOD
        and abs(measurement.read_at - at) <= CLOSE_ENOUGH
    }


def _grown(before: Counters, after: Counters, asset: str, point: str) -> float | None:
    """What a counter counted; None where it is missing or ran back. [kWh]"""
    first, last = before.get((asset, point)), after.get((asset, point))
    if first is None or last is None or last < first - 1e-6:
        return None
    return max(0.0, last - first)


def _energies(site: Site, before: Counters, after: Counters) -> dict[tuple[str, str], float | None]:
    """Energy of a slot by (asset, quantity); None where a counter is missing or ran back. [kWh]"""

    def grown(asset: str, point: str) -> float | None:
        return _grown(before, after, asset, point)

    energies = {
        ("meter", "import_kwh"): grown("meter", "import_kwh"),
        ("meter", "export_kwh"): grown("meter", "export_kwh"),
    }
    if site.zones:
        energies["hvac", "energy_kwh"] = grown("hvac-meter", "import_kwh")
    if site.pv is not None:
        energies[site.pv.id, "generation_kwh"] = grown(site.pv.id, "generation_kwh")
    for one in site.storages:
        energies[one.id, "charge_kwh"] = grown(f"submeter-{one.id}", "import_kwh")
        energies[one.id, "discharge_kwh"] = grown(f"submeter-{one.id}", "export_kwh")
    return energies


# How each metered energy enters the load: import + generation + discharge - export - hvac - charge.
_SIGNS = {
    "import_kwh": 1.0,
    "generation_kwh": 1.0,
    "discharge_kwh": 1.0,
    "export_kwh": -1.0,
    "energy_kwh": -1.0,
    "charge_kwh": -1.0,
}


def _load_kwh(energies: Mapping[tuple[str, str], float | None]) -> float | None:
    total = 0.0
    for (_, quantity), energy in energies.items():
        if energy is None:
            return None
        total += _SIGNS[quantity] * energy
    return max(0.0, total)


def slot_points(
    site: Site,
    slot: Slot,
    before: Counters,
    after: Counters,
    readings: Mapping[AssetId, Mapping[str, Measurement]],
) -> Iterator[Point]:
    """Points of one finished slot, known at its end.

    A missing counter makes its energy, and the load that depends on it, known to be unknown (value None,
    quality invalid); nothing is filled in.
    """
    names = SiteSeries(site.id)

    def point(asset: str, quantity: str, value: float | None, source: str) -> Point:
        quality = Quality.GOOD if value is not None else Quality.INVALID
        return Point(
            series=names[asset, quantity],
            at=slot.start,
            known_at=slot.end,
            value=value,
            quality=quality,
            source=source,
        )

    energies = _energies(site, before, after)
    for (asset, quantity), energy in energies.items():
        yield point(asset, quantity, energy, "counter")
    load_kwh = _load_kwh(energies)
    yield point("load", "demand_kw", None if load_kwh is None else load_kwh / SLOT_HOURS, "balance")
    for vehicle in site.vehicles:
        yield point(vehicle.id, "soc", _value(readings, vehicle.id, "soc"), "charger")
        yield point(vehicle.id, "plugged", _value(readings, vehicle.id, "plugged"), "charger")
    for battery in site.batteries:
        yield point(battery.id, "soc", _value(readings, battery.id, "soc"), "battery")
    for zone in site.zones:
        yield point(zone.id, "room_c", _value(readings, zone.id, "room_c"), "adapter")
        if zone.learn:
            meter = site.meter_of(zone)
            if meter is not None:
                yield point(zone.id, "energy_kwh", _grown(before, after, meter, "import_kwh"), "counter")
            yield point(zone.id, "mode", _mode(readings, zone.id), "adapter")


def _value(readings: Mapping[AssetId, Mapping[str, Measurement]], asset: str, point: str) -> float | None:
    measurement = readings.get(AssetId(asset), {}).get(point)
    if measurement is None or measurement.quality is not Quality.GOOD:
        return None
    return measurement.value


def _mode(readings: Mapping[AssetId, Mapping[str, Measurement]], zone: str) -> float | None:
    """What a room's unit does: +1 heating, -1 cooling, 0 off; None where it does not say. [-]"""
    code = _value(readings, zone, "mode")
    mode = None if code is None else climate_mode(code)
    return None if mode is None else _MODE_SIGNS[mode]
