"""Air conditioners behind an adaptor: whole units are written, people's choices are respected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.device import Device
from devices.drivers.base import OVERRIDE, RECHECK, MeterDriver, Verdict, outcome_of, wrong_order
from devices.natures import CLIMATE_CODE, NATURES, ClimateCode, Nature
from energy.core.errors import RefusedError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ClimateMode, Command, CommandSource, Outcome, RoomClimate, Unconfirmed

__all__ = ["ClimateDriver"]

_UNKNOWN_C: Final = math.nan


@dataclass(slots=True)
class _Ordered:
    """What a unit was told, when, and whether it has shown it since."""

    order: RoomClimate
    at: datetime
    written_at: datetime
    seen: bool = False


class ClimateDriver(MeterDriver):
    """Indoor units behind one adapter: copy the state, change what was asked, write the unit as a whole."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: dict[int, _Ordered] = {}

    def _present(self, unit: int) -> bool:
        if "units_connected" not in self.device.profile.points:
            return True
        return bool(int(self.device.raw_value("units_connected")) >> unit & 1)

    def measured(self, name: str, unit: int) -> Measurement:
        """One of the nature's points; the mode is "off" while the unit is, whatever is selected."""
        if self.device.online and not self._present(unit):
            kind = NATURES[Nature.CLIMATE][name]
            return Measurement(name, None, kind, self.device.last_read_at, Quality.INVALID)
        if name != "mode":
            return self.taken(name, unit, name)
        on, operation = self.taken(name, unit, "on"), self.taken(name, unit, "operation")
        if on.value is None:
            return on
        if on.value:
            return operation
        return Measurement(name, float(ClimateCode.OFF), on.unit, on.read_at, on.quality, on.raw)

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Set mode and setpoint of one indoor unit."""
        if not isinstance(command.order, RoomClimate):
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        if not self._present(unit):
            raise RefusedError(
                f"there is no indoor unit {unit + 1}",
                where=self.device.config.id,
                hint="check the group addresses of the units, or the list of zones",
            )
        order, limit = self._aim(command.order, unit)
        sent = self._sent.get(unit)
        if sent is not None and self._settling(sent):
            wrong = None if _same(sent.order, order) else await self._set(order, unit)
            return outcome_of(command, order, limit, wrong)
        shown = self.device.reading("on", unit)
        known_since = self.device.now() - RECHECK if sent is None else sent.at
        if shown is None or shown.read_at <= known_since:
            await self._look(unit)
        if self._shows(order, unit):
            return outcome_of(command, order, limit, None)
        respected = command.source is not CommandSource.EMERGENCY
        if (
            sent is not None
            and _same(sent.order, order)
            and self.device.now() - sent.at < OVERRIDE
            and respected
        ):
            return Unconfirmed(command, self._story(unit))
        return outcome_of(command, order, limit, await self._set(order, unit))

    @property
    def _sets_temperature(self) -> bool:
        return "set_setpoint_c" in self.device.profile.points

    def _aim(self, asked: RoomClimate, unit: int) -> tuple[RoomClimate, str | None]:
        """What can be ordered of what was asked, and the limit that bound."""
        if not self._sets_temperature:  # people set it at the remote controller; nan: we do not know what
            off = asked.mode is ClimateMode.OFF
            return RoomClimate(asked.mode, _UNKNOWN_C), None if off else "the setpoint is set by hand"
        setpoint_c, limit = self.clamped("set_setpoint_c", asked.setpoint_c, unit)
        step = self.device.resolution("set_setpoint_c")
        return RoomClimate(asked.mode, round(setpoint_c / step) * step), limit

    def _settling(self, sent: _Ordered) -> bool:
        """Whether the state cannot show yet what was written."""
        return self.device.now() - sent.at < timedelta(seconds=self.device.profile.settle_s)

    async def _look(self, unit: int) -> None:
        shown = ("on", "operation", "setpoint_c")[: 2 + self._sets_temperature]
        await self.device.look(unit, also=shown)

    def _fresh(self, name: str, unit: int) -> float | None:
        known = name in self.device.profile.points
        return self.device.fresh(name, unit, within=RECHECK) if known else None

    def _shows(self, order: RoomClimate, unit: int) -> bool:
        on, operation, setpoint_c = (self._fresh(name, unit) for name in ("on", "operation", "setpoint_c"))
        if order.mode is ClimateMode.OFF:
            return on == 0.0
        if on != 1.0 or operation != CLIMATE_CODE[order.mode]:
            return False
        if not self._sets_temperature:
            return True
        if setpoint_c is None:
            return False
        return abs(setpoint_c - order.setpoint_c) < 0.5 * self.device.resolution("set_setpoint_c")

    def verdict(self, unit: int) -> Verdict:
        """Whether the unit shows what it was told; what a person changed after that is no disobedience."""
        sent, shown = self._sent.get(unit), self.device.reading("on", unit)
        if sent is None or shown is None or shown.read_at <= sent.at:
            return Verdict()
        if self._shows(sent.order, unit):
            sent.seen = True
            return Verdict(seen=True)
        if sent.seen or not self.effect_due(sent.at, shown.read_at):
            return Verdict()
        return Verdict(False, self._story(unit))

    def forget(self, unit: int) -> None:
        """Write the next order, whatever was written before."""
        self._sent.pop(unit, None)

    def _story(self, unit: int) -> str:
        shown = {name: self._fresh(name, unit) for name in ("on", "operation", "setpoint_c")}
        return "the unit shows " + ", ".join(f"{name}={value}" for name, value in shown.items())

    async def _set(self, order: RoomClimate, unit: int) -> str | None:
        await self._look(unit)  # fan and direction as they are now, not as they were at the last poll
        image = self.device.image(unit)
        image["set_on"] = float(order.mode is not ClimateMode.OFF)
        kept = order
        if order.mode is ClimateMode.OFF and (sent := self._sent.get(unit)) and self._settling(sent):
            kept = sent.order  # the state does not show it yet
        if kept.mode is not ClimateMode.OFF:
            image["set_operation"] = self._raw_mode(kept.mode)
            if self._sets_temperature:
                image["set_setpoint_c"] = kept.setpoint_c
        await self.device.write(image, unit)
        self._sent[unit] = _Ordered(order, self.device.now(), self.device.now())
        return await self.confirmed(image, unit)

    async def refresh(self) -> None:
        """Order again what stands, where the adapter would otherwise switch on by itself."""
        write = self.device.profile.points["set_on"].write
        if write is None or write.refresh_s is None or not self.device.online:
            return
        for unit, sent in list(self._sent.items()):
            due = self.device.now() - sent.written_at >= timedelta(seconds=write.refresh_s)
            if due and self._shows(sent.order, unit):  # what people changed since is theirs
                await self.device.ensure_control()
                told_at, seen = sent.at, sent.seen
                await self._set(sent.order, unit)
                self._sent[unit] = _Ordered(sent.order, told_at, self.device.now(), seen)

    def _raw_mode(self, mode: ClimateMode) -> float:
        code = CLIMATE_CODE[mode]
        values = self.device.profile.points["operation"].values
        return float(next(raw for raw in values if self.device.profile.value_of("operation", raw) == code))


def _same(one: RoomClimate, other: RoomClimate) -> bool:
    """Whether two orders are the same; a setpoint that nobody knows is no difference."""
    return one.mode is other.mode and (one.setpoint_c == other.setpoint_c or math.isnan(one.setpoint_c))
