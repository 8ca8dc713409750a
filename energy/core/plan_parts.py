"""Parts of a planning problem that belong to the site as a whole, and assets of kinds from outside.

Half-hours are counted by their index in ``Problem.grid``; series over the horizon have one entry per
interval.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from energy.core.units import AssetId

__all__ = ["Adjustment", "DemandStep", "DrEvent", "Feeder", "Floats", "OtherAsset", "SubmittedPlan"]

Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandStep:
    """A second price of demand: a target that a person set, or the memory that counts from the next month.

    Parameters
    ----------
    level_kw : float
        Demand up to here costs nothing. [kW]
    yen_per_kw : float
        Of the highest demand above it, beside every other price of demand. [yen/kW]
    first, last : int
        Half-hours ``first <= s < last`` that count; ``last`` None for all from ``first`` on.
    target : bool
        Whether a person set it: then it is named among the shortfalls where it is missed.
    """

    level_kw: float
    yen_per_kw: float
    first: int = 0
    last: int | None = None
    target: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """The same-day adjustment of a baseline (RULES-JP 3.1): one number for the event.

    ``a = (sum over the window of actual - usual) / slots``, but at most ``most_kw``: load that the plan
    moves into the window earns nothing, load that it takes out of it costs. Each half-hour of the event is
    lifted by ``weights[s] * a``.

    Parameters
    ----------
    first, last : int
        Half-hours ``first <= s < last`` of the window that still lie ahead; equal if none do.
    usual_kw : tuple of float
        Mean of the days that make the baseline, per half-hour of those. [kW]
    slots : int
        Half-hours of the whole window.
    so_far_kw : float
        Sum over its gone half-hours of actual less usual. [kW]
    most_kw : float
        Adjustment of the site if nobody moved anything. [kW]
    weights : tuple of float
        Per half-hour of the event; empty for 1 (additive), baseline over usual for a ratio. [-]
    """

    first: int
    last: int
    usual_kw: Floats
    slots: int
    so_far_kw: float = 0.0
    most_kw: float = 0.0
    weights: Floats = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrEvent:
    """A demand-response event with a known baseline: what is imported less than that is paid.

    A half-hour above the baseline takes from what the others earn (RULES-JP T30); whether an event that comes
    out below nothing is paid for, or left, says ``negative_counts``.

    Parameters
    ----------
    first, last : int
        Half-hours ``first <= s < last``.
    baseline_kw : tuple of float
        Before the same-day adjustment, per half-hour of the event. [kW]
    reward_yen_per_kwh : float
        For each kWh below the baseline. [yen/kWh]
    most_kw : float
        Reduction that is paid at most. [kW]
    recovery_kw : tuple of float
        Demand that the half-hours right after the event shall not exceed; empty for no limit. [kW]
    recovery_yen_per_kwh : float
        Price of exceeding it. [yen/kWh]
    negative_counts : bool
        Whether an event whose sum is negative costs (a contract between businesses) or counts as 0 (a
        campaign).
    """

    id: str
    first: int
    last: int
    baseline_kw: Floats
    reward_yen_per_kwh: float
    most_kw: float
    adjustment: Adjustment | None = None
    recovery_kw: Floats = ()
    recovery_yen_per_kwh: float = 200.0
    negative_counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder:
    """Assets behind one cable, breaker or transformer.

    Parameters
    ----------
    limit_kw : float
        What it carries towards the assets, at any time and not only in the mean of a half-hour. [kW]
    back_kw : float
        What it carries away from them. [kW]
    load_kw : tuple of float
        What else hangs on it, per interval; empty for nothing. [kW]
    """

    id: str
    members: tuple[AssetId, ...]
    limit_kw: float
    back_kw: float
    load_kw: Floats = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedPlan:
    """The plan that was submitted for the site, and what each kWh beside it costs beyond its price.

    A half-hour that was not submitted has both prices 0. A sum of both below 0 would pay for being off.

    Parameters
    ----------
    import_kw : tuple of float
        Net power that was submitted, per half-hour; negative for export. [kW]
    short_yen_per_kwh, long_yen_per_kwh : tuple of float
        Of a kWh more and of a kWh less than that. [yen/kWh]
    """

    import_kw: Floats
    short_yen_per_kwh: Floats
    long_yen_per_kwh: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAsset:
    """An asset of a kind that was added from outside (``docs/how-to/add-an-asset.md``).

    Parameters
    ----------
    kind : str
        Name under which the kind is registered.
    numbers, series : dict
        Its data by name; a series has one entry per interval.
    """

    id: AssetId
    kind: str
    numbers: dict[str, float] = field(default_factory=dict)
    series: dict[str, Floats] = field(default_factory=dict)
