"""Which charging stations may call, for which assets they speak, and what they fall back to."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from devices.schema import Mains
from energy.core.errors import ConfigError
from energy.core.units import AssetId

__all__ = ["CentralConfig", "Connector", "ServerTls", "StationConfig", "check_central"]

_LOCAL_NAMES: Final = frozenset({"localhost"})


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector (OCPP 1.6) or EVSE (OCPP 2) and the asset behind it.

    Parameters
    ----------
    asset : AssetId
        The car or charger that it stands for.
    max_charge_kw, max_discharge_kw : float
        Limits at the AC side, >= 0. Discharging also needs OCPP 2.1. [kW]
    safe_kw : float
        What may flow while we are silent: installed as the default profile at connection, >= 0. [kW]
    """

    asset: AssetId
    max_charge_kw: float
    max_discharge_kw: float = 0.0
    safe_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class StationConfig:
    """One charging station.

    Parameters
    ----------
    id : str
        The identity at the end of its address (``ws://.../ID``), and the user of its password.
    connectors : dict of int to Connector
        By number: connectors of OCPP 1.6, EVSEs of OCPP 2.
    password : str or None
        Its password (HTTP basic authentication); without one only the loopback address may be served.
    max_kw : float or None
        Most that the whole station may draw, whatever its connectors were told. [kW]
    rate_unit : {'W', 'A'}
        Unit of limits that the station understands.
    mains : Mains
        What one ampere means in power, where limits are amperes.
    token : str or None
        Identifier with which charging is started from here; None leaves starting to the driver.
    """

    id: str
    connectors: dict[int, Connector]
    password: str | None = field(default=None, repr=False)
    max_kw: float | None = None
    rate_unit: Literal["W", "A"] = "W"
    mains: Mains = field(default_factory=lambda: Mains(phases=3, volts=200.0))
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Certificates of the central system.

    Parameters
    ----------
    certificate, key : Path
        What we show to the stations.
    client_ca : Path or None
        Authority of the stations' certificates; with it only stations that show one may call.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class CentralConfig:
    """The central system of a site.

    Parameters
    ----------
    stations : sequence of StationConfig
        Who may call.
    host, port
        Where it listens; port 0 takes a free one.
    tls : ServerTls or None
        TLS; needed on any address that is not loopback, for passwords travel with the connection.
    tokens : frozenset of str
        Identifiers of drivers that may start a charge; empty lets everybody.
    lease_s : int
        How long a station keeps an order without hearing it again. [s]
    meter_s : int
        How often a station is asked to report its meter. [s]
    answer_s : float
        How long an answer may take. [s]
    start_s : float
        How long a charge that was started from here may take to begin. [s]
    """

    stations: Sequence[StationConfig]
    host: str = "127.0.0.1"
    port: int = 9000
    tls: ServerTls | None = None
    tokens: frozenset[str] = field(default=frozenset(), repr=False)
    lease_s: int = 120
    meter_s: int = 10
    answer_s: float = 10.0
    start_s: float = 30.0


def check_central(config: CentralConfig) -> None:
    """Refuse a configuration that contradicts itself or that would be open to everybody.

    Raises
    ------
    ConfigError
        If an id or asset is used twice, a limit is impossible, or passwords would travel in the clear.
    """
    ids: set[str] = set()
    owner: dict[str, str] = {}
    local = _is_loopback(config.host)
    if not local and config.tls is None:
        raise ConfigError(
            f"charging stations would be served on {config.host} without TLS",
            where=f"port {config.port}",
            hint="give a certificate (tls), or listen on 127.0.0.1 behind something that has one",
        )
    if config.lease_s < 3 * config.meter_s:
        raise ConfigError(
            f"lease_s {config.lease_s} is shorter than three meter reports",
            where=f"meter_s {config.meter_s}",
            hint="orders are renewed at a third of the lease: make it longer",
        )
    for station in config.stations:
        if station.id in ids or not station.id or "/" in station.id:
            raise ConfigError(
                f"a charging station cannot be called {station.id!r}",
                where="stations",
                hint="ids are unique, without a slash",
            )
        ids.add(station.id)
        if station.password is None and not local and (config.tls is None or config.tls.client_ca is None):
            raise ConfigError(
                f"charging station {station.id} has neither password nor certificate",
                where=f"served on {config.host}",
                hint="give it a password, or name the authority of its certificate (client_ca)",
            )
        _check_connectors(station, owner)


def _check_connectors(station: StationConfig, owner: dict[str, str]) -> None:
    if not station.connectors or min(station.connectors) < 1:
        raise ConfigError(
            f"charging station {station.id} has no connector 1",
            where=f"connectors {sorted(station.connectors)}",
            hint="connectors are counted from 1",
        )
    for number, connector in station.connectors.items():
        where = f"{station.id} connector {number}"
        other = owner.setdefault(connector.asset, where)
        if other != where:
            raise ConfigError(
                f"two connectors speak for {connector.asset!r}",
                where=f"{other} and {where}",
                hint="each asset has one connector",
            )
        if connector.max_charge_kw <= 0.0 or connector.max_discharge_kw < 0.0:
            raise ConfigError(
                "a connector has an impossible limit",
                where=where,
                hint="max_charge_kw above 0, max_discharge_kw at least 0",
            )
        if not 0.0 <= connector.safe_kw <= connector.max_charge_kw:
            raise ConfigError(
                f"safe_kw {connector.safe_kw:g} is outside the limits of the connector",
                where=where,
                hint=f"between 0 and max_charge_kw {connector.max_charge_kw:g}",
            )


def _is_loopback(host: str) -> bool:
    if host in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
