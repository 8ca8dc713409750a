"""The vocabulary of planning: a :class:`Problem` goes in, a :class:`Plan` comes out.

Both are frozen and go through JSON and back unchanged, so that a bug report is a ``problem.json``.
All sequences over time have one entry per interval of ``Problem.grid``. Signs: ``power_kw`` is positive into
the asset; every other power is >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter

from energy.core.series import Grid
from energy.core.slots import Slot
from energy.core.units import AssetId

__all__ = [
    "CarProblem",
    "Plan",
    "PlanSource",
    "Problem",
    "Promise",
    "PvProblem",
    "Reason",
    "ReasonCode",
    "Setpoint",
    "Shortfall",
    "SiteLimits",
    "StorageProblem",
    "Trajectory",
    "ZoneProblem",
    "plan_from_json",
    "plan_to_json",
    "problem_from_json",
    "problem_to_json",
]

Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A car leaves at the start of interval ``index`` with at least ``soc_kwh``."""

    index: int
    soc_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageProblem:
    """A stationary battery over the horizon; energies in kWh, powers at the AC side."""

    id: AssetId
    capacity_kwh: float
    soc0_kwh: float
    reserve_kwh: float
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_yen_per_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CarProblem:
    """A car at its charger over the horizon.

    Parameters
    ----------
    floor_kwh, ceiling_kwh : float
        Owner's limits; the car is never discharged below the floor. [kWh]
    plugged : tuple of bool
        Whether the car is plugged for the *whole* interval.
    drive_kwh : tuple of float
        Battery energy used by driving in the interval, >= 0. [kWh]
    may_discharge : tuple of bool
        False where the driver opted out.
    promises : tuple of Promise
        Departures inside the horizon, and one at its end (``index == grid.count``) if a later one needs it.
    ready_kwh : float
        Energy the site likes to find in the car while it is plugged, against a peak that no forecast shows.
        [kWh]
    ready_yen_per_kwh_h : float
        Price of missing a kWh of it for an hour. [yen/(kWh h)]
    discharge_value_yen_per_kwh : tuple of float
        What the AC energy given back in the interval is worth beyond the avoided purchase (coins). [yen/kWh]
    """

    id: AssetId
    capacity_kwh: float
    soc0_kwh: float
    floor_kwh: float
    ceiling_kwh: float
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_yen_per_kwh: float
    plugged: tuple[bool, ...]
    drive_kwh: Floats
    may_discharge: tuple[bool, ...]
    promises: tuple[Promise, ...]
    discharge_value_yen_per_kwh: Floats
    ready_kwh: float = 0.0
    ready_yen_per_kwh_h: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneProblem:
    """A room over the horizon: ``C dT/dt = U (T_out - T) + gain + sign * cop * p``.

    Parameters
    ----------
    mode_sign : tuple of int
        +1 heating, -1 cooling, 0 off, per interval.
    low_c, high_c : tuple of float
        Comfort band at the *end* of the interval; wide where nobody is in. [degC]
    gain_kw : tuple of float
        Heat of machines, people and sun. [kW]
    cop : tuple of float
        Heat moved per electric energy, > 0. [-]
    ready_k : tuple of float
        How far from the edge that the unit works against the room shall end the interval, to coast
        through a peak that no forecast shows; empty for not at all. [K]
    ready_yen_per_degc_h : float
        Price of using that distance up in a plan. [yen/(K h)]
    """

    id: AssetId
    temp0_c: float
    capacitance_kwh_per_k: float
    loss_kw_per_k: float
    max_electric_kw: float
    mode_sign: tuple[int, ...]
    cop: Floats
    gain_kw: Floats
    low_c: Floats
    high_c: Floats
    ready_k: Floats = ()
    ready_yen_per_degc_h: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PvProblem:
    """A PV array: quantiles of what it could give if not curtailed. [kW]

    Parameters
    ----------
    curtailable : bool
        False where nothing can hold the array back: then all that the sun offers is used or exported.
    """

    id: AssetId
    p10_kw: Floats
    p50_kw: Floats
    p90_kw: Floats
    curtailable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLimits:
    """What the connection allows and what its peaks cost.

    Parameters
    ----------
    contract_kw : float
        Contract power (契約電力): hard. [kW]
    peak_memory_kw : float
        Highest 30-minute demand of the last twelve months, this month's so far included; a peak below it
        costs nothing. [kW]
    peak_yen_per_kw : float
        Cost of one kW of demand above the memory over the months it stays in it. [yen/kW]
    import_margin_kw : float
        No export: the import stays above this margin wherever the load alone reaches it. [kW]
    demand_so_far_kwh : float
        Energy already imported in interval 0 when the plan is made inside a slot. [kWh]
    max_export_kw : float
        What may be fed into the grid; 0 where the contract does not allow it. Above 0 the margin is 0. [kW]
    """

    contract_kw: float
    peak_memory_kw: float
    peak_yen_per_kw: float
    import_margin_kw: float
    demand_so_far_kwh: float = 0.0
    max_export_kw: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Everything a plan depends on.

    Parameters
    ----------
    load_p10_kw, load_p50_kw, load_p90_kw : tuple of float
        Uncontrollable load: site without PV, cars, batteries and HVAC. [kW]
    outdoor_c : tuple of float
        Forecast outdoor temperature. [degC]
    price_yen_per_kwh : tuple of float
        What one more imported kWh costs. [yen/kWh]
    tight : tuple of bool
        Whether supply is tight (a DR event that this site joined).
    discomfort_yen_per_degc_h : float
        Price of one degree-hour outside a comfort band. [yen/(K h)]
    sell_yen_per_kwh : tuple of float
        What an exported kWh earns; empty for nothing. [yen/kWh]
    end_value_yen_per_kwh : float, optional
        What a kWh is worth that a battery still holds at the end of the horizon, up to what it held at the
        start; what it costs to buy it back unless said. [yen/kWh]
    """

    site: str
    made_at: datetime
    grid: Grid
    load_p10_kw: Floats
    load_p50_kw: Floats
    load_p90_kw: Floats
    outdoor_c: Floats
    price_yen_per_kwh: Floats
    tight: tuple[bool, ...]
    limits: SiteLimits
    cars: tuple[CarProblem, ...] = ()
    zones: tuple[ZoneProblem, ...] = ()
    pv: tuple[PvProblem, ...] = ()
    batteries: tuple[StorageProblem, ...] = ()
    discomfort_yen_per_degc_h: float = 2000.0
    sell_yen_per_kwh: Floats = ()
    end_value_yen_per_kwh: float | None = None


class ReasonCode(StrEnum):
    """Why a setpoint is what it is."""

    PRICE = "price"  # cheaper now than later
    PEAK = "peak"  # keeps the 30-minute demand down
    PRE_CONDITION = "pre_condition"  # cool or heat ahead of a peak or a dear hour
    PROMISE = "promise"  # the car must be ready at departure
    COMFORT = "comfort"  # the room would leave its band
    EVENT = "event"  # supply is tight
    EXPORT = "export"  # the connection does not allow export
    READY = "ready"  # kept ready for a peak that nobody foresees
    SURPLUS = "surplus"  # the sun would be wasted
    IDLE = "idle"  # nothing to gain
    AWAY = "away"  # the car is not here
    OPTED_OUT = "opted_out"  # the driver said no
    MANUAL = "manual"  # a person said so
    GUARD = "guard"  # the demand guard stepped in
    SAFE_STATE = "safe_state"  # data missing: the safe state


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a code, and the numbers that make the sentence (``{"until": ..., "soc_percent": 80}``)."""

    code: ReasonCode
    facts: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """What one asset shall do in one interval.

    Parameters
    ----------
    power_kw : float
        Mean power, positive into the asset; a PV array's is negative. [kW]
    expected : float or None
        State at the end of the interval: a car's or battery's SoC [kWh], a room's temperature [degC].
    """

    asset: AssetId
    slot: Slot
    power_kw: float
    reason: Reason
    expected: float | None = None


class PlanSource(StrEnum):
    """Where a plan came from; anything but OPTIMAL is a fallback, named, counted and shown."""

    OPTIMAL = "optimal"
    INCUMBENT = "incumbent"  # best solution when time ran out
    SHIFTED = "shifted"  # the last valid plan, moved on
    RULES = "rules"  # the rule-based plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A soft promise that the plan cannot keep, by name and amount, in the unit of its kind.

    ``kind`` is ``departure`` (kWh missing), ``floor`` (kWh), ``comfort`` (K), ``contract`` (kW) or
    ``export`` (kW).
    """

    asset: AssetId
    kind: str
    index: int
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What the plan expects of the site, per interval. [kW, yen]

    Parameters
    ----------
    import_kw : tuple of float
        Net power from the grid; below zero where the site exports.
    """

    import_kw: Floats
    load_kw: Floats
    pv_kw: Floats
    curtailed_kw: Floats
    energy_yen: float
    peak_yen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Setpoints for every asset and interval, and what they are expected to bring.

    Parameters
    ----------
    target_demand_kw : float
        Demand (デマンド値) that the guard holds in the first interval. [kW]
    gap : float or None
        Relative optimality gap reached; None for a plan without an optimiser. [-]
    """

    site: str
    made_at: datetime
    grid: Grid
    source: PlanSource
    setpoints: tuple[Setpoint, ...]
    trajectory: Trajectory
    target_demand_kw: float
    objective_yen: float
    gap: float | None = None
    solve_ms: float = 0.0
    shortfalls: tuple[Shortfall, ...] = ()
    note: str = ""

    def of(self, asset: AssetId) -> tuple[Setpoint, ...]:
        """Setpoints of one asset, in order of time."""
        return tuple(point for point in self.setpoints if point.asset == asset)

    def at(self, slot: Slot) -> dict[AssetId, Setpoint]:
        """Setpoints of one slot by asset."""
        return {point.asset: point for point in self.setpoints if point.slot == slot}


_PROBLEM = TypeAdapter(Problem)
_PLAN = TypeAdapter(Plan)


def problem_to_json(problem: Problem) -> str:
    """A problem as one JSON document."""
    return _PROBLEM.dump_json(problem, indent=1).decode()


def problem_from_json(text: str | bytes) -> Problem:
    """A problem from its JSON document; pydantic's ``ValidationError`` names what is wrong."""
    return _PROBLEM.validate_json(text)


def plan_to_json(plan: Plan) -> str:
    """A plan as one JSON document."""
    return _PLAN.dump_json(plan).decode()


def plan_from_json(text: str | bytes) -> Plan:
    """A plan from its JSON document."""
    return _PLAN.validate_json(text)
