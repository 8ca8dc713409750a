"""Twin of a Wallbox Quasar with its car."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.car import CarTwin
from devices.twins.server import HOLDING, Span, words
from energy.core.assets import Charger, Vehicle

__all__ = ["ChargerTwin"]

# Wallbox Quasar register table as used by V2G Liberty; holding registers
_CONTROL: Final = 81
_AUTOSTART: Final = 82
_SETPOINT_TYPE: Final = 83
_IDLE_TIMEOUT: Final = 88
_ACTION: Final = 257
_CURRENT: Final = 258
_POWER: Final = 260
_MAX_POWER: Final = 514
_ACTUAL: Final = 526
_STATE: Final = 537
_SOC: Final = 538
_START: Final = 1
_STOP: Final = 2
_LIMITS_W: Final = (1380, 7400)


class ChargerTwin(CarTwin):
    """A bidirectional charger that stops when nobody has spoken to it for its idle timeout."""

    functions: ClassVar[frozenset[int]] = frozenset({3, 6})
    max_read: ClassVar[int] = 60
    first: ClassVar[dict[int, int]] = {
        _CONTROL: 0,
        _AUTOSTART: 1,
        _SETPOINT_TYPE: 0,
        _IDLE_TIMEOUT: 0,
        _ACTION: _STOP,
        _CURRENT: 0,
        _POWER: 0,
        _MAX_POWER: _LIMITS_W[1],
    }
    allowed: ClassVar[dict[int, range]] = {
        _CONTROL: range(2),
        _AUTOSTART: range(2),
        _SETPOINT_TYPE: range(2),
        _IDLE_TIMEOUT: range(65536),
        _ACTION: range(_START, _STOP + 1),
        _CURRENT: range(65536),
        _POWER: range(65536),
        _MAX_POWER: range(_LIMITS_W[0], _LIMITS_W[1] + 1),
    }

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle) -> None:
        super().__init__(name, charger, vehicle)
        rated_w = round(1000.0 * max(charger.max_charge_kw, charger.max_discharge_kw))
        self.settings[_MAX_POWER] = min(max(rated_w, _LIMITS_W[0]), _LIMITS_W[1])

    def wanted_kw(self) -> float:
        """Power that the settings ask for, within the limits of charger and direction. [kW]"""
        remote = self.settings[_CONTROL] == 1 and self.settings[_SETPOINT_TYPE] == 1
        if not (remote and self.settings[_ACTION] == _START):
            return 0.0
        raw = self.settings[_POWER]
        most_kw = self.settings[_MAX_POWER] / 1000.0
        power_kw = (raw - 65536 if raw > 32767 else raw) / 1000.0
        return self.within(min(max(power_kw, -most_kw), most_kw))

    def timeout_s(self) -> float:
        """The idle timeout. [s]"""
        return float(self.settings[_IDLE_TIMEOUT])

    def timed_out(self) -> None:
        """Stop."""
        self.settings[_ACTION] = _STOP

    def unplug(self) -> None:
        """The car leaves; what it was told is forgotten, nothing starts by itself when it is back."""
        self.settings[_ACTION] = _STOP
        super().unplug()

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(81, 3), (88, 1), (257, 4), (514, 1), (526, 1), (527, 16)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        for address, value in self.settings.items():
            yield address, [value]
        yield _ACTUAL, words(round(self.power_kw * 1000.0), "int16")
        yield _STATE, [self._operating_state()]
        yield _SOC, [round(self.soc * 100.0) if self.plugged else 0]

    def _operating_state(self) -> int:
        if not self.plugged:
            return 0
        if self.settings[_ACTION] != _START:
            return 4
        if self.power_kw:
            return 1 if self.power_kw > 0.0 else 11
        return 5 if self.wanted_kw() else 3

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a setting."""
        signed = values[0] - 65536 if values[0] > 32767 else values[0]
        if address == _POWER and abs(signed) > _LIMITS_W[1]:
            return ExcCodes.ILLEGAL_VALUE
        return super().take(address, values)

    def heard(self) -> None:
        """Any message ends the idle time."""
        super().heard()
        self.idle_s = 0.0
