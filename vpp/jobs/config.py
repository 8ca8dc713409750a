"""What a service does again and again, as its YAML says it."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.market.rule_table import Area
from vpp.consents import CONTROLLER
from vpp.forecasts.handover import DeliveryTarget

__all__ = ["DraftReceiver", "ForecastReceiver", "JobSettings"]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ForecastReceiver:
    """A company that gets forecast sums after each issue, of the sites that consent.

    Parameters
    ----------
    recipient, controller : str
        As named in the consents.
    targets : tuple of DeliveryTarget
        Demand, generation, or both.
    """

    recipient: str
    controller: str = CONTROLLER
    targets: tuple[DeliveryTarget, ...] = (DeliveryTarget.DEMAND,)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DraftReceiver:
    """A party that gets the newest plan drafts that concern it before the plans are due."""

    party: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class JobSettings:
    """Jobs of a service.

    Parameters
    ----------
    off : tuple of str
        Names of jobs that are not run (``vpp jobs list`` shows all).
    at_once, heavy_at_once : int
        Most short runs, and most long ones, at the same time.
    folder : str
        Where files for others go, below it a folder for each job; without it nothing is written for others.
    forecasts : tuple of ForecastReceiver
        Who gets forecast sums.
    drafts : tuple of DraftReceiver
        Who gets plan drafts.
    batch_at : time
        When points go to the coin operator, Japan.
    warn_minutes : int
        How long before our own deadline of the next-day plans a warning comes. [min]
    dr_yen_per_kwh : Decimal
        What a verified kWh of an event is paid to a site without a ``dr`` of its own; an event with such a
        site is settled by a person if none. [yen/kWh]
    area : Area
        Supply area whose imported prices settle imbalances.
    voltage : str
        Voltage of the sites' connection, whose loss rate holds there.
    keep_history_days : int
        How long runs stay in the history. [d]
    """

    off: tuple[str, ...] = ()
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    heavy_at_once: Annotated[int, Field(ge=1, le=16)] = 1
    folder: str = ""
    forecasts: tuple[ForecastReceiver, ...] = ()
    drafts: tuple[DraftReceiver, ...] = ()
    batch_at: time = time(6, 30)
    warn_minutes: Annotated[int, Field(ge=5, le=600)] = 60
    dr_yen_per_kwh: Annotated[Decimal, Field(ge=0)] | None = None
    area: Area = Area.TOHOKU
    voltage: Literal["special_high", "high", "low"] = "high"
    keep_history_days: Annotated[int, Field(ge=7, le=3660)] = 180
