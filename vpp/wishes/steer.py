"""What people asked for as orders of the minute: they take the plan's place, the envelope stays above them.

A car that charges at once stays below the guard: one person's hurry is not everybody's peak, and the guard
slows it only for minutes. What somebody holds on purpose, with its cost in front of them, stands above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from energy.core.assets import HvacZone
from energy.core.outcome import ChargerPower, ClimateMode, CommandSource, Order, RoomClimate
from energy.core.plan import Reason
from energy.core.site import Season, Site
from energy.core.units import AssetId
from vpp.site.envelope import PowerRange
from vpp.wishes.obey import Asked, manual

__all__ = ["narrowed", "orders_of"]


def orders_of(
    asked: Asked,
    site: Site,
    *,
    soc: Callable[[AssetId], float | None],
    season: Callable[[HvacZone], Season],
) -> dict[AssetId, tuple[Order, Reason, CommandSource]]:
    """Orders that people gave, by asset; nothing for a car that is full enough and a unit out of season.

    Parameters
    ----------
    soc : callable
        State of charge of a car, None if it is not known. [-]
    season : callable
        What a room's unit does now.
    """
    orders: dict[AssetId, tuple[Order, Reason, CommandSource]] = {}
    for vehicle in site.vehicles:
        asset = AssetId(vehicle.id)
        if asset in asked.power_kw:
            held = ChargerPower(min(asked.power_kw[asset], site.charger_of(vehicle).max_charge_kw))
            orders[asset] = (held, manual(asked, asset), CommandSource.MANUAL)
        elif asset in asked.charge and not _is_enough(soc(asset), asked.charge[asset], vehicle.soc_max):
            full = ChargerPower(site.charger_of(vehicle).max_charge_kw)
            orders[asset] = (full, manual(asked, asset), CommandSource.PLAN)
    for zone in site.zones:
        asset = AssetId(zone.id)
        if asset in asked.room_c and season(zone) is not Season.OFF:
            mode = ClimateMode.COOL if season(zone) is Season.COOLING else ClimateMode.HEAT
            climate = RoomClimate(mode, asked.room_c[asset])
            orders[asset] = (climate, manual(asked, asset), CommandSource.MANUAL)
    return orders


def _is_enough(soc: float | None, asked: float | None, highest: float) -> bool:
    return soc is not None and soc >= (highest if asked is None else min(asked, highest))


def narrowed(ranges: Mapping[AssetId, PowerRange], asked: Asked) -> dict[AssetId, PowerRange]:
    """What cars may do, cut down to the powers that people hold: nobody else may use the rest."""
    cut = dict(ranges)
    for asset, wanted in asked.power_kw.items():
        bounds = ranges.get(asset)
        if bounds is not None:
            power, why = bounds.clip(wanted, manual(asked, asset))
            cut[asset] = PowerRange(power, power, why, why)
    return cut
