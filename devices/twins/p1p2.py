"""Twin of a Daikin EKMBPP1 adapter with the one room of its group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.rooms import Room
from devices.twins.server import HOLDING, INPUT, Span, State, Twin, number, words
from energy.core.outcome import ClimateMode

__all__ = ["P1P2Twin"]

# Daikin EKMBPP1 installation manual 4P720139-1B and -1C, 6.3.3, 6.4.1, 6.5.1, 6.5.2
_ORDERS: Final = 0  # holding; 3 mode, 4 airflow direction, 5 on or off
_MODE: Final = 3
_ON: Final = 5
_CODES: Final = {1: ClimateMode.HEAT, 3: ClimateMode.COOL}
_NO_ERROR: Final = 255
_TIMEOUT_S: Final = 120.0


class P1P2Twin(Twin):
    """A group of indoor units behind one adapter, its master timeout switched on.

    As its manual says it forgives what it should refuse: an unknown mode is ignored, an unknown switch is on;
    and when nobody has written for two minutes, everything is switched ON.
    """

    functions: ClassVar[frozenset[int]] = frozenset({3, 4, 6, 16})
    max_read: ClassVar[int] = 10

    def __init__(self, name: str, room: Room) -> None:
        super().__init__(name)
        self.room = room
        self.orders = [0, 0, 3, 3, 1, 0]
        self.silent_s = 0.0
        self._obey()

    def _obey(self) -> None:
        mode = _CODES.get(self.orders[_MODE], ClimateMode.OFF) if self.orders[_ON] else ClimateMode.OFF
        self.room.order(mode, self.room.setpoint_c)

    def waited(self, dt_s: float) -> None:
        """Nobody has written for a while; called before a step."""
        self.silent_s += dt_s
        if self.silent_s > _TIMEOUT_S and not self.orders[_ON]:
            self.orders[_ON] = 1
            self._obey()
        self.changed()

    def state(self) -> State:
        """Everything that must survive, the room too."""
        return {
            **self.room.state(),
            "silent_s": self.silent_s,
            **{f"order_{index}": value for index, value in enumerate(self.orders)},
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.room.restore(state)
        self.silent_s = number(state, "silent_s")
        self.orders = [int(number(state, f"order_{index}")) for index in range(len(self.orders))]
        self.changed()

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(20, 4), (50, 2)] if table == INPUT else [(_ORDERS, 6)]

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table == HOLDING:
            yield _ORDERS, self.orders
            return
        room_c = words(round(self.room.temp_c * 100.0), "int16")
        yield 20, [1, 0, _NO_ERROR, *room_c]
        heating = self.room.running and self.room.mode is ClimateMode.HEAT
        yield 50, [*room_c, 1 if heating else 2 if self.room.running else 0]

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take orders, forgiving what is out of range."""
        if address < _MODE or address + len(values) > len(self.orders):
            return ExcCodes.ILLEGAL_ADDRESS
        for register, raw in enumerate(values, start=address):
            if register == _MODE and raw > 4:
                continue
            self.orders[register] = min(raw, 1) if register == _ON else raw
        self.silent_s = 0.0
        self._obey()
        return None
