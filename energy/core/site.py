"""A site: where it is, what stands on it, who drives, what it pays and what its connection allows."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import (
    Battery,
    Charger,
    Driver,
    HvacZone,
    Identifier,
    Meter,
    NonNegative,
    Positive,
    PvArray,
    TripPattern,
    Vehicle,
    Weekday,
    expand_trips,
    strict,
)
from energy.core.calendar import SiteCalendar
from energy.core.slots import jst_midnight
from energy.core.tariff import Tariff

__all__ = ["CalendarRules", "DrTerms", "FeederGroup", "ImbalanceTerms", "PlanRules", "Season", "Site"]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_MONTH = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")


class Season(StrEnum):
    """What the air conditioners do on a day."""

    COOLING = "cooling"
    HEATING = "heating"
    OFF = "off"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class CalendarRules:
    """Working days and seasons of a site.

    Parameters
    ----------
    national_holidays : bool
        Whether the site rests on national holidays.
    rest_weekdays : tuple of Weekday
        Weekly days of rest.
    closed : tuple of date
        Shutdowns known in advance.
    cooling_months, heating_months : tuple of int
        Months in which the air conditioners cool or heat.
    changeover_months : tuple of int
        Heating or cooling months in which the same day may need both: units change over room by room, and a
        room is comfortable from the lower edge of its heating band to the upper edge of its cooling band.
    """

    national_holidays: bool = True
    rest_weekdays: tuple[Weekday, ...] = (Weekday.SAT, Weekday.SUN)
    closed: tuple[date, ...] = ()
    cooling_months: tuple[int, ...] = (6, 7, 8, 9)
    heating_months: tuple[int, ...] = (11, 12, 1, 2, 3, 4)
    changeover_months: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _months_are_months(self) -> CalendarRules:
        both = set(self.cooling_months) & set(self.heating_months)
        if both:
            msg = f"months {sorted(both)} are both cooling and heating months"
            raise ValueError(msg)
        odd = [month for month in self.cooling_months + self.heating_months if not 1 <= month <= 12]
        if odd:
            msg = f"{odd} are not months (1..12)"
            raise ValueError(msg)
        idle = sorted(set(self.changeover_months) - set(self.cooling_months + self.heating_months))
        if idle:
            msg = f"changeover months {idle} are neither cooling nor heating months"
            raise ValueError(msg)
        return self

    def calendar(self) -> SiteCalendar:
        """The rules as a calendar of days."""
        return _calendar(self)

    def season(self, day: date) -> Season:
        """What the air conditioners do on a day."""
        if day.month in self.cooling_months:
            return Season.COOLING
        return Season.HEATING if day.month in self.heating_months else Season.OFF

    def changes_over(self, day: date) -> bool:
        """Whether units may heat and cool on the same day."""
        return day.month in self.changeover_months


@lru_cache(maxsize=64)
def _calendar(rules: CalendarRules) -> SiteCalendar:
    return SiteCalendar(
        national_holidays=rules.national_holidays,
        rest_weekdays=frozenset(weekday.number for weekday in rules.rest_weekdays),
        closed=frozenset(rules.closed),
    )


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DrTerms:
    """How a site is enrolled in demand response: what events it is called for pay, and against what.

    Parameters
    ----------
    reward_yen_per_kwh : float
        For each kWh below the baseline. [yen/kWh]
    negative_counts : bool
        Whether an event that comes out below nothing costs (a contract between businesses).
    recovery_slots : int
        Half hours after an event in which the site shall not draw more than it would have drawn at most
        without it.
    recovery_yen_per_kwh : float
        What a kWh above that is taken to cost. Ours: several times what a kWh costs, far below what a promise
        is worth; no public programme names one. [yen/kWh]
    window_yen_per_kwh : float
        What a kWh that is moved into the adjustment window is taken to cost. Ours: more than waiting for two
        hours is worth to a car, less than any event pays; loading the window is gaming (RULES-JP T31).
        [yen/kWh]
    baseline : {"high4of5", "same-day"}
        The standard one (High 2 of 3 on days of rest), or the hours of the adjustment window of the same day
        (RULES-JP 3.1).
    adjustment : {"add", "ratio", "none"}
        What the hours before the event do to the standard one.
    """

    reward_yen_per_kwh: Annotated[float, Field(gt=0.0, le=10_000.0)]
    negative_counts: bool = False
    recovery_slots: Annotated[int, Field(ge=0, le=24)] = 4
    recovery_yen_per_kwh: Annotated[float, Field(ge=0.0, le=10_000.0)] = 200.0
    window_yen_per_kwh: Annotated[float, Field(ge=0.0, le=10_000.0)] = 10.0
    baseline: Literal["high4of5", "same-day"] = "high4of5"  # as energy.market.baseline has them
    adjustment: Literal["add", "ratio", "none"] = "add"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class FeederGroup:
    """Cars, rooms, arrays and batteries behind one cable, breaker or transformer.

    Parameters
    ----------
    members : tuple of str
        Ids of vehicles, zones, batteries or the PV array.
    limit_kw : float
        What it carries towards them, at any time. [kW]
    back_kw : float or None
        What it carries away from them; as much as towards them unless given. [kW]
    """

    id: Identifier
    members: Annotated[tuple[Identifier, ...], Field(min_length=1)]
    limit_kw: Positive
    back_kw: NonNegative | None = None


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ImbalanceTerms:
    """What being off the submitted plan costs beyond the energy's own price, where the site bears it.

    Parameters
    ----------
    short_yen_per_kwh, long_yen_per_kwh : float
        Of each kWh more and of each kWh less than was submitted. [yen/kWh]
    """

    short_yen_per_kwh: Annotated[float, Field(ge=-1_000.0, le=1_000.0)]
    long_yen_per_kwh: Annotated[float, Field(ge=-1_000.0, le=1_000.0)]

    @model_validator(mode="after")
    def _being_off_does_not_pay(self) -> ImbalanceTerms:
        if self.short_yen_per_kwh + self.long_yen_per_kwh < 0.0:
            msg = (
                f"short {self.short_yen_per_kwh} and long {self.long_yen_per_kwh} yen/kWh together are "
                "below 0: being off either way would pay"
            )
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PlanRules:
    """How a site wants to be planned.

    Parameters
    ----------
    divisions : tuple of int
        Into how many parts the first half-hours of each plan are divided; control follows the parts.
    change_yen_per_kwh : float
        What a kWh is worth by which a new plan leaves the one in force; 0 for nothing. [yen/kWh]
    """

    divisions: Annotated[tuple[Annotated[int, Field(ge=1, le=30)], ...], Field(max_length=48)] = ()
    change_yen_per_kwh: Annotated[float, Field(ge=0.0, le=1_000.0)] = 0.0


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Site:
    """Everything that is fixed about a site; references between its parts are checked.

    Parameters
    ----------
    latitude, longitude : float
        WGS 84. [deg]
    contract_kw : float
        Contract power (契約電力) that demand must not exceed. [kW]
    target_demand_kw : float
        Target demand (目標デマンド) that the site's manager has set. [kW]
    import_margin_kw : float
        No export: import is kept above this margin. [kW]
    peak_memory_kw : dict
        Highest demand by month ``YYYY-MM`` of the months before; what counts is the last eleven. [kW]
    trips : dict
        Weekly trips by vehicle.
    dr : DrTerms or None
        What events pay; without it nothing is planned for a call.
    feeders : tuple of FeederGroup
        Cables inside the site that carry less than what hangs on them could take.
    imbalance : ImbalanceTerms or None
        Prices of leaving what the site promised for the day; without it nothing is planned to meet it.
    planning : PlanRules
        Fine steps and the steadiness of plans.
    """

    id: Identifier
    name_ja: str
    name_en: str
    latitude: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)]
    contract_kw: Positive
    target_demand_kw: Positive
    tariff: Tariff
    import_margin_kw: NonNegative = 5.0
    peak_memory_kw: dict[str, Decimal] = Field(default_factory=dict)
    calendar: CalendarRules = Field(default_factory=CalendarRules)
    drivers: tuple[Driver, ...] = ()
    chargers: tuple[Charger, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    trips: dict[str, tuple[TripPattern, ...]] = Field(default_factory=dict)
    zones: tuple[HvacZone, ...] = ()
    pv: PvArray | None = None
    batteries: tuple[Battery, ...] = ()
    meters: tuple[Meter, ...] = ()
    dr: DrTerms | None = None
    feeders: tuple[FeederGroup, ...] = ()
    imbalance: ImbalanceTerms | None = None
    planning: PlanRules = Field(default_factory=PlanRules)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Site:
        self._ids_are_unique()
        chargers = {charger.id for charger in self.chargers}
        drivers = {driver.id for driver in self.drivers}
        used = Counter(vehicle.charger for vehicle in self.vehicles)
        for vehicle in self.vehicles:
            _must_know(vehicle.charger, chargers, f"charger of vehicle {vehicle.id}")
            if vehicle.driver is not None:
                _must_know(vehicle.driver, drivers, f"driver of vehicle {vehicle.id}")
        shared = [charger for charger, count in used.items() if count > 1]
        if shared:
            msg = f"charger {shared[0]} is given to {used[shared[0]]} vehicles; each needs its own"
            raise ValueError(msg)
        if self.target_demand_kw > self.contract_kw:
            msg = f"target_demand_kw {self.target_demand_kw} is above contract_kw {self.contract_kw}"
            raise ValueError(msg)
        bad_months = [month for month in self.peak_memory_kw if not _MONTH.match(month)]
        if bad_months:
            msg = f"peak_memory_kw: {bad_months[0]!r} is not a month like 2026-07"
            raise ValueError(msg)
        self._feeders_carry_assets()
        self._rooms_can_be_learned()
        self._trips_do_not_overlap()
        return self

    def _rooms_can_be_learned(self) -> None:
        for zone in self.zones:
            if zone.learn and len(self.zones) > 1 and self.meter_of(zone) is None:
                msg = (
                    f"zone {zone.id} is to be learned, but no meter measures its unit alone: give the site a "
                    f"meter with measures: {zone.id}, or take learn out"
                )
                raise ValueError(msg)

    def _feeders_carry_assets(self) -> None:
        assets = {part.id for group in (self.vehicles, self.zones, self.batteries) for part in group}
        assets |= {self.pv.id} if self.pv is not None else set()
        for feeder in self.feeders:
            twice = [name for name, count in Counter(feeder.members).items() if count > 1]
            if twice:
                msg = f"feeder {feeder.id} names {twice[0]} {feeder.members.count(twice[0])} times"
                raise ValueError(msg)
            for member in feeder.members:
                _must_know(member, assets, f"member of feeder {feeder.id}")

    def _ids_are_unique(self) -> None:
        groups: tuple[tuple[_Named, ...], ...] = (
            self.chargers,
            self.vehicles,
            self.zones,
            self.batteries,
            self.meters,
            self.drivers,
            self.feeders,
        )
        ids = Counter(part.id for group in groups for part in group)
        if self.pv is not None:
            ids[self.pv.id] += 1
        twice = [name for name, count in ids.items() if count > 1]
        if twice:
            msg = f"id {twice[0]!r} is used {ids[twice[0]]} times; ids are unique on a site"
            raise ValueError(msg)

    def _trips_do_not_overlap(self) -> None:
        vehicles = {vehicle.id for vehicle in self.vehicles}
        any_monday = jst_midnight(date(2026, 1, 5))
        for vehicle, patterns in self.trips.items():
            _must_know(vehicle, vehicles, "vehicle in trips")
            expand_trips(vehicle, patterns, any_monday, any_monday + timedelta(days=14))

    @property
    def storages(self) -> tuple[Vehicle | Battery, ...]:
        """Everything that takes energy in and gives it back: cars, then stationary batteries."""
        return (*self.vehicles, *self.batteries)

    def meter_of(self, zone: HvacZone) -> str | None:
        """Id of the meter that measures a room's unit alone; None if there is none of its own."""
        return next((meter.id for meter in self.meters if meter.measures == zone.id), None)

    def charger_of(self, vehicle: Vehicle) -> Charger:
        """The charger that a vehicle uses."""
        return next(charger for charger in self.chargers if charger.id == vehicle.charger)


def _must_know(name: str, known: set[str], what: str) -> None:
    if name not in known:
        msg = f"{what}: no {name!r} among {', '.join(sorted(known)) or 'none'}"
        raise ValueError(msg)
