"""The gateway: reads all equipment of a site at once, carries out commands, leaves a safe state behind."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from devices.arbiter import Arbiter
from devices.config import DeviceConfig, Pace, check_devices
from devices.device import Connection, Device
from devices.drivers import Driver, driver_for
from devices.drivers.base import MeterDriver
from devices.hold import place_of
from devices.modbus import ModbusTransport
from devices.profile import Profile, Wire
from devices.transport import Access
from energy.core.clock import Clock
from energy.core.errors import ConfigError, DeviceError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Measurement
from energy.core.outcome import (
    Applied,
    Clipped,
    Command,
    NotApplied,
    Order,
    Outcome,
    Refused,
    Unconfirmed,
    Unreachable,
)
from energy.core.units import AssetId

__all__ = ["Access", "Connection", "DeviceConfig", "Gateway"]

log = logging.getLogger(__name__)

_TRIES = 3  # writings of an order that has no effect; more would wear out a device that does not listen

_UNCONFIRMED_AGAIN = timedelta(seconds=30)
_UNSAFE_AGAIN = timedelta(seconds=10)
_PASSING = frozenset({4, 5, 6})  # exceptions that say nothing against the order: failure, working, busy

Envelope = Callable[[Command], tuple[Order, str | None]]
"""What the site allows of an order, whoever gives it, and the limit that bound."""


@dataclass(slots=True)
class _Carried:
    """An order that was given to a device: whether and when it can have heard it, what it does instead."""

    command: Command
    told: bool
    epoch: object  # of the device: in another one it may have forgotten
    again_at: datetime | None = None  # it was lost for a reason that passes, or not confirmed
    more_at: datetime | None = None  # it stands in part; the rest may be written then
    tries: int = 1
    why_not: str | None = None


def _wires(devices: Sequence[DeviceConfig], profiles: Mapping[str, Profile]) -> dict[tuple[str, int], Wire]:
    """Patience per address: what suits the slowest of the units behind it."""
    wires: dict[tuple[str, int], Wire] = {}
    for config in devices:
        wire = profiles[config.id].wire
        gap_ms = wire.min_gap_ms if config.min_gap_ms is None else config.min_gap_ms
        warmup_s = wire.warmup_s if config.warmup_s is None else config.warmup_s
        timeout_s = wire.timeout_s if config.timeout_s is None else config.timeout_s
        other = wires.get((config.host, config.port))
        wires[config.host, config.port] = wire.model_copy(
            update={
                "min_gap_ms": max(gap_ms, other.min_gap_ms if other else 0),
                "timeout_s": max(timeout_s, other.timeout_s if other else 0.0),
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
    envelope : callable or None
        Cuts every order to what the site allows, the last thing before it goes to a device. It may be set
        later.

    Raises
    ------
    ConfigError
        If an id or asset is used twice, or a profile is unknown.
    """

    def __init__(
        self,
        devices: Sequence[DeviceConfig],
        *,
        clock: Clock,
        access: Access = Access.CONTROL,
        envelope: Envelope | None = None,
    ) -> None:
        profiles = check_devices(devices)
        wires = _wires(devices, profiles)
        self.envelope = envelope
        self._clock = clock
        self._access = access
        self._arbiter = Arbiter()
        self._carried: dict[AssetId, _Carried] = {}
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
    def links(self) -> tuple[tuple[str, ...], ...]:
        """Devices, those together that share a link."""
        shared: dict[tuple[str, int], list[str]] = {}
        for name, device in self._devices.items():
            # equipment of other protocols has a link of its own, and no host
            place = (getattr(device.config, "host", name), getattr(device.config, "port", -1))
            shared.setdefault(place, []).append(name)
        return tuple(tuple(names) for names in shared.values())

    @property
    def access(self) -> Access:
        """What may be done."""
        return self._access

    @property
    def commanded(self) -> tuple[str, ...]:
        """Devices that take orders, as far as their own file goes."""
        return tuple(name for name, one in self._devices.items() if one.may_control)

    @property
    def untried(self) -> tuple[str, ...]:
        """Devices that could take orders and are only read, for nobody has tried orders there."""
        return tuple(name for name, one in self._devices.items() if one.takes_orders and not one.may_control)

    @property
    def places(self) -> tuple[str, ...]:
        """Names of all links, for :func:`devices.hold.hold`."""
        return tuple(place_of(host, port) for host, port in self._links)

    def pace(self, name: str) -> Pace:
        """How often a device is to be read."""
        pace: Pace = getattr(self._devices[name].config, "pace", "normal")
        return pace

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
        wanted = list(self._devices) if ids is None else [self.known(name) for name in ids]
        tables = await asyncio.gather(*(self._read(name) for name in wanted))
        return {asset: points for table in tables for asset, points in table.items()}

    def known(self, name: str) -> str:
        """The id of a device, which exists; else ``ConfigError`` with the nearest."""
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
            table = {asset: driver.measurements(unit) for unit, asset in enumerate(device.config.assets)}
            for unit, asset in enumerate(device.config.assets):
                self._judge(asset, driver, unit)
            return table

    def _judge(self, asset: AssetId, driver: Driver, unit: int) -> None:
        """Note whether the equipment does what it was told."""
        carried = self._carried.get(asset)
        if carried is None:
            return
        verdict = driver.verdict(unit)
        if verdict.seen:
            carried.why_not, carried.tries = None, 1
        elif verdict.seen is False:
            if carried.why_not is None:
                log.warning("command.not_applied asset=%s why=%s", asset, verdict.story)
            carried.why_not = verdict.story

    @property
    def not_applied(self) -> dict[AssetId, NotApplied]:
        """Assets that do not do what they were told, with the order and how they look instead."""
        return {
            asset: NotApplied(carried.command, carried.why_not)
            for asset, carried in self._carried.items()
            if carried.why_not is not None
        }

    async def apply(self, command: Command) -> Outcome:
        """Carry out a command, if nobody above has another order standing for its asset.

        Clamp, envelope, leave alone what is already so, write in one group, read back. What the equipment
        then really does is seen by :meth:`read`, and told here when the command comes again.

        Raises
        ------
        ConfigError
            If no device speaks for the asset.
        """
        self._place(command.asset)
        now = self._clock.now()
        if now >= command.expires_at:
            return Refused(command, f"expired at {command.expires_at.isoformat()}")
        self._arbiter.claim(command)
        heard = self._arbiter.heard(command.asset, now)
        if heard is not None and heard is not command:
            until = heard.expires_at.isoformat()
            return Refused(command, f"{heard.source} of {heard.issuer} stands above it until {until}")
        return await self._carry_out(command)

    async def withdraw(self, asset: AssetId, issuer: str) -> None:
        """End what an issuer wanted of an asset; the next in rank is heard at once, or the safe state."""
        self._place(asset)
        self._arbiter.withdraw(asset, issuer)
        await self._settle(asset)

    def _place(self, asset: AssetId) -> tuple[str, int]:
        place = self._places.get(asset)
        if place is None:
            near = difflib.get_close_matches(asset, self._places, n=1)
            raise ConfigError(
                f"no device speaks for {asset!r}",
                where=f"known: {', '.join(self._places)}",
                hint=f"did you mean {near[0]}?" if near else "add it to the devices of the site",
            )
        return place

    async def _carry_out(self, command: Command) -> Outcome:
        """Give a command to its device, cut to what the site allows."""
        name, unit = self._places[command.asset]
        given, limit = command, None
        if self.envelope is not None:
            order, limit = self.envelope(command)
            given = command if limit is None else replace(command, order=order)
        device = self._devices[name]
        async with device.lock:
            written, passing = device.writes, False
            try:
                outcome = await self._drivers[name].apply(given, unit)
            except UnreachableError as error:
                outcome, passing = Unreachable(command, str(error)), True
            except (RefusedError, RegisterError) as error:
                outcome = Refused(command, str(error))
                passing = isinstance(error, RegisterError) or error.details.get("exception") in _PASSING
        if limit is not None and isinstance(outcome, Applied | Clipped):
            clipped = outcome if isinstance(outcome, Clipped) else Clipped(command, given.order, limit)
            outcome = replace(clipped, command=command, limit=limit)
        before = self._carried.get(command.asset)
        told = passing or not isinstance(outcome, Refused) or (before is not None and before.told)
        carried = self._carried[command.asset] = _Carried(command, told, self._epoch(name))
        if passing:
            carried.again_at = self._clock.now()
        elif isinstance(outcome, Unconfirmed) and device.writes > written:
            carried.again_at = self._clock.now() + _UNCONFIRMED_AGAIN
        elif isinstance(outcome, Clipped):
            carried.more_at = outcome.more_at
        if before is not None and before.command.order == command.order:
            carried.tries, carried.why_not = before.tries, before.why_not
        done = isinstance(outcome, Applied | Clipped) and device.writes == written
        if done and carried.why_not is not None:
            return NotApplied(command, carried.why_not)  # it stands there as written, and nothing happens
        return outcome

    async def refresh(self, ids: Collection[str] | None = None) -> None:
        """What must happen without a message from anybody; to be called every few seconds.

        Orders that have ended are ended at the equipment; orders that had no effect, or that a device may
        have forgotten when it was gone, are given again; and what would expire there is sent again: limits
        with a revert timer, chargers with an idle timeout.

        Parameters
        ----------
        ids : collection of str or None
            Devices; all if None.
        """
        wanted = list(self._devices) if ids is None else [self.known(name) for name in ids]
        await asyncio.gather(*(self._refresh(name) for name in wanted))

    async def _refresh(self, name: str) -> None:
        assets = self._devices[name].config.assets
        for asset in assets:
            await self._settle(asset)
        if not await self._quietly(name, "refresh"):
            for asset in assets:
                if asset in self._carried:
                    self._carried[asset].again_at = self._clock.now()

    async def _settle(self, asset: AssetId) -> None:
        """Bring an asset to the order that counts now, or to its safe state if none does."""
        carried, heard = self._carried.get(asset), self._arbiter.heard(asset, self._clock.now())
        if carried is None:
            return
        name, unit = self._places[asset]
        if heard is None:
            if carried.again_at is not None and self._clock.now() < carried.again_at:
                return
            if carried.told and not await self._quietly(name, "safe_state"):
                carried.again_at = self._clock.now() + _UNSAFE_AGAIN
                return
            del self._carried[asset]
            if carried.told:
                log.info("command.ended asset=%s source=%s", asset, carried.command.source)
            return
        again = carried.why_not is not None and carried.tries < _TRIES
        if again:
            carried.tries += 1
            self._drivers[name].forget(unit)
        due = any(at is not None and self._clock.now() >= at for at in (carried.again_at, carried.more_at))
        forgotten = due or (carried.told and self._epoch(name) != carried.epoch)
        if again or forgotten or heard is not carried.command:
            await self._carry_out(heard)

    def _epoch(self, name: str) -> object:
        return getattr(self._devices[name], "epoch", None)  # equipment of other protocols counts none

    def state(self) -> dict[str, dict[str, dict[str, float | str]]]:
        """What must survive a restart of the program: where each device's counters were."""
        drivers = [(name, one) for name, one in self._drivers.items() if isinstance(one, MeterDriver)]
        return {name: known for name, driver in drivers if (known := driver.state())}

    def restore(self, state: Mapping[str, Mapping[str, Mapping[str, float | str]]]) -> None:
        """Go on counting from :meth:`state`; devices that are no longer there are left out."""
        for name, known in state.items():
            driver = self._drivers.get(name)
            if isinstance(driver, MeterDriver):
                driver.restore(known)

    async def safe_state(self) -> None:
        """Stop the chargers, release the PV limit, leave the air conditioners at their setpoints."""
        self._arbiter, self._carried = Arbiter(), {}
        await asyncio.gather(*(self._quietly(name, "safe_state") for name in self._devices))

    async def _quietly(self, name: str, what: str) -> bool:
        """Whether it could be done; trouble is logged."""
        device, driver = self._devices[name], self._drivers[name]
        if not device.may_control:
            return True  # it was never told anything
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
                return False
        return True

    async def close(self) -> None:
        """Leave the safe state, if control was allowed, and end all links."""
        if self._access is Access.CONTROL:
            await self.safe_state()
        for link in self._links.values():
            await link.close()
