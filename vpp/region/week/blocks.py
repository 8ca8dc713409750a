"""What is done for a block of sites of a week, wherever they are: forecast, plan's window played, told.

What crosses to the region is in :class:`Forecast` and :class:`Played`: metered powers per site, sums over the
block, yen, and how many promises were kept. States, trips and temperatures stay in the block's file.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from dispatch.region.messages import Prices, Weights
from dispatch.region.sites import Block, SiteInput
from dispatch.region.work import WorkSettings, schedules_of_block
from energy.core.series import FloatArray
from vpp.region.draw import size_of
from vpp.region.plan import sizes_of_blocks
from vpp.region.week.horizon import SiteState, WeekSites, forecast_kw, read_states, write_states
from vpp.region.week.play import Lived, Living
from vpp.region.week.request import Mode, Week, day_request, happenings_of
from vpp.region.week.truth import SiteDay, forecasts_of, site_day

__all__ = ["Followed", "Played", "follow_block", "forecast_block", "play_block", "week_blocks"]

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
    contract_kw : ndarray, shape (sites,)
        Highest demand by which a basic charge is paid; 0 where none is. [kW]
    fleet_kw : ndarray, shape (sites, slots)
        What the chargers of a company took (+) or gave in the half-hours of a call, as its sub-meter says; 0
        at all other times, and where people live. [kW]
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
    contract_kw: FloatArray
    fleet_kw: FloatArray


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


@dataclass(frozen=True, slots=True)
class Followed:
    """Block to region in the middle of a window: what the meters showed, and what could be moved next.

    Parameters
    ----------
    power_kw : ndarray, shape (sites, half-hours so far)
        At the connections. [kW]
    room_kw : ndarray, shape (sites,)
        How much less each site could take in the next half-hour. [kW]
    """

    power_kw: FloatArray
    room_kw: FloatArray


@dataclass(slots=True)
class _Window:
    """A block in the middle of a window: the sites, what they carry, and what was asked so far."""

    sites: list[SiteInput]
    states: list[SiteState]
    before: list[tuple[float, FloatArray]]  # highest demand, load as it was forecast
    days: list[tuple[SiteDay, SiteDay]]
    living: list[Living]
    asked: FloatArray

    def go_on(self, asked: FloatArray) -> None:
        """Live the half-hours that were asked for and are not lived yet."""
        for t in range(self.asked.shape[1], asked.shape[1]):
            for one, less in zip(self.living, asked[:, t].tolist(), strict=True):
                one.half_hour(less)
        self.asked = asked


_windows: OrderedDict[str, _Window] = OrderedDict()
_KEPT_WINDOWS: Final = 512


def _window(
    block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights, asked: FloatArray
) -> _Window:
    """A block's window, lived as far as it was asked: from what this process kept, or from its beginning."""
    key = _key(block)
    found = _windows.pop(key, None)
    if found is None or not np.array_equal(found.asked, asked[:, : found.asked.shape[1]]):
        found = _opened(block, settings, rounds, weights)
    found.go_on(asked)
    _windows[key] = found
    while len(_windows) > _KEPT_WINDOWS:
        _windows.popitem(last=False)
    return found


def _opened(block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights) -> _Window:
    source = _source(block)
    week, mode, step = source.week, source.mode, source.step
    day, first = week.place(mode, step)
    count, states = week.window(mode), read_states(source)
    planned = schedules_of_block(block, settings, rounds, weights)
    days, before, living = [], [], []
    for number, state, (site, schedule) in zip(
        range(source.first, source.stop), states, planned, strict=True
    ):
        here, then = (site_day(day_request(week, day + timedelta(days=k)), number) for k in (0, 1))
        before.append((state.peak_kw, forecast_kw(site, state, count)))
        days.append((here, then))
        living.append(Living(site.problem, schedule, state, (here, then), first=first, count=count))
    sites = [site for site, _ in planned]
    return _Window(sites, states, before, days, living, np.zeros((len(sites), 0)))


def _key(block: Block) -> str:
    return f"{_source(block).folder} {block.key}"


def _source(block: Block) -> WeekSites:
    assert isinstance(block.source, WeekSites)
    return block.source


def follow_block(
    block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights, asked: FloatArray
) -> Followed:
    """Live the beginning of a window, and tell what the sites could do otherwise in its next half-hour.

    Parameters
    ----------
    asked : ndarray, shape (sites, half-hours so far)
        What each site was asked to take less than its plan, >= 0. [kW]
    """
    window = _window(block, settings, rounds, weights, asked)
    power = np.array([one.lived.power_kw[: asked.shape[1]] for one in window.living])
    return Followed(power, np.array([one.room_kw() for one in window.living]))


def play_block(
    block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights, asked: FloatArray
) -> Played:
    """Live the window that a plan begins with to its end, and keep what the sites are like after it.

    Parameters
    ----------
    asked : ndarray, shape (sites, half-hours of the window)
        As for :func:`follow_block`. [kW]
    """
    source, window = _source(block), _window(block, settings, rounds, weights, asked)
    del _windows[_key(block)]
    _, first = source.week.place(source.mode, source.step)
    count, peaks, contracts = source.week.window(source.mode), [], []
    rows = zip(window.sites, window.states, window.before, window.days, strict=True)
    for site, state, (highest, forecast), (here, _) in rows:
        beyond = np.nan_to_num(here.load_kw[first : first + count] - forecast)
        state.beyond_kw = round(float(beyond[-_LATELY:].mean()), 4)
        yen_per_kw = site.problem.limits.peak_yen_per_kw
        peaks.append((state.peak_kw - highest) * yen_per_kw)
        contracts.append(state.peak_kw if yen_per_kw > 0.0 else 0.0)
    write_states(source, window.states)
    lives = [one.lived for one in window.living]
    return Played(
        power_kw=np.array([one.power_kw for one in lives]),
        sun_kw=np.sum([one.sun_kw for one in lives], axis=0),
        load_kw=np.sum([one.load_kw for one in lives], axis=0),
        peak_yen=np.array(peaks),
        kept=np.array([one.kept for one in lives]),
        missed=np.array([one.missed for one in lives]),
        hopeless=np.array([one.hopeless for one in lives]),
        contract_kw=np.array(contracts),
        fleet_kw=_fleets(source, lives),
        **{
            name: np.array([getattr(one, name) for one in lives])
            for name in ("yen", "wear_yen", "discomfort_kh", "unheld_kh", "gave_kwh", "over_contract_kw")
        },
    )


def _fleets(source: WeekSites, lives: list[Lived]) -> FloatArray:
    """As :attr:`Played.fleet_kw`."""
    week, count = source.week, source.week.window(source.mode)
    shown = np.zeros((len(lives), count))
    if source.mode != "together" or not week.dr_share:
        return shown
    begun, call = source.step * count, happenings_of(week).dr
    rows = [t for t in range(count) if begun + t in call]
    for k, one in enumerate(lives):
        if not size_of(week.region, source.first + k).kind.night:
            shown[k, rows] = one.cars_kw[rows]
    return shown
