"""What a simulation hands out: figures per controller, the trace behind them, and the document around them.

Values only: the simulator fills these, the report and the command line render them. All times are aware UTC
slot starts; ``power_kw`` is positive into the asset, every other flow is >= 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Literal

from energy.core.errors import AlignmentError
from energy.core.plan import Reason

__all__ = [
    "BatteryTrace",
    "CallResult",
    "CarTrace",
    "CoinGrant",
    "Controller",
    "Departure",
    "ForecastScore",
    "Note",
    "RunResult",
    "RunSummary",
    "SimulationDocument",
    "SlotTrace",
    "ZoneTrace",
]

Controller = Literal["none", "valley", "rules", "mpc", "optimal-p50", "optimal", "perfect"]
Floats = tuple[float, ...]
OptionalFloats = tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One sentence for the reader, in both languages."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Figures of one controller over the simulated days; exactly the JSON object of ``vpp simulate --json``.

    Parameters
    ----------
    controller : str
        ``none`` (nobody controls: cars charge on arrival), ``valley`` (the same, but cars charge in valleys
        of the load), ``rules``, ``mpc`` (the optimiser on medians, without a demand guard), ``optimal-p50``
        (this product, planning from medians only), ``optimal`` (this product) or ``perfect`` (the optimiser
        with perfect foresight: a bound, not a product).
    bill_yen, energy_yen, demand_yen : int
        Bill of the days; its energy part; its basic (demand) part. [yen]
    peak_kw : float
        Highest 30-minute import. [kW]
    contract_exceeded_slots : int
        Slots whose import was above the contract power.
    comfort_degc_h : float
        Degree-hours outside the comfort bands while people were in. [K h]
    comfort_worst_degc : float
        Largest excursion from a band. [K]
    departures, departures_missed : int
        Departures in the days, and those below the promised charge.
    soc_floor_violations : int
        Slots in which a car was discharged below its owner's floor.
    export_kwh, discharge_kwh : float
        Energy sent out over the connection; AC energy given back by the cars. [kWh]
    energy_balance_error_kwh : float
        Largest error of the site's energy balance in a slot. [kWh]
    plans, fallback_plans : int
        Plans made, and those that were not optimal.
    unconfirmed_commands : int
        Commands whose read-back differed.
    wall_s : float
        Time the simulation took. [s]
    score_yen : int
        Bill, penalties and the change of stored energy together; lower is better. [yen]
    comfort_vs_none_degc : float or None
        Worst excursion minus that of the run without control; None where there is no such run. [K]
    stored_kwh_change : float
        Energy in the batteries at the end minus at the start. [kWh]
    guard_actions, shortfalls : int
        Times the demand guard stepped in; soft promises that plans could not keep.
    events_yen : int
        What the demand-response events paid that the site was called for; the score has it taken off. [yen]
    """

    controller: Controller
    bill_yen: int
    energy_yen: int
    demand_yen: int
    peak_kw: float
    contract_exceeded_slots: int
    comfort_degc_h: float
    comfort_worst_degc: float
    departures: int
    departures_missed: int
    soc_floor_violations: int
    export_kwh: float
    discharge_kwh: float
    coins: int
    energy_balance_error_kwh: float
    plans: int
    fallback_plans: int
    unconfirmed_commands: int
    wall_s: float
    score_yen: int
    comfort_vs_none_degc: float | None
    stored_kwh_change: float
    guard_actions: int
    shortfalls: int
    events_yen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One departure of a car: what was promised and what was in the battery. SoC in 0..1."""

    at: datetime
    promised_soc: float
    soc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CarTrace:
    """A car per slot: mean AC power [kW], SoC (0..1) at its end, and whether it was plugged for all of it."""

    power_kw: Floats
    soc: Floats
    plugged: tuple[bool, ...]
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatteryTrace:
    """A stationary battery per slot: mean AC power [kW] and SoC (0..1) at its end."""

    power_kw: Floats
    soc: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneTrace:
    """A room per slot: electric power, temperature at the end of the slot, band (None when nobody is in)."""

    power_kw: Floats
    temp_c: Floats
    low_c: OptionalFloats
    high_c: OptionalFloats


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTrace:
    """What happened on the site, per slot. All sequences have one entry per slot.

    Parameters
    ----------
    slots : tuple of datetime
        Slot starts, UTC.
    import_kw, load_kw, pv_kw, curtailed_kw, hvac_kw : tuple of float
        Import at the connection; uncontrollable load; PV used; PV thrown away; all air conditioners. [kW]
    target_kw : tuple of float or None
        Target demand that the guard held. [kW]
    load_p10_kw, load_p50_kw, load_p90_kw, pv_p50_kw : tuple of float or None
        Forecast made just before the slot; None where nobody forecast. [kW]
    tight : tuple of bool
        Whether supply was tight.
    reasons : dict
        Per asset, why it did what it did in the slot.

    Raises
    ------
    AlignmentError
        If a sequence does not have one entry per slot.
    """

    slots: tuple[datetime, ...]
    import_kw: Floats
    load_kw: Floats
    pv_kw: Floats
    curtailed_kw: Floats
    hvac_kw: Floats
    outdoor_c: Floats
    target_kw: OptionalFloats
    load_p10_kw: OptionalFloats
    load_p50_kw: OptionalFloats
    load_p90_kw: OptionalFloats
    pv_p50_kw: OptionalFloats
    cars: Mapping[str, CarTrace]
    zones: Mapping[str, ZoneTrace]
    tight: tuple[bool, ...]
    reasons: Mapping[str, tuple[Reason | None, ...]]
    batteries: Mapping[str, BatteryTrace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self._sequences().items():
            if len(values) != len(self.slots):
                raise AlignmentError(
                    f"{name} does not have one entry per slot",
                    entries=len(values),
                    slots=len(self.slots),
                    hint="fill every sequence of the trace in the same loop",
                )

    def _sequences(self) -> dict[str, Sequence[object]]:
        own = (
            "import_kw load_kw pv_kw curtailed_kw hvac_kw outdoor_c target_kw load_p10_kw load_p50_kw "
            "load_p90_kw pv_p50_kw tight"
        )
        found: dict[str, Sequence[object]] = {name: getattr(self, name) for name in own.split()}
        for asset, car in self.cars.items():
            found |= {f"{asset}.{name}": getattr(car, name) for name in ("power_kw", "soc", "plugged")}
        for asset, battery in self.batteries.items():
            found |= {f"{asset}.{name}": getattr(battery, name) for name in ("power_kw", "soc")}
        for asset, zone in self.zones.items():
            found |= {
                f"{asset}.{name}": getattr(zone, name) for name in ("power_kw", "temp_c", "low_c", "high_c")
            }
        return found | {f"reasons of {asset}": reasons for asset, reasons in self.reasons.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """How good a forecast was over the days, beside simple methods on the same slots.

    ``nmae`` is the mean absolute error over the mean of the actual values [-]; ``pinball`` the mean pinball
    loss of P10, P50 and P90 in the unit of the target; ``cover80`` the share of slots inside P10..P90 [-].
    Persistence is the value of the day before, weekday that of a week before.
    """

    target: str
    model: str
    nmae: float
    pinball: float
    cover80: float
    persistence_nmae: float
    persistence_pinball: float
    weekday_nmae: float | None = None
    weekday_pinball: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinGrant:
    """Coins that a car earned in one slot, and the metered energy [kWh] they were paid for."""

    at: datetime
    asset: str
    energy_kwh: float
    coins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """A demand-response event that the site was called for, and what came of it.

    Parameters
    ----------
    asked_kw : float
        What the site was called for. [kW]
    method, adjustment : str
        Baseline of the settlement; empty where there was none.
    window_start, window_end : datetime
        The hours before the event that adjust the baseline; equal where nothing does.
    baseline_kw, import_kw : tuple of float
        Adjusted baseline, and what was drawn, per half-hour of the event. [kW]
    after_baseline_kw, after_import_kw : tuple of float
        The same for the hours after it in which there shall be no new peak, as far as they were simulated.
        [kW]
    delivered_kwh : float or None
        Of the settlement; None if it could not be measured. [kWh]
    yen, points : int
        What the settlement pays; coins of its cars in these hours.
    why : str
        Empty, or why it could not be measured.
    """

    id: str
    announced: datetime
    start: datetime
    end: datetime
    asked_kw: float
    reward_yen_per_kwh: float
    method: str
    adjustment: str
    window_start: datetime
    window_end: datetime
    baseline_kw: Floats
    import_kw: Floats
    after_baseline_kw: Floats
    after_import_kw: Floats
    delivered_kwh: float | None
    yen: int
    points: int
    why: str = ""

    @property
    def asked_kwh(self) -> float:
        """Called power over the event. [kWh]"""
        return self.asked_kw * (self.end - self.start).total_seconds() / 3600.0

    @property
    def rebound_kwh(self) -> float | None:
        """Energy above the baseline after the event, below it negative; None if nobody saw it. [kWh]"""
        if not self.after_baseline_kw:
            return None
        pairs = zip(self.after_import_kw, self.after_baseline_kw, strict=True)
        return sum(drawn - usual for drawn, usual in pairs) / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One controller's run: its figures and its trace."""

    summary: RunSummary
    trace: SlotTrace
    notes: tuple[Note, ...] = ()
    forecast_scores: tuple[ForecastScore, ...] = ()
    coin_grants: tuple[CoinGrant, ...] = ()
    calls: tuple[CallResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationDocument:
    """All runs of one scenario, and what a reader must know to judge them.

    Parameters
    ----------
    start : date
        First simulated day (Asia/Tokyo).
    peak_memory_kw, contract_kw, target_demand_kw : float
        Highest demand of the twelve months before; contract power; target demand of the site. [kW]
    basic_yen_per_kw_month : float
        Basic charge before the power-factor term. [yen/kW-month]
    basic_factor : float
        Power-factor term ``(185 - PF) / 100``; 0.85 at a power factor of 100 % (RULES-JP 2.2). [-]
    names : dict
        Asset id to its name in Japanese and English.
    assumptions : tuple of Note
        What the scenario assumes, where its data come from.
    command : str
        Command line that makes this document again; empty if it was not made by one.
    """

    scenario: str
    title_ja: str
    title_en: str
    start: date
    days: int
    peak_memory_kw: float
    contract_kw: float
    target_demand_kw: float
    basic_yen_per_kw_month: float
    names: Mapping[str, tuple[str, str]]
    runs: tuple[RunResult, ...]
    basic_factor: float = 0.85
    assumptions: tuple[Note, ...] = ()
    command: str = ""

    def run(self, controller: Controller) -> RunResult | None:
        """The run of one controller, or None if it was not asked for."""
        return next((run for run in self.runs if run.summary.controller == controller), None)

    def to_json(self) -> dict[str, object]:
        """The document of ``vpp simulate --json``: ``scenario``, ``start``, ``days`` and the run figures."""
        return {
            "scenario": self.scenario,
            "start": self.start.isoformat(),
            "days": self.days,
            "runs": [asdict(run.summary) for run in self.runs],
        }
