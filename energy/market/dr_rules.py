"""Dated numbers of the demand-response products; :mod:`energy.market.rules` registers them."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from energy.market.rule_table import RuleValues

__all__ = [
    "AskTerms",
    "BalancingResponse",
    "CoinValue",
    "DeliveryTracking",
    "EconomicTerms",
    "TightTerms",
    "UpTerms",
]


class AskTerms(RuleValues):
    """What a request to shift load must keep to.

    Parameters
    ----------
    notice_minutes : int
        Time between announcement and start, at least. [min]
    max_hours : Decimal
        Longest event. [h]
    min_kw : Decimal
        Smallest target. [kW]
    earliest, latest : time
        Japanese hours inside which it lies; ``latest`` 00:00 is midnight at the end of the day.
    """

    notice_minutes: Annotated[int, Field(ge=0)]
    max_hours: Annotated[Decimal, Field(gt=0)]
    min_kw: Annotated[Decimal, Field(ge=0)]
    earliest: time
    latest: time


class EconomicTerms(AskTerms):
    """A retailer asks its customers to use less (経済DR)."""


class TightTerms(AskTerms):
    """Supply is tight: 注意報 or 警報."""


class UpTerms(AskTerms):
    """More load in hours of surplus (上げDR)."""


class BalancingResponse(RuleValues):
    """What the balancing market asks of each product.

    Parameters
    ----------
    primary_s, secondary1_s, secondary2_s, tertiary1_s, tertiary2_s : int
        Time from the command to the full response. [s]
    block_minutes : int
        Length of a block. [min]
    tolerance_share : Decimal
        How far delivery may lie from the award, in shares of it (assessment II). [-]
    """

    primary_s: Annotated[int, Field(gt=0)]
    secondary1_s: Annotated[int, Field(gt=0)]
    secondary2_s: Annotated[int, Field(gt=0)]
    tertiary1_s: Annotated[int, Field(gt=0)]
    tertiary2_s: Annotated[int, Field(gt=0)]
    block_minutes: Annotated[int, Field(gt=0)]
    tolerance_share: Annotated[Decimal, Field(ge=0, lt=1)]


class CoinValue(RuleValues):
    """What a point of the community coin is worth. [yen]"""

    yen_per_point: Annotated[Decimal, Field(gt=0)]


class DeliveryTracking(RuleValues):
    """When a called site counts as failing: so many half hours in a row below a share of its promise.

    Parameters
    ----------
    failing_share : Decimal
        Share of the promise below which a half hour counts against it. [-]
    failing_slots : int
        So many of them in a row, the newest included.
    prior_events : int
        How many events the stated reliability weighs beside measured ones.
    certainty : Decimal
        How many standard deviations of non-delivery are kept in reserve. [-]
    """

    failing_share: Annotated[Decimal, Field(gt=0, le=1)]
    failing_slots: Annotated[int, Field(ge=1)]
    prior_events: Annotated[int, Field(ge=1)]
    certainty: Annotated[Decimal, Field(ge=0)]
