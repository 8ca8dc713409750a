"""One device on the wire: it comes online, is read, written, read back, and goes offline, by its profile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from devices.backoff import BackOff, Connection
from devices.config import DeviceConfig
from devices.planner import Block, Item, plan_reads, split
from devices.profile import Profile
from devices.registers import Kind, decode, encode, extract_bits, insert_bits
from devices.sunspec import scan_models
from devices.transport import Access, Transport
from devices.values import Reading, mismatch, read_point, scale_exponent, scale_reading
from energy.core.clock import Clock
from energy.core.errors import DeviceError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Quality

__all__ = ["Connection", "Device", "Reading"]

log = logging.getLogger(__name__)

_ILLEGAL_FUNCTION: Final = 1
_ILLEGAL_ADDRESS: Final = 2
_CAREFUL_READ: Final = 60  # registers: twice as many, doubled by a bad gateway, overrun the client's buffer
_LOOKS: Final = 5  # at what a device has only acknowledged so far
_FLOATS: Final = frozenset({Kind.FLOAT32, Kind.FLOAT64})


class Device:
    """A device, its link and what was last read from it. Not safe for two tasks: hold :attr:`lock`.

    Parameters
    ----------
    config : DeviceConfig
        Where it is.
    profile : Profile
        What it is.
    transport : Transport
        Its link, shared with other units at the same address.
    clock : Clock
        Time of readings and of back-off.
    access : Access
        Whether control is taken after connecting. The transport refuses writes on its own account.
    """

    def __init__(
        self, config: DeviceConfig, profile: Profile, *, transport: Transport, clock: Clock, access: Access
    ) -> None:
        self.config = config
        self.profile = profile
        self.lock = asyncio.Lock()
        self.connection = Connection.NEVER
        self.control_error: str | None = None
        self.writes = 0
        self.lapses = 0
        self.last_read_at = clock.now()
        self._transport = transport
        self._clock = clock
        self._access = access
        self._generation = -1
        self._back_off = BackOff(config.id)
        self._wire = profile.wire
        self._still_working = False
        self._last_contact: datetime | None = None
        self._models: dict[int, int] = {}
        self._blocks: tuple[Block, ...] = ()
        self._readings: dict[tuple[str, int], Reading] = {}

    # Link

    @property
    def online(self) -> bool:
        """Whether it answers, as far as we know."""
        return self.connection is Connection.ONLINE

    @property
    def epoch(self) -> tuple[int, int]:
        """Changes when the device may have forgotten what we wrote: a new link, or a lapse of contact."""
        return self._generation, self.lapses

    @property
    def sunspec(self) -> tuple[int, ...]:
        """SunSpec models that it was found to have."""
        return tuple(sorted(self._models))

    def now(self) -> datetime:
        """Current instant, UTC."""
        return self._clock.now()

    async def ensure_online(self) -> None:
        """Connect, find the registers, check identity, take control; nothing to do if that stands.

        Raises
        ------
        DeviceError
            If it does not answer, is not the device of the profile, or is being left alone for a while.
        """
        if self.online and self._transport.connected and self._generation == self._transport.generation:
            return
        now = self._clock.now()
        if self._back_off.waits(now):
            raise UnreachableError(
                f"{self.config.id} does not answer",
                where=f"{self.config.host}:{self.config.port}, next try at {self._back_off.retry_at}",
                hint="check power, cable and address of the device",
            )
        try:
            await self._transport.connect()
            self._generation = self._transport.generation
            await self._set_up()
        except DeviceError as error:
            self._fell_silent(error)
            raise
        if self._back_off.failures or self.connection is Connection.OFFLINE:
            log.info("device.online id=%s tries=%d", self.config.id, self._back_off.failures + 1)
        self.connection = Connection.ONLINE
        self._back_off.succeeded()

    def _fell_silent(self, error: DeviceError) -> None:
        now = self._clock.now()
        if self._back_off.waits(now):
            return  # counted already
        if self.connection is not Connection.OFFLINE:
            log.warning("device.offline id=%s why=%s", self.config.id, error)
        self.connection = Connection.OFFLINE
        self._readings.clear()
        self._back_off.failed(now, error)

    def _touch(self, now: datetime, *, writing: bool = False) -> None:
        failsafe = self.profile.failsafe
        if failsafe is not None and failsafe.fed_by == "write" and not writing:
            return
        if failsafe is not None and self._last_contact is not None:
            silent_s = (now - self._last_contact).total_seconds()
            self.lapses += silent_s > failsafe.value_s
        self._last_contact = now

    async def _set_up(self) -> None:
        self._readings.clear()
        if self.profile.sunspec_models:
            self._models = await scan_models(
                self._transport, self.config.unit_id, self.profile.sunspec_models
            )
        once = [name for name, point in self.profile.points.items() if point.poll == "connect"]
        once += [check.point for check in self.profile.identity]
        await self._read_blocks(plan_reads(self._items(once), self._wire))
        for check in self.profile.identity:
            seen = self.reading(check.point)
            number = self.raw_value(check.point) if check.text is None else None
            other = mismatch(check, None if seen is None else seen.text, number)
            if other is not None:
                raise RegisterError(
                    f"{self.config.id} is not a {self.profile.title}",
                    where=other,
                    hint="check address, unit number and profile of the device",
                )
        always = [name for name, point in self.profile.points.items() if point.poll == "always"]
        self._blocks = plan_reads(self._items(always), self._wire)
        await self._take_control()

    @property
    def takes_orders(self) -> bool:
        """Whether there is anything to order of this model."""
        return self.profile.control != "none"

    @property
    def may_control(self) -> bool:
        """Whether orders may be given to this device at all, whatever the access."""
        return self.takes_orders and self.config.commissioned

    async def _take_control(self) -> None:
        """Run the profile's sequence and set the fail-safe; a refusal leaves the device readable."""
        self.control_error = None
        if self._access is not Access.CONTROL or not self.may_control:
            return
        try:
            for step in self.profile.sequences.get("take_control", ()):
                await self.write(step)
                await self._must_confirm(step)
            failsafe = self.profile.failsafe
            if failsafe is not None and failsafe.point is not None and failsafe.asserted == "connect":
                await self.write({failsafe.point: failsafe.value_s})
                await self._must_confirm({failsafe.point: failsafe.value_s})
        except (RefusedError, RegisterError) as error:
            self.control_error = str(error)
            log.warning("device.no_control id=%s why=%s", self.config.id, error)

    async def _must_confirm(self, values: Mapping[str, float]) -> None:
        wrong = await self.confirm(values)
        if wrong is not None:
            raise RefusedError(
                f"{self.config.id} does not take control settings",
                where=wrong,
                hint="allow remote control in the settings of the device",
            )

    async def ensure_control(self) -> None:
        """Be online and in control.

        Raises
        ------
        RefusedError
            If access does not allow writing, or the device does not hand over control.
        """
        await self.ensure_online()
        self._must_allow_control()
        if self.control_error is not None:
            await self._take_control()
        if self.control_error is not None:
            raise RefusedError(f"{self.config.id} does not hand over control", where=self.control_error)

    def _must_allow_control(self) -> None:
        if self.may_control:
            return
        if self.profile.control == "none":
            raise RefusedError(
                f"{self.profile.title} cannot be controlled",
                where=self.config.id,
                hint="its profile has no control; it is only read",
            )
        raise RefusedError(
            f"{self.profile.title} is not commissioned",
            where=f"{self.config.id}: nobody has tried orders at this device",
            hint="vpp device commission tries them; then name its record in the device's entry",
        )

    # Reading

    def _address(self, name: str, unit: int) -> int:
        place = self.profile.points[name].at
        start = place.base + place.stride * unit
        return start if place.model is None else start + self._models[place.model]

    def _items(self, names: Iterable[str], units: Iterable[int] | None = None) -> list[Item]:
        items = []
        for name in dict.fromkeys(names):
            point = self.profile.points[name]
            every = range(len(self.config.assets)) if units is None else units
            for unit in every if point.at.stride else (0,):
                start = self._address(name, unit)
                end = start + point.width
                if point.scale_point is not None:
                    scale_at = self._address(point.scale_point, unit)
                    start, end = min(start, scale_at), max(end, scale_at + 1)
                items.append(Item(name, unit, point.at.space, start, end - start))
        return items

    def reading(self, name: str, unit: int = 0) -> Reading | None:
        """What was last read of a point since the device came online."""
        return self._readings.get((name, unit if self.profile.points[name].at.stride else 0))

    def fresh(self, name: str, unit: int = 0, *, within: timedelta) -> float | None:
        """Value of a point if it is known and young enough."""
        reading = self.reading(name, unit)
        if reading is None or self._clock.now() - reading.read_at > within:
            return None
        return reading.value

    def raw_value(self, name: str, unit: int = 0) -> float:
        """What stands in the registers of a point, scaled but otherwise unjudged: for copying it elsewhere.

        Raises
        ------
        RegisterError
            If it was not read.
        """
        point = self.profile.points[name]
        reading = self.reading(name, unit)
        if reading is None or not reading.raw:
            raise RegisterError(
                f"{name} of unit {unit + 1} is not known",
                where=self.config.id,
                hint="nothing was written, for it would change what was not meant",
            )
        if point.bits is not None:
            return extract_bits(reading.raw[0], *point.bits)
        return decode(reading.raw, point.type, point.order or self.profile.order) * point.scale * point.sign

    async def poll(self) -> None:
        """Read all points that are read every time.

        Raises
        ------
        DeviceError
            If the device does not answer.
        """
        await self.ensure_online()
        self._blocks = await self._read_blocks(self._blocks)
        self.last_read_at = self._clock.now()

    async def read_points(self, names: Iterable[str], unit: int = 0) -> int:
        """Read some points of one unit now, to be known to :meth:`reading`; how many requests it took."""
        return len(await self._read_blocks(plan_reads(self._items(names, (unit,)), self._wire)))

    async def _read_blocks(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        kept: list[Block] = []
        try:
            for block in blocks:
                kept.extend(await self._read_block(block))
        except UnreachableError as error:
            self._fell_silent(error)
            raise
        return tuple(kept)

    async def _read_block(self, block: Block) -> tuple[Block, ...]:
        """Read a block; what is left of it to read next time, where the device has holes."""
        unit_id = self.config.unit_id
        try:
            words = await self._transport.read(unit_id, block.space, block.start, block.count)
        except UnreachableError:
            if block.count > _CAREFUL_READ:
                log.warning("device.smaller_reads id=%s most=%d", self.config.id, _CAREFUL_READ)
                self._wire = self._wire.model_copy(update={"max_read": _CAREFUL_READ})
            raise
        except RegisterError as error:
            code = error.details.get("exception")
            if code == _ILLEGAL_FUNCTION:  # for good: it is not asked again before the next connection
                log.warning("device.no_function id=%s why=%s", self.config.id, error)
                self._unknown(block, Quality.INVALID)
                return ()
            if code != _ILLEGAL_ADDRESS:
                self._unknown(block, Quality.STALE)
                return (block,)
            parts = split(block, self._wire)
            if not parts:
                log.warning(
                    "device.hole id=%s points=%s", self.config.id, ",".join(item.name for item in block.items)
                )
                self._unknown(block, Quality.INVALID)
            return tuple([kept for part in parts for kept in await self._read_block(part)])
        now = self._clock.now()
        self._touch(now)
        for item in block.items:
            self._take(item, words, block.start, now)
        return (block,)

    def _unknown(self, block: Block, quality: Quality) -> None:
        for item in block.items:
            self._readings[item.name, item.unit] = Reading(None, quality, (), self.last_read_at)

    def _take(self, item: Item, words: tuple[int, ...], start: int, now: datetime) -> None:
        """Keep what a request said about a point, and about its scale factor."""
        profile, point = self.profile, self.profile.points[item.name]
        offset = self._address(item.name, item.unit) - start
        exponent: int | None = 0
        if point.scale_point is not None:
            word = words[self._address(point.scale_point, item.unit) - start]
            exponent = scale_exponent(word)
            self._readings[point.scale_point, item.unit] = scale_reading(word, now)
        self._readings[item.name, item.unit] = read_point(
            profile, item.name, words[offset : offset + point.width], exponent=exponent, at=now
        )

    # Writing

    def resolution(self, name: str, unit: int = 0) -> float:
        """Smallest step of a point, in its unit; 0 for a floating-point register.

        Raises
        ------
        RegisterError
            If its scale factor was not read yet.
        """
        point = self.profile.points[name]
        if point.type in _FLOATS:
            return 0.0
        if point.scale_point is None:
            return point.scale
        exponent = self.reading(point.scale_point, unit)
        if exponent is None or exponent.value is None:
            raise RegisterError(
                f"scale factor of {name} is not known", where=self.config.id, hint="read the point first"
            )
        return float(point.scale * 10.0**exponent.value)

    def _raw(self, name: str, value: float, unit: int) -> float:
        point = self.profile.points[name]
        if point.type in _FLOATS:
            return point.sign * value / point.scale
        return round(point.sign * value / self.resolution(name, unit))

    def registers_of(self, values: Mapping[str, float], unit: int = 0) -> tuple[int, list[int]]:
        """First register and contents of the one request that writes points.

        Raises
        ------
        RegisterError
            If the points do not lie side by side, or a value does not fit.
        """
        words: dict[int, int] = {}
        for name, value in values.items():
            point = self.profile.points[name]
            address = self._address(name, unit)
            raw = self._raw(name, value, unit)
            if point.bits is not None:
                words[address] = insert_bits(words.get(address, 0), int(raw), *point.bits)
                continue
            for offset, word in enumerate(encode(raw, point.type, point.order or self.profile.order)):
                words[address + offset] = word
        first, count = min(words), len(words)
        most = self.profile.wire.max_write
        if max(words) - first + 1 != count or count > most:
            raise RegisterError(
                f"{', '.join(values)} cannot be written at once",
                where=f"{self.config.id}: registers {sorted(words)}, at most {most} side by side",
                hint="mend the sequence in the profile",
            )
        return first, [words[first + offset] for offset in range(count)]

    async def look(self, unit: int = 0, *, also: Iterable[str] = ()) -> None:
        """Read what :meth:`image` copies, and some other points."""
        copied = [
            point.write.copy_from
            for point in self.profile.points.values()
            if point.write is not None and point.write.copy_from is not None
        ]
        await self.read_points([*copied, *also], unit)

    def image(self, unit: int = 0) -> dict[str, float]:
        """What has to be written along with an order: constants, and what shall stay as it was last read."""
        image: dict[str, float] = {}
        for name, point in self.profile.points.items():
            if point.write is None:
                continue
            if point.write.constant is not None:
                image[name] = point.write.constant
            elif point.write.copy_from is not None:
                image[name] = self.raw_value(point.write.copy_from, unit)
        return image

    async def write(self, values: Mapping[str, float], unit: int = 0) -> None:
        """Write points that lie side by side in one request.

        Raises
        ------
        RefusedError
            If access does not allow it, or the device refuses.
        RegisterError
            If the points do not lie side by side, or a value does not fit.
        UnreachableError
            If nobody answers.
        """
        self._must_allow_control()
        first, block = self.registers_of(values, unit)
        one, several = self.profile.points[next(iter(values))].at.space.write_functions
        functions: list[int] = [code for code in (one, several) if code in set(self.profile.wire.functions)]
        if len(block) > 1:
            functions = [several]
        try:
            self._still_working = await self._send(first, block, functions)
        except UnreachableError as error:
            self._fell_silent(error)
            raise
        self.writes += 1
        self._touch(self._clock.now(), writing=True)
        log.debug("device.write id=%s unit=%d %s", self.config.id, unit, dict(values))

    async def _send(self, first: int, block: list[int], functions: list[int]) -> bool:
        """Write registers, with another function code where the device does not know the first."""
        unit_id = self.config.unit_id
        for function in functions[:-1]:
            try:
                return await self._transport.write(unit_id, first, block, function=function)
            except RefusedError as error:
                if error.details.get("exception") != _ILLEGAL_FUNCTION:
                    raise
        return await self._transport.write(unit_id, first, block, function=functions[-1])

    async def confirm(self, values: Mapping[str, float], unit: int = 0) -> str | None:
        """Read written points back; what they say if they say something else, else None.

        A register that can only be written is not asked about: for it, being acknowledged has to do. A device
        that is still working on it is asked a few times.
        """
        for _ in range(_LOOKS if self._still_working else 0):
            if await self._differs(values, unit) is None:
                break
            await asyncio.sleep(self._wire.busy_wait_s)
        self._still_working = False
        return await self._differs(values, unit)

    async def _differs(self, values: Mapping[str, float], unit: int) -> str | None:
        shown = {name: by for name in values if (by := self.profile.shown_by(name)) is not None}
        await self.read_points(shown.values(), unit)
        for name, by in shown.items():
            value, point, reading = values[name], self.profile.points[name], self.reading(by, unit)
            slack = point.write.tolerance if point.write is not None else 0.0
            slack += 0.5000001 * self.resolution(name, unit)  # half a step, for rounding
            if reading is None or reading.value is None or abs(reading.value - value) > slack:
                seen = "nothing" if reading is None or reading.value is None else f"{reading.value:g}"
                return f"{name} reads {seen}, {value:g} was written"
        return None
