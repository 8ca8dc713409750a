"""Twins of meters other than the one of the reference site; each with its own coding and word order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from devices.twins.meter import MeterTwin
from devices.twins.server import HOLDING, INPUT, Span, words

__all__ = ["Em24Twin", "Iem3155Twin", "UmgTwin"]

_VOLTS = 230.0
_HERTZ = 50.0


class Iem3155Twin(MeterTwin):
    """Schneider iEM3155: power in kW, counters as 64-bit whole watt-hours; a wire it does not have is NaN."""

    # Schneider iEM3100/iEM3200 register list (document number = wire address + 1); mbmd iem3000
    functions: ClassVar[frozenset[int]] = frozenset({3, 16})
    max_read: ClassVar[int] = 125
    even_only: ClassVar[bool] = False

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(2999, 6), (3027, 12), (3053, 8), (3109, 2), (3203, 12)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        for phase in range(3):
            amperes = abs(self.power_kw) * 1000.0 / (3.0 * _VOLTS)
            yield 2999 + 2 * phase, words(amperes, "float32")
            yield 3027 + 2 * phase, words(_VOLTS, "float32")
            yield 3053 + 2 * phase, words(self.power_kw / 3.0, "float32")
        yield 3033, [0x7FC0, 0]  # no neutral measured: not a number
        yield 3035, words(_VOLTS, "float32")
        yield 3059, words(self.power_kw, "float32")
        yield 3109, words(_HERTZ, "float32")
        yield 3203, words(round(self.import_kwh * 1000.0), "int64")
        yield 3207, words(round(self.export_kwh * 1000.0), "int64")


class Em24Twin(MeterTwin):
    """Carlo Gavazzi EM24: whole numbers in tenths, the low register first; reads at most 11 registers."""

    # Carlo Gavazzi EM24-DIN communication protocol V3: table of instantaneous variables; OpenEMS EM300
    functions: ClassVar[frozenset[int]] = frozenset({3, 4})
    max_read: ClassVar[int] = 11
    even_only: ClassVar[bool] = False

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table; both tables hold the same."""
        return [(0, 82)] if table in (HOLDING, INPUT) else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        del table  # both show the same
        for phase in range(3):
            yield 2 * phase, words(round(_VOLTS * 10.0), "int32", low_first=True)
        yield 40, words(round(self.power_kw * 10000.0), "int32", low_first=True)
        yield 51, [round(_HERTZ * 10.0)]
        yield 52, words(round(self.import_kwh * 10.0), "int32", low_first=True)
        yield 78, words(round(self.export_kwh * 10.0), "int32", low_first=True)


class UmgTwin(MeterTwin):
    """Janitza UMG 96/604: everything as float32, counters in watt-hours."""

    # Janitza UMG address list as read by mbmd janitza
    functions: ClassVar[frozenset[int]] = frozenset({3, 16})
    max_read: ClassVar[int] = 125
    even_only: ClassVar[bool] = False

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(0x4A38, 84)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        for phase in range(3):
            yield 0x4A38 + 2 * phase, words(_VOLTS, "float32")
            yield 0x4A44 + 2 * phase, words(abs(self.power_kw) * 1000.0 / (3.0 * _VOLTS), "float32")
            yield 0x4A4C + 2 * phase, words(self.power_kw * 1000.0 / 3.0, "float32")
        yield 0x4A52, words(self.power_kw * 1000.0, "float32")
        yield 0x4A6A, words(_HERTZ, "float32")
        yield 0x4A7C, words(self.import_kwh * 1000.0, "float32")
        yield 0x4A84, words(self.export_kwh * 1000.0, "float32")
