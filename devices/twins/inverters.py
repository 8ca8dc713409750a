"""Twins of inverters other than that of the reference site: SunSpec 7xx, Huawei, hybrids with a battery."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Final

from pymodbus.constants import ExcCodes

from devices.twins.pv import PvTwin
from devices.twins.server import HOLDING, Span, State, Twin, number, numeral, text_words, words
from energy.core.assets import Battery, PvArray

__all__ = ["DerInverterTwin", "DerStorageTwin", "HuaweiTwin", "HybridStorageTwin"]

_BASE: Final = 40000
_MODELS: Final = _BASE + 70  # after the marker and model 1
_NOTHING: Final = 0x8000  # int16 and sunssf that are not implemented
_SET: Final = range(22, 33)  # 704: switch, mode, watts, after, percent, after, switch after, revert timer
_LIMIT: Final = range(14, 20)  # 704: switch, percentage, both after reverting, revert timer


def _common(name: str, model: str) -> list[int]:
    """Marker and model 1."""
    return [
        *(0x5375, 0x6E53, 1, 66),
        *text_words("Twin", 16),
        *text_words(model, 16),
        *([0] * 16),
        *text_words(name, 16),
        *(1, _NOTHING),
    ]


def _measure_ac(power_w: float, injected_wh: float, absorbed_wh: float) -> list[int]:
    """Model 701: power positive when injected, counters as 64-bit numbers."""
    model = [701, 153, *([0xFFFF] * 153)]
    model[2:6] = [2, 1, 3 if power_w else 2, 1]
    model[10] = words(round(power_w / 10.0), "int16")[0]
    model[15:17] = [4000, 2300]
    model[17:19] = words(5000, "uint32")
    model[19:23] = words(int(injected_wh), "uint64")
    model[23:27] = words(int(absorbed_wh), "uint64")
    model[113:123] = [_NOTHING, 0xFFFF, 0xFFFE, 1, *([_NOTHING] * 3), 0, _NOTHING, _NOTHING]
    model[123:155] = [0] * 32
    return model


def _capacity(rated_w: float) -> list[int]:
    """Model 702: ratings."""
    model = [702, 50, *([0xFFFF] * 50)]
    model[2] = model[26] = round(rated_w / 10.0)
    model[45:52] = [1, *([_NOTHING] * 6)]
    return model


class DerInverterTwin(PvTwin):
    """SunSpec DER inverter: models 1, 701, 702 and 704, its limit reverting by itself."""

    # SunSpec model definitions 701, 702 and 704
    functions: ClassVar[frozenset[int]] = frozenset({3, 6, 16})
    _CONTROLS: ClassVar = _MODELS + 155 + 52

    def __init__(self, name: str, pv: PvArray) -> None:
        super().__init__(name, pv, limit=(0, 1000, 1000, 0, 0, 0))

    @property
    def limit_kw(self) -> float:
        """What the limit allows now. [kW]"""
        return self.rated_kw * self.limit[1] / 1000.0 if self.limit[0] else self.rated_kw

    def revert_s(self) -> float:
        """The revert timer, while a limit holds. [s]"""
        return numeral(self.limit[4:6], "uint32") if self.limit[0] else 0.0

    def revert(self) -> None:
        """Take the values for afterwards."""
        self.limit[0:2] = [self.limit[3], self.limit[2]]

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(_BASE, self._CONTROLS + 67 + 2 - _BASE)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table != HOLDING:
            return
        yield _BASE, _common(self.name, "Loopback DER inverter")
        yield _MODELS, _measure_ac(self.power_kw * 1000.0, self.energy_kwh * 1000.0, 0.0)
        yield _MODELS + 155, _capacity(self.rated_kw * 1000.0)
        controls = [704, 65, *([0xFFFF] * 65)]
        controls[14:20] = self.limit
        left_s = max(0.0, self.revert_s() - self.since_write_s)
        controls[20:22] = words(round(left_s), "uint32")
        controls[22] = 0
        controls[53:59] = [_NOTHING, 0xFFFF, _NOTHING, _NOTHING, _NOTHING, _NOTHING]
        yield self._CONTROLS, controls
        yield self._CONTROLS + 67, [0xFFFF, 0]

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a limit: any of its registers."""
        offsets = range(address - self._CONTROLS, address - self._CONTROLS + len(values))
        if offsets[0] not in _LIMIT or offsets[-1] not in _LIMIT:
            return ExcCodes.ILLEGAL_ADDRESS
        limit = list(self.limit)
        limit[offsets[0] - _LIMIT[0] : offsets[-1] - _LIMIT[0] + 1] = values
        if limit[0] > 1 or limit[1] > 1000 or limit[2] > 1000 or limit[3] > 1:
            return ExcCodes.ILLEGAL_VALUE
        self.limit = limit
        self.since_write_s = 0.0
        return None


class HuaweiTwin(PvTwin):
    """Huawei SUN2000: whole watts and hundredths of kilowatt-hours; a limit without a timer."""

    # evcc template huawei-sun2000: registers and decoding
    functions: ClassVar[frozenset[int]] = frozenset({3, 6, 16})

    def __init__(self, name: str, pv: PvArray) -> None:
        super().__init__(name, pv, limit=(1000,))

    @property
    def limit_kw(self) -> float:
        """Tenths of a percent of its rating. [kW]"""
        return self.rated_kw * self.limit[0] / 1000.0

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(30000, 15), (30070, 10), (32000, 20), (32064, 52), (40120, 10)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table == HOLDING:
            yield 30000, text_words("SUN2000-50KTL", 15)
            yield 30073, words(round(self.rated_kw * 1000.0), "uint32")
            yield 40125, self.limit
            yield 32080, words(round(self.power_kw * 1000.0), "int32")
            yield 32106, words(round(self.energy_kwh * 100.0), "uint32")

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a limit; none of its other settings is served here."""
        if address != 40125 or len(values) != 1:
            return ExcCodes.ILLEGAL_ADDRESS
        if values[0] > 1000:
            return ExcCodes.ILLEGAL_VALUE
        self.limit = list(values)
        return None


class StorageTwin(Twin):
    """A battery behind an inverter: it follows the site by itself; its power is positive when it charges.

    Parameters
    ----------
    charge_efficiency, discharge_efficiency : float
        AC to battery and battery to AC. [-]
    """

    functions: ClassVar[frozenset[int]] = frozenset({3, 6, 16})

    def __init__(
        self,
        name: str,
        *,
        capacity_kwh: float,
        rated_kw: float,
        initial_soc: float = 0.5,
        charge_efficiency: float = 1.0,
        discharge_efficiency: float = 1.0,
    ) -> None:
        super().__init__(name)
        self.capacity_kwh = capacity_kwh
        self.rated_kw = rated_kw
        self.energy_kwh = capacity_kwh * initial_soc
        self.power_kw = 0.0
        self.charge_kwh = 0.0
        self.discharge_kwh = 0.0
        self._efficiencies = charge_efficiency, discharge_efficiency

    @property
    def soc(self) -> float:
        """State of charge. [-]"""
        return self.energy_kwh / self.capacity_kwh

    def step(self, dt_s: float, *, wanted_kw: float) -> float:
        """Charge or discharge for a while, as far as rating and battery allow; net AC energy in. [kWh]"""
        charging, giving = self._efficiencies
        energy = min(max(wanted_kw, -self.rated_kw), self.rated_kw) * dt_s / 3600.0
        energy = min(max(energy, -self.energy_kwh * giving), (self.capacity_kwh - self.energy_kwh) / charging)
        self.energy_kwh += energy * charging if energy > 0.0 else energy / giving
        self.charge_kwh += max(0.0, energy)
        self.discharge_kwh += max(0.0, -energy)
        self.power_kw = energy * 3600.0 / dt_s
        self.changed()
        return energy

    def state(self) -> State:
        """Everything that must survive."""
        return {
            "energy_kwh": self.energy_kwh,
            "power_kw": self.power_kw,
            "charge_kwh": self.charge_kwh,
            "discharge_kwh": self.discharge_kwh,
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.energy_kwh = number(state, "energy_kwh")
        self.power_kw = number(state, "power_kw")
        self.charge_kwh = number(state, "charge_kwh")
        self.discharge_kwh = number(state, "discharge_kwh")
        self.changed()

    @abstractmethod
    def models(self) -> list[int]:
        """Its SunSpec models after model 1, without the end."""

    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""
        return [(_BASE, 70 + len(self.models()) + 2)] if table == HOLDING else []

    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers."""
        if table == HOLDING:
            yield _BASE, [*_common(self.name, "Loopback storage"), *self.models(), 0xFFFF, 0]

    def take(self, address: int, values: list[int]) -> ExcCodes | None:  # noqa: ARG002  (whatever it is)
        """Refuse: none of its settings is served here."""
        return ExcCodes.ILLEGAL_ADDRESS


class DerStorageTwin(StorageTwin):
    """SunSpec DER storage: models 1, 701, 702, 704 and 713; a set power that reverts by itself."""

    _CONTROLS: ClassVar = _MODELS + 155 + 52

    def __init__(self, name: str, **rating: float) -> None:
        super().__init__(name, **rating)
        self.set = [0] * len(_SET)
        self.since_write_s = 0.0

    @classmethod
    def of(cls, name: str, battery: Battery) -> DerStorageTwin:
        """The twin of a site's battery."""
        return cls(
            name,
            capacity_kwh=battery.capacity_kwh,
            rated_kw=max(battery.max_charge_kw, battery.max_discharge_kw),
            initial_soc=battery.initial_soc,
            charge_efficiency=battery.charge_efficiency,
            discharge_efficiency=battery.discharge_efficiency,
        )

    def wanted_kw(self, *, otherwise: float = 0.0) -> float:
        """What it was told to take, negative to give; ``otherwise`` while nobody tells. [kW]"""
        return -numeral(self.set[2:4], "int32") / 1000.0 if self.set[0] else otherwise

    def order(self, power_kw: float) -> None:
        """Set its power as a write of its registers would; it stands until the next order."""
        self.set = [1, 1, *words(-round(power_kw * 1000.0), "int32"), *([0] * 7)]
        self.since_write_s = 0.0
        self.changed()

    def step(self, dt_s: float, *, wanted_kw: float) -> float:
        """As any battery; what it was told ends with its timer."""
        timer_s = numeral(self.set[9:11], "uint32")
        self.since_write_s += dt_s
        energy = super().step(dt_s, wanted_kw=wanted_kw)
        if self.set[0] and timer_s and self.since_write_s >= timer_s:
            self.set[0] = self.set[8]
        return energy

    def models(self) -> list[int]:
        """Measurements, ratings, the set power and capacity."""
        measured = _measure_ac(-self.power_kw * 1000.0, self.discharge_kwh * 1000.0, self.charge_kwh * 1000.0)
        controls = [704, 65, *([0xFFFF] * 65)]
        controls[22:33] = self.set
        left_s = max(0.0, numeral(self.set[9:11], "uint32") - self.since_write_s)
        controls[33:35] = words(round(left_s), "uint32")
        controls[53:59] = [_NOTHING, _NOTHING, 0, _NOTHING, _NOTHING, _NOTHING]
        stored = [self.capacity_kwh, self.energy_kwh]
        capacity = [
            713,
            7,
            *(round(kwh * 100.0) for kwh in stored),
            round(self.soc * 1000.0),
            1000,
            0,
            1,
            0xFFFF,
        ]
        return [*measured, *_capacity(self.rated_kw * 1000.0), *controls, *capacity]

    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a set power: any of its registers."""
        first = address - self._CONTROLS - _SET[0]
        if first < 0 or first + len(values) > len(_SET):
            return ExcCodes.ILLEGAL_ADDRESS
        told = list(self.set)
        told[first : first + len(values)] = values
        if told[0] > 1 or told[1] > 1 or told[8] > 1:
            return ExcCodes.ILLEGAL_VALUE
        if abs(numeral(told[2:4], "int32")) > self.rated_kw * 1000.0:
            return ExcCodes.ILLEGAL_VALUE
        self.set = told
        self.since_write_s = 0.0
        return None

    def state(self) -> State:
        """Everything that must survive."""
        told = {f"set_{index}": value for index, value in enumerate(self.set)}
        return {**super().state(), **told, "since_write_s": self.since_write_s}

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.set = [int(number(state, f"set_{index}")) for index in range(len(_SET))]
        self.since_write_s = number(state, "since_write_s")
        super().restore(state)


class HybridStorageTwin(StorageTwin):
    """SunSpec hybrid inverter with a battery: models 1, 103 and 124."""

    def models(self) -> list[int]:
        """Measurements and storage."""
        measured = [103, 50, *([0xFFFF] * 50)]
        measured[14:16] = [words(round(-self.power_kw * 1000.0), "int16")[0], 0]
        measured[16:18] = [5000, 0xFFFE]
        measured[24:27] = [*words(int(self.discharge_kwh * 1000.0), "uint32"), 0]
        measured[38] = 4
        storage = [124, 24, *([0xFFFF] * 24)]
        storage[2] = round(self.rated_kw * 1000.0)
        storage[5] = 0
        storage[8] = round(self.soc * 10000.0)
        storage[11] = 4 if self.power_kw > 0.0 else 3 if self.power_kw < 0.0 else 6
        storage[18:26] = [0, 0, _NOTHING, 0xFFFE, 0xFFFE, _NOTHING, _NOTHING, 0xFFFE]
        return [*measured, *storage]
