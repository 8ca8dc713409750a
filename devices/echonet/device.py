"""One object of ECHONET Lite: found, asked for its property maps, read, set and read back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from devices.backoff import BackOff, Connection
from devices.echonet.frame import Object, property_map
from devices.echonet.node import EchonetNode
from devices.guests import Guest
from devices.natures import NATURES, Nature
from energy.core.clock import Clock
from energy.core.errors import DeviceError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import Command, Order, Outcome
from energy.core.units import AssetId

__all__ = ["Aim", "EchonetConfig", "EchonetDevice", "echonet_place"]

log = logging.getLogger(__name__)

_FAULT: Final = 0x88
_MAPS: Final = (0x9E, 0x9F)  # what may be set, what may be read


@dataclass(frozen=True, slots=True)
class Aim:
    """What an order becomes: as the device can be told, the limit that bound, and the properties to set."""

    order: Order
    limit: str | None
    values: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class EchonetConfig:
    """One object of a node.

    Parameters
    ----------
    id : str
        Name of the device, unique on a site.
    host : str
        IPv4 address of its node.
    asset : AssetId
        For whom it speaks.
    instance : int
        Which of several objects of its class, from 1.
    commissioned : bool
        Whether somebody has tried orders at this device. Without it it is only read: none of these classes
        has a timer that would end an order when we die.
    max_charge_kw, max_discharge_kw : float
        Limits of a charger, where its own are higher or unknown. [kW]
    rated_kw : float
        Highest power that can flow through a meter, to judge its counters by. [kW]
    """

    id: str
    host: str
    asset: AssetId
    instance: int = 1
    commissioned: bool = False
    max_charge_kw: float = 6.0
    max_discharge_kw: float = 6.0
    rated_kw: float = field(default=60.0)


def echonet_place(host: str) -> str:
    """Name of the link to a node, for :func:`devices.hold.hold`."""
    return f"echonet {host}"


class EchonetDevice(Guest):
    """Base of the kinds.

    Parameters
    ----------
    config : EchonetConfig
        Which object.
    node : EchonetNode
        Our node, which takes it in.
    clock : Clock
        Time of readings and of back-off.
    """

    nature: ClassVar[Nature]
    object_class: ClassVar[tuple[int, int]]
    once: ClassVar[frozenset[int]]  # asked at connection
    always: ClassVar[frozenset[int]]  # asked every time
    needed: ClassVar[frozenset[int]]  # without these it is not what we think
    commanded: ClassVar[bool] = False

    def __init__(self, config: EchonetConfig, node: EchonetNode, *, clock: Clock) -> None:
        may = self.commanded and config.commissioned
        super().__init__(config.id, (config.asset,), may_control=may, takes_orders=self.commanded)
        self.object: Object = (*self.object_class, config.instance)
        self.echonet = config
        self.readable: frozenset[int] = frozenset()
        self.settable: frozenset[int] = frozenset()
        self.last_read_at = clock.now()
        self.node = node
        self._clock = clock
        self._back_off = BackOff(config.id)
        self._values: dict[int, bytes] = {}
        node.take(self)

    @property
    def place(self) -> str:
        """Its node."""
        return echonet_place(self.echonet.host)

    @property
    def now(self) -> datetime:
        """Current instant, UTC."""
        return self._clock.now()

    async def ensure_online(self) -> None:
        """Find the object, read its maps and what does not change.

        Raises
        ------
        DeviceError
            If it does not answer, is not there, or is being left alone for a while.
        """
        if self.online:
            return
        if self._back_off.waits(self.now):
            raise UnreachableError(
                f"{self.config.id} does not answer",
                where=f"{self.echonet.host}, next try at {self._back_off.retry_at}",
                hint="check power, network and address of the device",
            )
        try:
            await self._set_up()
        except DeviceError as error:
            self._fell_silent(error)
            raise
        if self.connection is Connection.OFFLINE:
            log.info("device.online id=%s tries=%d", self.config.id, self._back_off.failures + 1)
        self.connection = Connection.ONLINE
        self.epoch += 1
        self._back_off.succeeded()

    async def _set_up(self) -> None:
        objects = await self.node.objects(self.echonet.host)
        if self.object not in objects:
            held = ", ".join(bytes(one).hex() for one in objects) or "nothing"
            raise RegisterError(
                f"{self.config.id} is not a {type(self).__name__}",
                where=f"{self.echonet.host} holds {held}, not {bytes(self.object).hex()}",
                hint="check address and instance of the device",
            )
        maps = await self.node.get(self.echonet.host, self.object, _MAPS)
        told = {code: property_map(data) for code, data in maps.items() if data is not None}
        if len(told) < len(_MAPS):
            raise RegisterError(f"{self.config.id} has no property maps", where=self.echonet.host)
        self.settable, self.readable = told[0x9E], told[0x9F]
        missing = sorted(self.needed - self.readable)
        if missing:
            names = ", ".join(f"0x{code:02X}" for code in missing)
            raise RegisterError(
                f"{self.config.id} does not tell what its class must",
                where=f"{self.echonet.host}: its map has no {names}",
                hint="this device can be read by nobody; ask its maker for a newer firmware",
            )
        self._values.clear()
        await self._fetch((self.once | self.always) & self.readable)

    def _fell_silent(self, error: DeviceError) -> None:
        if self._back_off.waits(self.now):
            return
        if self.connection is not Connection.OFFLINE:
            log.warning("device.offline id=%s why=%s", self.config.id, error)
        self.connection = Connection.OFFLINE
        self._values.clear()
        self._back_off.failed(self.now, error)

    async def _fetch(self, codes: Iterable[int]) -> None:
        told = await self.node.get(self.echonet.host, self.object, codes)
        for code, data in told.items():
            if data is None:
                self._values.pop(code, None)  # it said that it cannot: the value before is not the present
            else:
                self._values[code] = data
        self.last_read_at = self.now

    async def poll(self) -> None:
        """Read what changes, of what the map allows.

        Raises
        ------
        DeviceError
            If it does not answer.
        """
        fresh = not self.online
        await self.ensure_online()
        if fresh:
            return
        try:
            await self._fetch(self.always & self.readable)
        except UnreachableError as error:
            self._fell_silent(error)
            raise

    def said(self, code: int) -> bytes | None:
        """What was last read of a property; None if nothing was."""
        return self._values.get(code)

    def byte(self, code: int) -> int | None:
        """A property of one byte."""
        data = self._values.get(code)
        return data[0] if data is not None and len(data) == 1 else None

    @property
    def faulty(self) -> bool:
        """Whether it reports a fault (0x88)."""
        return self.byte(_FAULT) == 0x41

    def measurements(self, unit: int) -> dict[str, Measurement]:  # noqa: ARG002  (one object, one asset)
        """The nature's points; with value None and STALE while the device is silent."""
        found = {}
        for name, kind in NATURES[self.nature].items():
            value, quality = None, Quality.STALE
            if self.online:
                try:
                    value = self.value(name)
                except RegisterError as error:
                    log.debug("device.bad_value id=%s point=%s why=%s", self.config.id, name, error)
                quality = Quality.INVALID if value is None else Quality.GOOD
            found[name] = Measurement(name, value, kind, self.last_read_at, quality)
        return found

    def value(self, name: str) -> float | None:
        """One of the nature's points from the properties."""
        raise RegisterError(f"{self.config.id} has no {name}")

    def aim(self, order: Order) -> Aim:
        """What an order becomes, by what was last read. Overridden by the kinds that take orders.

        Raises
        ------
        RefusedError
            If it is no order for this kind.
        """
        raise RefusedError(
            f"{type(order).__name__} is no order for a {self.nature}",
            where=f"{self.echonet.asset} at {self.config.id}",
            hint="command the asset by its nature",
        )

    async def apply(self, command: Command, unit: int) -> Outcome:  # noqa: ARG002
        """Refuse: nothing to command. Overridden by the kinds that take orders."""
        self.aim(command.order)
        raise RefusedError(f"a {self.nature} takes no orders", where=self.config.id)

    async def must_be_in_control(self) -> None:
        """Be online and allowed to command.

        Raises
        ------
        RefusedError
            If nobody has tried orders at this device.
        """
        if not self.may_control:
            raise RefusedError(
                f"{self.config.id} is not commissioned",
                where="ECHONET Lite has no timer that ends an order when we die",
                hint="try orders at the device, then say so in its configuration (commissioned)",
            )
        await self.ensure_online()

    def must_be_settable(self, codes: Iterable[int]) -> None:
        """Refuse what its map does not let be set.

        Raises
        ------
        RefusedError
            If one of the properties is not in the map.
        """
        closed = [f"0x{code:02X}" for code in codes if code not in self.settable]
        if closed:
            raise RefusedError(
                f"{self.config.id} does not let {', '.join(closed)} be set",
                where=f"its property map (0x9E) at {self.echonet.host}",
                hint="allow remote control at the device",
            )

    async def set_and_read_back(self, values: Mapping[int, bytes]) -> str | None:
        """Set properties in one frame and read them; what is shown instead, or None.

        Raises
        ------
        DeviceError
            If it does not answer, refuses, or its map does not allow one of them.
        """
        self.must_be_settable(values)
        try:
            await self.node.set(self.echonet.host, self.object, values)
            self.writes += 1
            await self._fetch(set(values) & self.readable)
        except UnreachableError as error:
            self._fell_silent(error)
            raise
        wrong = [
            f"0x{code:02X} reads {shown.hex()} instead of {data.hex()}"
            for code, data in values.items()
            if code in self.readable and (shown := self._values.get(code, b"")) != data
        ]
        return "; ".join(wrong) or None
