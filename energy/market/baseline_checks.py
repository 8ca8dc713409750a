"""Whether a baseline can be trusted: its error on ordinary days, and whether its window was raised for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import sqrt

from energy.core.errors import GapError
from energy.core.series import Series
from energy.market.baseline import Baseline, BaselineRequest, baseline
from energy.market.rules import GamingAlarm, rule_row

__all__ = ["BaselineError", "GamingFlag", "baseline_error", "gaming_flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GamingFlag:
    """The load of the adjustment window was raised more than chance explains.

    Parameters
    ----------
    raised_kwh : Decimal
        By how much per slot. [kWh]
    limit_kwh : Decimal
        From where on it is suspicious. [kWh]
    phantom_kwh : Decimal
        Reduction over the event that would be paid for it. [kWh]
    """

    raised_kwh: Decimal
    limit_kwh: Decimal
    phantom_kwh: Decimal


def gaming_flag(found: Baseline, day: date) -> GamingFlag | None:
    """Whether the window before an event was raised so that the baseline comes out higher; None if not.

    Suspicious is more than a share of the usual use of the window *and* more than so many spreads of the used
    days (rule ``dr_gaming``). Nobody is accused: an operator looks, and what charged in the window tells.

    Parameters
    ----------
    day : date
        Japanese day of the event.
    """
    uses = found.window_by_day
    if not uses:
        return None
    rule = rule_row(GamingAlarm, day).values
    variance = sum((use - found.usual_window_kwh) ** 2 for use in uses) / max(1, len(uses) - 1)
    limit = max(rule.min_share * found.usual_window_kwh, rule.spreads * Decimal(variance).sqrt())
    raised = found.window_kwh - found.usual_window_kwh
    if raised <= limit:
        return None
    phantom = sum((slot.adjustment_kwh for slot in found.slots), Decimal(0))
    return GamingFlag(raised_kwh=raised, limit_kwh=limit, phantom_kwh=phantom)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineError:
    """How far a baseline is off on days without an event.

    Parameters
    ----------
    rrmse : float or None
        ``sqrt(mean((baseline - actual)^2)) / mean(actual)``; None without a day or without any use. [-]
    bias_kwh : float or None
        Mean of baseline less actual per slot; positive pays for nothing. [kWh]
    days, unavailable : tuple of date
        Days that were tried, and those on which there was no baseline.
    """

    rrmse: float | None
    bias_kwh: float | None
    days: tuple[date, ...]
    unavailable: tuple[date, ...]


def baseline_error(
    request_of: Callable[[date], BaselineRequest], days: Sequence[date], meter: Series
) -> BaselineError:
    """Try a baseline on days without an event and compare it with what was used.

    Parameters
    ----------
    request_of : callable
        The request a day would have had.
    days : sequence of date
        Days to try; event days among them are left out.
    """
    errors: list[float] = []
    actuals: list[float] = []
    tried, unavailable = [], []
    for day in days:
        request = request_of(day)
        if day in request.event_days:
            continue
        try:
            found = baseline(request, meter)
        except GapError:
            found = None  # counted below: without readings there is nothing to compare with
        if not isinstance(found, Baseline):
            unavailable.append(day)
            continue
        tried.append(day)
        errors += [float(slot.reduction_kwh) for slot in found.slots]
        actuals += [float(slot.actual_kwh) for slot in found.slots]
    mean = sum(actuals) / len(actuals) if actuals else 0.0
    return BaselineError(
        rrmse=sqrt(sum(error**2 for error in errors) / len(errors)) / mean if mean else None,
        bias_kwh=sum(errors) / len(errors) if errors else None,
        days=tuple(tried),
        unavailable=tuple(unavailable),
    )
