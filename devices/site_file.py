"""The devices of a site as a YAML file: who stands where, for which assets, and what unlocks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from devices.address import parse_address
from devices.commissioning import load_record
from devices.config import DeviceConfig, Pace, check_devices
from devices.profile import load_profile
from devices.schema import Mains, Strict
from devices.transport import Tls
from energy.core.errors import ConfigError
from energy.core.units import AssetId

__all__ = ["load_devices"]


class _Device(Strict):
    id: str = Field(min_length=1)
    profile: str
    address: str
    unit: int | None = Field(default=None, ge=0, le=255)
    assets: tuple[str, ...] = Field(min_length=1)
    pace: Pace = "normal"
    record: str | None = None
    certificates: str | None = None
    rated_kw: float | None = Field(default=None, gt=0.0)
    timeout_s: float | None = Field(default=None, gt=0.0, le=10.0)
    mains: Mains | None = None


class _Site(Strict):
    devices: tuple[_Device, ...] = Field(min_length=1)


def load_devices(path: Path) -> tuple[DeviceConfig, ...]:
    """Devices from a file; paths in it are relative to it.

    Raises
    ------
    ConfigError
        If it cannot be read or contradicts itself, or a commissioning record does not unlock its device.
    """
    try:
        site = _Site.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "a file of devices cannot be read", where=f"{path}: {error}", hint="check the path; it is YAML"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            "a file of devices cannot be used",
            where=f"{path}: {key or 'devices'}: {first['msg']}",
            hint="each device has id, profile, address and assets; see docs/how-to/run-a-gateway.md",
        ) from None
    configs = tuple(_config(device, path.parent) for device in site.devices)
    check_devices(configs)
    return configs


def _config(device: _Device, folder: Path) -> DeviceConfig:
    name = str(folder / device.profile) if device.profile.endswith((".yaml", ".yml")) else device.profile
    profile = load_profile(name)
    address = parse_address(device.address, port=profile.wire.port)
    unit_id = profile.wire.unit_id if device.unit is None else device.unit
    if device.record is not None:
        load_record(folder / device.record, profile, device=str(address), unit_id=unit_id)
    return DeviceConfig(
        id=device.id,
        profile=name,
        host=address.host,
        port=address.port,
        unit_id=unit_id,
        assets=_assets(device.assets),
        framing=address.framing,
        tls=_tls(folder, device.certificates),
        rated_kw=device.rated_kw,
        commissioned=device.record is not None,
        mains=device.mains,
        pace=device.pace,
        timeout_s=device.timeout_s,
    )


def _assets(names: Sequence[str]) -> tuple[AssetId, ...]:
    return tuple(AssetId(name) for name in names)


def _tls(folder: Path, certificates: str | None) -> Tls | None:
    if certificates is None:
        return None
    where = folder / certificates
    return Tls(where / "ca.pem", where / "client.pem", where / "client.key")
