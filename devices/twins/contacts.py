"""Twin of a relay block: two coils, and two inputs that show what the contacts do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pymodbus.constants import ExcCodes

from devices.twins.server import COIL, DISCRETE, Span, State, Twin, number

__all__ = ["ContactsTwin"]


class ContactsTwin(Twin):
    """Relays: the feedback follows its contact with the next step; all open when nobody speaks for long."""

    # Modbus Application Protocol V1.1b3, 6.1, 6.2, 6.5, 6.11
    functions: ClassVar[frozenset[int]] = frozenset({1, 2, 5, 15})
    watchdog_s: ClassVar[float] = 60.0

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.closed = [False, False]
        self.feedback = [False, False]
        self.silent_s = 0.0

    def step(self, dt_s: float) -> None:
        """Let time pass. [s]"""
        self.silent_s += dt_s
        if self.silent_s > self.watchdog_s:
            self.closed = [False, False]
        self.feedback = list(self.closed)

    def heard(self) -> None:
        """Any message feeds the watchdog."""
        super().heard()
        self.silent_s = 0.0

    def state(self) -> State:
        """Everything that must survive."""
        return {
            "silent_s": self.silent_s,
            **{f"closed_{index}": int(bit) for index, bit in enumerate(self.closed)},
            **{f"feedback_{index}": int(bit) for index, bit in enumerate(self.feedback)},
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.silent_s = number(state, "silent_s")
        self.closed = [bool(number(state, f"closed_{index}")) for index in range(2)]
        self.feedback = [bool(number(state, f"feedback_{index}")) for index in range(2)]

    def spans(self, table: str) -> list[Span]:
        """It has no registers."""
        del table
        return []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """It has no registers."""
        del table
        return []

    def take(self, address: int, values: list[int]) -> ExcCodes | None:  # noqa: ARG002  (whatever it is)
        """It has no registers."""
        return ExcCodes.ILLEGAL_ADDRESS

    def bits(self, table: str) -> list[bool]:
        """Coils and inputs."""
        return {COIL: self.closed, DISCRETE: self.feedback}[table]

    def take_bits(self, address: int, values: list[bool]) -> ExcCodes | None:
        """Close or open contacts."""
        if address + len(values) > len(self.closed):
            return ExcCodes.ILLEGAL_ADDRESS
        self.closed[address : address + len(values)] = values
        return None
