"""An inverter with its array, whatever the make: it generates what the sun, a limit and the site allow."""

from __future__ import annotations

import math
from abc import abstractmethod

from devices.twins.server import State, Twin, number
from energy.core.assets import PvArray

__all__ = ["PvTwin"]


class PvTwin(Twin):
    """An inverter; energies are exact within a step.

    Parameters
    ----------
    limit : sequence of int
        The registers of its limit, which survive a restart of the twin; none if it takes no limit.
    """

    def __init__(self, name: str, pv: PvArray, *, limit: tuple[int, ...] = ()) -> None:
        super().__init__(name)
        self.rated_kw = pv.inverter_kw
        self.power_kw = 0.0
        self.energy_kwh = 0.0
        self.curtailed_kwh = 0.0
        self.limit = list(limit)
        self.since_write_s = 0.0

    @property
    @abstractmethod
    def limit_kw(self) -> float:
        """What the limit allows now. [kW]"""

    def revert_s(self) -> float:
        """When the limit ends by itself, counted from its last writing; 0 is never. [s]"""
        return 0.0

    def revert(self) -> None:
        """The limit ends by itself."""

    def step(self, dt_s: float, *, available_kw: float, room_kw: float = math.inf) -> float:
        """Generate for a while; the limit may revert within.

        Parameters
        ----------
        available_kw : float
            What the sun would give. [kW]
        room_kw : float
            What the site can take: on a connection without export the inverter's own export limiter holds it
            below the load, in seconds. [kW]

        Returns
        -------
        float
            Energy generated. [kWh]
        """
        possible_kw = min(max(0.0, available_kw), self.rated_kw)
        left_s = dt_s
        revert_s = self.revert_s()
        if revert_s:
            left_s = min(dt_s, max(0.0, revert_s - self.since_write_s))
        energy = min(possible_kw, self.limit_kw) * left_s / 3600.0
        self.since_write_s += dt_s
        if left_s < dt_s:
            self.revert()
            energy += min(possible_kw, self.limit_kw) * (dt_s - left_s) / 3600.0
        energy = min(energy, max(0.0, room_kw) * dt_s / 3600.0)
        self.power_kw = energy * 3600.0 / dt_s
        self.energy_kwh += energy
        self.curtailed_kwh += max(0.0, possible_kw * dt_s / 3600.0 - energy)
        self.changed()
        return energy

    def state(self) -> State:
        """Everything that must survive."""
        return {
            "power_kw": self.power_kw,
            "energy_kwh": self.energy_kwh,
            "curtailed_kwh": self.curtailed_kwh,
            "since_write_s": self.since_write_s,
            **{f"limit_{index}": value for index, value in enumerate(self.limit)},
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.power_kw = number(state, "power_kw")
        self.energy_kwh = number(state, "energy_kwh")
        self.curtailed_kwh = number(state, "curtailed_kwh")
        self.since_write_s = number(state, "since_write_s")
        self.limit = [int(number(state, f"limit_{index}")) for index in range(len(self.limit))]
        self.changed()
