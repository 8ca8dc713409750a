"""How many sites can be trained and issued in a minute, and with how much memory.

The sites are variations of real series with a year of history: another level, whole weeks moved, days a
little stronger or weaker, some noise. Every one is fitted from nothing and forecast once, in worker processes
as a service would do it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import ConfigError, ForecastError
from energy.core.series import FloatArray
from forecasting.backtest import NINE_LEVELS
from forecasting.days import DayKinds
from forecasting.panel import Panel
from vpp.backtest.case import Case
from vpp.backtest.panel import Built, build_panel
from vpp.memory import peak_mb
from vpp.threads import one_blas_thread

__all__ = ["Issue", "Throughput", "measure_throughput", "variation", "year_of"]

HISTORY_DAYS: Final = 365
CHUNK: Final = 10  # sites handed to a worker at a time
# Chosen by hand: sites of one kind that are alike but not equal.
LEVEL_SPREAD: Final = 0.8  # of the logarithm of a site's level
DAY_SPREAD: Final = 0.05  # of the strength of a day
SLOT_SPREAD: Final = 0.03  # of a slot


class Issue(Protocol):
    """Fit on everything known at the issue of one row and forecast it."""

    def __call__(self, panel: Panel, row: int, levels: tuple[float, ...]) -> FloatArray:
        """Quantiles of one day, shape (n_levels, slots_per_day)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What a run took.

    Parameters
    ----------
    sites, workers : int
        Models trained and issued; processes.
    seconds : float
        From the first to the last. [s]
    models_per_minute : float
        Their ratio. [1/min]
    peak_mb : float
        Sum of the highest resident memory of each process, this one too; shared pages count in each. [MB]
    ms_per_site : float
        Mean time of one site in its worker. [ms]
    series : tuple of str
        Cases whose series were varied.
    """

    sites: int
    workers: int
    seconds: float
    models_per_minute: float
    peak_mb: float
    ms_per_site: float
    series: tuple[str, ...]


def measure_throughput(
    cases: Mapping[str, Case], issue: Issue, *, sites: int, workers: int, seed: int = 0
) -> Throughput:
    """Train and issue variations of the series of some cases.

    Parameters
    ----------
    cases : mapping of str to Case
        Where the series come from.
    issue : Issue
        What is measured; must survive the way into a worker process.
    sites, workers : int
        Models, and processes.

    Raises
    ------
    ConfigError
        If there is nothing to do.
    ForecastError
        If a forecast is not whole.
    """
    if sites < 1 or workers < 1 or not cases:
        raise ConfigError(
            "nothing to measure", where=f"{sites} sites, {workers} workers, {len(cases)} series"
        )
    years = [year_of(build_panel(case)) for case in cases.values()]
    one_blas_thread()  # workers inherit it
    began = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        chunks = [range(first, min(first + CHUNK, sites)) for first in range(0, sites, CHUNK)]
        done = list(pool.map(partial(_run_chunk, years, issue, seed), chunks))
    seconds = time.perf_counter() - began
    peaks: dict[int, float] = {}
    for chunk in done:
        peaks[chunk.process] = max(chunk.peak_mb, peaks.get(chunk.process, 0.0))
    return Throughput(
        sites=sites,
        workers=workers,
        seconds=seconds,
        models_per_minute=60.0 * sites / seconds,
        peak_mb=sum(peaks.values()) + peak_mb(),
        ms_per_site=1e3 * sum(chunk.seconds for chunk in done) / sites,
        series=tuple(cases),
    )


def year_of(built: Built) -> Panel:
    """A panel of 366 days without weather from a shorter or longer one, repeated in whole weeks.

    The last row is the day that is forecast.
    """
    whole = built.panel.actual[: built.panel.count - 1]
    weeks = len(whole) // 7
    if weeks == 0:
        raise ConfigError("a series of less than a week cannot be varied")
    repeats = -(-(HISTORY_DAYS + 1) // (7 * weeks))
    days = np.tile(whole[: 7 * weeks], (repeats, 1))[: HISTORY_DAYS + 1]
    kinds = DayKinds.of(SiteCalendar(national_holidays=False), built.first_day, len(days))
    return replace(built.panel, actual=days, days=kinds, forecast_weather={}, measured_weather={}, clock=None)


def variation(year: Panel, rng: np.random.Generator) -> Panel:
    """A site that is like a series but not equal to it; weekdays stay what they are."""
    weeks = int(rng.integers(0, year.count // 7))
    level = float(np.exp(LEVEL_SPREAD * rng.standard_normal()))
    strength = 1.0 + DAY_SPREAD * rng.standard_normal((year.count, 1))
    noise = 1.0 + SLOT_SPREAD * rng.standard_normal(year.actual.shape)
    moved: FloatArray = np.roll(year.actual[: year.count // 7 * 7], 7 * weeks, axis=0)
    moved = np.vstack([moved, year.actual[year.count // 7 * 7 :]])
    return replace(year, actual=np.abs(moved * level * strength * noise))


@dataclass(frozen=True, slots=True)
class _Chunk:
    process: int
    seconds: float
    peak_mb: float


def _run_chunk(years: Sequence[Panel], issue: Issue, seed: int, sites: range) -> _Chunk:
    began = time.perf_counter()
    for site in sites:
        year = years[site % len(years)]
        panel = variation(year, np.random.default_rng([seed, site]))
        found = issue(panel, panel.count - 1, NINE_LEVELS)
        if not np.isfinite(found).all():
            raise ForecastError(f"the forecast of site {site} is not whole", hint="report it")
    return _Chunk(os.getpid(), time.perf_counter() - began, peak_mb())
