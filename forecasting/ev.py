"""When a car is at its charger: from the driving calendar or from forecast visits to intervals of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from energy.core.assets import Trip, Vehicle
from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.series import Grid
from forecasting.session_model import VisitForecast

__all__ = ["BEYOND", "LIKELY", "Availability", "car_availability", "planned_trips"]

# A 6 kW charger fills a 40 kWh battery from a tenth in 0.9 * 40 / (0.92 * 6) = 6.5 h
BEYOND = timedelta(hours=8)
# A car that comes less often than not is not counted on.
LIKELY = 0.5
# A trip under way promises nothing: an absence from the start of the plan began a little before it.
_UNDER_WAY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Availability:
    """A car over a grid, as :class:`energy.core.plan.CarProblem` wants it.

    Parameters
    ----------
    plugged : tuple of bool
        Whether the car is plugged for the whole interval.
    drive_kwh : tuple of float
        Battery energy used by driving in the interval, >= 0. [kWh]
    departures : tuple of (int, float)
        Interval at whose start the promise must hold, and the promised state of charge [-]; in order. The
        index is ``grid.count`` for a departure soon after the grid, which the plan must already respect.
    """

    plugged: tuple[bool, ...]
    drive_kwh: tuple[float, ...]
    departures: tuple[tuple[int, float], ...]


def car_availability(trips: Sequence[Trip], grid: Grid, *, beyond: timedelta = BEYOND) -> Availability:
    """Availability of one car.

    Parameters
    ----------
    trips : sequence of Trip
        Trips of one car, in any order, without overlap; those that touch the grid and, if known, the next one
        after it.
    grid : Grid
        Intervals of the plan; its start is now or later.
    beyond : timedelta
        How long after the end of the grid a departure still binds the plan, because charging would begin
        before the end.

    Raises
    ------
    DataError
        If the trips are of several cars, or overlap.

    Notes
    -----
    An interval that a trip touches at all is away. The energy of a trip is spread evenly in time over
    ``[departs, returns)``; what falls before the grid has been driven, what falls after it is not the plan's.
    The promise of a trip holds at the start of the interval in which the car leaves, because that interval
    can no longer be counted on; a trip already under way promises nothing. Of the departures within
    ``beyond`` after the end only the first counts, and only if the car is at home when the grid ends.
    """
    ordered = sorted(trips, key=lambda trip: trip.departs)
    _check(ordered)
    plugged, drive = [True] * grid.count, [0.0] * grid.count
    departures: list[tuple[int, float]] = []
    for trip in ordered:
        departs, returns = require_aware(trip.departs), require_aware(trip.returns)
        if returns <= grid.start:
            continue
        if departs >= grid.end:
            if departs < grid.end + beyond:
                departures.append((grid.count, trip.promise_soc))
            break
        if departs >= grid.start:
            departures.append((grid.index(departs), trip.promise_soc))
        first = max(0, (departs - grid.start) // grid.step)
        for index in range(first, grid.count):
            share = _shared(departs, returns, grid.time(index), grid.time(index + 1))
            if share <= 0.0:
                break
            plugged[index] = False
            drive[index] += trip.energy_kwh * share
        if returns > grid.end:
            break
    return Availability(tuple(plugged), tuple(drive), tuple(departures))


def planned_trips(
    vehicle: Vehicle,
    forecasts: Sequence[VisitForecast],
    *,
    start: datetime,
    end: datetime,
    likely: float = LIKELY,
) -> tuple[Trip, ...]:
    """Absences of a car as a careful plan takes them from forecast visits to its charger.

    The car is counted on from the late quantile (P90) of its arrival to the early one (P10) of its departure,
    on days on which it comes with at least the probability ``likely``; everything between is a trip. What is
    promised at a departure is the owner's floor and, above it, the high quantile (P90) of what the driver
    charges in a visit; the same energy is taken to be driven until the next visit.

    Parameters
    ----------
    vehicle : Vehicle
        Whose floor, ceiling and capacity hold.
    forecasts : sequence of VisitForecast
        Of one user, one per local day, covering the plan; in any order.
    start, end : datetime
        Of the plan.

    Returns
    -------
    tuple of Trip
        In order, without overlap; what :func:`car_availability` wants.

    Raises
    ------
    DataError
        If the forecasts are of several users, or there is none.
    """
    users = sorted({one.user for one in forecasts})
    if len(users) != 1:
        raise DataError(
            "trips are planned for one car",
            where=", ".join(users) or "no forecast",
            hint="give the forecasts of one user, one per day of the plan",
        )
    first, last = require_aware(start), require_aware(end)
    gone, promise, trips = first - _UNDER_WAY, vehicle.soc_min, []
    need_kwh = 0.0
    for one in sorted(forecasts, key=lambda forecast: forecast.day):
        need_kwh = one.energy_kwh.p90
        comes, leaves = one.instant(one.arrives_min.p90), one.instant(one.departs_min.p10)
        if one.probability < likely or comes >= leaves or leaves <= first or comes >= last:
            continue
        if comes > gone:
            if comes > first:
                trips.append(_trip(vehicle, gone, comes, need_kwh, promise))
            gone = leaves
        gone = max(gone, leaves)
        promise = min(vehicle.soc_max, vehicle.soc_min + need_kwh / vehicle.capacity_kwh)
    if gone < last + BEYOND:
        trips.append(_trip(vehicle, gone, last + 2 * BEYOND, need_kwh, promise))
    return tuple(trips)


def _trip(
    vehicle: Vehicle, departs: datetime, returns: datetime, energy_kwh: float, promise_soc: float
) -> Trip:
    return Trip(
        vehicle=vehicle.id, departs=departs, returns=returns, energy_kwh=energy_kwh, promise_soc=promise_soc
    )


def _shared(departs: datetime, returns: datetime, start: datetime, end: datetime) -> float:
    """Share of the absence that lies in ``[start, end)``. [-]"""
    overlap = min(returns, end) - max(departs, start)
    return max(0.0, overlap / (returns - departs))


def _check(trips: Sequence[Trip]) -> None:
    cars = sorted({trip.vehicle for trip in trips})
    if len(cars) > 1:
        raise DataError(
            "availability is made for one car", where=", ".join(cars), hint="filter the trips by car"
        )
    for earlier, later in pairwise(trips):
        if require_aware(later.departs) < require_aware(earlier.returns):
            raise DataError(
                f"trips of {earlier.vehicle} overlap",
                where=f"{earlier.departs.isoformat()}..{earlier.returns.isoformat()} "
                f"and {later.departs.isoformat()}..{later.returns.isoformat()}",
                hint="a car cannot be away twice: correct the driving calendar",
            )
