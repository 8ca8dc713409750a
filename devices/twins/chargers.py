"""Twins of chargers other than the one of the reference site; each with the limits and lies of its model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.car import CarTwin
from devices.twins.server import HOLDING, Span, numeral, text_words, words
from energy.core.assets import Charger, Vehicle

__all__ = ["AlfenTwin", "CharxTwin", "EvtecTwin", "KebaTwin"]

_ANY: Final = range(65536)
_KW_PER_A: Final = 0.69  # three phases at 230 V
_LEAST_A: Final = 6.0  # IEC 61851-1: a lower current cannot be told to a car


def _charging_kw(amperes: float) -> float:
    """Power at a current on three phases; a current that is too low does not charge. [kW]"""
    return amperes * _KW_PER_A if amperes >= _LEAST_A else 0.0


class EvtecTwin(CarTwin):
    """EVTEC coffee&charge / BiDiPro, its first connector (unit 2): signed power setpoint in watts."""

    # OpenEMS EvcsEvTec and V2G Liberty evtec_bidi_pro_10_client: registers and states
    functions: ClassVar[frozenset[int]] = frozenset({3, 16})
    first: ClassVar[dict[int, int]] = {600: 0, 601: 0, 602: 0}
    allowed: ClassVar[dict[int, range]] = {600: _ANY, 601: _ANY, 602: range(2)}

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle) -> None:
        super().__init__(name, charger, vehicle, unit_id=2)

    def _setpoint_w(self) -> float:
        return numeral([self.settings[600], self.settings[601]], "int32")

    def wanted_kw(self) -> float:
        """What the setpoint asks for, unless charging is suspended. [kW]"""
        return 0.0 if self.settings[602] else self.within(self._setpoint_w() / 1000.0)

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(0, 65), (600, 3)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        yield 0, self._states()
        yield 3, words(380.0 if self.plugged else 0.0, "float32")
        yield 5, words(abs(round(self.power_kw * 1000.0)), "uint32")
        yield 7, words(self.power_kw * 1000.0 / 380.0, "float32")
        yield 9, words(self.power_kw * 1000.0, "float32")
        yield 11, [round(self.soc * 1000.0) if self.plugged else 0, 2]  # 2: CHAdeMO
        yield 13, [*words(10000, "uint32"), *words(200, "uint32")]
        yield (
            19,
            [*words(self.charge_kwh * 1000.0, "float32"), *words(self.discharge_kwh * 1000.0, "float32")],
        )
        yield 59, words(self.vehicle.capacity_kwh * 1000.0, "float32")
        yield 61, words(self.battery_kwh * 1000.0, "float32")
        for address, value in self.settings.items():
            yield address, [value]

    def _states(self) -> list[int]:
        """Station and charging state."""
        if not self.plugged:
            return [1, 0]
        if self.settings[602]:
            return [7, 4]
        return [4, 3] if self.power_kw else [2, 2]

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a setting; the setpoint is two registers or none, and within 10 kW."""
        if address == 601 or (address == 600 and len(values) < 2):
            return ExcCodes.ILLEGAL_ADDRESS
        if address == 600 and abs(numeral(values[:2], "int32")) > 10000.0:
            return ExcCodes.ILLEGAL_VALUE
        return super().take(address, values)


class KebaTwin(CarTwin):
    """KEBA KeContact P30: unit 255, one value a request, currents in mA, some registers only written."""

    # KEBA P30 Modbus TCP Programmers Guide V1.02 and 1.07: 32-bit reads, 16-bit writes
    functions: ClassVar[frozenset[int]] = frozenset({3, 6})
    max_read: ClassVar[int] = 2
    first: ClassVar[dict[int, int]] = {5004: 16000, 5014: 1, 5016: 6000, 5018: 0}
    allowed: ClassVar[dict[int, range]] = {
        5004: range(6000, 63001),
        5014: range(2),
        5016: range(63001),
        5018: range(601),
    }
    _WRITE_ONLY: ClassVar = (5004, 5014, 5016, 5018)

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle) -> None:
        super().__init__(name, charger, vehicle, unit_id=255)

    def wanted_kw(self) -> float:
        """What current and switch ask for. [kW]"""
        return self.within(_charging_kw(self.settings[5004] / 1000.0)) if self.settings[5014] else 0.0

    def timeout_s(self) -> float:
        """The fail-safe timeout; only writes feed it. [s]"""
        return float(self.settings[5018])

    def fallback_kw(self) -> float:
        """The fail-safe current. [kW]"""
        return self.within(_charging_kw(self.settings[5016] / 1000.0))

    def _shown(self) -> dict[int, int]:
        amps = round(self.power_kw / _KW_PER_A * 1000.0)
        return {
            1000: self._charging_state(),
            1004: 7 if self.plugged else 3,
            1006: 0,
            1008: amps,
            1010: amps,
            1012: amps,
            1014: 18416854,
            1016: 304111,
            1018: 50990336,
            1020: round(self.power_kw * 1e6),
            1036: round(self.charge_kwh * 10000.0),
            1040: 230,
            1042: 230,
            1044: 230,
            1502: round(self.charge_kwh * 10000.0),
            1550: 3,
            1552: 1,
            1600: self.settings[5016],
            1602: self.settings[5018],
        }

    def _charging_state(self) -> int:
        if self.power_kw:
            return 3
        if not self.plugged:
            return 1
        return 2 if self.settings[5014] else 5

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        if table != HOLDING:
            return []
        return [(address, 2) for address in self._shown()] + [(address, 1) for address in self._WRITE_ONLY]

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers; what was written is not shown."""
        if table == HOLDING:
            for address, value in self._shown().items():
                yield address, words(value, "uint32")

    def readable(self, table: str, address: int, count: int) -> bool:
        """Only whole values, each on its own."""
        return table == HOLDING and address in self._shown() and count == 2

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a setting; it feeds the fail-safe timer."""
        self.idle_s = 0.0
        return super().take(address, values)


class AlfenTwin(CarTwin):
    """Alfen NG9xx, its first socket: a highest current that is forgotten after a minute."""

    # Alfen, Implementation of Modbus Slave TCP/IP for NG9xx, version 2.3, 3.4
    functions: ClassVar[frozenset[int]] = frozenset({3, 6, 16})
    first: ClassVar[dict[int, int]] = {1210: 0, 1211: 0, 1215: 3}
    allowed: ClassVar[dict[int, range]] = {1210: _ANY, 1211: _ANY, 1215: range(1, 4, 2)}
    safe_a: ClassVar[float] = 6.0  # set by the installer
    validity_s: ClassVar[float] = 60.0

    def __init__(self, name: str, charger: Charger, vehicle: Vehicle) -> None:
        super().__init__(name, charger, vehicle)
        self.idle_s = self.validity_s  # nobody has said anything yet

    def _applied_a(self) -> float:
        if self.idle_s >= self.validity_s:
            return self.safe_a
        return numeral([self.settings[1210], self.settings[1211]], "float32")

    def wanted_kw(self) -> float:
        """What the highest current allows: a car takes all it may. [kW]"""
        return self.within(_charging_kw(numeral([self.settings[1210], self.settings[1211]], "float32")))

    def timeout_s(self) -> float:
        """The validity time; only writing the current feeds it. [s]"""
        return self.validity_s

    def fallback_kw(self) -> float:
        """The safe current. [kW]"""
        return self.within(_charging_kw(self.safe_a))

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(300, 126), (1200, 16)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers; what a socket does not measure is NaN."""
        if table != HOLDING:
            return
        yield 300, [0xFFFF] * 126
        for phase in range(3):
            yield 306 + 2 * phase, words(230.0, "float32")
            yield 320 + 2 * phase, words(self.power_kw / _KW_PER_A, "float32")
        yield 344, words(self.power_kw * 1000.0, "float32")
        yield 374, words(self.charge_kwh * 1000.0, "float64")
        yield 1200, [1, *text_words(self._mode3(), 5)]
        yield 1206, words(self._applied_a(), "float32")
        yield 1208, words(round(max(0.0, self.validity_s - self.idle_s)), "uint32")
        for address, value in self.settings.items():
            yield address, [value]
        yield 1212, words(self.safe_a, "float32")
        yield 1214, [1]

    def _mode3(self) -> str:
        if not self.plugged:
            return "A"
        return "C2" if self.power_kw else "B2" if self._applied_a() >= _LEAST_A else "B1"

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a setting; a value of two registers is written whole or not at all."""
        if address == 1211 or (address == 1210 and len(values) != 2):
            return ExcCodes.ILLEGAL_ADDRESS
        if address == 1210 and not 0.0 <= numeral(values, "float32") <= 63.0:
            return ExcCodes.ILLEGAL_VALUE
        refusal = super().take(address, values)
        if refusal is None and address == 1210:
            self.idle_s = 0.0
        return refusal


class CharxTwin(CarTwin):
    """Phoenix Contact CHARX SEC, its first charging point: currents in whole amperes."""

    # evcc phoenix-charx: charging point * 1000 + offset
    functions: ClassVar[frozenset[int]] = frozenset({3, 4, 6, 16})
    first: ClassVar[dict[int, int]] = {1300: 0, 1301: 16}
    allowed: ClassVar[dict[int, range]] = {1300: range(2), 1301: range(6, 81)}

    def wanted_kw(self) -> float:
        """What current and switch ask for. [kW]"""
        return self.within(_charging_kw(self.settings[1301])) if self.settings[1300] else 0.0

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(100, 15), (1232, 20), (1264, 1), (1287, 4), (1299, 3)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        yield 100, [*text_words("CHARX", 10), *text_words("1.5.1", 4), 1]
        for phase in range(3):
            yield 1232 + 2 * phase, words(230_000, "uint32")
            yield 1238 + 2 * phase, words(round(self.power_kw / _KW_PER_A * 1000.0), "uint32")
        yield 1244, words(round(self.power_kw * 1e6), "uint32")
        yield 1250, words(round(self.charge_kwh * 1000.0), "uint32")
        yield 1264, [round(self.soc * 100.0) if self.plugged else 0]
        yield 1299, text_words(self._status(), 1)
        for address, value in self.settings.items():
            yield address, [value]

    def _status(self) -> str:
        if not self.plugged:
            return "A1"
        return "C2" if self.power_kw else "B2" if self.settings[1300] else "B1"
