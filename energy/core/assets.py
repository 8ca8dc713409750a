"""What stands on a site: cars, chargers, rooms, PV, batteries, meters, people.

These dataclasses are checked by pydantic when they are made, from YAML or from code, so that an impossible
battery cannot exist anywhere in the program (docs/adr/0003). Unknown keys are refused.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.slots import JST

__all__ = [
    "Battery",
    "Charger",
    "ComfortBand",
    "CopCurve",
    "Driver",
    "HvacUnit",
    "HvacZone",
    "Meter",
    "OwnerType",
    "PvArray",
    "Trip",
    "TripPattern",
    "Vehicle",
    "Weekday",
    "expand_trips",
    "strict",
]

strict = ConfigDict(extra="forbid", allow_inf_nan=False)

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]


class OwnerType(StrEnum):
    """Whose car it is; a company car earns no personal coins (RULES-JP T44)."""

    COMPANY = "company"
    EMPLOYEE = "employee"


class Weekday(StrEnum):
    """Days of the week as they are written in a configuration."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        """Monday = 0, as in :meth:`datetime.date.weekday`."""
        return _NUMBER[self]


_NUMBER: Final = {day: number for number, day in enumerate(Weekday)}


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Driver:
    """A person who drives a car and may earn coins."""

    id: Identifier
    name_ja: str
    name_en: str


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Charger:
    """A charger, one-way or bidirectional (V2H / V2B).

    Parameters
    ----------
    max_charge_kw, max_discharge_kw : float
        Limits at the AC side, >= 0; a one-way charger has ``max_discharge_kw = 0``. [kW]
    charge_efficiency, discharge_efficiency : float
        AC to battery and battery to AC, in (0, 1]. [-]
    """

    id: Identifier
    max_charge_kw: Positive
    max_discharge_kw: NonNegative
    charge_efficiency: Efficiency = 0.92
    discharge_efficiency: Efficiency = 0.92


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Vehicle:
    """A car and what its owner asks of it.

    Parameters
    ----------
    capacity_kwh : float
        Usable battery capacity, > 0. [kWh]
    soc_min : float
        Owner's floor: the car is never discharged below it. [-]
    soc_max : float
        Highest state of charge the owner wants. [-]
    soc_ready : float
        Kept when nothing else needs the energy, against a peak that no forecast shows; 0 for none. [-]
    wear_yen_per_kwh : float
        Cost of battery wear per kWh given back. [yen/kWh]
    initial_soc : float
        State of charge when a simulation begins. [-]
    """

    id: Identifier
    name_ja: str
    name_en: str
    capacity_kwh: Positive
    charger: Identifier
    owner: OwnerType
    driver: Identifier | None = None
    soc_min: Ratio = 0.3
    soc_max: Ratio = 0.95
    soc_ready: Ratio = 0.0
    wear_yen_per_kwh: NonNegative = 5.0
    initial_soc: Ratio = 0.6

    @model_validator(mode="after")
    def _soc_limits_make_sense(self) -> Vehicle:
        if not self.soc_min < self.soc_max:
            msg = f"soc_min {self.soc_min} must be below soc_max {self.soc_max}"
            raise ValueError(msg)
        if self.owner is OwnerType.EMPLOYEE and self.driver is None:
            msg = "an employee's car needs its driver, who earns the coins"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Battery:
    """A stationary battery.

    Parameters
    ----------
    reserve_soc : float
        Kept for a blackout; neither plan nor guard goes below it. [-]
    wear_yen_per_kwh : float
        Cost of battery wear per kWh given back. [yen/kWh]
    initial_soc : float
        State of charge when a simulation begins. [-]
    """

    id: Identifier
    capacity_kwh: Positive
    max_charge_kw: Positive
    max_discharge_kw: Positive
    charge_efficiency: Efficiency = 0.95
    discharge_efficiency: Efficiency = 0.95
    reserve_soc: Ratio = 0.2
    wear_yen_per_kwh: NonNegative = 3.0
    initial_soc: Ratio = 0.5


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Trip:
    """One absence of a car: unplugged in ``[departs, returns)``.

    Parameters
    ----------
    energy_kwh : float
        Battery energy used between departure and return. [kWh]
    promise_soc : float
        State of charge promised to the driver at departure. [-]
    """

    vehicle: Identifier
    departs: datetime
    returns: datetime
    energy_kwh: NonNegative
    promise_soc: Ratio

    @model_validator(mode="after")
    def _leaves_before_it_returns(self) -> Trip:
        if self.departs.tzinfo is None or self.returns.tzinfo is None:
            msg = "trip times need a time zone"
            raise ValueError(msg)
        if not self.departs < self.returns:
            msg = f"returns {self.returns.isoformat()} before it departs {self.departs.isoformat()}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class TripPattern:
    """A trip that repeats every week.

    Parameters
    ----------
    days : tuple of Weekday
        Days of departure.
    departs : time
        Local time of departure (Asia/Tokyo).
    hours_away : float
        Length of the absence, at most a week. [h]
    energy_kwh, promise_soc
        As in :class:`Trip`.
    """

    days: Annotated[tuple[Weekday, ...], Field(min_length=1)]
    departs: time
    hours_away: Annotated[float, Field(gt=0.0, le=168.0)]
    energy_kwh: NonNegative
    promise_soc: Ratio


def expand_trips(
    vehicle: str, patterns: tuple[TripPattern, ...], start: datetime, end: datetime
) -> tuple[Trip, ...]:
    """Trips of one car that touch ``[start, end)``, in order of departure.

    Raises
    ------
    ValueError
        If two trips of the car overlap; the message names both.
    """
    trips = []
    first = (start - timedelta(days=8)).astimezone(JST).date()
    weekdays = [(pattern, {weekday.number for weekday in pattern.days}) for pattern in patterns]
    for offset in range((end - start).days + 10):
        day = first + timedelta(days=offset)
        for pattern, numbers in weekdays:
            if day.weekday() in numbers:
                departs = datetime.combine(day, pattern.departs, tzinfo=JST)
                trips.append(
                    Trip(
                        vehicle=vehicle,
                        departs=departs,
                        returns=departs + timedelta(hours=pattern.hours_away),
                        energy_kwh=pattern.energy_kwh,
                        promise_soc=pattern.promise_soc,
                    )
                )
    trips.sort(key=lambda trip: trip.departs)
    for earlier, later in pairwise(trips):
        if later.departs < earlier.returns:
            msg = (
                f"trips of {vehicle} overlap: {earlier.departs:%a %H:%M} to {earlier.returns:%a %H:%M} "
                f"and {later.departs:%a %H:%M} to {later.returns:%a %H:%M}"
            )
            raise ValueError(msg)
    return tuple(trip for trip in trips if trip.returns > start and trip.departs < end)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ComfortBand:
    """Room temperatures that people accept while they are there.

    Parameters
    ----------
    cooling_c, heating_c : (float, float)
        Lowest and highest temperature in the cooling and in the heating season. [degC]
    cooling_setpoint_c, heating_setpoint_c : float
        What the thermostat holds when nobody optimises. [degC]
    opens, closes : time
        Local hours of occupation on working days.
    setback_c : float
        An empty room is not let below this temperature in the heating season. [degC]
    start_hours : float
        A thermostat without a plan starts this long before people come. [h]
    ready_k : float
        A planned room stays this far from the edge of its band when nothing speaks against it, so that it can
        coast through a peak that no forecast shows. [K]
    """

    cooling_c: tuple[float, float] = (24.0, 28.0)
    heating_c: tuple[float, float] = (18.0, 23.0)
    cooling_setpoint_c: float = 26.0
    heating_setpoint_c: float = 20.0
    opens: time = time(8, 0)
    closes: time = time(18, 0)
    setback_c: float = 14.0
    start_hours: Annotated[float, Field(ge=0.0, le=12.0)] = 3.0
    ready_k: NonNegative = 0.8

    @model_validator(mode="after")
    def _is_the_right_way_up(self) -> ComfortBand:
        for name, (low, high), setpoint in (
            ("cooling", self.cooling_c, self.cooling_setpoint_c),
            ("heating", self.heating_c, self.heating_setpoint_c),
        ):
            if not low < high:
                msg = f"{name} band is upside down: {low} degC is not below {high} degC"
                raise ValueError(msg)
            if not low <= setpoint <= high:
                msg = f"{name} setpoint {setpoint} degC lies outside its band {low}..{high} degC"
                raise ValueError(msg)
        if not self.opens < self.closes:
            msg = f"opens {self.opens} is not before closes {self.closes}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class CopCurve:
    """Coefficient of performance as a straight line in the outdoor temperature, within limits.

    ``cop = clip(rated + slope_per_k * (t_out - rated_at_c), lowest, highest)``
    """

    rated: Positive
    rated_at_c: float
    slope_per_k: float
    lowest: Positive = 1.5
    highest: Positive = 6.0

    def at(self, outdoor_c: float) -> float:
        """COP at an outdoor temperature in degC. [-]"""
        return min(
            self.highest, max(self.lowest, self.rated + self.slope_per_k * (outdoor_c - self.rated_at_c))
        )


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class HvacUnit:
    """What an air conditioner's compressor can do beside any power up to its highest.

    Parameters
    ----------
    stages_kw : tuple of float
        Powers above 0 that it can run at, rising, the last its highest; empty for any. [kW]
    least_kw : float
        Least power of a unit without stages while it runs. [kW]
    min_on_minutes, min_off_minutes : float
        How long it runs or rests at least once it does. [min]
    whole_hours : float
        How far ahead a plan keeps to all this; later a power is a mean: the plan is renewed before. [h]
    defrost_share : float
        Part of its running time in which it defrosts and does not heat. [-]
    defrost_c : (float, float)
        Outdoor temperatures between which it does, heating: colder air holds too little water. [degC]
    """

    stages_kw: tuple[Positive, ...] = ()
    least_kw: NonNegative = 0.0
    min_on_minutes: Annotated[float, Field(ge=0.0, le=240.0)] = 0.0
    min_off_minutes: Annotated[float, Field(ge=0.0, le=240.0)] = 0.0
    whole_hours: Annotated[float, Field(ge=0.5, le=48.0)] = 2.0
    defrost_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    defrost_c: tuple[float, float] = (-7.0, 5.0)

    @model_validator(mode="after")
    def _can_be_built(self) -> HvacUnit:
        if any(not low < high for low, high in pairwise(self.stages_kw)):
            msg = f"stages_kw {list(self.stages_kw)} must rise"
            raise ValueError(msg)
        if self.stages_kw and self.least_kw:
            msg = "least_kw is that of a unit without stages; its first stage is the least here"
            raise ValueError(msg)
        if (self.min_on_minutes or self.min_off_minutes) and not (self.stages_kw or self.least_kw):
            msg = "minimum times need stages_kw or least_kw: a unit of any power never stops"
            raise ValueError(msg)
        if not self.defrost_c[0] < self.defrost_c[1]:
            msg = f"defrost_c is upside down: {self.defrost_c[0]} degC is not below {self.defrost_c[1]} degC"
            raise ValueError(msg)
        return self

    def defrosts(self, outdoor_c: float) -> float:
        """Part of the running time in which it defrosts at an outdoor temperature, heating. [-]"""
        low, high = self.defrost_c
        return self.defrost_share if low <= outdoor_c <= high else 0.0


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class HvacZone:
    """A room and the air conditioner that serves it; first-order room physics.

    ``C dT/dt = U (T_out - T) + g_base + g_occupied + a * ghi + s * cop * p`` with s = +1 heating, -1 cooling.

    Parameters
    ----------
    max_electric_kw : float
        Highest electric power of the unit. [kW]
    capacitance_kwh_per_k : float
        Heat capacity C of air, furniture and the floor's active layer. [kWh/K]
    loss_kw_per_k : float
        Loss coefficient U of envelope and ventilation. [kW/K]
    base_gain_kw, occupied_gain_kw : float
        Heat of machines and people, always and additionally in working hours. [kW]
    solar_aperture_m2 : float
        Effective solar aperture a for global horizontal irradiance. [m2]
    unit : HvacUnit
        Stages, minimum times and defrosting of the unit; a unit of any power unless given.
    learn : bool
        Whether the room's own readings may take the place of the values above (capacity, loss, gains, COP) in
        plans. A meter must measure its unit: one with ``measures`` of this room, or the meter of all air
        conditioners where there is no other room.
    """

    id: Identifier
    name_ja: str
    name_en: str
    max_electric_kw: Positive
    capacitance_kwh_per_k: Positive
    loss_kw_per_k: Positive
    base_gain_kw: NonNegative = 0.0
    occupied_gain_kw: NonNegative = 0.0
    solar_aperture_m2: NonNegative = 0.0
    comfort: ComfortBand = Field(default_factory=ComfortBand)
    cooling_cop: CopCurve = Field(
        default_factory=lambda: CopCurve(rated=3.3, rated_at_c=35.0, slope_per_k=-0.08)
    )
    heating_cop: CopCurve = Field(
        default_factory=lambda: CopCurve(rated=3.4, rated_at_c=7.0, slope_per_k=0.07)
    )
    initial_c: float = 24.0
    unit: HvacUnit = Field(default_factory=HvacUnit)
    learn: bool = False

    @model_validator(mode="after")
    def _unit_reaches_its_power(self) -> HvacZone:
        stages = self.unit.stages_kw
        if stages and stages[-1] != self.max_electric_kw:
            msg = f"the last of stages_kw is {stages[-1]} kW, max_electric_kw is {self.max_electric_kw} kW"
            raise ValueError(msg)
        if self.unit.least_kw > self.max_electric_kw:
            msg = f"least_kw {self.unit.least_kw} is above max_electric_kw {self.max_electric_kw}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PvArray:
    """A photovoltaic array behind one inverter.

    Parameters
    ----------
    capacity_kw : float
        DC nameplate at standard test conditions. [kW]
    inverter_kw : float
        AC limit of the inverter. [kW]
    tilt_deg, azimuth_deg : float
        From the horizontal; clockwise from north (180 = south). [deg]
    system_loss : float
        Wiring, soiling and mismatch, as a share of DC power. [-]
    """

    id: Identifier
    capacity_kw: Positive
    inverter_kw: Positive
    tilt_deg: Annotated[float, Field(ge=0.0, le=90.0)]
    azimuth_deg: Annotated[float, Field(ge=0.0, lt=360.0)]
    system_loss: Ratio = 0.10
    temperature_coefficient_per_k: Annotated[float, Field(le=0.0, ge=-0.01)] = -0.0035


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Meter:
    """A power meter and what it measures.

    Parameters
    ----------
    measures : str
        ``site`` (the connection point), ``hvac`` (all air conditioners together) or the id of one asset (the
        sub-meter of a charger, whose counters are what coins are paid for).
    """

    id: Identifier
    measures: Identifier
