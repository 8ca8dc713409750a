"""What a station is told, in the unit that it understands: standing limits, and orders as leases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from devices.ocpp.config import StationConfig
from devices.ocpp.words import Goal, Purpose

__all__ = ["LEAST_A", "in_unit", "order_goal", "standing_limits"]

LEAST_A: Final = 6.0  # IEC 61851-1: a car charges with no less
_CLOCK_SLACK_S: Final = 300  # an order holds at a station whose clock is late by so much


def in_unit(station: StationConfig, power_kw: float) -> float:
    """A power in watts or amperes, never more than was asked; below the least current it is none.

    Examples
    --------
    >>> in_unit(StationConfig("cp-1", {}, rate_unit="A"), 6.05)
    10.0
    """
    if station.rate_unit == "W":
        return power_kw * 1000.0
    amperes = int(power_kw / station.mains.kw_per_a * 10.0 + 1e-6) / 10.0
    return amperes if abs(amperes) >= LEAST_A else 0.0


def _earlier(now: datetime) -> datetime:
    """Some minutes ago: a beginning that has passed also by a clock that is late."""
    return now.replace(microsecond=0) - timedelta(seconds=_CLOCK_SLACK_S)


def standing_limits(station: StationConfig, now: datetime) -> list[Goal]:
    """Limits without an end: of the whole station, and what each connector falls back to."""
    unit, goals = station.rate_unit, []
    if station.max_kw is not None:
        # Not relative to a charge (there may be two), so it needs a beginning (OCPP 2.0.1, K01).
        most = in_unit(station, station.max_kw)
        goals.append(Goal(number=0, purpose=Purpose.STATION, value=most, unit=unit, begins=_earlier(now)))
    for number, connector in sorted(station.connectors.items()):
        safe = in_unit(station, connector.safe_kw)
        goals.append(Goal(number=number, purpose=Purpose.SAFE, value=safe, unit=unit))
    return goals


def order_goal(
    station: StationConfig,
    number: int,
    power_kw: float,
    transaction: str | None,
    *,
    now: datetime,
    lease_s: int,
) -> Goal:
    """An order that ends with its lease, by the station's own clock."""
    return Goal(
        number=number,
        purpose=Purpose.ORDER,
        value=in_unit(station, power_kw),
        unit=station.rate_unit,
        transaction=transaction,
        begins=_earlier(now),
        lasts_s=_CLOCK_SLACK_S + lease_s,
    )
