"""What a region's plan is, and when it is good enough."""

from __future__ import annotations

from dataclasses import dataclass

from dispatch.region.limits import RegionShortfall, SharedLimit
from dispatch.region.messages import Card
from energy.core.series import FloatArray

__all__ = ["CoordinatorSettings", "RegionPlan", "Trace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordinatorSettings:
    """When to stop, and how the rounds are made.

    Parameters
    ----------
    gap : float
        Relative gap that suffices. [-]
    time_limit_s : float
        No round is begun after it; settling comes after. [s]
    rounds : int
        At most so many.
    cell : int
        Sites that share a convexity row; 1 for the fewest rounds, more for a smaller master.
    smoothing : float
        Part of the best prices in the next ones. [-]
    """

    gap: float = 0.005
    time_limit_s: float = 600.0
    rounds: int = 60
    cell: int = 1
    smoothing: float = 0.3
    tolerance: float = 1e-6


@dataclass(frozen=True, slots=True)
class Trace:
    """What was known after a round: its number, both bounds, seconds since the start."""

    round: int
    lower_yen: float
    upper_yen: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPlan:
    """What the region will do.

    Parameters
    ----------
    power_kw : ndarray, shape (sites, slots)
        Of each site as settled: verified site by site. [kW]
    lower_yen, upper_yen : float
        What no plan undercuts, and what this one costs, sites' bills and shared costs. [yen]
    alone_yen : float
        What it would cost if nobody asked for anything. [yen]
    violation : float
        The most by which any schedule breaks a hard limit of its site. [kW, kWh, K]
    broken : dict
        Kinds of promises that sites cannot keep, by site.
    left_out : dict
        Sites that take no part, and which of their inputs is wrong.
    """

    cards: tuple[Card, ...]
    power_kw: FloatArray
    droppable_kw: FloatArray
    site_yen: FloatArray
    lower_yen: float
    upper_yen: float
    alone_yen: float
    violation: float
    limits: tuple[SharedLimit, ...]
    shortfalls: tuple[RegionShortfall, ...]
    broken: dict[str, tuple[str, ...]]
    left_out: dict[str, str]
    rounds: int
    total_s: float
    template_s: float
    trace: tuple[Trace, ...]

    @property
    def gap(self) -> float:
        """Relative distance of both bounds. [-]"""
        return max(0.0, self.upper_yen - self.lower_yen) / max(1.0, abs(self.upper_yen))
