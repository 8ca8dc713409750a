"""What is done for a block of sites of a week, wherever they are: forecast, plan's window played, told.

What crosses to the region is in :class:`Forecast` and :class:`Played`: metered powers per site, sums over the
block, yen, and how many promises were kept. States, trips and temperatures stay in the block's file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from dispatch.region.messages import Prices, Weights
from dispatch.region.sites import Block
from dispatch.region.work import WorkSettings, schedules_of_block
from energy.core.series import FloatArray
from vpp.region.plan import sizes_of_blocks
from vpp.region.week.horizon import WeekSites, forecast_kw, read_states, write_states
from vpp.region.week.play import Lived, live
from vpp.region.week.request import Mode, Week, day_request
from vpp.region.week.truth import forecasts_of, site_day

__all__ = ["Played", "forecast_block", "play_block", "week_blocks"]

_LATELY = 4  # half-hours that say how a load goes on
_WORKERS = 2  # that blocks are cut for: states on disk stay good when there are more


@dataclass(frozen=True, slots=True)
class Played:
    """Block to region: what the meters showed, and what was kept.

    Parameters
    ----------
    power_kw : ndarray, shape (sites, slots)
        At the connections. [kW]
    sun_kw, load_kw : ndarray, shape (slots,)
        Of all sites of the block together: what the roofs gave, and what was used. [kW]
    yen, peak_yen, wear_yen : ndarray, shape (sites,)
        Energy bought less sold; dearer contracts by higher peaks; wear of batteries. [yen]
    discomfort_kh, unheld_kh : ndarray, shape (sites,)
        Outside comfort bands; of it while the unit was at its limit. [K h]
    gave_kwh, over_contract_kw : ndarray, shape (sites,)
        Given back by cars; above the contract. [kWh, kW]
    kept, missed, hopeless : ndarray of int, shape (sites,)
        Departures that were kept, missed though they could have been kept, and that nobody could have kept.
    """

    power_kw: FloatArray
    sun_kw: FloatArray
    load_kw: FloatArray
    yen: FloatArray
    peak_yen: FloatArray
    wear_yen: FloatArray
    discomfort_kh: FloatArray
    unheld_kh: FloatArray
    gave_kwh: FloatArray
    over_contract_kw: FloatArray
    kept: np.ndarray
    missed: np.ndarray
    hopeless: np.ndarray


def week_blocks(week: Week, mode: Mode, step: int, *, folder: Path) -> list[Block]:
    """All sites at a step; the blocks do not depend on how many workers there are."""
    blocks = []
    for first, stop in sizes_of_blocks(week.region.sites, _WORKERS):
        key = f"{week.fingerprint()}-{mode}-{step}-{first}-{stop}"
        source = WeekSites(week, mode, step, str(folder), first, stop)
        blocks.append(Block(key, first, stop - first, source))
    return blocks


def forecast_block(week: Week, first: int, stop: int, *, day: date, folder: str) -> FloatArray:
    """Forecast all sites of a block for a day and the next; sum of their P50. [kW]

    Sites without a forecast count as nothing.
    """
    told = forecasts_of(week, first, stop, day, folder=Path(folder))
    total: FloatArray = np.nansum(told.p50, axis=0)
    return total


def play_block(block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights) -> Played:
    """Play the window that a plan begins with, and keep what the sites are like after it."""
    source = block.source
    assert isinstance(source, WeekSites)
    week, mode, step = source.week, source.mode, source.step
    day, first = week.place(mode, step)
    count, states = week.window(mode), read_states(source)
    lives: list[Lived] = []
    peaks = []
    for number, state, (site, schedule) in zip(
        range(source.first, source.stop),
        states,
        schedules_of_block(block, settings, rounds, weights),
        strict=True,
    ):
        days = tuple(site_day(day_request(week, day + timedelta(days=k)), number) for k in (0, 1))
        before, forecast = state.peak_kw, forecast_kw(site, state, count)
        lives.append(live(site.problem, schedule, state, (days[0], days[1]), first=first, count=count))
        beyond = np.nan_to_num(days[0].load_kw[first : first + count] - forecast)
        state.beyond_kw = round(float(beyond[-_LATELY:].mean()), 4)
        peaks.append((state.peak_kw - before) * site.problem.limits.peak_yen_per_kw)
    write_states(source, states)
    return Played(
        power_kw=np.array([one.power_kw for one in lives]),
        sun_kw=np.sum([one.sun_kw for one in lives], axis=0),
        load_kw=np.sum([one.load_kw for one in lives], axis=0),
        peak_yen=np.array(peaks),
        kept=np.array([one.kept for one in lives]),
        missed=np.array([one.missed for one in lives]),
        hopeless=np.array([one.hopeless for one in lives]),
        **{
            name: np.array([getattr(one, name) for one in lives])
            for name in ("yen", "wear_yen", "discomfort_kh", "unheld_kh", "gave_kwh", "over_contract_kw")
        },
    )
