"""What the drivers of all natures share: readings as measurements, limits, read-back, outcomes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from devices.device import Device
from devices.natures import NATURES, Nature
from devices.plausible import CounterGuard, FrozenGuard
from devices.registers import Kind, number_range
from devices.values import Reading
from energy.core.errors import RefusedError, RegisterError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import Applied, Clipped, Command, Order, Outcome, Unconfirmed
from energy.core.series import Unit

__all__ = [
    "OVERRIDE",
    "RECHECK",
    "Driver",
    "MeterDriver",
    "Sent",
    "Verdict",
    "not_safe",
    "outcome_of",
    "wrong_order",
]

OVERRIDE: Final = timedelta(minutes=10)  # what a person chose at the device stands this long
RECHECK: Final = timedelta(minutes=5)  # a reading older than this is looked up before it is relied on


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether equipment does what it was told: yes, no and how it looks instead, or not to be said (yet)."""

    seen: bool | None = None
    story: str = ""


class Driver(Protocol):
    """Reads and commands the assets of one device."""

    def measurements(self, unit: int) -> dict[str, Measurement]:
        """The nature's points of one unit, from what was last read."""
        ...

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Carry out a command."""
        ...

    async def refresh(self) -> None:
        """Send again what would expire."""
        ...

    async def safe_state(self) -> None:
        """Leave the device as it should be when nobody is in control, or raise ``DeviceError``."""
        ...

    def verdict(self, unit: int) -> Verdict:
        """Whether the equipment does what one unit was told, by what was last read."""
        ...

    def forget(self, unit: int) -> None:
        """Take for unknown what one unit was told, so that it is written again."""
        ...


class MeterDriver:
    """Reads; takes no orders. Base of the others."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._counters: dict[str, CounterGuard] = {}
        self._counted: dict[str, tuple[datetime, float | None]] = {}
        self._frozen = FrozenGuard()
        self._before: dict[str, Mapping[str, float | str]] = {}

    def measurements(self, unit: int) -> dict[str, Measurement]:
        """The nature's points of one unit; with value None and STALE while the device is silent."""
        return {name: self.measured(name, unit) for name in NATURES[self.device.profile.nature]}

    def measured(self, name: str, unit: int) -> Measurement:
        """One of the nature's points; overridden where it is made of several points of the profile."""
        return self.taken(name, unit, name)

    def taken(self, name: str, unit: int, source: str) -> Measurement:
        """A nature's point that is a point of the profile."""
        kind = NATURES[self.device.profile.nature][name]
        if not self.device.online:
            return Measurement(name, None, kind, self.device.last_read_at, Quality.STALE)
        known = source in self.device.profile.points  # not every model has every point of its nature
        reading = self.device.reading(source, unit) if known else None
        if reading is None:
            return Measurement(name, None, kind, self.device.last_read_at, Quality.INVALID)
        value, quality = reading.value, reading.quality
        if value is not None and kind is Unit.KWH:
            value = self._counter(name, reading)
            quality = Quality.INVALID if value is None else quality
        elif value is not None and name == "power_kw" and self._stands_still(value, reading.read_at):
            value, quality = None, Quality.STALE
        return Measurement(name, value, kind, reading.read_at, quality, reading.raw)

    def _counter(self, name: str, reading: Reading) -> float | None:
        """A counter without wraps, restarts and jumps; each reading is taken once."""
        known = self._counted.get(name)
        if known is not None and known[0] == reading.read_at:
            return known[1]
        points = self.device.profile.points
        guard = self._counters.get(name)
        if guard is None:
            power = points.get("power_kw") or points.get("generation_kw")
            rated_kw = self.device.config.rated_kw
            if rated_kw is None:
                rated_kw = max(abs(end) for end in power.valid) if power and power.valid else math.inf
            guard = self._counters[name] = CounterGuard(f"{self.device.config.id}.{name}", rated_kw)
            if name in self._before:
                guard.restore(self._before.pop(name))
        assert reading.value is not None  # the caller has looked
        value = guard.take(reading.value, reading.read_at, wrap_kwh=self._wrap_kwh(name))
        self._counted[name] = (reading.read_at, value)
        return value

    def _wrap_kwh(self, name: str) -> float | None:
        point = self.device.profile.points[name]
        if point.type not in (Kind.UINT16, Kind.UINT32, Kind.INT32):
            return None  # wider ones do not live long enough to wrap
        return (number_range(point.type)[1] + 1.0) * self.device.resolution(name)

    def _stands_still(self, power_kw: float, at: datetime) -> bool:
        """Whether a meter shows power that its own counters do not see."""
        if self.device.profile.nature is not Nature.METER:
            return False
        counters = [self.device.reading(name) for name in ("import_kwh", "export_kwh")]
        return self._frozen.frozen(power_kw, tuple(one and one.raw for one in counters), at)

    def state(self) -> dict[str, dict[str, float | str]]:
        """Where the counters were, and by how much they restarted; as values that go through JSON."""
        kept = {name: dict(known) for name, known in self._before.items()}
        return kept | {name: known for name, guard in self._counters.items() if (known := guard.state())}

    def restore(self, state: Mapping[str, Mapping[str, float | str]]) -> None:
        """Go on counting from :meth:`state` of an earlier run."""
        self._before = dict(state)

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Refuse: nothing to command."""
        raise wrong_order(self.device, command, unit)

    async def refresh(self) -> None:
        """Nothing expires."""

    async def safe_state(self) -> None:
        """Nothing to leave."""

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002  (nobody was told anything)
        """Nothing was told."""
        return Verdict()

    def forget(self, unit: int) -> None:
        """Nothing was told."""

    def effect_due(self, told_at: datetime, read_at: datetime) -> bool:
        """Whether what was read must already show what was told."""
        effect = self.device.profile.effect
        return effect is not None and read_at >= told_at + timedelta(seconds=effect.within_s)

    def clamped(self, name: str, value: float, unit: int = 0) -> tuple[float, str | None]:
        """A value within the limits of its point, and the limit that bound."""
        write = self.device.profile.points[name].write
        low, high, source = -math.inf, math.inf, ""
        if write is not None and write.clamp is not None:
            (low, high), source = write.clamp, "profile"
        if write is not None and write.clamp_to is not None:
            known = self.device.reading(write.clamp_to, unit)
            if known is not None and known.value is not None and known.value < high:
                low, high, source = max(low, -known.value), known.value, write.clamp_to
        if value < low:
            return low, f"{source} {low:g}"
        return (high, f"{source} {high:g}") if value > high else (value, None)

    async def confirmed(self, values: Mapping[str, float], unit: int = 0) -> str | None:
        """Like ``Device.confirm``; an answer that does not fit counts as not confirmed."""
        try:
            return await self.device.confirm(values, unit)
        except RegisterError as error:
            return str(error)


def wrong_order(device: Device, command: Command, unit: int) -> RefusedError:
    """The error for an order that is not of the device's nature."""
    return RefusedError(
        f"{type(command.order).__name__} is no order for a {device.profile.nature}",
        where=f"{device.config.assets[unit]} at {device.config.id}",
        hint="command the asset by its nature",
    )


def not_safe(device: Device, wrong: str) -> RefusedError:
    """The error for a device that reads back otherwise after its safe state was written."""
    return RefusedError(
        "the safe state was written and does not stand",
        where=f"{device.config.id}: {wrong}",
        hint="look at the device",
    )


def outcome_of(command: Command, order: Order, limit: str | None, wrong: str | None) -> Outcome:
    """What became of a command: read back wrong, carried out at a limit, or as asked."""
    if wrong is not None:
        return Unconfirmed(command, wrong)
    return Applied(command) if limit is None else Clipped(command, order, limit)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was written and read back, when, and in which epoch of the device."""

    value: float
    at: datetime
    epoch: tuple[int, int]
