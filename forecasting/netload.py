"""Net load of a site: what it draws from the grid after its own sun, as a distribution.

P90 of the demand minus P10 of the generation is not P90 of the difference: both would have to go wrong on the
same day. How often they do is in the past.
"""

from __future__ import annotations

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray
from forecasting.scenarios import (
    FEWEST_DAYS,
    WINDOW,
    ErrorDays,
    drawn,
    joint_days,
    midpoint_levels,
    pieces,
    quantiles_of,
    require_alike,
)

__all__ = ["net_load"]

LEVELS = (0.1, 0.5, 0.9)
CELLS = 60  # equally likely values of each side when they are taken as independent: 3600 pairs


def net_load(
    demand: QuantileForecast,
    generation: QuantileForecast,
    *,
    demand_errors: ErrorDays | None = None,
    generation_errors: ErrorDays | None = None,
    calendar: SiteCalendar | None = None,
) -> QuantileForecast:
    """Demand minus generation.

    Parameters
    ----------
    demand, generation : QuantileForecast
        Same slots, unit and issue, both >= 0. [kW]
    demand_errors, generation_errors : ErrorDays, optional
        Past out-of-sample errors of the same lead; days that both know are used together.
    calendar : SiteCalendar, optional
        Days of rest: errors of like days count more.

    Returns
    -------
    QuantileForecast
        ``power_kw``, positive = import, negative = export. P50 is the median of the difference, not the
        difference of the medians. ``model`` is ``net-joint-days``, or ``net-independent`` with fewer than
        ten common days: then the two are taken as independent, which a hot and sunny day is not. [kW]

    Raises
    ------
    AlignmentError
        If grids, units or issues differ.
    ForecastError
        If an error day is from the future.

    Notes
    -----
    Jointly: the Schaake shuffle of :mod:`forecasting.scenarios`. Independently: the differences of all pairs
    of 60 equally likely values of each side, a discrete convolution without random numbers.
    """
    first = require_alike({"the demand": demand, "the generation": generation})
    common = _common(demand_errors, generation_errors, first)
    days = 0 if common is None else len(common[0].days)
    band = []
    for day, piece, slots in pieces(first.grid):
        if common is None:
            side = np.repeat(midpoint_levels(CELLS)[:, None], len(slots), axis=1)
            drawing, giving = drawn(demand, piece, side), drawn(generation, piece, side)
            pairs = (drawing[:, None] - giving[None]).reshape(-1, len(slots))
            band.append(quantiles_of(pairs, np.ones(len(pairs)), LEVELS))
        else:
            joint = joint_days({"demand": common[0], "generation": common[1]}, day, calendar=calendar)
            drawing = drawn(demand, piece, joint.rank["demand"][:, slots])
            giving = drawn(generation, piece, joint.rank["generation"][:, slots])
            band.append(quantiles_of(drawing - giving, joint.weight, LEVELS))
    values: FloatArray = np.concatenate(band, axis=1)
    return QuantileForecast(
        target="power_kw",
        issued_at=first.issued_at,
        grid=first.grid,
        unit=first.unit,
        p10=values[0],
        p50=values[1],
        p90=values[2],
        model="net-independent" if common is None else "net-joint-days",
        facts={"error_days": days, "demand_model": demand.model, "generation_model": generation.model},
    )


def _common(
    demand: ErrorDays | None, generation: ErrorDays | None, first: QuantileForecast
) -> tuple[ErrorDays, ErrorDays] | None:
    """Errors of the days of which both are known, or None if they are too few."""
    if demand is None or generation is None:
        return None
    known = [errors.known_at(first.issued_at) for errors in (demand, generation)]
    days = set.intersection(*({errors.days[row] for row in errors.whole} for errors in known))
    last = {day for day in days if (pieces(first.grid)[0][0] - day).days <= WINDOW}
    return None if len(last) < FEWEST_DAYS else (known[0].on(last), known[1].on(last))
