"""The gateway: reads all equipment of a site at once, carries out commands, leaves a safe state behind."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Collection, Mapping, Sequence

from devices.config import DeviceConfig, check_devices
from devices.device import Connection, Device
from devices.drivers import Driver, driver_for
from devices.modbus import ModbusTransport
from devices.profile import Profile, Wire
from devices.transport import Access
from energy.core.clock import Clock
from energy.core.errors import ConfigError, DeviceError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Measurement
from energy.core.outcome import Command, Outcome, Refused, Unreachable
from energy.core.units import AssetId

__all__ = ["Access", "Connection", "DeviceConfig", "Gateway"]

log = logging.getLogger(__name__)


def _wires(devices: Sequence[DeviceConfig], profiles: Mapping[str, Profile]) -> dict[tuple[str, int], Wire]:
    """Patience per address: what suits the slowest of the units behind it."""
    wires: dict[tuple[str, int], Wire] = {}
    for config in devices:
        wire = profiles[config.id].wire
        gap_ms = wire.min_gap_ms if config.min_gap_ms is None else config.min_gap_ms
        warmup_s = wire.warmup_s if config.warmup_s is None else config.warmup_s
        other = wires.get((config.host, config.port))
        wires[config.host, config.port] = wire.model_copy(
            update={
                "min_gap_ms": max(gap_ms, other.min_gap_ms if other else 0),
                "timeout_s": max(wire.timeout_s, other.timeout_s if other else 0.0),
                "warmup_s": max(warmup_s, other.warmup_s if other else 0.0),
                "busy_wait_s": max(wire.busy_wait_s, other.busy_wait_s if other else 0.0),
            }
        )
    return wires


class Gateway:
    """All equipment of a site.

    Parameters
    ----------
    devices : sequence of DeviceConfig
        What stands where.
    clock : Clock
        Time of readings, back-off and expiry.
    access : Access
        What may be done. Enforced in the transport, below the drivers.

    Raises
    ------
    ConfigError
        If an id or asset is used twice, or a profile is unknown.
    """

    def __init__(
        self, devices: Sequence[DeviceConfig], *, clock: Clock, access: Access = Access.CONTROL
    ) -> None:
        profiles = check_devices(devices)
        wires = _wires(devices, profiles)
        self._clock = clock
        self._access = access
        self._links: dict[tuple[str, int], ModbusTransport] = {}
        self._drivers: dict[str, Driver] = {}
        self._devices: dict[str, Device] = {}
        self._places: dict[AssetId, tuple[str, int]] = {}
        for config in devices:
            profile = profiles[config.id]
            place = (config.host, config.port)
            link = self._links.get(place)
            if link is None:
                link = ModbusTransport(
                    *place, wire=wires[place], access=access, framing=config.framing, tls=config.tls
                )
                self._links[place] = link
            device = Device(config, profile, transport=link, clock=clock, access=access)
            self._devices[config.id] = device
            self._drivers[config.id] = driver_for(device)
            self._places |= {asset: (config.id, unit) for unit, asset in enumerate(config.assets)}

    @property
    def assets(self) -> dict[AssetId, str]:
        """Assets and the devices that speak for them."""
        return {asset: device for asset, (device, _) in self._places.items()}

    @property
    def connections(self) -> dict[str, Connection]:
        """How things stand with each device."""
        return {name: device.connection for name, device in self._devices.items()}

    @property
    def writes(self) -> dict[str, int]:
        """Write requests that each device has answered."""
        return {name: device.writes for name, device in self._devices.items()}

    async def connect(self) -> None:
        """Connect what can be connected, take control and set the fail-safes; see :attr:`connections`."""
        await asyncio.gather(*(self._connect(device) for device in self._devices.values()))
        online = sum(device.online for device in self._devices.values())
        log.info("gateway.connected online=%d of=%d access=%s", online, len(self._devices), self._access)

    async def _connect(self, device: Device) -> None:
        async with device.lock:
            try:
                await device.ensure_online()
            except DeviceError:  # logged by the device, once; visible in `connections`
                return

    async def read(self, ids: Collection[str] | None = None) -> dict[AssetId, dict[str, Measurement]]:
        """Read devices, all at once.

        Parameters
        ----------
        ids : collection of str or None
            Devices to read; all if None.

        Returns
        -------
        dict
            By asset and point. A device that does not answer gives its points with the value None and the
            quality STALE; ``read_at`` then says when it last answered.

        Raises
        ------
        ConfigError
            If there is no such device.
        """
        wanted = list(self._devices) if ids is None else [self._known(name) for name in ids]
        tables = await asyncio.gather(*(self._read(name) for name in wanted))
        return {asset: points for table in tables for asset, points in table.items()}

    def _known(self, name: str) -> str:
        if name not in self._devices:
            near = difflib.get_close_matches(name, self._devices, n=1)
            raise ConfigError(
                f"no device {name!r}",
                where=f"known: {', '.join(self._devices)}",
                hint=f"did you mean {near[0]}?" if near else "",
            )
        return name

    async def _read(self, name: str) -> dict[AssetId, dict[str, Measurement]]:
        device, driver = self._devices[name], self._drivers[name]
        async with device.lock:
            try:
                await device.poll()
            except DeviceError as error:  # the points say so: None and STALE
                log.debug("device.unread id=%s why=%s", name, error)
            return {asset: driver.measurements(unit) for unit, asset in enumerate(device.config.assets)}

    async def apply(self, command: Command) -> Outcome:
        """Carry out a command: clamp, leave alone what is already so, write, read back.

        Raises
        ------
        ConfigError
            If no device speaks for the asset.
        """
        place = self._places.get(command.asset)
        if place is None:
            near = difflib.get_close_matches(command.asset, self._places, n=1)
            raise ConfigError(
                f"no device speaks for {command.asset!r}",
                where=f"known: {', '.join(self._places)}",
                hint=f"did you mean {near[0]}?" if near else "add it to the devices of the site",
            )
        name, unit = place
        if self._clock.now() >= command.expires_at:
            return Refused(command, f"expired at {command.expires_at.isoformat()}")
        async with self._devices[name].lock:
            try:
                return await self._drivers[name].apply(command, unit)
            except UnreachableError as error:
                return Unreachable(command, str(error))
            except (RefusedError, RegisterError) as error:
                return Refused(command, str(error))

    async def refresh(self) -> None:
        """Send again what would expire: limits with a revert timer, chargers with an idle timeout."""
        await asyncio.gather(*(self._quietly(name, "refresh") for name in self._devices))

    async def safe_state(self) -> None:
        """Stop the chargers, release the PV limit, leave the air conditioners at their setpoints."""
        await asyncio.gather(*(self._quietly(name, "safe_state") for name in self._devices))

    async def _quietly(self, name: str, what: str) -> None:
        device, driver = self._devices[name], self._drivers[name]
        if not device.may_control:
            return  # it was never told anything
        async with device.lock:
            try:
                await (driver.refresh() if what == "refresh" else driver.safe_state())
            except DeviceError as error:
                known = what == "refresh" and not device.online  # that it is silent was logged already
                log.log(
                    logging.DEBUG if known else logging.WARNING,
                    "device.%s_failed id=%s why=%s",
                    what,
                    name,
                    error,
                )

    async def close(self) -> None:
        """Leave the safe state, if control was allowed, and end all links."""
        if self._access is Access.CONTROL:
            await self.safe_state()
        for link in self._links.values():
            await link.close()
