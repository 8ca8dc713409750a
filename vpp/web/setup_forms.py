"""What installers type on the set-up pages, as values: sites, what stands there, and devices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from energy.core.assets import Battery, Charger, HvacZone, Meter, OwnerType, PvArray, Vehicle
from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.core.tariff import Tariff, TariffPeriod
from vpp.setup.sitefolder import KeptDevice

__all__ = ["LINKS", "PARTS", "device_of_form", "part_of_form", "site_of_form"]

LINKS: Final = ("tcp", "tls", "rtu+tcp", "rtu")
"""What carries the registers, as the form offers it."""
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "pv": ("capacity_kw", "inverter_kw", "tilt_deg", "azimuth_deg"),
    "battery": ("capacity_kwh", "max_charge_kw", "max_discharge_kw", "reserve_percent"),
    "room": ("max_electric_kw", "capacitance_kwh_per_k", "loss_kw_per_k"),
}
"""Fields of each kind of equipment that the form offers, beside id and names."""
_NUMBERS: Final = ("latitude", "longitude", "contract_kw", "target_demand_kw")
_YEN: Final = ("basic_yen", "summer_yen", "other_yen")


def site_of_form(fields: Mapping[str, str], today: date) -> Site:
    """A site from the fields of the form; its tariff holds for the fiscal year of a day.

    Raises
    ------
    ValueError
        If a number is none, a line of a car cannot be read, or the parts do not fit.
    """
    values = {name: _number(fields, name) for name in _NUMBERS}
    yen = {name: _yen(fields, name) for name in _YEN}
    year = today.year if today.month >= 4 else today.year - 1
    period = TariffPeriod(
        valid_from=date(year, 4, 1),
        valid_to=date(year + 1, 3, 31),
        basic_yen_per_kw_month=yen["basic_yen"],
        summer_yen_per_kwh=yen["summer_yen"],
        other_yen_per_kwh=yen["other_yen"],
    )
    cars = [_car(line) for line in fields.get("cars", "").splitlines() if line.strip()]
    return Site(
        id=fields.get("id", "").strip(),
        name_ja=fields.get("name_ja", "").strip() or fields.get("id", ""),
        name_en=fields.get("name_en", "").strip() or fields.get("id", ""),
        latitude=values["latitude"],
        longitude=values["longitude"],
        contract_kw=values["contract_kw"],
        target_demand_kw=values["target_demand_kw"],
        tariff=Tariff(name_ja="契約の単価", name_en="contract", periods=(period,)),
        vehicles=tuple(vehicle for vehicle, _ in cars),
        chargers=tuple(charger for _, charger in cars),
        meters=(Meter(id="meter", measures="site"),),
    )


def _number(fields: Mapping[str, str], name: str) -> float:
    try:
        return float(fields.get(name, ""))
    except ValueError:
        msg = f"{name}: {fields.get(name, '')[:20]!r} is no number"
        raise ValueError(msg) from None


def _yen(fields: Mapping[str, str], name: str) -> Decimal:
    try:
        return Decimal(fields.get(name, ""))
    except InvalidOperation:
        msg = f"{name}: {fields.get(name, '')[:20]!r} is no amount"
        raise ValueError(msg) from None


def _car(line: str) -> tuple[Vehicle, Charger]:
    """A car and its charger from ``id, name, kWh, charge kW, discharge kW``."""
    parts = [part.strip() for part in line.replace("、", ",").split(",")]
    if len(parts) != 5:
        msg = f"cars: {line[:40]!r}: write id, name, kWh, charge kW, discharge kW"
        raise ValueError(msg)
    name, shown, capacity, charge, discharge = parts
    charger = Charger(id=f"charger-{name}", max_charge_kw=float(charge), max_discharge_kw=float(discharge))
    vehicle = Vehicle(
        id=name,
        name_ja=shown or name,
        name_en=shown or name,
        capacity_kwh=float(capacity),
        charger=charger.id,
        owner=OwnerType.COMPANY,
    )
    return vehicle, charger


def part_of_form(fields: Mapping[str, str]) -> Battery | HvacZone | PvArray:
    """A roof, a stationary battery or a room from the fields of the form.

    Raises
    ------
    ValueError
        If a number is none, or the parts do not fit.
    """
    kind = fields.get("kind", "")
    if kind not in PARTS:
        msg = f"kind: {kind[:20]!r} is none of {', '.join(PARTS)}"
        raise ValueError(msg)
    told = {name: _number(fields, name) for name in PARTS[kind]}
    name = fields.get("id", "").strip()
    match kind:
        case "pv":
            return PvArray(id=name, **told)
        case "battery":
            reserve = told.pop("reserve_percent") / 100.0
            return Battery(id=name, reserve_soc=reserve, initial_soc=max(0.5, reserve), **told)
        case _:
            shown_ja, shown_en = (fields.get(key, "").strip() or name for key in ("name_ja", "name_en"))
            return HvacZone(
                id=name,
                name_ja=shown_ja,
                name_en=shown_en,
                max_electric_kw=told["max_electric_kw"],
                capacitance_kwh_per_k=told["capacitance_kwh_per_k"],
                loss_kw_per_k=told["loss_kw_per_k"],
            )


def device_of_form(fields: Mapping[str, str], place: Site, home: Path) -> KeptDevice:
    """A device from the fields of the form.

    Parameters
    ----------
    place : Site
        Where it stands.
    home : Path
        Folder of that site's files.

    Raises
    ------
    ConfigError
        Names what makes no sense.
    """
    unit, link = fields.get("unit", "").strip(), fields.get("link", "tcp")
    if unit and not (unit.isascii() and unit.isdigit() and len(unit) < 4):
        raise ConfigError(f"unit {unit[:20]!r} is none", where="unit", hint="0 to 255")
    if link not in LINKS:
        raise ConfigError(f"no link {link[:20]!r}", where="link", hint=f"choose from {', '.join(LINKS)}")
    device = KeptDevice(
        id=fields.get("id", "").strip(),
        profile=fields.get("profile", ""),
        address=_address(fields.get("address", "").strip(), link),
        unit=int(unit) if unit else None,
        assets=tuple(fields.get("assets", "").replace(",", " ").split()),
        certificates=fields.get("certificates", "").strip(),
    )
    device.check(place, home)
    return device


def _address(text: str, link: str) -> str:
    """What was typed, with what carries the registers in front, unless it says that itself."""
    if link == "tcp" or "://" in text or text.startswith("rtu:"):
        return text
    return f"rtu:{text}" if link == "rtu" else f"{link}://{text}"
