"""What the store keeps of each minute: the meter's counter, and what flows where.

Half hours are what is billed and planned (:mod:`vpp.site.recorder`); minutes are what people watch while a
half hour runs. ``at`` is the minute, ``known_at`` the instant of the reading itself. What could not be read
leaves no point: the age of the last one says how long nothing has been heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from energy.core.measurement import Measurement, Quality
from energy.core.site import Site
from energy.core.units import AssetId, SeriesId
from energy.store import Point
from vpp.site.recorder import SiteSeries

__all__ = ["COUNTER", "MINUTE", "POWER", "minute_names", "minute_points"]

MINUTE: Final = timedelta(minutes=1)
COUNTER: Final = ("meter", "counter_kwh")
"""Import counter of the meter as it stood. [kWh]"""
POWER: Final = ("meter", "power_kw")
"""What the meter showed, positive for buying. [kW]"""


def minute_names(site: Site) -> dict[tuple[str, str], tuple[str, str]]:
    """Asset and point of a reading by the series' own asset and quantity."""
    names = {COUNTER: ("meter", "import_kwh"), POWER: ("meter", "power_kw")}
    if site.zones:
        names["hvac", "power_kw"] = ("hvac-meter", "power_kw")
    if site.pv is not None:
        names[site.pv.id, "generation_kw"] = (site.pv.id, "generation_kw")
    for vehicle in site.vehicles:
        names[vehicle.id, "power_kw"] = (vehicle.id, "power_kw")
    for zone in site.zones:
        names[zone.id, "now_c"] = (zone.id, "room_c")
    return names


def minute_points(
    site: Site, readings: Mapping[AssetId, Mapping[str, Measurement]], now: datetime
) -> Iterator[Point]:
    """Points of one minute, from readings that are good and of this minute."""
    series = SiteSeries(site.id)
    minute = now.replace(second=0, microsecond=0)
    for name, (asset, point) in minute_names(site).items():
        measurement = readings.get(AssetId(asset), {}).get(point)
        if measurement is None or measurement.value is None or measurement.quality is not Quality.GOOD:
            continue
        if not minute - MINUTE < measurement.read_at <= now:
            continue  # an old reading that came again is no news
        yield Point(
            series=SeriesId(series[name]),
            at=minute,
            known_at=max(measurement.read_at, minute),
            value=measurement.value,
            source="meter" if asset.endswith("meter") else "device",
        )
