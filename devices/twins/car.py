"""A charger with its car, whatever the make: a battery that comes and goes, a timer that may end a charge."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

from pymodbus.constants import ExcCodes

from devices.twins.server import State, Twin, number
from energy.core.assets import Charger, Vehicle

__all__ = ["CarTwin"]


class CarTwin(Twin):
    """A charger and the battery behind it; energies are exact within a step.

    Subclasses say what their registers hold at the beginning (``first``), which values each takes
    (``allowed``), what power they ask for, and which timer ends it.
    """

    first: ClassVar[dict[int, int]] = {}
    allowed: ClassVar[dict[int, range]] = {}

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle, *, unit_id: int = 1) -> None:
        super().__init__(name, unit_id=unit_id)
        self.charger = charger
        self.vehicle = vehicle
        self.settings = dict(self.first)
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

    @abstractmethod
    def wanted_kw(self) -> float:
        """Power that the settings ask for, within the limits of charger and direction. [kW]"""

    def timeout_s(self) -> float:
        """When nobody has spoken for so long the charger acts by itself; 0 is never. [s]"""
        return 0.0

    def fallback_kw(self) -> float:
        """What it does after its timer has ended. [kW]"""
        return 0.0

    def timed_out(self) -> None:
        """Forget what was asked, if this charger does so when its timer ends."""

    def within(self, power_kw: float) -> float:
        """A power within what charger and car can do. [kW]"""
        if not self.plugged:
            return 0.0
        return min(max(power_kw, -self.charger.max_discharge_kw), self.charger.max_charge_kw)

    def step(self, dt_s: float, *, room_kw: float = math.inf) -> float:
        """Charge or discharge for a while; the timer, a full or an empty battery may end it within.

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
        timeout_s = self.timeout_s()
        active_s = min(dt_s, max(0.0, timeout_s - self.idle_s)) if timeout_s else dt_s
        least_kw = -max(0.0, room_kw)
        energy = max(self.wanted_kw(), least_kw) * active_s / 3600.0
        energy += max(self.fallback_kw(), least_kw) * (dt_s - active_s) / 3600.0
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
            self.timed_out()
        self.power_kw = energy * 3600.0 / dt_s
        self.changed()
        return energy

    def unplug(self) -> None:
        """The car leaves."""
        self.plugged = False
        self.power_kw = 0.0
        self.changed()

    def plug(self, *, used_kwh: float) -> None:
        """The car returns with less energy."""
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

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take settings: all registers of a request, or none."""
        written = {address + offset: raw for offset, raw in enumerate(values)}
        if not written.keys() <= self.allowed.keys():
            return ExcCodes.ILLEGAL_ADDRESS
        if any(raw not in self.allowed[register] for register, raw in written.items()):
            return ExcCodes.ILLEGAL_VALUE
        self.settings |= written
        return None
