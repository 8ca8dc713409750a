"""Twin of a SunSpec inverter: models 1, 103, 121 and 123 at base 40000."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.pv import PvTwin
from devices.twins.server import HOLDING, Span, text_words, words
from energy.core.assets import PvArray

__all__ = ["InverterTwin"]

# SunSpec model definitions 1, 103, 121, 123: number and length of each, offsets from its number
_BASE: Final = 40000
_COMMON: Final = _BASE + 2
_MEASURED: Final = _COMMON + 68
_SETTINGS: Final = _MEASURED + 52
_CONTROLS: Final = _SETTINGS + 32
_END: Final = _CONTROLS + 26
_LIMIT: Final = _CONTROLS + 5  # percentage, window, revert, ramp, switch
_NOT_IMPLEMENTED: Final = 0x8000
_THROTTLED: Final = 5
_SLEEPING: Final = 2
_MPPT: Final = 4


class InverterTwin(PvTwin):
    """An inverter with a power limit that reverts when its timer ends."""

    functions: ClassVar[frozenset[int]] = frozenset({3, 6, 16})

    def __init__(self, name: str, pv: PvArray) -> None:
        super().__init__(name, pv, limit=(10000, 0, 0, 0, 0))  # 0.01 %, s, s, s, switch
        self._power_step_w = 10 if self.rated_kw > 30.0 else 1  # W is an int16: 32 kW at most in single watts

    @property
    def limit_kw(self) -> float:
        """What the limit allows now. [kW]"""
        return self.rated_kw * self.limit[0] / 10000.0 if self.limit[4] else self.rated_kw

    def revert_s(self) -> float:
        """The revert timer, while a limit holds. [s]"""
        return float(self.limit[2]) if self.limit[4] else 0.0

    def revert(self) -> None:
        """Switch the limit off."""
        self.limit[4] = 0

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(_BASE, _END + 2 - _BASE)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        yield _BASE, [0x5375, 0x6E53]
        yield _COMMON, [1, 66]
        yield _COMMON + 2, text_words("Twin", 16)
        yield _COMMON + 18, text_words("Loopback inverter", 16)
        yield _COMMON + 50, text_words(self.name, 16)
        yield _COMMON + 66, [1, _NOT_IMPLEMENTED]
        yield _MEASURED, [103, 50, *([0xFFFF] * 4), 0]
        yield _MEASURED + 7, [0xFFFF] * 3 + [2300, 2300, 2300, 0xFFFF]  # volts, factor 10^-1
        watts = round(self.power_kw * 1000.0 / self._power_step_w)
        yield _MEASURED + 14, [*words(watts, "int16"), 1 if self._power_step_w == 10 else 0]
        yield _MEASURED + 16, [5000, 0xFFFE]
        yield _MEASURED + 18, [_NOT_IMPLEMENTED] * 6
        yield _MEASURED + 24, [*words(int(self.energy_kwh * 1000.0) % 2**32, "uint32"), 0]
        yield _MEASURED + 27, [0xFFFF, _NOT_IMPLEMENTED] * 2 + [_NOT_IMPLEMENTED] * 7
        yield _MEASURED + 38, [self._operating_state(), 0xFFFF]
        rated = round(self.rated_kw * 1000.0)
        scale = 0 if rated <= 60000 else 2
        yield _SETTINGS, [121, 30, rated // 10**scale]
        yield _SETTINGS + 3, [400, *([0xFFFF] * 18)]
        yield _SETTINGS + 21, [0xFFFF, scale, 0, 0, *([_NOT_IMPLEMENTED] * 7)]
        yield _CONTROLS, [123, 24, 0, 0, 1, *self.limit, *([0xFFFF] * 13), 0xFFFE, 0xFFFE, 0xFFFE]
        yield _END, [0xFFFF, 0]

    def _operating_state(self) -> int:
        if self.power_kw <= 0.0:
            return _SLEEPING
        return _THROTTLED if self.power_kw >= self.limit_kw - 1e-9 and self.limit[4] else _MPPT

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a limit: any of its five registers."""
        offset = address - _LIMIT
        if offset < 0 or offset + len(values) > len(self.limit):
            return ExcCodes.ILLEGAL_ADDRESS
        limit = list(self.limit)
        limit[offset : offset + len(values)] = values
        if limit[0] > 10000 or limit[4] > 1:
            return ExcCodes.ILLEGAL_VALUE
        self.limit = limit
        self.since_write_s = 0.0
        return None
