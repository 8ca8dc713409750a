"""The step test at a device, and the signed record that lets an untried map take orders.

Each step orders something small and looks at what really happens: whether power flows in the right direction
(sign) and in the right amount (scale), whether the device stops, and whether its own timer ends what it was
told when nobody speaks to it. A record holds for one map and one device: where either changes, it no longer
does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from devices.gateway import Gateway
from devices.natures import CLIMATE_CODE, Nature, climate_mode
from devices.profile import Profile
from energy.core.clock import Clock
from energy.core.errors import ConfigError, DeviceError
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    Order,
    RoomClimate,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

__all__ = ["Finding", "Record", "StepTest", "load_record", "map_digest", "passed", "signed"]

_LOOK_S: Final = 2.0
_WITHIN_S: Final = 60.0  # where the profile does not say how soon an effect shows
_TRY_KW: Final = 3.0
_TRY_A: Final = 10.0
_SCALE: Final = 0.25  # an effect may differ by this share; a wrong scale differs by a factor
_NOISE_KW: Final = 0.3
_METER_NOISE_KW: Final = 1.0  # other loads of the site come and go during a step

Wait = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step showed.

    Parameters
    ----------
    step : str
        Which one.
    passed : bool or None
        None if it could not be tried.
    wanted, seen : float or None
        What was asked for and what happened, in ``unit``.
    why : str
        What was in the way.
    """

    step: str
    passed: bool | None
    wanted: float | None = None
    seen: float | None = None
    unit: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A step test, signed by whoever watched the device."""

    profile: str
    map: str
    device: str
    unit_id: int
    signed_by: str
    signed_at: datetime
    findings: tuple[Finding, ...]
    digest: str = ""


_RECORD: Final = TypeAdapter(Record)


def passed(findings: Iterable[Finding]) -> bool:
    """Whether something was tried, and nothing failed."""
    tried = [finding.passed for finding in findings if finding.passed is not None]
    return bool(tried) and all(tried)


def map_digest(profile: Profile) -> str:
    """Changes with anything that a profile says, but not with how it is written."""
    return hashlib.sha256(profile.model_dump_json().encode()).hexdigest()


def _digest(record: Record) -> str:
    body = json.loads(_RECORD.dump_json(record))
    del body["digest"]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def signed(record: Record) -> str:
    """A record as a file, which shows when it is changed afterwards."""
    body = json.loads(_RECORD.dump_json(record))
    return json.dumps({**body, "digest": _digest(record)}, ensure_ascii=False, indent=1) + "\n"


def load_record(path: Path, profile: Profile, *, device: str, unit_id: int) -> Record:
    """A record that lets this profile take orders at this device.

    Raises
    ------
    ConfigError
        If it is none, was changed, failed, or is of another map or device.
    """
    try:
        record = _RECORD.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(
            "a commissioning record cannot be read",
            where=f"{path}: {str(error).splitlines()[0]}",
            hint="vpp device commission writes one",
        ) from None
    wrong = ""
    if record.digest != _digest(record):
        wrong = "it was changed after it was signed"
    elif record.profile != profile.id or record.map != map_digest(profile):
        wrong = f"it is for the map {record.profile} as it was at {record.signed_at:%Y-%m-%d}"
    elif (record.device, record.unit_id) != (device, unit_id):
        wrong = f"it is for {record.device}, unit {record.unit_id}"
    elif not passed(record.findings):
        failed = ", ".join(finding.step for finding in record.findings if finding.passed is False)
        wrong = f"its test did not pass: {failed}"
    if wrong:
        raise ConfigError(
            f"a commissioning record does not unlock {profile.title} at {device}",
            where=f"{path}: {wrong}",
            hint="try the device again: vpp device commission",
        )
    return record


class StepTest:
    """Tries one asset of a gateway, and leaves it in its safe state.

    Parameters
    ----------
    asset : AssetId
        What is tried.
    meter : AssetId or None
        Meter of the same gateway that must see what a charger does.
    wait : callable
        Lets time pass. [s]
    """

    def __init__(
        self, gateway: Gateway, asset: AssetId, profile: Profile, *, clock: Clock, wait: Wait
    ) -> None:
        self.meter: AssetId | None = None
        self._gateway = gateway
        self._asset = asset
        self._profile = profile
        self._clock = clock
        self._wait = wait

    async def run(self, *, watchdog: bool = True) -> tuple[Finding, ...]:
        """All steps that this device can do; the first that fails ends the test."""
        found: list[Finding] = []
        try:
            await self._gateway.read()
            async for finding in self._steps(watchdog=watchdog):
                found.append(finding)
                if finding.passed is False:
                    break
        except DeviceError as error:
            found.append(Finding("reach", False, why=str(error)))
        finally:
            await self._gateway.safe_state()
        return tuple(found)

    async def _steps(self, *, watchdog: bool) -> AsyncIterator[Finding]:
        steps = {
            Nature.CHARGER: self._charger,
            Nature.STORAGE: self._charger,
            Nature.INVERTER: self._inverter,
            Nature.CONTACTS: self._contacts,
            Nature.CLIMATE: self._climate,
        }[self._profile.nature]
        async for finding in steps():
            yield finding
        if watchdog:
            yield await self._watchdog()

    # One step

    async def _order(self, order: Order) -> str | None:
        """Give an order, as soon as the device takes it; what was in the way."""
        now = self._clock.now()
        outcome = await self._gateway.apply(
            Command(
                asset=self._asset,
                order=order,
                source=CommandSource.MANUAL,
                reason=Reason(ReasonCode.MANUAL),
                issued_at=now,
                expires_at=now + timedelta(hours=1),
                issuer="commissioning",
            )
        )
        match outcome:
            case Clipped(more_at=datetime() as due):
                await self._wait(max(0.0, (due - now).total_seconds()))
                return await self._order(order)
            case Applied() | Clipped():
                return None
            case _:
                return str(getattr(outcome, "why", None) or getattr(outcome, "read_back", ""))

    async def _value(self, point: str, asset: AssetId | None = None) -> float | None:
        table = await self._gateway.read()
        return table[asset or self._asset][point].value

    async def _try(self, step: str, order: Order, point: str, fits: Callable[[float], bool]) -> Finding:
        """Order, and look until the effect fits, as long as the profile says that it may take."""
        wanted = _amount(order)
        unit = _unit_of(point)
        why = await self._order(order)
        if why is not None:
            return Finding(step, False, wanted, None, unit, why)
        effect, waited_s, seen = self._profile.effect, 0.0, None
        within_s = (effect.within_s if effect is not None else _WITHIN_S) + self._profile.settle_s
        while waited_s <= within_s:
            await self._wait(_LOOK_S)
            waited_s += _LOOK_S
            seen = await self._value(point)
            if seen is not None and fits(seen):
                return Finding(step, True, wanted, seen, unit)
        return Finding(step, False, wanted, seen, unit, f"not within {within_s:g} s")

    # Natures

    def _charge_kw(self) -> float:
        """A power that every car takes, small but well above what a charger can tell apart. [kW]"""
        if "set_current_a" in self._profile.points and self._profile.mains is not None:
            return _TRY_A * self._profile.mains.kw_per_a
        return _TRY_KW

    async def _charger(self) -> AsyncIterator[Finding]:
        power_kw = self._charge_kw()
        yield await self._try("stop", ChargerPower(0.0), "power_kw", lambda seen: abs(seen) <= _NOISE_KW)
        before_kw = await self._value("power_kw", self.meter) if self.meter is not None else None
        yield (charging := await self._try("charge", ChargerPower(power_kw), "power_kw", _near(power_kw)))
        if before_kw is not None and charging.seen is not None:
            after_kw = await self._value("power_kw", self.meter)
            rise_kw = None if after_kw is None else after_kw - before_kw
            fits = rise_kw is not None and abs(rise_kw - charging.seen) <= _METER_NOISE_KW
            yield Finding("meter", fits, charging.seen, rise_kw, "kW")
        write = self._profile.points.get("set_power_kw")
        clamp = write.write.clamp if write is not None and write.write is not None else None
        if self._profile.nature is Nature.STORAGE or (clamp is not None and clamp[0] < 0.0):
            yield await self._try("give back", ChargerPower(-power_kw), "power_kw", _near(-power_kw))
        yield await self._try(
            "stop again", ChargerPower(0.0), "power_kw", lambda seen: abs(seen) <= _NOISE_KW
        )

    async def _inverter(self) -> AsyncIterator[Finding]:
        free_kw = await self._value("generation_kw") or 0.0
        if free_kw < 2.0 * _NOISE_KW:
            yield Finding("sun", False, None, free_kw, "kW", "too little is generated to see a limit")
            return
        half_kw = round(free_kw / 2.0, 1)
        yield await self._try("limit", GenerationLimit(half_kw), "generation_kw", _near(half_kw))
        yield await self._try(
            "release", GenerationLimit(None), "generation_kw", lambda seen: seen > 0.75 * free_kw
        )

    async def _contacts(self) -> AsyncIterator[Finding]:
        for ratio in (*self._profile.demand_steps.values(), 1.0):
            found = await self._try("contact", DemandStep(ratio), "demand_ratio", ratio.__eq__)
            if found.passed and self._profile.effect is not None and self._profile.effect.feedback:
                await self._wait(self._profile.effect.within_s)
                await self._gateway.read()
                trouble = self._gateway.not_applied.get(self._asset)
                if trouble is not None:
                    found = Finding("contact", False, ratio, None, "", trouble.why)
            yield found

    async def _climate(self) -> AsyncIterator[Finding]:
        setpoint_c, mode = await self._value("setpoint_c"), await self._value("mode")
        was = climate_mode(mode) if mode is not None else None
        if was is None:
            yield Finding("mode", False, None, mode, "", "it is in a mode that is not commanded")
            return
        other = ClimateMode.HEAT if was is ClimateMode.HEAT else ClimateMode.COOL
        base_c = 25.0 if setpoint_c is None else setpoint_c
        point, aim = ("mode", _code(other)) if setpoint_c is None else ("setpoint_c", base_c + 1.0)
        yield await self._try("room", RoomClimate(other, base_c + 1.0), point, lambda seen: seen == aim)
        back = ClimateMode.OFF if was is ClimateMode.OFF else was
        yield await self._try("back", RoomClimate(back, base_c), "mode", lambda seen: seen == _code(back))

    async def _watchdog(self) -> Finding:
        """Order something, say nothing until the device's timer has ended, and look."""
        failsafe = self._profile.failsafe
        charges = self._profile.nature in (Nature.CHARGER, Nature.STORAGE)
        if failsafe is not None and not (charges or self._profile.nature is Nature.INVERTER):
            return Finding("watchdog", None, failsafe.value_s, why=failsafe.behaviour)
        if failsafe is None:
            return Finding("watchdog", None, why="no timer of its own is known: the last order would stand")
        silence_s = 1.1 * failsafe.value_s + _LOOK_S
        if charges:
            order: Order = ChargerPower(self._charge_kw())
            point, told = "power_kw", self._charge_kw()
        else:
            told = round((await self._value("generation_kw") or 0.0) / 2.0, 1)
            order, point = GenerationLimit(told), "generation_kw"
        begun = await self._try("watchdog", order, point, _near(told))
        if not begun.passed:
            return begun
        await self._wait(silence_s)
        if self._profile.nature is Nature.INVERTER:
            await self._wait(_LOOK_S)
        seen = await self._value(point)
        ended = seen is not None and not _near(told)(seen)
        return Finding("watchdog", ended, failsafe.value_s, seen, _unit_of(point), failsafe.behaviour)


def _near(power_kw: float) -> Callable[[float], bool]:
    """Whether a power is what was asked for: same sign, about the same amount."""
    return lambda seen: abs(seen - power_kw) <= max(_NOISE_KW, _SCALE * abs(power_kw))


def _unit_of(point: str) -> str:
    return "kW" if point.endswith("_kw") else "degC" if point.endswith("_c") else ""


def _code(mode: ClimateMode) -> float:
    return float(CLIMATE_CODE[mode])


def _amount(order: Order) -> float | None:
    """The number in an order."""
    match order:
        case ChargerPower(amount) | DemandStep(amount):
            return amount
        case GenerationLimit(limit_kw):
            return limit_kw
        case RoomClimate(_, setpoint_c):
            return setpoint_c
