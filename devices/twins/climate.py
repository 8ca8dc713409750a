"""Twin of a Daikin DIII-NET adaptor with the indoor units of some rooms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.rooms import Room
from devices.twins.server import HOLDING, INPUT, Span, State, Twin, number, words
from energy.core.outcome import ClimateMode

__all__ = ["AdaptorTwin"]

# Registers as read by the daikin_d3net integration for Home Assistant; limits from Daikin 4P642495-1A
_ABILITIES: Final = 1000  # + 3 n, input
_STATUS: Final = 2000  # + 6 n, input
_ORDERS: Final = 2000  # + 3 n, holding
_CODES: Final = {ClimateMode.HEAT: 1, ClimateMode.COOL: 2}
_MODES: Final = {code: mode for mode, code in _CODES.items()}
_FAN_VALID: Final = 6
_SETPOINTS: Final = range(100, 351)  # 0.1 degC
_RANGE_WORD: Final = 32 | 16 << 8  # highest and lowest setpoint [degC], one byte each


class AdaptorTwin(Twin):
    """Up to sixteen rooms behind one adaptor.

    The holding registers keep what was written; the state follows with the next step: the bus is slow.
    """

    functions: ClassVar[frozenset[int]] = frozenset({3, 4, 6, 16})
    max_read: ClassVar[int] = 32

    def __init__(self, name: str, rooms: Sequence[Room]) -> None:
        super().__init__(name)
        self.rooms = tuple(rooms)
        self.fans = [(1, 3)] * len(self.rooms)  # direction, speed
        self.operations = [2] * len(self.rooms)  # what is selected, also while off
        self.on = [0] * len(self.rooms)
        self.orders = [[0, 0, 0] for _ in self.rooms]
        self.pending: set[int] = set()

    def obey(self) -> None:
        """Carry what was written to the rooms; called before a step."""
        for unit in sorted(self.pending):
            first, second, setpoint = self.orders[unit]
            room = self.rooms[unit]
            if first >> 4 & 0xF == _FAN_VALID:
                self.fans[unit] = (first >> 8 & 0x7, first >> 12 & 0x7)
            self.operations[unit] = second & 0xF
            mode = _MODES.get(second & 0xF, ClimateMode.OFF) if first & 1 else ClimateMode.OFF
            self.on[unit] = first & 1
            room.order(mode, setpoint / 10.0)
        self.pending.clear()

    def state(self) -> State:
        """Everything that must survive, the rooms too."""
        units: State = {}
        for unit, room in enumerate(self.rooms):
            direction, speed = self.fans[unit]
            units[room.zone.id] = {
                **room.state(),
                "fan_direction": direction,
                "fan_speed": speed,
                "operation": self.operations[unit],
                "on": self.on[unit],
                "pending": int(unit in self.pending),
                **{f"order_{index}": value for index, value in enumerate(self.orders[unit])},
            }
        return units

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.pending.clear()
        for unit, room in enumerate(self.rooms):
            own = state.get(room.zone.id)
            saved: State = own if isinstance(own, dict) else {}
            room.restore(saved)
            self.fans[unit] = (int(number(saved, "fan_direction")), int(number(saved, "fan_speed")))
            self.operations[unit] = int(number(saved, "operation"))
            self.on[unit] = int(number(saved, "on"))
            self.orders[unit] = [int(number(saved, f"order_{index}")) for index in range(3)]
            if number(saved, "pending"):
                self.pending.add(unit)
        self.changed()

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        count = len(self.rooms)
        if table == INPUT:
            return [(0, 9), (_ABILITIES, 3 * count), (_STATUS, 6 * count)]
        return [(_ORDERS, 3 * count)]

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table == HOLDING:
            yield _ORDERS, [word for order in self.orders for word in order]
            return
        yield 0, [1, (1 << len(self.rooms)) - 1, *([0] * 7)]
        yield _ABILITIES, [0b1000_1000_0000_0110 | 3 << 12, _RANGE_WORD, _RANGE_WORD] * len(self.rooms)
        shown: list[int] = []
        for unit, room in enumerate(self.rooms):
            direction, speed = self.fans[unit]
            heating = room.running and room.mode is ClimateMode.HEAT
            flags = self.on[unit] | 1 << 3 | self.on[unit] << 5 | heating << 6 | room.running << 7
            shown += [
                flags | direction << 8 | speed << 12,
                self.operations[unit] | self.operations[unit] << 8,
            ]
            shown += [*words(round(room.setpoint_c * 10.0), "int16"), 0]
            shown += [*words(round(room.temp_c * 10.0), "int16"), 0]
        yield _STATUS, shown

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take orders: whole units or single registers; what is not written keeps its old value."""
        flat = [word for order in self.orders for word in order]
        first = address - _ORDERS
        flat[first : first + len(values)] = values
        orders = [flat[index : index + 3] for index in range(0, len(flat), 3)]
        touched = range(first // 3, (first + len(values) - 1) // 3 + 1)
        if any(orders[unit][2] not in _SETPOINTS for unit in touched):
            return ExcCodes.ILLEGAL_VALUE
        self.orders = orders
        self.pending.update(touched)
        return None
