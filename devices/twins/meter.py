"""Twin of an Eastron SDM630: powers and counters of one place in the site."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pymodbus.constants import ExcCodes

from devices.twins.server import INPUT, Span, State, Twin, number, words

__all__ = ["MeterTwin"]

# Eastron SDM630-Modbus protocol V1.8, table 1.2.1: input registers, float32, high word first
_VOLTAGES = 0
_CURRENTS = 6
_POWERS = 12
_CURRENT_SUM = 48
_TOTAL_POWER = 52
_FREQUENCY = 70
_IMPORT = 72
_EXPORT = 74


class MeterTwin(Twin):
    """A meter. Its power is the mean of the last step, so that power and counters agree."""

    functions: ClassVar[frozenset[int]] = frozenset({3, 4, 16})
    max_read: ClassVar[int] = 80
    even_only: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.power_kw = 0.0
        self.import_kwh = 0.0
        self.export_kwh = 0.0

    def step(self, energy_kwh: float, *, hours: float) -> None:
        """Count the net energy of a step, positive towards the load. [kWh, h]"""
        self.power_kw = energy_kwh / hours
        self.import_kwh += max(0.0, energy_kwh)
        self.export_kwh += max(0.0, -energy_kwh)
        self.changed()

    def state(self) -> State:
        """Everything that must survive."""
        return {"power_kw": self.power_kw, "import_kwh": self.import_kwh, "export_kwh": self.export_kwh}

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.power_kw = number(state, "power_kw")
        self.import_kwh = number(state, "import_kwh")
        self.export_kwh = number(state, "export_kwh")
        self.changed()

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(0, 90)] if table == INPUT else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table == INPUT:
            amperes = abs(self.power_kw) * 1000.0 / (3.0 * 230.0)
            for phase in range(3):
                yield _VOLTAGES + 2 * phase, words(230.0, "float32")
                yield _CURRENTS + 2 * phase, words(amperes, "float32")
                yield _POWERS + 2 * phase, words(self.power_kw * 1000.0 / 3.0, "float32")
            yield _CURRENT_SUM, words(3.0 * amperes, "float32")
            yield _TOTAL_POWER, words(self.power_kw * 1000.0, "float32")
            yield _FREQUENCY, words(50.0, "float32")
            yield _IMPORT, words(self.import_kwh, "float32")
            yield _EXPORT, words(self.export_kwh, "float32")

    def take(self, address: int, values: list[int]) -> ExcCodes | None:  # noqa: ARG002  (whatever it is)
        """Refuse: none of its settings is served here."""
        return ExcCodes.ILLEGAL_ADDRESS
