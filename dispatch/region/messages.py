"""All that is said between the region and its sites: powers, prices, which promises cannot be kept.

Nothing else crosses the border: no state of charge, no temperature, no trip, no name of a person or an asset.
Powers are those of the connection point, and of what would stop at once if all that is flexible rested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray

__all__ = ["Bids", "Card", "Opened", "Prices", "Settled", "Weights", "same_prices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the region knows of a site before it plans.

    Parameters
    ----------
    cars : int
        Number of chargers with a car in the horizon, as registered.
    flexible : bool
        Whether prices can move it: something to move, and consent.
    fault : str
        What is wrong with its inputs; empty for nothing. Such a site takes no part.
    """

    site: str
    feeder: str
    joins_dr: bool
    cars: int
    flexible: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Prices:
    """Region to block: what power is worth beyond each site's own tariff.

    Parameters
    ----------
    power_yen : ndarray, shape (groups, slots)
        Of a kWh taken. [yen/kWh]
    droppable_yen : ndarray, shape (groups, slots)
        Of a kW that could be dropped at once, for an hour. [yen/kWh]
    group : ndarray, shape (sites,)
        Row that is meant for each site, -1 for a site that is not asked.
    """

    power_yen: FloatArray
    droppable_yen: FloatArray
    group: NDArray[np.int32]


def same_prices(one: Prices, other: Prices) -> bool:
    """Whether two say the same."""
    return one is other or all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("power_yen", "droppable_yen", "group")
    )


@dataclass(frozen=True, slots=True)
class Bids:
    """Block to region: what each site would do at the prices, and what it asks for it.

    Parameters
    ----------
    yen : ndarray, shape (sites,)
        What the sites' own bills come to; NaN for a site that was not asked or has a fault. [yen]
    bound_yen : ndarray, shape (sites,)
        What a site's bill and the prices come to at the very least. [yen]
    power_kw, droppable_kw : ndarray, shape (sites, slots)
        Power at the connection, and the part of it that could be dropped at once. [kW]
    """

    yen: FloatArray
    bound_yen: FloatArray
    power_kw: FloatArray
    droppable_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Opened:
    """Block to region: its sites, and what they do if nobody asks for anything."""

    cards: tuple[Card, ...]
    bids: Bids
    template_s: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Region to block: how much of each earlier bid makes each site's schedule, shape (sites, rounds)."""

    share: FloatArray


@dataclass(frozen=True, slots=True)
class Settled:
    """Block to region: the schedules as the sites can really keep them.

    Parameters
    ----------
    broken : tuple of tuple of str
        Kinds of promises that each site cannot keep, whatever the region does.
    violation : ndarray, shape (sites,)
        Largest amount by which a schedule breaks a limit of its site, checked independently. [kW, kWh, K]
    """

    yen: FloatArray
    power_kw: FloatArray
    droppable_kw: FloatArray
    broken: tuple[tuple[str, ...], ...]
    violation: FloatArray
