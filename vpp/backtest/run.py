"""Running one case: its panel, the models over its days, the figures as they are printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.backtest import (
    NINE_LEVELS,
    DayAhead,
    DayAheadWalk,
    ModelScore,
    compare,
    last_week,
    mean_of_four_weeks,
    mean_of_month,
    of_points,
)
from forecasting.panel import Panel
from vpp.backtest.case import Case
from vpp.backtest.panel import Built, build_panel

__all__ = ["CaseResult", "our_model", "rules_of_thumb", "run_case", "score_json"]

MOSTLY = 0.8  # share of its slots with which a day is an example, as in forecasting.thin
LEAST_WHOLE_DAYS = 2
DAYS_OF_TYPE = 7  # from a week on a working day is told from one of rest
FIGURES = ("nmae", "nrmse", "pinball", "cover80", "width80", "peak_err", "fit_s", "predict_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What a case gave.

    Parameters
    ----------
    name : str
        Name of the case.
    case : Case
        What was asked.
    built : Built
        The panel and what became of the file.
    scores : tuple of ModelScore
        One per model.
    tuning : bool
        Whether the days of tuning were scored instead of those of the test.
    """

    name: str
    case: Case
    built: Built
    scores: tuple[ModelScore, ...]
    tuning: bool = False

    def as_json(self) -> dict[str, object]:
        """The result in the types of JSON; figures that do not exist are null."""
        built, case = self.built, self.case
        first = built.first_day + timedelta(days=built.rows.start)
        return {
            "case": self.name,
            "kind": case.kind,
            "bound": case.bound,
            "weather_known": case.weather.known if case.weather else None,
            "days": len(built.rows),
            "missing": self.scores[0].missing if self.scores else 0,
            "split": {
                "history_from": built.first_day.isoformat(),
                "from": first.isoformat(),
                "to": (first + timedelta(days=len(built.rows) - 1)).isoformat(),
                "issue": f"day before {case.issue}",
                "days_are": f"standard time of {case.zone}",
                "tuning": self.tuning,
            },
            "facts": dict(built.facts),
            "models": [score_json(score) for score in self.scores],
        }


def run_case(name: str, case: Case, models: Mapping[str, DayAhead], *, tuning: bool = False) -> CaseResult:
    """Build the panel of a case and score models on it.

    Raises
    ------
    VppError
        As :func:`vpp.backtest.panel.build_panel` and :func:`forecasting.backtest.compare` say.
    """
    built = build_panel(case, tuning=tuning)
    scores = compare(
        built.panel,
        built.rows,
        models,
        first_day=built.first_day,
        bound=case.bound,
        levels=NINE_LEVELS,
    )
    return CaseResult(name=name, case=case, built=built, scores=scores, tuning=tuning)


def rules_of_thumb(kind: str) -> dict[str, DayAhead]:
    """What every model is measured against, by the names of the back-test."""
    rules = {
        "persistence": of_points(last_week, "same slot last week"),
        "same_weekday_mean": of_points(mean_of_four_weeks, "mean of the same slot of four weeks"),
    }
    if kind == "pv":
        rules["mean28"] = of_points(mean_of_month, "mean of the same slot of 28 days")
    return rules


def our_model() -> DayAhead:
    """The combined model of the product, and in its first three weeks what speaks before it."""
    return _ours


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    """A walk of the product; see :class:`forecasting.backtest.DayAheadWalk`."""

    values: FloatArray
    peak: FloatArray
    fit_s: float
    predict_ms: float
    model: str


def _ours(panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1) -> DayAheadWalk:
    """The combined model; days with less history than it needs are forecast from like days, by name."""
    from forecasting.dayahead import LEAST_DAYS, walk

    early = [row for row in rows if _days_known(panel, row) < LEAST_DAYS]
    thin = range(rows.start, early[-1] + 1 if early else rows.start)
    if not thin:
        return walk(panel, rows, levels=levels, refit_days=refit_days)
    first = np.stack([_from_few_days(panel, row, levels) for row in thin], axis=1)
    peaks = first[levels.index(0.5)].max(axis=1)
    name = f"like days for {len(thin)} of {len(rows)} days: fewer than {LEAST_DAYS} days were known"
    rest = range(thin.stop, rows.stop)
    if not rest:
        return _Walked(values=first, peak=peaks, fit_s=0.0, predict_ms=0.0, model=name)
    full = walk(panel, rest, levels=levels, refit_days=refit_days)
    return _Walked(
        values=np.concatenate([first, full.values], axis=1),
        peak=np.concatenate([peaks, full.peak]),
        fit_s=full.fit_s,
        predict_ms=full.predict_ms,
        model=f"{full.model}; {name}",
    )


def _days_known(panel: Panel, row: int) -> int:
    """Days before the issue of a row that are known for the most part."""
    known = panel.known_at_issue(row).actual[:row]
    return int(((~np.isnan(known)).mean(axis=1) >= MOSTLY).sum())


def _from_few_days(panel: Panel, row: int, levels: tuple[float, ...]) -> FloatArray:
    """One day from few: like days as they were, of one type from a week of history on."""
    from forecasting.thin import thin_quantiles

    days = _days_known(panel, row)
    if days < LEAST_WHOLE_DAYS:
        raise ForecastError(
            "fewer than two whole days are known before the first forecast",
            where=f"{days} day(s) with at least {MOSTLY:.0%} of their slots",
            hint="let the window begin later (--from), or give a longer file",
        )
    known = panel.known_at_issue(row).actual
    found = thin_quantiles(known, panel.days.rest, row, levels, by_type=days >= DAYS_OF_TYPE)
    return found if panel.kind == "load" else np.clip(found, 0.0, panel.capacity)


def score_json(score: ModelScore) -> dict[str, object]:
    """One line of figures; NaN becomes null."""
    row: dict[str, object] = {"model": score.model}
    row |= {name: _figure(getattr(score, name)) for name in FIGURES}
    row |= {"bound": score.bound, "method": score.method, "days": score.days, "missing": score.missing}
    row["unforecast"] = score.unforecast
    row["months"] = {month: _figure(share) for month, share in score.cover80_by_month.items()}
    row["cover80_sun"] = _figure(score.cover80_sun)
    return row


def _figure(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
