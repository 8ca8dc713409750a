"""Air conditioners behind an adaptor: whole units are written, people's choices are respected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from devices.device import Device
from devices.drivers.base import OVERRIDE, RECHECK, MeterDriver, Verdict, outcome_of, wrong_order
from devices.natures import CLIMATE_CODE, NATURES, ClimateCode, Nature
from energy.core.errors import RefusedError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ClimateMode, Command, CommandSource, Outcome, RoomClimate, Unconfirmed

__all__ = ["ClimateDriver"]


@dataclass(slots=True)
class _Ordered:
    """What a unit was told, when, and whether it has shown it since."""

    order: RoomClimate
    at: datetime
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
        setpoint_c, limit = self.clamped("set_setpoint_c", command.order.setpoint_c, unit)
        step = self.device.resolution("set_setpoint_c")
        order = RoomClimate(command.order.mode, round(setpoint_c / step) * step)
        sent = self._sent.get(unit)
        if sent is not None and self._settling(sent):
            wrong = None if sent.order == order else await self._set(order, unit)
            return outcome_of(command, order, limit, wrong)
        shown = self.device.reading("on", unit)
        known_since = self.device.now() - RECHECK if sent is None else sent.at
        if shown is None or shown.read_at <= known_since:
            await self._look(unit)
        if self._shows(order, unit):
            return outcome_of(command, order, limit, None)
        respected = command.source is not CommandSource.EMERGENCY
        if sent is not None and sent.order == order and self.device.now() - sent.at < OVERRIDE and respected:
            return Unconfirmed(command, self._story(unit))
        return outcome_of(command, order, limit, await self._set(order, unit))

    def _settling(self, sent: _Ordered) -> bool:
        """Whether the state cannot show yet what was written."""
        return self.device.now() - sent.at < timedelta(seconds=self.device.profile.settle_s)

    async def _look(self, unit: int) -> None:
        await self.device.look(unit, also=("on", "operation", "setpoint_c"))

    def _shows(self, order: RoomClimate, unit: int) -> bool:
        on, operation, setpoint_c = (
            self.device.fresh(name, unit, within=RECHECK) for name in ("on", "operation", "setpoint_c")
        )
        if order.mode is ClimateMode.OFF:
            return on == 0.0
        if on != 1.0 or operation != CLIMATE_CODE[order.mode] or setpoint_c is None:
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
        shown = {
            name: self.device.fresh(name, unit, within=RECHECK) for name in ("on", "operation", "setpoint_c")
        }
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
            image["set_setpoint_c"] = kept.setpoint_c
        await self.device.write(image, unit)
        self._sent[unit] = _Ordered(order, self.device.now())
        return await self.confirmed(image, unit)

    def _raw_mode(self, mode: ClimateMode) -> float:
        code = CLIMATE_CODE[mode]
        values = self.device.profile.points["operation"].values
        return float(next(raw for raw in values if self.device.profile.value_of("operation", raw) == code))
