"""Which device stands where, and for which assets it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devices.natures import Nature
from devices.profile import Profile, load_profile
from devices.schema import Mains
from energy.core.errors import ConfigError
from energy.core.units import AssetId

__all__ = ["DeviceConfig", "check_devices"]


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
        Where it listens.
    unit_id : int
        Unit number behind a gateway; 1 for most devices with a network port.
    assets : tuple of AssetId
        For whom it speaks: one asset, or one zone per indoor unit, in unit order, for an adapter.
    min_gap_ms : int or None
        Pause between requests where the line differs from what the profile expects. [ms]
    warmup_s : float or None
        Pause after connecting where the device differs from what the profile expects. [s]
    commissioned : bool
        Whether somebody has tried orders at this device, by a step test. Without it a profile whose control
        is ``experimental`` is only read.
    mains : Mains or None
        Phases and voltage here, where they differ from what the profile expects.
    """

    id: str
    profile: str
    host: str
    port: int
    unit_id: int = 1
    assets: tuple[AssetId, ...] = ()
    min_gap_ms: int | None = None
    warmup_s: float | None = None
    commissioned: bool = False
    mains: Mains | None = None


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
    return profiles
