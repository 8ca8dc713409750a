"""What a region could take less or more: for how long, at what price, with what confidence.

At an extra price of power in a window, beside the prices of the plan, each site says what it would do. The
difference to the plan is what it offers at that price; its bill says what it costs. Rebound outside of the
window is priced with the plan's own prices. Sites fail and miss: what is firm is less than the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dispatch.region.coordinate import Coordinator
from dispatch.region.outcome import RegionPlan
from energy.core.errors import ConfigError
from energy.core.series import FloatArray

__all__ = ["Delivery", "OfferPoint", "Window", "firm_kw", "offer_curve"]

_NOTHING_KW = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half-hours ``first <= s < first + count`` in which power is asked for.

    Parameters
    ----------
    down : bool
        Whether less is taken from the grid; else more.
    """

    first: int
    count: int
    down: bool = True

    def slots(self, horizon: int) -> np.ndarray:
        """The half-hours.

        Raises
        ------
        ConfigError
            If they do not lie in the horizon.
        """
        if self.count < 1 or self.first < 0 or self.first + self.count > horizon:
            raise ConfigError(
                "the window does not lie in the plan",
                where=f"half-hours {self.first} to {self.first + self.count} of {horizon}",
                hint="choose another start or a shorter window",
            )
        return np.arange(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How sites keep what they offer; assumptions until deliveries were recorded.

    Parameters
    ----------
    failing : float
        Part of the sites that give nothing at all. [-]
    own_error, common_error : float
        Standard deviations of what the others give, by themselves and all alike (weather). [-]
    """

    failing: float = 0.05
    own_error: float = 0.2
    common_error: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferPoint:
    """A point of the offer curve.

    Parameters
    ----------
    price_yen_per_kwh : float
        Paid for each kWh less (down) or more (up).
    site_kw : ndarray, shape (sites,)
        What each site gives throughout the window. [kW]
    expected_kw, firm_kw : float
        Sum over the sites, and what is exceeded with the confidence asked for. [kW]
    cost_yen : float
        By how much the sites' own bills grow. [yen]
    round : int
        Round of the region in which the sites bid this.
    """

    window: Window
    price_yen_per_kwh: float
    site_kw: FloatArray
    expected_kw: float
    firm_kw: float
    cost_yen: float
    round: int


def firm_kw(site_kw: FloatArray, delivery: Delivery, confidence: float) -> float:
    """What the sites exceed with a confidence. [kW]

    ``(1-q) sum r - z sqrt(sum r^2 (q (1-q) + (1-q) own^2) + (common (1-q) sum r)^2)``: independent failures
    and errors, one common error, normal by their number; never below 0.
    """
    q, total = delivery.failing, float(site_kw.sum())
    own = float(np.sum(site_kw**2)) * (q * (1.0 - q) + (1.0 - q) * delivery.own_error**2)
    common = (delivery.common_error * (1.0 - q) * total) ** 2
    z = NormalDist().inv_cdf(confidence)
    return max(0.0, (1.0 - q) * total - z * float(np.sqrt(own + common)))


def offer_curve(
    coordinator: Coordinator,
    plan: RegionPlan,
    window: Window,
    prices_yen_per_kwh: list[float],
    *,
    delivery: Delivery,
    confidence: float,
) -> list[OfferPoint]:
    """Offers at rising prices, from all sites that joined demand response and can be moved.

    A site's offer is what it gives in each half-hour of the window, its least; it never falls with the price.

    Raises
    ------
    ConfigError
        If the window lies outside of the plan, or the confidence is none.
    """
    slots = window.slots(plan.power_kw.shape[1])
    if not 0.5 <= confidence < 1.0:
        raise ConfigError(
            f"a confidence of {confidence} is none", where="confidence", hint="give 0.5 or more, below 1"
        )
    joined = np.array([card.joins_dr and card.flexible for card in plan.cards], dtype=bool)
    sign = 1.0 if window.down else -1.0
    points: list[OfferPoint] = []
    for price in sorted(prices_yen_per_kwh):
        extra = np.zeros(plan.power_kw.shape[1])
        extra[slots] = sign * price
        power, yen, number = coordinator.probe(extra, joined=joined)
        given = sign * (plan.power_kw - power)[:, slots]
        site_kw = np.where(joined, np.maximum(0.0, given.min(axis=1)), 0.0)
        used = joined & (site_kw > _NOTHING_KW)
        points.append(
            OfferPoint(
                window=window,
                price_yen_per_kwh=price,
                site_kw=np.where(used, site_kw, 0.0),
                expected_kw=float(site_kw[used].sum()) * (1.0 - delivery.failing),
                firm_kw=firm_kw(site_kw[used], delivery, confidence),
                cost_yen=float(np.sum((yen - plan.site_yen)[used])),
                round=number,
            )
        )
    return points
