"""The classes that are spoken: V2H charger 0x027E, package AC 0x0145 and 0x0146, smart meter 0x0288."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from devices.drivers.base import OVERRIDE, Verdict, outcome_of
from devices.echonet.codes import (
    cumulative_kwh,
    day_readings,
    power_limits_w,
    signed_power_w,
    temperature_c,
    timed_reading,
    unsigned,
    whole_watts,
)
from devices.echonet.device import Aim, EchonetConfig, EchonetDevice
from devices.echonet.frame import Object
from devices.echonet.node import EchonetNode
from devices.natures import ChargerState, ClimateCode, Nature
from devices.plausible import CounterGuard
from energy.core.clock import Clock
from energy.core.errors import RefusedError, RegisterError
from energy.core.outcome import (
    ChargerPower,
    ClimateMode,
    Command,
    Order,
    Outcome,
    RoomClimate,
    Unconfirmed,
)

__all__ = ["KINDS", "PackageAc", "PackageAcOutdoor", "SmartMeter", "V2hCharger"]

_CHARGE: Final = 0x42
_DISCHARGE: Final = 0x43
_STANDBY: Final = 0x44
_SETTLE: Final = timedelta(seconds=30)  # contactors and the car's own negotiation
_IDLE_W: Final = 100


class V2hCharger(EchonetDevice):
    """An EV charger/discharger (0x027E). No timer of its own: the last order stands when we die."""

    nature = Nature.CHARGER
    object_class = (0x02, 0x7E)
    once = frozenset({0xC8, 0xC9})
    always = frozenset({0x80, 0x88, 0xC7, 0xD3, 0xDA, 0xDB, 0xE4, 0xEB, 0xEC})
    needed = frozenset({0xC7, 0xDA})
    commanded = True

    def __init__(self, config: EchonetConfig, node: EchonetNode, *, clock: Clock) -> None:
        super().__init__(config, node, clock=clock)
        self._told: tuple[float, datetime] | None = None

    def value(self, name: str) -> float | None:
        """Power, state of charge, plug and state."""
        match name:
            case "power_kw":
                data = self.said(0xD3)
                watts = None if data is None else signed_power_w(data)
                return None if watts is None else watts / 1000.0
            case "soc":
                percent = self.byte(0xE4)
                return percent / 100.0 if percent is not None and percent <= 100 else None
            case "plugged":
                plug = self.byte(0xC7)
                return {0x30: 0.0, 0x40: 1.0, 0x41: 1.0, 0x42: 1.0, 0x43: 1.0, 0x44: 1.0}.get(plug or 0)
            case _:
                state = self._state()
                return None if state is None else float(state)

    def _state(self) -> ChargerState | None:
        """State, from fault, plug, power and mode: the mode alone is only what it was told."""
        if self.faulty:
            return ChargerState.FAULT
        if self.value("plugged") == 0.0:
            return ChargerState.UNPLUGGED
        power_kw, mode = self.value("power_kw"), self.byte(0xDA)
        if power_kw is not None and abs(power_kw) * 1000.0 > _IDLE_W:
            return ChargerState.CHARGING if power_kw > 0.0 else ChargerState.DISCHARGING
        if mode == _STANDBY:
            return ChargerState.PAUSED
        if mode in (0x41, _CHARGE, _DISCHARGE) and power_kw is None:
            return ChargerState.DISCHARGING if mode == _DISCHARGE else ChargerState.CHARGING
        return None if mode is None else ChargerState.WAITING

    def _limits(self, code: int, most_kw: float) -> tuple[float, float]:
        """Least and greatest power of a direction. [kW]"""
        data = self.said(code)
        if data is None:
            return 0.0, most_kw
        least, greatest = power_limits_w(data)
        return least / 1000.0, min(most_kw, greatest / 1000.0)

    def _aim(self, power_kw: float) -> tuple[float, str | None]:
        """A power that it can be told, and the limit that bound."""
        charging = power_kw > 0.0
        code, setpoint = (0xC8, 0xEB) if charging else (0xC9, 0xEC)
        most = self.echonet.max_charge_kw if charging else self.echonet.max_discharge_kw
        least, greatest = self._limits(code, most)
        wanted = abs(power_kw)
        if setpoint not in self.settable and 0.0 < wanted < greatest:
            return 0.0, f"no power can be set (0x{setpoint:02X})"  # all or nothing: never more than was asked
        if 0.0 < wanted < least:
            return 0.0, f"0x{code:02X} {least:g}"
        told = round(min(wanted, greatest) * 1000.0) / 1000.0
        return (told if charging else -told), None if wanted <= greatest else f"0x{code:02X} {greatest:g}"

    def _must_be_ready(self, power_kw: float) -> None:
        plug, where = self.byte(0xC7), self.config.id
        if self.value("plugged") == 0.0:
            raise RefusedError("no car is plugged", where=where, hint="wait until it is back")
        if self.faulty:
            raise RefusedError("the charger reports a fault", where=where, hint="look at its display")
        if plug == 0x40 or (plug == 0x41 and power_kw < 0.0) or (plug == 0x42 and power_kw > 0.0):
            way = "charged" if power_kw > 0.0 else "discharged"
            raise RefusedError(f"the car cannot be {way} now", where=f"{where}: 0xC7 = 0x{plug:02x}")
        if power_kw < 0.0 and self.byte(0xDB) == 0x01:
            raise RefusedError("the charger runs without the grid", where=f"{where}: 0xDB = 0x01")

    def aim(self, order: Order) -> Aim:
        """A power within the limits of charger and car, and the properties that bring it."""
        if not isinstance(order, ChargerPower):
            return super().aim(order)
        target, limit = self._aim(order.power_kw)
        return Aim(ChargerPower(target), limit, self._values_for(target))

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or discharge with a power; zero is standby."""
        if not isinstance(command.order, ChargerPower):
            return await super().apply(command, unit)
        await self.must_be_in_control()
        await self.poll()
        aim = self.aim(command.order)
        order, limit, values = aim.order, aim.limit, aim.values
        assert isinstance(order, ChargerPower)
        target = order.power_kw
        if target:
            self._must_be_ready(target)
        if self._told is not None and self._told[0] == target and self._shows(values):
            return outcome_of(command, order, limit, None)
        wrong = None if self._shows(values) else await self.set_and_read_back(values)
        if wrong is None:
            self._told = (target, self.now)
        return outcome_of(command, order, limit, wrong)

    def _values_for(self, power_kw: float) -> dict[int, bytes]:
        """Power before mode, in one frame."""
        if not power_kw:
            return {0xDA: bytes((_STANDBY,))}
        mode, setpoint = (_CHARGE, 0xEB) if power_kw > 0.0 else (_DISCHARGE, 0xEC)
        watts = {setpoint: round(abs(power_kw) * 1000.0).to_bytes(4, "big")}
        return (watts if setpoint in self.settable else {}) | {0xDA: bytes((mode,))}

    def _shows(self, values: dict[int, bytes]) -> bool:
        return all(self.said(code) == data for code, data in values.items() if code in self.readable)

    async def safe_state(self) -> None:
        """Standby: nothing flows that nobody watches."""
        await self.must_be_in_control()
        self._told = None
        wrong = await self.set_and_read_back({0xDA: bytes((_STANDBY,))})
        if wrong is not None:
            raise RegisterError(f"{self.config.id} is not in standby", where=wrong)

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002
        """Whether it does what it was told, once contactors and car have had their time."""
        told, power_kw = self._told, self.value("power_kw")
        if told is None or power_kw is None or self.last_read_at < told[1] + _SETTLE:
            return Verdict()
        slack = max(0.5, 0.1 * abs(told[0]))
        if min(told[0], 0.0) - slack <= power_kw <= max(told[0], 0.0) + slack:
            idle = told[0] < 0.0 and power_kw > 0.5 * told[0]
            return (
                Verdict(False, f"it gives back {max(0.0, -power_kw):g} kW of {-told[0]:g}")
                if idle
                else Verdict(True)
            )
        return Verdict(False, f"the charger shows {power_kw:g} kW instead of {told[0]:g}")

    def forget(self, unit: int) -> None:  # noqa: ARG002
        """Take for unknown what it was told."""
        self._told = None
        self._values.pop(0xDA, None)


_MODES: Final = {ClimateMode.COOL: 0x42, ClimateMode.HEAT: 0x43}
_CODES: Final = {0x42: ClimateCode.COOL, 0x43: ClimateCode.HEAT}
_ON: Final = 0x30
_OFF: Final = 0x31
_SETPOINTS_C: Final = (16.0, 30.0)  # what indoor units take between them; the property itself allows 0 to 50


class PackageAc(EchonetDevice):
    """An indoor unit of a package air conditioner (0x0145), with its outdoor unit if that is named."""

    nature = Nature.CLIMATE
    object_class = (0x01, 0x45)
    once = frozenset[int]()
    always = frozenset({0x80, 0x88, 0xB0, 0xB3, 0xBB})
    needed = frozenset({0x80, 0xB0, 0xB3})
    commanded = True

    def __init__(
        self, config: EchonetConfig, node: EchonetNode, *, clock: Clock, outdoor: Object | None = None
    ) -> None:
        super().__init__(config, node, clock=clock)
        self.outdoor = outdoor
        self.defrosting: bool | None = None
        self._sent: tuple[RoomClimate, datetime] | None = None

    async def poll(self) -> None:
        """Read the unit, and whether its outdoor unit is defrosting."""
        await super().poll()
        if self.outdoor is not None:
            told = await self.node.get(self.echonet.host, self.outdoor, (0xAA,))
            self.defrosting = None if told[0xAA] is None else told[0xAA] == b"\x41"

    def value(self, name: str) -> float | None:
        """Room temperature, setpoint, mode and whether it runs."""
        on = {_ON: 1.0, _OFF: 0.0}.get(self.byte(0x80) or 0)
        match name:
            case "room_c":
                data = self.said(0xBB)
                return None if data is None else temperature_c(data)
            case "setpoint_c":
                setpoint = self.byte(0xB3)
                return float(setpoint) if setpoint is not None and setpoint <= 50 else None
            case "on":
                return on
            case _:
                mode = self.byte(0xB0)
                if on == 0.0:
                    return float(ClimateCode.OFF)
                return None if on is None or mode is None else float(_CODES.get(mode, ClimateCode.OTHER))

    def aim(self, order: Order) -> Aim:
        """A whole degree within what indoor units take, and the properties that bring it."""
        if not isinstance(order, RoomClimate):
            return super().aim(order)
        asked = order.setpoint_c
        setpoint_c = float(round(min(max(asked, _SETPOINTS_C[0]), _SETPOINTS_C[1])))
        outside = not _SETPOINTS_C[0] <= asked <= _SETPOINTS_C[1]
        told = RoomClimate(order.mode, setpoint_c)
        return Aim(told, f"setpoint {setpoint_c:g}" if outside else None, self._values_for(told))

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Set mode and setpoint; what a person chose since stands for ten minutes."""
        if not isinstance(command.order, RoomClimate):
            return await super().apply(command, unit)
        await self.must_be_in_control()
        await self.poll()
        if self.defrosting:
            raise RefusedError(
                "the outdoor unit is defrosting",
                where=self.config.id,
                hint="it can be called in some minutes",
            )
        aim = self.aim(command.order)
        order, limit, values = aim.order, aim.limit, aim.values
        assert isinstance(order, RoomClimate)
        if all(self.said(code) == data for code, data in values.items()):
            self._sent = (order, self.now)
            return outcome_of(command, order, limit, None)
        if self._sent is not None and self._sent[0] == order and self.now - self._sent[1] < OVERRIDE:
            shown = " ".join(f"0x{code:02X}={(self.said(code) or b'').hex()}" for code in values)
            return Unconfirmed(command, f"somebody chose otherwise at the unit: {shown}")
        wrong = await self.set_and_read_back(values)
        self._sent = (order, self.now)
        return outcome_of(command, order, limit, wrong)

    def _values_for(self, order: RoomClimate) -> dict[int, bytes]:
        if order.mode is ClimateMode.OFF:
            return {0x80: bytes((_OFF,))}
        return {
            0xB0: bytes((_MODES[order.mode],)),
            0xB3: bytes((round(order.setpoint_c),)),
            0x80: bytes((_ON,)),
        }

    def forget(self, unit: int) -> None:  # noqa: ARG002
        """Take for unknown what it was told."""
        self._sent = None


class PackageAcOutdoor(EchonetDevice):
    """An outdoor unit (0x0146), read as a meter of its power; it has no counters."""

    nature = Nature.METER
    object_class = (0x01, 0x46)
    once = frozenset[int]()
    always = frozenset({0x80, 0x88, 0xAA, 0xDB})
    needed = frozenset({0x80})

    @property
    def defrosting(self) -> bool | None:
        """Whether it is defrosting; None if it does not tell."""
        special = self.byte(0xAA)
        return None if special is None else special == 0x41

    def value(self, name: str) -> float | None:
        """Its electric power; counters are unknown."""
        data = self.said(0xDB)
        watts = None if name != "power_kw" or data is None else whole_watts(data)
        return None if watts is None else watts / 1000.0


class SmartMeter(EchonetDevice):
    """A low-voltage smart meter (0x0288)."""

    nature = Nature.METER
    object_class = (0x02, 0x88)
    once = frozenset({0xD3, 0xD7, 0xE1})
    always = frozenset({0x80, 0x88, 0xE0, 0xE3, 0xE7})
    needed = frozenset({0xE0, 0xE1})

    def __init__(self, config: EchonetConfig, node: EchonetNode, *, clock: Clock) -> None:
        super().__init__(config, node, clock=clock)
        self._counters = {
            name: CounterGuard(f"{config.id}.{name}", config.rated_kw)
            for name in ("import_kwh", "export_kwh")
        }
        self._counted: dict[str, tuple[datetime, float | None]] = {}

    @property
    def coefficient(self) -> int:
        """What counts are multiplied with (0xD3); 1 where the meter has no such property."""
        data = self.said(0xD3)
        return 1 if data is None else unsigned(data, 4, "a coefficient")

    @property
    def unit(self) -> int:
        """Code of the unit of its counts (0xE1).

        Raises
        ------
        RegisterError
            If it did not tell.
        """
        code = self.byte(0xE1)
        if code is None:
            raise RegisterError(f"{self.config.id} does not tell its unit of energy", where="0xE1")
        return code

    def value(self, name: str) -> float | None:
        """Power and counters; counters without wraps and restarts."""
        if name == "power_kw":
            data = self.said(0xE7)
            watts = None if data is None else signed_power_w(data)
            return None if watts is None else watts / 1000.0
        data = self.said(0xE0 if name == "import_kwh" else 0xE3)
        count = None if data is None else self._kwh(data)
        known = self._counted.get(name)
        if count is None or (known is not None and known[0] == self.last_read_at):
            return None if count is None or known is None else known[1]
        counted = self._counters[name].take(float(count), self.last_read_at, wrap_kwh=self._wrap_kwh())
        self._counted[name] = (self.last_read_at, counted)
        return counted

    def _kwh(self, data: bytes) -> Decimal | None:
        return cumulative_kwh(data, unit=self.unit, coefficient=self.coefficient)

    def _wrap_kwh(self) -> float | None:
        """Where its register begins anew (0xD7: digits)."""
        digits = self.byte(0xD7)
        one = self._kwh(b"\x00\x00\x00\x01")
        return None if digits is None or one is None else float(one) * 10.0**digits

    async def last_fixed_reading(self) -> tuple[datetime, Decimal | None]:
        """The reading of the last half hour with the meter's own stamp (0xEA).

        Raises
        ------
        DeviceError
            If it does not answer, or has no such reading.
        """
        return timed_reading(await self._one(0xEA), unit=self.unit, coefficient=self.coefficient)

    async def day(self) -> tuple[int, tuple[Decimal | None, ...]]:
        """The 48 readings of the day that is set in the meter (0xE2): days ago, counts. [kWh]

        Raises
        ------
        DeviceError
            If it does not answer, or has no such readings.
        """
        return day_readings(await self._one(0xE2), unit=self.unit, coefficient=self.coefficient)

    async def _one(self, code: int) -> bytes:
        async with self.lock:
            await self.ensure_online()
            told = (await self.node.get(self.echonet.host, self.object, (code,)))[code]
        if told is None:
            raise RegisterError(f"{self.config.id} does not tell 0x{code:02X}", where=self.echonet.host)
        return told


KINDS: Final[dict[str, type[EchonetDevice]]] = {
    "v2h": V2hCharger,
    "package-ac": PackageAc,
    "package-ac-outdoor": PackageAcOutdoor,
    "meter": SmartMeter,
}
