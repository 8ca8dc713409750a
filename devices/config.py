"""Which device stands where, and for which assets it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from devices.natures import Nature
from devices.profile import Profile, load_profile
from devices.schema import Mains, SerialLine
from devices.transport import Framing, Tls
from energy.core.errors import ConfigError
from energy.core.units import AssetId

__all__ = ["DeviceConfig", "Pace", "check_devices", "check_one_line"]

Pace = Literal["fast", "normal", "slow"]


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device on the network.

    Parameters
    ----------
    id : str
        Name of the device, unique on a site.
    profile : str
        Its model: a file in ``devices/profiles``.
    host, port
        Where it listens; the name of the serial port and 0 on a serial line.
    unit_id : int
        Unit number behind a gateway; 1 for most devices with a network port.
    assets : tuple of AssetId
        For whom it speaks: one asset, or one zone per indoor unit, in unit order, for an adapter.
    min_gap_ms : int or None
        Pause between requests where the line differs from what the profile expects. [ms]
    framing : Framing
        What carries the registers: Modbus TCP, TLS, a serial line, a serial line behind a converter.
    tls : Tls or None
        Certificates of a TLS link.
    warmup_s : float or None
        Pause after connecting where the device differs from what the profile expects. [s]
    rated_kw : float or None
        Highest power that can flow here, to judge counters by; what the profile believes if None. [kW]
    commissioned : bool
        Whether somebody has tried orders at this device. Without it the device is only read, however good its
        map is: the map may be right and the car, the wiring or the address another one.
    mains : Mains or None
        Phases and voltage here, where they differ from what the profile expects.
    pace : str
        How often it is read: ``fast``, ``normal`` or ``slow``.
    timeout_s : float or None
        Deadline of one request where the line differs from what the profile expects. [s]
    """

    id: str
    profile: str
    host: str
    port: int
    unit_id: int = 1
    assets: tuple[AssetId, ...] = ()
    min_gap_ms: int | None = None
    framing: Framing = Framing.TCP
    tls: Tls | None = None
    warmup_s: float | None = None
    rated_kw: float | None = None
    commissioned: bool = False
    mains: Mains | None = None
    pace: Pace = "normal"
    timeout_s: float | None = None


def check_devices(devices: Sequence[DeviceConfig]) -> dict[str, Profile]:
    """Profiles of the devices by device, after checking that the list makes sense.

    Raises
    ------
    ConfigError
        If an id or an asset is used twice, a profile is unknown, or a device has too many or too few assets.
    """
    profiles: dict[str, Profile] = {}
    owner: dict[str, str] = {}
    for device in devices:
        if device.id in profiles:
            raise ConfigError(
                f"two devices are called {device.id!r}", where=device.host, hint="ids are unique on a site"
            )
        profile = load_profile(device.profile)
        most = profile.units if profile.nature is Nature.CLIMATE else 1
        if not 1 <= len(device.assets) <= most:
            raise ConfigError(
                f"device {device.id} speaks for {len(device.assets)} assets",
                where=f"profile {profile.id} takes 1 to {most}",
                hint="name one asset, or one zone per indoor unit in unit order",
            )
        for asset in device.assets:
            if asset in owner:
                raise ConfigError(
                    f"two devices speak for {asset!r}",
                    where=f"{owner[asset]} and {device.id}",
                    hint="each asset has one device",
                )
            owner[asset] = device.id
        profiles[device.id] = profile
    _check_links(devices, profiles)
    return profiles


def _check_links(devices: Sequence[DeviceConfig], profiles: Mapping[str, Profile]) -> None:
    """Units that share a link must be apart, and speak alike."""
    links: dict[tuple[str, int], DeviceConfig] = {}
    units: dict[tuple[str, int, int], str] = {}
    for device in devices:
        where = f"{device.host}:{device.port}" if device.port else device.host
        other = units.setdefault((device.host, device.port, device.unit_id), device.id)
        if other != device.id:
            raise ConfigError(
                f"{other} and {device.id} are both unit {device.unit_id}",
                where=where,
                hint="give each device on one link its own unit number",
            )
        first = links.setdefault((device.host, device.port), device)
        if (first.framing, first.tls) != (device.framing, device.tls):
            raise ConfigError(
                f"{first.id} and {device.id} cannot share a link",
                where=f"{where}: {first.framing} and {device.framing}",
                hint="one link has one framing and one set of certificates",
            )
        if device.framing in (Framing.RTU, Framing.RTU_TCP):
            check_one_line([profiles[first.id], profiles[device.id]], where=where)


def check_one_line(profiles: Sequence[Profile], *, where: str) -> None:
    """Models on one serial line must speak alike.

    Raises
    ------
    ConfigError
        If speed, parity or stop bits differ.
    """
    lines = {profile.id: profile.wire.serial or SerialLine() for profile in profiles}
    if len(set(lines.values())) > 1:
        said = "; ".join(
            f"{name} {line.baudrate} baud, parity {line.parity}, {line.stopbits} stop bits"
            for name, line in lines.items()
        )
        raise ConfigError(
            f"{' and '.join(lines)} cannot share a serial line",
            where=f"{where}: {said}",
            hint="set them alike at the devices and in profiles of your own, or use two lines",
        )
