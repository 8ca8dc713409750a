"""Keeps score of a run from the truth of its twins: comfort, promises, floors, energy balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Protocol

from energy.core.assets import Trip
from energy.core.site import Site
from vpp.site.climate import comfort_band

__all__ = ["DepartureRecord", "Penalties", "ScoreKeeper"]

# A departure is missed when the car leaves with less than this below its promise: the charger's register
# counts whole percent.
PROMISE_TOLERANCE = 0.005
FLOOR_TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class Penalties:
    """What a broken promise costs in the score; high enough that nobody would buy them off. [yen]

    Parameters
    ----------
    per_degc_h : float
        Per degree-hour outside a comfort band. [yen/(K h)]
    per_departure : float
        Per car that left below its promise. [yen]
    stored_yen_per_kwh : float
        Value of battery energy at the end against the start: what it costs to charge it. [yen/kWh]
    """

    per_degc_h: float = 1000.0
    per_departure: float = 3000.0
    stored_yen_per_kwh: float = 24.0


class CarTruth(Protocol):
    """What a twin knows of its car."""

    @property
    def soc(self) -> float:
        """State of charge. [-]"""
        ...

    @property
    def plugged(self) -> bool:
        """Whether the car is at its charger."""
        ...

    @property
    def power_kw(self) -> float:
        """AC power, positive into the car. [kW]"""
        ...


class ZoneTruth(Protocol):
    """What a twin knows of its room."""

    @property
    def temp_c(self) -> float:
        """Room temperature. [degC]"""
        ...


@dataclass(slots=True)
class DepartureRecord:
    """One departure: what was promised, what was in the battery."""

    vehicle: str
    at: str
    promised_soc: float
    soc: float


@dataclass(slots=True)
class ScoreKeeper:
    """Counts, minute by minute; its state goes through JSON for a checkpoint."""

    site: Site
    comfort_degc_h: float = 0.0
    comfort_worst_degc: float = 0.0
    slot_worst_degc: float = 0.0
    departures: list[DepartureRecord] = field(default_factory=list)
    floor_slots: set[tuple[str, str]] = field(default_factory=set)

    def minute(
        self,
        at: datetime,
        slot_start: datetime,
        cars: Mapping[str, CarTruth],
        zones: Mapping[str, ZoneTruth],
    ) -> None:
        """Take note of the state at an instant, one minute after the last."""
        worst = 0.0
        for zone in self.site.zones:
            band = comfort_band(self.site, zone, at)
            if band is None:
                continue
            low, high = band
            temp = zones[zone.id].temp_c
            outside = max(0.0, low - temp, temp - high)
            self.comfort_degc_h += outside / 60.0
            worst = max(worst, outside)
        self.slot_worst_degc = max(self.slot_worst_degc, worst)
        self.comfort_worst_degc = max(self.comfort_worst_degc, worst)
        for vehicle in self.site.vehicles:
            car = cars[vehicle.id]
            if car.plugged and car.power_kw < -0.01 and car.soc < vehicle.soc_min - FLOOR_TOLERANCE:
                self.floor_slots.add((vehicle.id, slot_start.isoformat()))

    def take_slot_worst(self) -> float:
        """Worst excursion since the last call, for the record of the slot. [K]"""
        worst, self.slot_worst_degc = self.slot_worst_degc, 0.0
        return worst

    def departs(self, trip: Trip, soc: float) -> None:
        """A car leaves."""
        self.departures.append(
            DepartureRecord(trip.vehicle, trip.departs.isoformat(), trip.promise_soc, round(soc, 6))
        )

    @property
    def missed(self) -> int:
        """Departures below their promise."""
        return sum(1 for one in self.departures if one.soc < one.promised_soc - PROMISE_TOLERANCE)

    def state(self) -> dict[str, object]:
        """Everything, as plain values."""
        return {
            "comfort_degc_h": self.comfort_degc_h,
            "comfort_worst_degc": self.comfort_worst_degc,
            "departures": [asdict(one) for one in self.departures],
            "floor_slots": sorted(self.floor_slots),
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from :meth:`state`."""
        plain = dict(state)
        self.comfort_degc_h = float(str(plain["comfort_degc_h"]))
        self.comfort_worst_degc = float(str(plain["comfort_worst_degc"]))
        self.departures = [DepartureRecord(**one) for one in _list(plain["departures"])]
        self.floor_slots = {(str(a), str(b)) for a, b in _list(plain["floor_slots"])}


def _list(value: object) -> list:  # type: ignore[type-arg] # plain JSON, checked by its reader
    assert isinstance(value, list)
    return value
