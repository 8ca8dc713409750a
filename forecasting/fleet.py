"""PV of many arrays: what they give together, with the dependence of their errors.

The same cloud bank covers neighbouring roofs, so that the errors of a fleet hardly cancel; far apart they do.
Past days of errors say which. The forecasts of the arrays may come from weather forecasts
(:mod:`forecasting.pv`) or from the meters alone (:mod:`forecasting.climatology`), mixed as they are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray
from forecasting.scenarios import ErrorDays, drawn, joint_days, pieces, quantiles_of, require_alike

__all__ = ["fleet_forecast"]

LEVELS = (0.1, 0.5, 0.9)


def fleet_forecast(
    arrays: Mapping[str, QuantileForecast],
    *,
    errors: Mapping[str, ErrorDays] | None = None,
    inverter_kw: Mapping[str, float] | None = None,
) -> QuantileForecast:
    """Sum of the generation of several arrays.

    Parameters
    ----------
    arrays : dict of str to QuantileForecast
        Generation of each, >= 0, same slots, unit and issue. [kW]
    errors : dict of str to ErrorDays, optional
        Past out-of-sample errors by array, of the same lead; arrays without are left out and move with the
        mean of the others.
    inverter_kw : dict of str to float, optional
        Ceiling of each array, for those that have one. [kW]

    Returns
    -------
    QuantileForecast
        ``fleet-joint-days``; ``fleet-comonotone`` with fewer than ten past days: then all are taken to go
        wrong together, the broadest band. P50 is the median of the sum. [kW]

    Raises
    ------
    AlignmentError
        If grids, units or issues differ.
    ForecastError
        If there is no array, an error day is from the future, or a ceiling belongs to no array.
    """
    first = require_alike(arrays)
    known, ceiling = errors or {}, inverter_kw or {}
    for days in known.values():
        days.known_at(first.issued_at)
    strange = sorted({*known, *ceiling} - set(arrays))
    if strange:
        raise ForecastError(
            "a fleet got errors or ceilings of arrays it does not have",
            where=", ".join(strange),
            hint="use the same names as for the forecasts",
        )
    band, facts, model = [], {}, ""
    for day, piece, slots in pieces(first.grid):
        joint = joint_days({name: known.get(name) for name in arrays}, day)
        together: FloatArray = np.zeros((len(joint.weight), len(slots)))
        for name in sorted(arrays):  # one order of summing, so that the order given changes nothing
            values = drawn(arrays[name], piece, joint.rank[name][:, slots])
            together += np.minimum(values, ceiling.get(name, np.inf))
        band.append(quantiles_of(together, joint.weight, LEVELS))
        facts, model = joint.facts(), f"fleet-{joint.dependence}"
    values = np.concatenate(band, axis=1)
    return QuantileForecast(
        target="generation_kw",
        issued_at=first.issued_at,
        grid=first.grid,
        unit=first.unit,
        p10=values[0],
        p50=values[1],
        p90=values[2],
        model=model,
        facts={**facts, "arrays": len(arrays), "models": sorted({made.model for made in arrays.values()})},
    )
