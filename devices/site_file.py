"""The equipment of a site as a YAML file: who stands where, for which assets, and what unlocks it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from devices.address import parse_address
from devices.commissioning import load_record
from devices.config import DeviceConfig, Pace, check_devices
from devices.echonet.device import EchonetConfig
from devices.extras import require_extra
from devices.ocpp.config import CentralConfig, Connector, ServerTls, StationConfig, check_central
from devices.profile import Profile, load_profile
from devices.schema import Mains, Strict
from devices.secret import SecretRef, must_be_private, resolve
from devices.transport import Tls
from energy.core.errors import ConfigError
from energy.core.units import AssetId

if TYPE_CHECKING:
    from devices.mqtt import MqttConfig

__all__ = ["EchonetKind", "EchonetObject", "EchonetSite", "SiteEquipment", "load_site", "site_schema"]

EchonetKind = Literal["v2h", "package-ac", "package-ac-outdoor", "meter"]
_ORDERED: Final = ("v2h", "package-ac")  # kinds that take orders


class _Tried(Strict):
    """Who has tried orders at a device, when, and what was seen."""

    by: str = Field(min_length=1)
    date: dt.date
    seen: str = Field(min_length=1)


class _Device(Strict):
    id: str = Field(min_length=1)
    profile: str
    address: str
    unit: int | None = Field(default=None, ge=0, le=255)
    assets: tuple[str, ...] = Field(min_length=1)
    pace: Pace = "normal"
    record: str | None = None
    commissioned: _Tried | None = None
    certificates: str | None = None
    rated_kw: float | None = Field(default=None, gt=0.0)
    timeout_s: float | None = Field(default=None, gt=0.0, le=10.0)
    mains: Mains | None = None


class _ServerTls(Strict):
    certificate: str
    key: str
    client_ca: str | None = None


class _Connector(Strict):
    asset: str = Field(min_length=1)
    max_charge_kw: float = Field(gt=0.0)
    max_discharge_kw: float = Field(default=0.0, ge=0.0)
    safe_kw: float = Field(default=0.0, ge=0.0)


class _Station(Strict):
    id: str = Field(min_length=1)
    connectors: dict[int, _Connector] = Field(min_length=1)
    password: SecretRef | None = None
    max_kw: float | None = Field(default=None, gt=0.0)
    rate_unit: Literal["W", "A"] = "W"
    mains: Mains = Field(default_factory=lambda: Mains(phases=3, volts=200.0))
    token: SecretRef | None = None


class _Ocpp(Strict):
    stations: tuple[_Station, ...] = Field(min_length=1)
    host: str = "127.0.0.1"
    port: int = Field(default=9000, ge=0, le=65535)
    tls: _ServerTls | None = None
    lease_s: int = Field(default=120, ge=3)
    meter_s: int = Field(default=10, ge=1)


class _Object(Strict):
    id: str = Field(min_length=1)
    kind: EchonetKind
    asset: str = Field(min_length=1)
    instance: int = Field(default=1, ge=1, le=127)
    commissioned: _Tried | None = None
    max_charge_kw: float = Field(default=6.0, gt=0.0)
    max_discharge_kw: float = Field(default=6.0, ge=0.0)
    rated_kw: float = Field(default=60.0, gt=0.0)
    outdoor: int | None = Field(default=None, ge=1, le=127)

    @model_validator(mode="after")
    def _makes_sense(self) -> _Object:
        if self.outdoor is not None and self.kind != "package-ac":
            msg = f"outdoor is for package-ac, not for {self.kind}"
            raise ValueError(msg)
        if self.commissioned is not None and self.kind not in _ORDERED:
            msg = f"commissioned: {self.kind} takes no orders"
            raise ValueError(msg)
        return self


class _Node(Strict):
    host: str = Field(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")
    objects: tuple[_Object, ...] = Field(min_length=1)


class _Echonet(Strict):
    nodes: tuple[_Node, ...] = Field(min_length=1)
    interface: str = "127.0.0.1"
    port: int = Field(default=3610, ge=1, le=65535)


class _MqttTls(Strict):
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


class _Mqtt(Strict):
    site: str = Field(min_length=1)
    assets: tuple[str, ...] = Field(min_length=1)
    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    prefix: str = "vpp"
    user: str | None = None
    password: SecretRef | None = None
    tls: _MqttTls | None = None


class _Site(Strict):
    devices: tuple[_Device, ...] | None = Field(default=None, min_length=1)
    ocpp: _Ocpp | None = None
    echonet: _Echonet | None = None
    mqtt: _Mqtt | None = None

    @model_validator(mode="after")
    def _has_equipment(self) -> _Site:
        if self.devices is None and self.ocpp is None and self.echonet is None:
            msg = "no equipment: give devices, ocpp or echonet"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True)
class EchonetObject:
    """One object of ECHONET Lite, its kind, and the instance of its outdoor unit if it has one."""

    kind: EchonetKind
    config: EchonetConfig
    outdoor: int | None = None


@dataclass(frozen=True, slots=True)
class EchonetSite:
    """The objects of a site, and our own address among them."""

    objects: tuple[EchonetObject, ...]
    interface: str
    port: int


@dataclass(frozen=True, slots=True)
class SiteEquipment:
    """All that a site file names; what it does not name is empty or None."""

    devices: tuple[DeviceConfig, ...] = ()
    ocpp: CentralConfig | None = None
    echonet: EchonetSite | None = None
    mqtt: MqttConfig | None = None


def load_site(path: Path, *, environment: Mapping[str, str] | None = None) -> SiteEquipment:
    """Equipment from a file; paths in it are relative to it.

    Parameters
    ----------
    path : Path
        The YAML file.
    environment : mapping or None
        Variables that may hold secrets; those of the process if None.

    Raises
    ------
    ConfigError
        If it cannot be read or contradicts itself, a commissioning record does not unlock its device, a
        secret is missing or readable for others, or an extra is not installed.
    """
    site, folder = _read(path), path.parent
    secrets = _Secrets(folder, os.environ if environment is None else environment)
    devices = tuple(_config(device, folder) for device in site.devices or ())
    check_devices(devices)
    echonet = None if site.echonet is None else _echonet(site.echonet)
    ocpp = None if site.ocpp is None else _ocpp(site.ocpp, secrets)
    speakers = tuple(_speakers(devices, ocpp, echonet))
    _check_names(path, speakers)
    known = {asset for _, _, assets in speakers for asset in assets}
    mqtt = None if site.mqtt is None else _mqtt(site.mqtt, secrets, path, known)
    return SiteEquipment(devices, ocpp, echonet, mqtt)


def site_schema() -> dict[str, object]:
    """JSON Schema of a site file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_Site.model_json_schema(),
        "title": "Equipment of a site",
    }


def _read(path: Path) -> _Site:
    try:
        return _Site.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:  # its text quotes the line, which may hold a secret
        at = getattr(error, "problem_mark", None)
        line = "" if at is None else f", line {at.line + 1}"
        why = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or ''}".strip()
        raise ConfigError(
            "a file of devices cannot be read",
            where=f"{path}{line}: {why}",
            hint="check the path; it is YAML",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a file of devices cannot be read", where=f"{path}: {error}", hint="check the path; it is YAML"
        ) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        loc = [str(part) for part in first["loc"]]
        raise ConfigError(
            "a file of devices cannot be used",
            where=f"{path}: {'.'.join(loc) or 'devices'}: {first['msg'].removeprefix('Value error, ')}",
            hint=_HINTS.get(loc[0] if loc else "", _HINTS["devices"]),
        ) from None


_PAGE: Final = "see docs/how-to/run-a-gateway.md"
_HINTS: Final = {
    "devices": f"each device has id, profile, address and assets; {_PAGE}",
    "ocpp": f"stations have id and connectors, by number, with asset and max_charge_kw; {_PAGE}",
    "echonet": f"nodes have host and objects, with id, kind and asset; {_PAGE}",
    "mqtt": f"it has site and assets; a password is named by env or file; {_PAGE}",
}


@dataclass(frozen=True, slots=True)
class _Secrets:
    folder: Path
    environment: Mapping[str, str]

    def of(self, secret: SecretRef | None, key: str) -> str | None:
        if secret is None:
            return None
        return resolve(secret, key=key, folder=self.folder, environment=self.environment)

    def path(self, name: str | None, *, private: str | None = None) -> Path | None:
        """A path of the file; with ``private``, a key of the file that must not be readable for others."""
        if name is None:
            return None
        if private is not None:
            must_be_private(self.folder / name, key=private)
        return self.folder / name


def _ocpp(said: _Ocpp, secrets: _Secrets) -> CentralConfig:
    require_extra("ocpp", "ocpp")
    require_extra("ocpp", "websockets")
    tls = None
    if said.tls is not None:
        must_be_private(secrets.folder / said.tls.key, key="ocpp.tls.key")
        names = (secrets.folder / said.tls.certificate, secrets.folder / said.tls.key)
        tls = ServerTls(*names, secrets.path(said.tls.client_ca))
    stations = [
        StationConfig(
            one.id,
            {
                number: Connector(
                    AssetId(plug.asset), plug.max_charge_kw, plug.max_discharge_kw, plug.safe_kw
                )
                for number, plug in one.connectors.items()
            },
            password=secrets.of(one.password, f"password of station {one.id}"),
            max_kw=one.max_kw,
            rate_unit=one.rate_unit,
            mains=one.mains,
            token=secrets.of(one.token, f"token of station {one.id}"),
        )
        for one in said.stations
    ]
    config = CentralConfig(
        stations, host=said.host, port=said.port, tls=tls, lease_s=said.lease_s, meter_s=said.meter_s
    )
    check_central(config)
    return config


def _echonet(said: _Echonet) -> EchonetSite:
    objects, places = [], dict[tuple[str, EchonetKind, int], str]()
    for node in said.nodes:
        for one in node.objects:
            other = places.setdefault((node.host, one.kind, one.instance), one.id)
            if other != one.id:
                raise ConfigError(
                    f"{other} and {one.id} are the same object",
                    where=f"echonet: {node.host} {one.kind} {one.instance}",
                    hint="give each object its own instance",
                )
            config = EchonetConfig(
                one.id,
                node.host,
                AssetId(one.asset),
                instance=one.instance,
                commissioned=one.commissioned is not None,
                max_charge_kw=one.max_charge_kw,
                max_discharge_kw=one.max_discharge_kw,
                rated_kw=one.rated_kw,
            )
            objects.append(EchonetObject(one.kind, config, one.outdoor))
    return EchonetSite(tuple(objects), said.interface, said.port)


def _mqtt(said: _Mqtt, secrets: _Secrets, path: Path, known: set[str]) -> MqttConfig:
    require_extra("mqtt", "aiomqtt")
    from devices.mqtt import MqttConfig, MqttTls, check_mqtt

    strangers = sorted(set(said.assets) - known)
    if strangers:
        raise ConfigError(
            f"no equipment speaks for {strangers[0]!r}",
            where=f"{path}: mqtt.assets; known: {', '.join(sorted(known))}",
            hint="publish what is there, or add the equipment",
        )
    tls = None
    if said.tls is not None:
        key = secrets.path(said.tls.key, private="mqtt.tls.key")
        tls = MqttTls(secrets.path(said.tls.ca), secrets.path(said.tls.certificate), key)
    config = MqttConfig(
        said.site,
        frozenset(AssetId(name) for name in said.assets),
        host=said.host,
        port=said.port,
        prefix=said.prefix,
        user=said.user,
        password=secrets.of(said.password, "mqtt.password"),
        tls=tls,
    )
    check_mqtt(config)
    return config


Speaker = tuple[str, str, tuple[str, ...]]  # where in the file, id, assets


def _speakers(
    devices: Sequence[DeviceConfig], ocpp: CentralConfig | None, echonet: EchonetSite | None
) -> Iterator[Speaker]:
    for device in devices:
        yield "devices", device.id, device.assets
    for station in () if ocpp is None else ocpp.stations:
        yield "ocpp", station.id, tuple(one.asset for one in station.connectors.values())
    for one in () if echonet is None else echonet.objects:
        yield "echonet", one.config.id, (one.config.asset,)


def _check_names(path: Path, speakers: Sequence[Speaker]) -> None:
    """Names and assets are unique over all kinds of equipment."""
    ids, owners = dict[str, str](), dict[str, str]()
    for kind, name, assets in speakers:
        if name in ids:
            raise ConfigError(
                f"two devices are called {name!r}",
                where=f"{path}: {ids[name]} and {kind}",
                hint="ids are unique on a site, over all kinds",
            )
        ids[name] = kind
        for asset in assets:
            if asset in owners:
                raise ConfigError(
                    f"two devices speak for {asset!r}",
                    where=f"{path}: {owners[asset]} and {kind} {name}",
                    hint="each asset has one device",
                )
            owners[asset] = f"{kind} {name}"


def _config(device: _Device, folder: Path) -> DeviceConfig:
    name = str(folder / device.profile) if device.profile.endswith((".yaml", ".yml")) else device.profile
    profile = load_profile(name)
    address = parse_address(device.address, port=profile.wire.port)
    unit_id = profile.wire.unit_id if device.unit is None else device.unit
    _check_statement(device, profile)
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
        commissioned=device.record is not None or device.commissioned is not None,
        mains=device.mains,
        pace=device.pace,
        timeout_s=device.timeout_s,
    )


def _check_statement(device: _Device, profile: Profile) -> None:
    """A statement is enough for a map whose sources are good, and for no other."""
    if device.commissioned is None:
        return
    wrong = ""
    if profile.control == "none":
        wrong = f"{profile.title} takes no orders"
    elif profile.control == "experimental":
        wrong = f"nobody has tried the map of {profile.title}: a statement is not enough"
    elif device.record is not None:
        wrong = "there is a record, which says more than a statement"
    if wrong:
        raise ConfigError(
            f"device {device.id} cannot be called commissioned",
            where=f"commissioned: {wrong}",
            hint="take the statement out; vpp device commission makes a record where orders are possible",
        )


def _assets(names: Sequence[str]) -> tuple[AssetId, ...]:
    return tuple(AssetId(name) for name in names)


def _tls(folder: Path, certificates: str | None) -> Tls | None:
    if certificates is None:
        return None
    where = folder / certificates
    return Tls(where / "ca.pem", where / "client.pem", where / "client.key")
