"""The vocabulary of planning: a :class:`Problem` goes in, a :class:`Plan` comes out.

Both are frozen and go through JSON and back unchanged, so that a bug report is a ``problem.json``. A plan has
one setpoint per half-hour of ``Problem.grid``. Where ``Problem.divisions`` divides half-hours into shorter
intervals, sequences over time have one entry per interval, else one per half-hour. Signs: ``power_kw`` is
positive into the asset; every other power is >= 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate

from pydantic import TypeAdapter

from energy.core.plan_parts import DemandStep, DrEvent, Feeder, Floats, OtherAsset, SubmittedPlan
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A car leaves at the start of interval ``index`` with at least ``soc_kwh``."""

    index: int
    soc_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageProblem:
    """A stationary battery over the horizon; energies in kWh, powers at the AC side.

    Parameters
    ----------
    reserve_kwh : float
        Kept for a blackout: never discharged below it. [kWh]
    planned_kw : tuple of float
        Powers of the plan in force, empty for none; see ``Problem.change_yen_per_kwh``. [kW]
    """

    id: AssetId
    capacity_kwh: float
    soc0_kwh: float
    reserve_kwh: float
    max_charge_kw: float
    max_discharge_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_yen_per_kwh: float
    planned_kw: Floats = ()


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
    min_power_kw : float
        Least power at which the charger charges or gives back; below it, it rests. [kW]
    planned_kw : tuple of float
        Powers of the plan in force, empty for none; see ``Problem.change_yen_per_kwh``. [kW]
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
    min_power_kw: float = 0.0
    planned_kw: Floats = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneProblem:
    """A room over the horizon: ``C dT/dt = U (T_out - T) + gain + sign * cop * (1 - defrost) * p``.

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
    stages_kw : tuple of float
        Powers above 0 that the unit can be set to, rising, the last ``max_electric_kw``; empty for any. [kW]
    min_power_kw : float
        Least power of a unit without stages while it runs. [kW]
    min_on_h, min_off_h : float
        How long it runs or rests at least once it does; needs stages or a least power. [h]
    was_on : bool
        Whether it runs when the plan begins.
    in_state_h : float
        For how long it has run or rested by then. [h]
    whole_steps : int, optional
        Intervals from now in which stages, least power and minimum times hold; later the power is a mean over
        an interval and any, because the plan is renewed before. All unless said.
    defrost : tuple of float
        Share of the interval in which a running unit defrosts and does not heat; empty for none. [-]
    least_kw : tuple of float
        Power that the unit takes whatever is wanted (it defrosts now, a person set it); empty for none. [kW]
    planned_kw : tuple of float
        Powers of the plan in force, empty for none; see ``Problem.change_yen_per_kwh``. [kW]
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
    stages_kw: Floats = ()
    min_power_kw: float = 0.0
    min_on_h: float = 0.0
    min_off_h: float = 0.0
    was_on: bool = False
    in_state_h: float = 24.0
    whole_steps: int | None = None
    defrost: Floats = ()
    least_kw: Floats = ()
    planned_kw: Floats = ()


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
    memory_until : int, optional
        Half-hour in which another month begins and ``peak_memory_kw`` ends; what counts from then on is
        one of ``steps``.
    steps : tuple of DemandStep
        Further prices of demand: a target that a person set, the memory of the next month.
    """

    contract_kw: float
    peak_memory_kw: float
    peak_yen_per_kw: float
    import_margin_kw: float
    demand_so_far_kwh: float = 0.0
    max_export_kw: float = 0.0
    memory_until: int | None = None
    steps: tuple[DemandStep, ...] = ()


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
    divisions : tuple of int
        Into how many equal intervals each half-hour of the grid is divided; empty for one each. Of a
        half-hour that has begun (``demand_so_far_kwh > 0``) it is the rest that is divided.
    events : tuple of DrEvent
        Demand-response events with a known baseline.
    feeders : tuple of Feeder
        Groups of assets that share a cable.
    submitted : SubmittedPlan, optional
        The plan that deviations are settled against.
    change_yen_per_kwh : float
        Price of each kWh by which an asset leaves the plan in force (its ``planned_kw``). [yen/kWh]
    others : tuple of OtherAsset
        Assets of kinds that were added from outside.
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
    divisions: tuple[int, ...] = ()
    events: tuple[DrEvent, ...] = ()
    feeders: tuple[Feeder, ...] = ()
    submitted: SubmittedPlan | None = None
    change_yen_per_kwh: float = 0.0
    others: tuple[OtherAsset, ...] = ()

    @property
    def parts(self) -> tuple[int, ...]:
        """Number of intervals of each half-hour."""
        return self.divisions or (1,) * self.grid.count

    @property
    def count(self) -> int:
        """Number of intervals."""
        return sum(self.divisions) if self.divisions else self.grid.count

    def slot_of(self, index: int) -> int:
        """Half-hour that interval ``index`` lies in; ``grid.count`` for the end of the horizon."""
        return sum(end <= index for end in accumulate(self.parts))

    def first_of(self, slot: int) -> int:
        """First interval of a half-hour."""
        return sum(self.parts[:slot])

    def time(self, index: int) -> datetime:
        """Start of interval ``index``, the end of the horizon for ``count``; UTC."""
        slot = self.slot_of(index)
        if slot >= self.grid.count or self.parts[slot] == 1:
            return self.grid.time(slot)
        begun = slot == 0 and self.limits.demand_so_far_kwh > 0.0
        start = self.made_at.astimezone(UTC) if begun else self.grid.time(slot)
        length = (self.grid.time(slot + 1) - start) / self.parts[slot]
        return start + (index - self.first_of(slot)) * length


class ReasonCode(StrEnum):
    """Why a setpoint is what it is."""

    PRICE = "price"  # cheaper now than later
    PEAK = "peak"  # keeps the 30-minute demand down
    PRE_CONDITION = "pre_condition"  # cool or heat ahead of a peak or a dear hour
    PROMISE = "promise"  # the car must be ready at departure
    COMFORT = "comfort"  # the room would leave its band
    EVENT = "event"  # supply is tight
    EXPORT = "export"  # the connection does not allow export
    FEEDER = "feeder"  # its cable carries no more
    IMBALANCE = "imbalance"  # what was submitted
    REBOUND = "rebound"  # not all at once after an event
    MINIMUM_TIME = "minimum_time"  # a unit runs or rests for a minimum time
    DEFROST = "defrost"  # a unit defrosts
    STEADY = "steady"  # the plan in force is not worth changing
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
    """What one asset shall do in one half-hour.

    Parameters
    ----------
    power_kw : float
        Mean power, positive into the asset; a PV array's is negative. [kW]
    expected : float or None
        State at the end of the interval: a car's or battery's SoC [kWh], a room's temperature [degC].
    steps_kw : tuple of float
        Where the problem divides the half-hour: mean power of each of its intervals; else empty. [kW]
    """

    asset: AssetId
    slot: Slot
    power_kw: float
    reason: Reason
    expected: float | None = None
    steps_kw: Floats = ()


class PlanSource(StrEnum):
    """Where a plan came from; anything but OPTIMAL is a fallback, named, counted and shown."""

    OPTIMAL = "optimal"
    INCUMBENT = "incumbent"  # best solution when time ran out
    SHIFTED = "shifted"  # the last valid plan, moved on
    RULES = "rules"  # the rule-based plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A soft promise that the plan cannot keep, by name and amount, in the unit of its kind.

    ``kind`` is ``departure`` (kWh missing), ``floor`` (kWh), ``comfort`` (K), ``contract`` (kW), ``export``
    (kW), ``recovery`` (kW above what was agreed after an event) or ``target`` (kW above one that a person
    set). ``index`` counts the intervals of the problem.
    """

    asset: AssetId
    kind: str
    index: int
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What the plan expects of the site, per half-hour. [kW, yen]

    Parameters
    ----------
    import_kw : tuple of float
        Net power from the grid; below zero where the site exports.
    event_yen : float
        What events earn. [yen]
    imbalance_yen : float
        What deviating from the submitted plan costs. [yen]
    """

    import_kw: Floats
    load_kw: Floats
    pv_kw: Floats
    curtailed_kw: Floats
    energy_yen: float
    peak_yen: float
    event_yen: float = 0.0
    imbalance_yen: float = 0.0


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
