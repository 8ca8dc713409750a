"""Natures: what the rest of the program reads from equipment, whatever its make.

A device model has one nature; its profile says from which registers the points of the nature come. Powers are
positive into the asset, generation is >= 0, counters only grow. A point that is not known is ``None``.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

from energy.core.outcome import ClimateMode
from energy.core.series import Unit

__all__ = [
    "CLIMATE_CODE",
    "NATURES",
    "READ_POINTS",
    "WRITE_POINTS",
    "ChargerState",
    "ClimateCode",
    "Nature",
    "climate_mode",
]


class Nature(StrEnum):
    """What a device can do."""

    METER = "meter"
    INVERTER = "inverter"
    CHARGER = "charger"
    CLIMATE = "climate"
    STORAGE = "storage"
    CONTACTS = "contacts"


class ChargerState(IntEnum):
    """States of a charger, the values of its point ``state``."""

    UNPLUGGED = 0
    WAITING = 1  # plugged, nobody has paused it, no energy flows
    CHARGING = 2
    DISCHARGING = 3
    PAUSED = 4  # stopped by a command, by its idle timeout or by a person
    FAULT = 5


class ClimateCode(IntEnum):
    """Modes of an air conditioner, the values of its point ``mode``."""

    OFF = 0
    COOL = 1
    HEAT = 2
    OTHER = 3  # fan, dry, automatic: a person chose something that we do not command


CLIMATE_CODE: Final = {
    ClimateMode.OFF: ClimateCode.OFF,
    ClimateMode.COOL: ClimateCode.COOL,
    ClimateMode.HEAT: ClimateCode.HEAT,
}
_MODE_OF_CODE: Final = {code: mode for mode, code in CLIMATE_CODE.items()}


def climate_mode(code: float) -> ClimateMode | None:
    """The mode behind a value of the point ``mode``; None for one that we do not command."""
    return _MODE_OF_CODE.get(ClimateCode(int(code)))


NATURES: Final[dict[Nature, dict[str, Unit]]] = {
    Nature.METER: {"power_kw": Unit.KW, "import_kwh": Unit.KWH, "export_kwh": Unit.KWH},
    Nature.INVERTER: {"generation_kw": Unit.KW, "generation_kwh": Unit.KWH, "limit_ratio": Unit.RATIO},
    Nature.CHARGER: {
        "power_kw": Unit.KW,
        "soc": Unit.RATIO,
        "plugged": Unit.RATIO,
        "state": Unit.RATIO,
    },
    Nature.CLIMATE: {
        "room_c": Unit.CELSIUS,
        "setpoint_c": Unit.CELSIUS,
        "mode": Unit.RATIO,
        "on": Unit.RATIO,
    },
    Nature.STORAGE: {"power_kw": Unit.KW, "soc": Unit.RATIO},
    Nature.CONTACTS: {"demand_ratio": Unit.RATIO},
}

# Points that a profile must define so that a nature can be read; the drivers make the points above of them.
# What a model does not have beyond these (a state of charge, a setpoint) is None with the quality INVALID.
READ_POINTS: Final[dict[Nature, frozenset[str]]] = {
    Nature.METER: frozenset({"power_kw", "import_kwh", "export_kwh"}),
    Nature.INVERTER: frozenset({"generation_kw", "generation_kwh"}),
    Nature.CHARGER: frozenset({"power_kw", "plugged", "state"}),
    Nature.CLIMATE: frozenset({"room_c", "on", "operation"}),
    Nature.STORAGE: frozenset({"power_kw", "soc"}),
    Nature.CONTACTS: frozenset(),  # its points are those that its demand steps name
}

# Points that it must allow to be written so that a nature can be commanded: one of these sets.
WRITE_POINTS: Final[dict[Nature, tuple[frozenset[str], ...]]] = {
    Nature.METER: (),
    Nature.INVERTER: (
        frozenset({"limit_percent", "limit_revert_s", "limit_enabled"}),
        frozenset({"limit_percent"}),  # one register, 100 % releases
    ),
    Nature.CHARGER: (frozenset({"set_power_kw"}), frozenset({"set_current_a"})),
    Nature.CLIMATE: (
        frozenset({"set_on", "set_operation", "set_setpoint_c"}),
        frozenset({"set_on", "set_operation"}),  # people set the temperature
    ),
    Nature.STORAGE: (frozenset({"set_power_kw", "set_enabled", "set_revert_s"}),),
    Nature.CONTACTS: (frozenset(),),
}
