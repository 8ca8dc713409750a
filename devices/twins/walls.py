"""A room whose walls have a temperature of their own: what a plan's one capacity does not know."""

from __future__ import annotations

from dataclasses import dataclass

from devices.twins.rooms import Room, Surroundings
from devices.twins.server import State, number
from energy.core.assets import HvacZone

__all__ = ["WalledRoom", "Walls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """How a room's capacity and loss are divided between its air and its walls.

    Parameters
    ----------
    share : float
        Of the capacity that the walls have. [-]
    coupling : float
        Conductance between air and walls over the whole loss; above ``1 - direct``. [-]
    direct : float
        Share of the loss that leaves the air without passing the walls: windows, ventilation. [-]
    sun_share : float
        Of the sun that the walls take up. [-]
    """

    share: float
    coupling: float
    direct: float = 0.3
    sun_share: float = 0.5


class WalledRoom(Room):
    """Two capacities behind one thermostat; it measures and holds the air.

    ``C_a dT/dt = G (W - T) + D (T_out - T) + q_a``, ``C_w dW/dt = G (T - W) + M (T_out - W) + q_w`` with
    ``D + G M / (G + M)`` the zone's loss and ``C_a + C_w`` its capacity; explicit steps of at most ten
    seconds, far below the fastest time constant of a room.
    """

    def __init__(self, zone: HvacZone, walls: Walls) -> None:
        super().__init__(zone)
        loss = zone.loss_kw_per_k
        self._walls = walls
        self._air = (1.0 - walls.share) * zone.capacitance_kwh_per_k
        self._mass = walls.share * zone.capacitance_kwh_per_k
        self._between = walls.coupling * loss
        self._direct = walls.direct * loss
        through = loss - self._direct
        self._outwards = through * self._between / (self._between - through)
        self.wall_c = zone.initial_c

    def _move(self, dt_s: float, decay: float, around: Surroundings, heat_kw: float) -> None:  # noqa: ARG002
        hours = dt_s / 3600.0
        sun = self._walls.sun_share * self.zone.solar_aperture_m2 * around.ghi_w_m2 / 1000.0
        flow = self._between * (self.wall_c - self.temp_c)
        into_air = flow + self._direct * (around.outdoor_c - self.temp_c) + heat_kw - sun
        into_walls = self._outwards * (around.outdoor_c - self.wall_c) + sun - flow
        self.temp_c += into_air * hours / self._air
        self.wall_c += into_walls * hours / self._mass

    def state(self) -> State:
        """Everything that must survive."""
        return {**super().state(), "wall_c": self.wall_c}

    def restore(self, state: State) -> None:
        """Take up a state."""
        super().restore(state)
        self.wall_c = number(state, "wall_c")
