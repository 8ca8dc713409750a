"""How each nature is read and commanded, whatever the model; addresses and codings come from the profile.

A command goes: clamp -> already so? -> write in one group -> read back -> outcome. What an asset already does
is not written again (some devices keep such registers in flash, some count commands); whether it still does
it is looked up once in a while, and at once after the device was silent.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, assert_never

from devices.device import Device
from devices.natures import CLIMATE_CODE, NATURES, ChargerState, ClimateCode, Nature
from energy.core.errors import RefusedError, RegisterError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    Command,
    GenerationLimit,
    Order,
    Outcome,
    RoomClimate,
    Unconfirmed,
)

__all__ = ["Driver", "driver_for"]

log = logging.getLogger(__name__)

_RECHECK: Final = timedelta(minutes=5)  # a reading older than this is looked up before it is relied on
_INSIST: Final = timedelta(minutes=10)  # a person's choice at the remote controller stands this long
_RAW_MODES: Final = {ClimateMode.COOL: ClimateCode.COOL, ClimateMode.HEAT: ClimateCode.HEAT}


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
        """Leave the device as it should be when nobody is in control."""
        ...


class MeterDriver:
    """Reads; takes no orders. Base of the others."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def measurements(self, unit: int) -> dict[str, Measurement]:
        """The nature's points of one unit; with value None and STALE while the device is silent."""
        return {name: self._measured(name, unit) for name in NATURES[self.device.profile.nature]}

    def _measured(self, name: str, unit: int) -> Measurement:
        return self._of(name, unit, name)

    def _of(self, name: str, unit: int, source: str) -> Measurement:
        """A nature's point that is a point of the profile."""
        kind = NATURES[self.device.profile.nature][name]
        if not self.device.online:
            return Measurement(name, None, kind, self.device.last_read_at, Quality.STALE)
        reading = self.device.reading(source, unit)
        if reading is None:
            return Measurement(name, None, kind, self.device.last_read_at, Quality.INVALID)
        return Measurement(name, reading.value, kind, reading.read_at, reading.quality, reading.raw)

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Refuse: nothing to command."""
        raise _wrong_order(self.device, command, unit)

    async def refresh(self) -> None:
        """Nothing expires."""

    async def safe_state(self) -> None:
        """Nothing to leave."""

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


def _wrong_order(device: Device, command: Command, unit: int) -> RefusedError:
    return RefusedError(
        f"{type(command.order).__name__} is no order for a {device.profile.nature}",
        where=f"{device.config.assets[unit]} at {device.config.id}",
        hint="command the asset by its nature",
    )


def _outcome(command: Command, order: Order, limit: str | None, wrong: str | None) -> Outcome:
    if wrong is not None:
        return Unconfirmed(command, wrong)
    return Applied(command) if limit is None else Clipped(command, order, limit)


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was written and read back, when, and in which epoch of the device."""

    value: float
    at: datetime
    epoch: tuple[int, int]


class ChargerDriver(MeterDriver):
    """A charger: power setpoint, then the action ``start``; or the action ``stop``, then setpoint zero."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: _Sent | None = None

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or discharge with a power; zero stops."""
        if not isinstance(command.order, ChargerPower):
            raise _wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        target, limit = self.clamped("set_power_kw", command.order.power_kw)
        order = ChargerPower(target)
        if target:
            self._must_be_ready()
        if await self._already(target):
            return _outcome(command, order, limit, None)
        return _outcome(command, order, limit, await self._set(target))

    def _must_be_ready(self) -> None:
        state = self.device.reading("state")
        if state is None or state.value is None:
            return
        if state.value == ChargerState.UNPLUGGED:
            raise RefusedError("no car is plugged", where=self.device.config.id, hint="wait until it is back")
        if state.value == ChargerState.FAULT:
            raise RefusedError(
                "the charger reports a fault", where=self.device.config.id, hint="look at its display"
            )

    async def _already(self, target: float) -> bool:
        sent = self._sent
        if sent is None or sent.epoch != self.device.epoch:
            return False
        write = self.device.profile.points["set_power_kw"].write
        deadband = write.deadband if write is not None else 0.0
        same = sent.value == target or (sent.value * target > 0.0 and abs(sent.value - target) < deadband)
        if self._contradicted(sent):
            self._sent = None
            return False
        if not same:
            return False
        if self.device.now() - sent.at < _RECHECK:
            return True
        if await self.confirmed(self._goal(sent.value)) is not None:
            return False
        self._sent = _Sent(sent.value, self.device.now(), self.device.epoch)
        return True

    def _contradicted(self, sent: _Sent) -> bool:
        """Whether the state speaks against what was sent: the car left, an app or a timer acted."""
        state = self.device.reading("state")
        settled = sent.at + timedelta(seconds=self.device.profile.settle_s)
        if state is None or state.read_at <= settled:
            return state is not None and state.read_at > sent.at and state.value == ChargerState.UNPLUGGED
        running = state.value in (ChargerState.CHARGING, ChargerState.DISCHARGING)
        stopped = state.value in (ChargerState.UNPLUGGED, ChargerState.PAUSED)
        return running if sent.value == 0.0 else stopped

    def _goal(self, target: float) -> dict[str, float]:
        name = "start" if target else "stop"
        goal = {"set_power_kw": target}
        for step in self.device.profile.sequences[name]:
            goal.update(step)
        return goal

    async def _set(self, target: float) -> str | None:
        self._sent = None
        sequences = self.device.profile.sequences
        if target:
            await self.device.write({"set_power_kw": target})
        for step in sequences["start" if target else "stop"]:
            await self.device.write(step)
        wrong = await self.confirmed(self._goal(target))
        if wrong is None:
            self._sent = _Sent(target, self.device.now(), self.device.epoch)
        return wrong

    async def refresh(self) -> None:
        """Say something before the idle timeout ends; any message will do."""
        write = self.device.profile.points["set_power_kw"].write
        if write is None or write.refresh_s is None or not self.device.online:
            return
        state = self.device.reading("state")
        if state is None or (self.device.now() - state.read_at).total_seconds() >= write.refresh_s:
            await self.device.poll()

    async def safe_state(self) -> None:
        """Stop."""
        await self.device.ensure_control()
        wrong = await self._set(0.0)
        if wrong is not None:
            log.warning("device.not_safe id=%s why=%s", self.device.config.id, wrong)


class InverterDriver(MeterDriver):
    """An inverter with a limit that reverts by itself: percentage, timer and switch in one write."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._held: _Sent | None = None

    def _measured(self, name: str, unit: int) -> Measurement:
        if name != "limit_ratio":
            return self._of(name, unit, name)
        percent = self._of(name, unit, "limit_percent")
        enabled = self._of(name, unit, "limit_enabled")
        if enabled.value is None or percent.value is None:
            return percent if percent.value is None else enabled
        ratio = percent.value / 100.0 if enabled.value else 1.0
        return Measurement(
            name, ratio, percent.unit, percent.read_at, percent.quality, percent.raw + enabled.raw
        )

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Limit the generation, or release it."""
        if not isinstance(command.order, GenerationLimit):
            raise _wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        await self._know()
        wanted_kw = command.order.limit_kw
        if wanted_kw is None:
            return _outcome(command, command.order, None, await self._release())
        rated = self.device.reading("rated_kw")
        if rated is None or not rated.value:
            raise RefusedError("the rating of the inverter is not known", where=self.device.config.id)
        step = self.device.resolution("limit_percent")
        percent = math.floor(wanted_kw / rated.value * 100.0 / step + 1e-6) * step  # never above the limit
        percent, limit = self.clamped("limit_percent", min(percent, 100.0))
        order = GenerationLimit(max(0.0, percent / 100.0 * rated.value))
        if self._shown() == (percent, True):
            if self._held is None or self._held.epoch != self.device.epoch:
                self._held = _Sent(
                    percent, self.device.now() - _RECHECK, self.device.epoch
                )  # refresh it soon
            return _outcome(command, order, limit, None)
        return _outcome(command, order, limit, await self._limit(percent))

    def _shown(self) -> tuple[float, bool] | None:
        percent = self.device.fresh("limit_percent", within=_RECHECK)
        enabled = self.device.fresh("limit_enabled", within=_RECHECK)
        if percent is None or enabled is None:
            return None
        step = self.device.resolution("limit_percent")
        return round(percent / step) * step, bool(enabled)

    async def _know(self) -> None:
        if self._shown() is None:
            await self.device.read_points(("limit_percent", "limit_enabled"))

    def _block(self, percent: float, *, enabled: bool) -> dict[str, float]:
        """All registers of the limit: ours, and the constants that lie between them."""
        profile = self.device.profile
        block = {
            name: point.write.constant
            for name, point in profile.points.items()
            if point.write is not None and point.write.constant is not None
        }
        block |= {"limit_percent": percent, "limit_enabled": float(enabled)}
        block["limit_revert_s"] = (
            profile.failsafe.value_s if profile.failsafe is not None and enabled else 0.0
        )
        return block

    async def _limit(self, percent: float) -> str | None:
        self._held = None
        block = self._block(percent, enabled=True)
        await self.device.write(block)
        wrong = await self.confirmed(block)
        if wrong is None:
            self._held = _Sent(percent, self.device.now(), self.device.epoch)
        return wrong

    async def _release(self) -> str | None:
        self._held = None
        shown = self._shown()
        if shown is not None and not shown[1]:
            return None
        block = self._block(100.0, enabled=False)
        await self.device.write(block)
        return await self.confirmed(block)

    async def refresh(self) -> None:
        """Write the limit again before its timer ends."""
        write = self.device.profile.points["limit_percent"].write
        if self._held is None or write is None or write.refresh_s is None:
            return
        if (self.device.now() - self._held.at).total_seconds() >= write.refresh_s:
            await self.device.ensure_control()
            wrong = await self._limit(self._held.value)
            if wrong is not None:
                log.warning("device.refresh_failed id=%s why=%s", self.device.config.id, wrong)

    async def safe_state(self) -> None:
        """Release the limit."""
        await self.device.ensure_control()
        await self._know()
        wrong = await self._release()
        if wrong is not None:
            log.warning("device.not_safe id=%s why=%s", self.device.config.id, wrong)


@dataclass(frozen=True, slots=True)
class _Ordered:
    """What a unit was told, and when."""

    order: RoomClimate
    at: datetime


class ClimateDriver(MeterDriver):
    """Indoor units behind one adapter: copy the state, change what was asked, write the unit as a whole."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: dict[int, _Ordered] = {}

    def _present(self, unit: int) -> bool:
        if "units_connected" not in self.device.profile.points:
            return True
        return bool(int(self.device.raw_value("units_connected")) >> unit & 1)

    def _measured(self, name: str, unit: int) -> Measurement:
        if self.device.online and not self._present(unit):
            kind = NATURES[Nature.CLIMATE][name]
            return Measurement(name, None, kind, self.device.last_read_at, Quality.INVALID)
        if name != "mode":
            return self._of(name, unit, name)
        on, operation = self._of(name, unit, "on"), self._of(name, unit, "operation")
        if on.value is None:
            return on
        if on.value:
            return operation
        return Measurement(name, float(ClimateCode.OFF), on.unit, on.read_at, on.quality, on.raw)

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Set mode and setpoint of one indoor unit."""
        if not isinstance(command.order, RoomClimate):
            raise _wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        if not self._present(unit):
            raise RefusedError(
                f"there is no indoor unit {unit + 1}",
                where=self.device.config.id,
                hint="check the group addresses of the units, or the list of zones",
            )
        setpoint_c, limit = self.clamped("set_setpoint_c", command.order.setpoint_c, unit)
        step = self.device.resolution("set_setpoint_c")
        order = RoomClimate(command.order.mode, round(setpoint_c / step) * step)
        sent = self._sent.get(unit)
        if sent is not None and self._settling(sent):
            wrong = None if sent.order == order else await self._set(order, unit)
            return _outcome(command, order, limit, wrong)
        shown = self.device.reading("on", unit)
        known_since = self.device.now() - _RECHECK if sent is None else sent.at
        if shown is None or shown.read_at <= known_since:
            await self._look(unit)
        if self._shows(order, unit):
            return _outcome(command, order, limit, None)
        if sent is not None and sent.order == order and self.device.now() - sent.at < _INSIST:
            return Unconfirmed(command, self._story(unit))
        return _outcome(command, order, limit, await self._set(order, unit))

    def _settling(self, sent: _Ordered) -> bool:
        """Whether the state cannot show yet what was written."""
        return self.device.now() - sent.at < timedelta(seconds=self.device.profile.settle_s)

    async def _look(self, unit: int) -> None:
        copied = [
            point.write.copy_from
            for point in self.device.profile.points.values()
            if point.write is not None and point.write.copy_from is not None
        ]
        await self.device.read_points([*copied, "on", "operation", "setpoint_c"], unit)

    def _shows(self, order: RoomClimate, unit: int) -> bool:
        on, operation, setpoint_c = (
            self.device.fresh(name, unit, within=_RECHECK) for name in ("on", "operation", "setpoint_c")
        )
        if order.mode is ClimateMode.OFF:
            return on == 0.0
        if on != 1.0 or operation != CLIMATE_CODE[order.mode] or setpoint_c is None:
            return False
        return abs(setpoint_c - order.setpoint_c) < 0.5 * self.device.resolution("set_setpoint_c")

    def _story(self, unit: int) -> str:
        shown = {
            name: self.device.fresh(name, unit, within=_RECHECK) for name in ("on", "operation", "setpoint_c")
        }
        return "the unit shows " + ", ".join(f"{name}={value}" for name, value in shown.items())

    async def _set(self, order: RoomClimate, unit: int) -> str | None:
        await self._look(unit)  # fan and direction as they are now, not as they were at the last poll
        image: dict[str, float] = {}
        for name, point in self.device.profile.points.items():
            if point.write is None:
                continue
            if point.write.constant is not None:
                image[name] = point.write.constant
            elif point.write.copy_from is not None:
                image[name] = self.device.raw_value(point.write.copy_from, unit)
        image["set_on"] = float(order.mode is not ClimateMode.OFF)
        kept = order
        if order.mode is ClimateMode.OFF and (sent := self._sent.get(unit)) and self._settling(sent):
            kept = sent.order  # the state does not show it yet
        if kept.mode is not ClimateMode.OFF:
            image["set_operation"] = self._raw_mode(kept.mode)
            image["set_setpoint_c"] = kept.setpoint_c
        await self.device.write(image, unit)
        self._sent[unit] = _Ordered(order, self.device.now())
        return await self.confirmed(image, unit)

    def _raw_mode(self, mode: ClimateMode) -> float:
        code = _RAW_MODES[mode]
        values = self.device.profile.points["operation"].values
        return float(next(raw for raw in values if self.device.profile.value_of("operation", raw) == code))


def driver_for(device: Device) -> Driver:
    """The driver of a device's nature."""
    match device.profile.nature:
        case Nature.METER:
            return MeterDriver(device)
        case Nature.INVERTER:
            return InverterDriver(device)
        case Nature.CHARGER:
            return ChargerDriver(device)
        case Nature.CLIMATE:
            return ClimateDriver(device)
    assert_never(device.profile.nature)
