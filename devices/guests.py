"""Equipment of other protocols behind the same gateway: same readings, same arbiter, same envelope.

A guest is device and driver in one: it has a link of its own kind and one of the natures. The gateway reads
and commands it like a Modbus device; nothing above knows the difference.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from devices.backoff import Connection
from devices.drivers.base import Verdict
from devices.gateway import Gateway
from devices.natures import NATURES, Nature
from energy.core.errors import ConfigError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import Command, Outcome
from energy.core.units import AssetId

if TYPE_CHECKING:
    from datetime import datetime

    from devices.device import Device

__all__ = ["Guest", "GuestConfig", "MixedGateway", "Service", "unknown"]


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """Name of a guest, and the assets it speaks for, in unit order."""

    id: str
    assets: tuple[AssetId, ...]


class Guest(ABC):
    """A device of another protocol, with its driver."""

    def __init__(
        self, name: str, assets: Sequence[AssetId], *, may_control: bool, takes_orders: bool | None = None
    ) -> None:
        self.config = GuestConfig(name, tuple(assets))
        self.lock = asyncio.Lock()
        self.connection = Connection.NEVER
        self.writes = 0
        self.epoch = 0  # counts on when the device may have forgotten what it was told
        self.may_control = may_control
        self.takes_orders = may_control if takes_orders is None else takes_orders

    @property
    def place(self) -> str | None:
        """Name of its link, where others could command it, too; None where it calls us."""
        return None

    @property
    def online(self) -> bool:
        """Whether it answers, as far as we know."""
        return self.connection is Connection.ONLINE

    @abstractmethod
    async def ensure_online(self) -> None:
        """Be connected and set up, or raise ``DeviceError``."""

    @abstractmethod
    async def poll(self) -> None:
        """Read what is read every time, or raise ``DeviceError``."""

    @abstractmethod
    def measurements(self, unit: int) -> dict[str, Measurement]:
        """The nature's points of one unit, from what was last read."""

    @abstractmethod
    async def apply(self, command: Command, unit: int) -> Outcome:
        """Carry out a command."""

    async def refresh(self) -> None:  # noqa: B027  (most equipment forgets nothing)
        """Send again what would expire."""

    async def safe_state(self) -> None:  # noqa: B027  (a meter has none)
        """Leave the device as it should be when nobody is in control."""

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002
        """Whether the equipment does what one unit was told, by what was last read."""
        return Verdict()

    def forget(self, unit: int) -> None:  # noqa: B027
        """Take for unknown what one unit was told, so that it is written again."""


class Service(Protocol):
    """What speaks a protocol for all its devices: a server or a socket."""

    @property
    def guests(self) -> Sequence[Guest]:
        """Its devices."""
        ...

    async def start(self) -> None:
        """Listen; nothing to do if it does."""
        ...

    async def close(self) -> None:
        """End all links."""
        ...


class MixedGateway(Gateway):
    """A gateway that takes guests in beside its Modbus devices."""

    _services: tuple[Service, ...] = ()
    _starting: asyncio.Lock | None = None

    def attach(self, service: Service) -> None:
        """Take the equipment of another protocol in.

        Raises
        ------
        ConfigError
            If its name or one of its assets is taken.
        """
        for guest in service.guests:
            self._admit(guest)
        self._services = (*self._services, service)
        self._starting = self._starting or asyncio.Lock()

    def _admit(self, guest: Guest) -> None:
        name = guest.config.id
        if name in self._devices:
            raise ConfigError(
                f"two devices are called {name!r}", where="guests", hint="ids are unique on a site"
            )
        for asset in guest.config.assets:
            if asset in self._places:
                raise ConfigError(
                    f"two devices speak for {asset!r}",
                    where=f"{self._places[asset][0]} and {name}",
                    hint="each asset has one device",
                )
        self._devices[name] = cast("Device", guest)  # it has all that the gateway asks of a device
        self._drivers[name] = guest
        self._places |= {asset: (name, unit) for unit, asset in enumerate(guest.config.assets)}

    @property
    def places(self) -> tuple[str, ...]:
        """Names of all links, for :func:`devices.hold.hold`."""
        guests = [guest.place for service in self._services for guest in service.guests]
        return (*super().places, *dict.fromkeys(place for place in guests if place is not None))

    async def _listen(self) -> None:
        if self._starting is None:
            return
        async with self._starting:  # links are read at once, and a port is bound once
            for service in self._services:
                await service.start()

    async def connect(self) -> None:
        """Listen for the guests, then connect what can be connected."""
        await self._listen()
        await super().connect()

    async def read(self, ids: Collection[str] | None = None) -> dict[AssetId, dict[str, Measurement]]:
        """Read devices, all at once; listens for the guests first if nobody has connected yet."""
        await self._listen()
        return await super().read(ids)

    async def close(self) -> None:
        """Leave the safe state, if control was allowed, and end all links."""
        await super().close()
        for service in self._services:
            await service.close()


def unknown(nature: Nature, at: datetime, quality: Quality) -> dict[str, Measurement]:
    """All points of a nature without a value."""
    return {name: Measurement(name, None, unit, at, quality) for name, unit in NATURES[nature].items()}
