"""Twin of a Wallbox Quasar with its car: a battery that comes and goes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.server import HOLDING, Span, State, Twin, number, words
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
_ALLOWED: Final = {
    _CONTROL: range(2),
    _AUTOSTART: range(2),
    _SETPOINT_TYPE: range(2),
    _IDLE_TIMEOUT: range(65536),
    _ACTION: range(_START, _STOP + 1),
    _CURRENT: range(65536),
    _POWER: range(65536),
    _MAX_POWER: range(_LIMITS_W[0], _LIMITS_W[1] + 1),
}


class ChargerTwin(Twin):
    """A bidirectional charger and the battery behind it; energies are exact within a step."""

    functions: ClassVar[frozenset[int]] = frozenset({3, 6})
    max_read: ClassVar[int] = 60

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle) -> None:
        super().__init__(name)
        self.charger = charger
        self.vehicle = vehicle
        rated_w = round(1000.0 * max(charger.max_charge_kw, charger.max_discharge_kw))
        self.settings = {
            _CONTROL: 0,
            _AUTOSTART: 1,
            _SETPOINT_TYPE: 0,
            _IDLE_TIMEOUT: 0,
            _ACTION: _STOP,
            _CURRENT: 0,
            _POWER: 0,
            _MAX_POWER: min(max(rated_w, _LIMITS_W[0]), _LIMITS_W[1]),
        }
        self.battery_kwh = vehicle.capacity_kwh * vehicle.initial_soc
        self.plugged = True
        self.idle_s = 0.0
        self.power_kw = 0.0
        self.charge_kwh = 0.0
        self.discharge_kwh = 0.0
        self.driven_kwh = 0.0

    @property
    def soc(self) -> float:
        """State of charge of the car, wherever it is. [-]"""
        return self.battery_kwh / self.vehicle.capacity_kwh

    def wanted_kw(self) -> float:
        """Power that the settings ask for, within the limits of charger and direction. [kW]"""
        remote = self.settings[_CONTROL] == 1 and self.settings[_SETPOINT_TYPE] == 1
        if not (self.plugged and remote and self.settings[_ACTION] == _START):
            return 0.0
        raw = self.settings[_POWER]
        power_kw = (raw - 65536 if raw > 32767 else raw) / 1000.0
        most_kw = self.settings[_MAX_POWER] / 1000.0
        low = -min(self.charger.max_discharge_kw, most_kw)
        return min(max(power_kw, low), min(self.charger.max_charge_kw, most_kw))

    def step(self, dt_s: float, *, room_kw: float = math.inf) -> float:
        """Charge or discharge for a while; the idle timeout, a full or an empty battery may end it within.

        Parameters
        ----------
        room_kw : float
            What the site can take: a charger on a connection without export follows the load by itself, in
            seconds, and gives back no more than this. [kW]

        Returns
        -------
        float
            Net AC energy into the car. [kWh]
        """
        timeout_s = self.settings[_IDLE_TIMEOUT]
        active_s = min(dt_s, max(0.0, timeout_s - self.idle_s)) if timeout_s else dt_s
        power_kw = max(self.wanted_kw(), -max(0.0, room_kw))
        energy = power_kw * active_s / 3600.0
        if energy > 0.0:
            room = (self.vehicle.capacity_kwh - self.battery_kwh) / self.charger.charge_efficiency
            energy = min(energy, max(0.0, room))
            self.battery_kwh += energy * self.charger.charge_efficiency
            self.charge_kwh += energy
        elif energy < 0.0:
            energy = -min(-energy, self.battery_kwh * self.charger.discharge_efficiency)
            self.battery_kwh = max(0.0, self.battery_kwh + energy / self.charger.discharge_efficiency)
            self.discharge_kwh -= energy
        self.idle_s += dt_s
        if active_s < dt_s:
            self.settings[_ACTION] = _STOP
        self.power_kw = energy * 3600.0 / dt_s
        self.changed()
        return energy

    def unplug(self) -> None:
        """The car leaves; what it was told is forgotten."""
        self.plugged = False
        self.power_kw = 0.0
        self.settings[_ACTION] = _STOP
        self.changed()

    def plug(self, *, used_kwh: float) -> None:
        """The car returns with less energy; nothing starts by itself."""
        used = min(max(0.0, used_kwh), self.battery_kwh)
        self.battery_kwh -= used
        self.driven_kwh += used
        self.plugged = True
        self.changed()

    def state(self) -> State:
        """Everything that must survive."""
        return {
            "battery_kwh": self.battery_kwh,
            "plugged": int(self.plugged),
            "idle_s": self.idle_s,
            "power_kw": self.power_kw,
            "charge_kwh": self.charge_kwh,
            "discharge_kwh": self.discharge_kwh,
            "driven_kwh": self.driven_kwh,
            **{f"register_{address}": value for address, value in self.settings.items()},
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.battery_kwh = number(state, "battery_kwh")
        self.plugged = bool(number(state, "plugged"))
        self.idle_s = number(state, "idle_s")
        self.power_kw = number(state, "power_kw")
        self.charge_kwh = number(state, "charge_kwh")
        self.discharge_kwh = number(state, "discharge_kwh")
        self.driven_kwh = number(state, "driven_kwh")
        self.settings = {address: int(number(state, f"register_{address}")) for address in self.settings}
        self.changed()

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
        allowed = _ALLOWED.get(address)
        if allowed is None:
            return ExcCodes.ILLEGAL_ADDRESS
        raw = values[0]
        signed = raw - 65536 if raw > 32767 else raw
        if raw not in allowed or (address == _POWER and abs(signed) > _LIMITS_W[1]):
            return ExcCodes.ILLEGAL_VALUE
        self.settings[address] = raw
        return None

    def heard(self) -> None:
        """Any message ends the idle time."""
        super().heard()
        self.idle_s = 0.0
