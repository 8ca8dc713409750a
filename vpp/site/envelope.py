"""The envelope between plan and equipment: what an asset may do now, whatever plan or guard want.

It knows physics, promises and the connection, and nothing of money. It turns readings into ranges; commands
are cut to them. Where a reading is missing the range is the safe state: no discharge, and charging only to
keep a promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from energy.core.assets import Battery, Charger, PvArray, Vehicle
from energy.core.outcome import GenerationLimit
from energy.core.plan import Reason, ReasonCode
from energy.core.site import Site
from energy.core.units import AssetId

__all__ = [
    "SOC_RESOLUTION",
    "CarState",
    "PowerRange",
    "battery_range",
    "car_range",
    "charge_only",
    "on_feeders",
    "share_discharge",
    "sun_order",
]

# The SoC register of a charger counts whole percent; half of one may be missing.
SOC_RESOLUTION = 0.005
# Charging starts this long before it would be too late for the promise.
PROMISE_LEAD = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class CarState:
    """What is known of a car now; ``soc`` is None when it is not known for sure.

    Parameters
    ----------
    departs : datetime or None
        Next planned departure, UTC.
    promise_soc : float
        State of charge promised at that departure. [-]
    opted_out : bool
        The driver does not want to give back today.
    """

    plugged: bool
    soc: float | None
    departs: datetime | None = None
    promise_soc: float = 0.0
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class PowerRange:
    """What a car may do: ``low_kw <= power_kw <= high_kw``, positive into the car, and why. [kW]"""

    low_kw: float
    high_kw: float
    low_reason: Reason
    high_reason: Reason

    def clip(self, power_kw: float, reason: Reason) -> tuple[float, Reason]:
        """The power that is allowed, with the reason that holds for it."""
        if power_kw < self.low_kw:
            return self.low_kw, self.low_reason
        if power_kw > self.high_kw:
            return self.high_kw, self.high_reason
        return power_kw, reason


def car_range(
    vehicle: Vehicle, charger: Charger, state: CarState, *, now: datetime, meter_ok: bool
) -> PowerRange:
    """What a car may do at an instant.

    ``needed = (promise - soc) * capacity`` must stay below what can still be added until departure,
    ``eta * max_charge * (departs - now)``; when it would not, the car charges at full power.

    Parameters
    ----------
    meter_ok : bool
        Whether the meter of the connection can be trusted now. Without it nothing is given back.
    """
    idle = Reason(ReasonCode.IDLE)
    if not state.plugged:
        away = Reason(ReasonCode.AWAY)
        return PowerRange(0.0, 0.0, away, away)
    if state.soc is None:
        unknown = Reason(ReasonCode.SAFE_STATE, {"missing": "soc"})
        return PowerRange(0.0, 0.0, unknown, unknown)
    high = charger.max_charge_kw if state.soc < vehicle.soc_max else 0.0
    promise = Reason(
        ReasonCode.PROMISE,
        {"soc_percent": 100 * state.promise_soc, "at": state.departs.isoformat() if state.departs else ""},
    )
    spare_kwh = _spare_kwh(vehicle, charger, state, now)
    if spare_kwh is not None and spare_kwh <= 0.0 and state.soc < state.promise_soc + SOC_RESOLUTION:
        return PowerRange(charger.max_charge_kw, charger.max_charge_kw, promise, promise)
    ceiling = Reason(ReasonCode.IDLE, {"soc_percent": 100 * state.soc})
    if not meter_ok:
        blind = Reason(ReasonCode.SAFE_STATE, {"missing": "meter"})
        return PowerRange(0.0, 0.0, blind, blind)
    if state.opted_out:
        return PowerRange(0.0, high, Reason(ReasonCode.OPTED_OUT), ceiling)
    if state.soc <= vehicle.soc_min + 2 * SOC_RESOLUTION:
        return PowerRange(
            0.0, high, Reason(ReasonCode.IDLE, {"soc_min_percent": 100 * vehicle.soc_min}), ceiling
        )
    if spare_kwh is not None and spare_kwh <= charger.max_discharge_kw / 60.0:
        return PowerRange(0.0, high, promise, ceiling)
    return PowerRange(-charger.max_discharge_kw, high, idle, ceiling)


def charge_only(vehicle: Vehicle, max_charge_kw: float, soc: float) -> PowerRange:
    """What a car may do that only charges."""
    high = max_charge_kw if soc < vehicle.soc_max else 0.0
    full = Reason(ReasonCode.IDLE, {"soc_percent": 100 * soc})
    return PowerRange(0.0, high, full, full)


def battery_range(battery: Battery, soc: float | None, *, gives: bool) -> PowerRange:
    """What a stationary battery may do: nothing of its reserve is given, nothing is done without its charge.

    Parameters
    ----------
    soc : float or None
        State of charge as it shows it, None if it is not known for sure. [-]
    gives : bool
        Whether anything may be given back: the meter of the connection can be trusted, and somebody watches.
    """
    if soc is None:
        unknown = Reason(ReasonCode.SAFE_STATE, {"missing": "soc"})
        return PowerRange(0.0, 0.0, unknown, unknown)
    full = Reason(ReasonCode.IDLE, {"soc_percent": 100 * soc})
    high = battery.max_charge_kw if soc < 1.0 else 0.0
    if not gives:
        blind = Reason(ReasonCode.SAFE_STATE, {"missing": "meter"})
        return PowerRange(0.0, high, blind, full)
    # What one minute takes must not reach into the reserve.
    minute = battery.max_discharge_kw / battery.discharge_efficiency / 60.0 / battery.capacity_kwh
    if soc <= battery.reserve_soc + SOC_RESOLUTION + minute:
        kept = Reason(ReasonCode.IDLE, {"soc_min_percent": 100 * battery.reserve_soc})
        return PowerRange(0.0, high, kept, full)
    return PowerRange(-battery.max_discharge_kw, high, Reason(ReasonCode.IDLE), full)


def on_feeders(
    site: Site, wanted_kw: Mapping[str, float], rooms_kw: Mapping[AssetId, float]
) -> dict[AssetId, tuple[float, Reason]]:
    """Cars and batteries whose power a cable does not carry, with what it leaves them and why. [kW]

    Charging, or giving back, is cut by the same share for everyone behind the cable. Rooms are not touched:
    what they draw counts.
    """
    cut: dict[AssetId, tuple[float, Reason]] = {}
    powers = dict(wanted_kw)
    for feeder in site.feeders:
        mine = [name for name in feeder.members if name in powers]
        rooms = sum(kw for room, kw in rooms_kw.items() if room in feeder.members)
        back_kw = feeder.limit_kw if feeder.back_kw is None else feeder.back_kw
        into, out = (sum(max(0.0, sign * powers[name]) for name in mine) for sign in (1.0, -1.0))
        why = Reason(ReasonCode.FEEDER, {"feeder": feeder.id, "limit_kw": feeder.limit_kw})
        shares = _share(into, feeder.limit_kw - rooms + out), _share(out, back_kw)
        for name in mine:
            share = shares[0] if powers[name] > 0.0 else shares[1]
            if share < 1.0 and powers[name] != 0.0:
                powers[name] *= share
                cut[AssetId(name)] = powers[name], why
    return cut


def _share(wanted_kw: float, room_kw: float) -> float:
    """What share of a wish there is room for. [-]"""
    return 1.0 if wanted_kw <= max(0.0, room_kw) + 1e-9 else max(0.0, room_kw) / wanted_kw


def sun_order(
    site: Site, pv: PvArray, generation_kw: float, import_kw: float, *, limited: bool
) -> tuple[GenerationLimit, Reason] | None:
    """Order that keeps the import above its margin by holding an array back; None where none is needed.

    A limit is set when the sun comes near what the connection takes, and released when it is far below.

    Parameters
    ----------
    generation_kw, import_kw : float
        What the array generates and the site imports now. [kW]
    limited : bool
        Whether a limit stands.
    """
    limit_kw = max(0.0, import_kw + generation_kw - site.import_margin_kw)
    if generation_kw > 0.8 * limit_kw or (limited and generation_kw > 0.5 * limit_kw):
        why = Reason(ReasonCode.EXPORT, {"margin_kw": site.import_margin_kw})
        return GenerationLimit(round(min(limit_kw, pv.inverter_kw), 1)), why
    return (GenerationLimit(None), Reason(ReasonCode.IDLE)) if limited else None


def _spare_kwh(vehicle: Vehicle, charger: Charger, state: CarState, now: datetime) -> float | None:
    """Battery energy that could be lost now without losing the promise; None without a departure. [kWh]"""
    if state.departs is None or state.soc is None:
        return None
    hours = max(0.0, (state.departs - now - PROMISE_LEAD) / timedelta(hours=1))
    addable_kwh = charger.charge_efficiency * charger.max_charge_kw * hours
    needed_kwh = (state.promise_soc + SOC_RESOLUTION - state.soc) * vehicle.capacity_kwh
    return addable_kwh - needed_kwh


def share_discharge(wanted_kw: dict[str, float], budget_kw: float) -> dict[str, float]:
    """Cut discharging so that its sum stays inside a budget, everyone by the same share.

    Parameters
    ----------
    wanted_kw : dict
        Powers by car, positive into the car; only negative ones are cut. [kW]
    budget_kw : float
        Highest sum of discharge that keeps the import above its margin (RULES-JP 3.6). [kW]
    """
    total = -sum(min(0.0, power) for power in wanted_kw.values())
    if total <= max(0.0, budget_kw):
        return dict(wanted_kw)
    share = max(0.0, budget_kw) / total
    return {name: power * share if power < 0 else power for name, power in wanted_kw.items()}
