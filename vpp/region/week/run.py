"""Runs the week: forecasts, plans, what comes, step by step, with a checkpoint after each.

A step that is on disk is not done again, so an interrupted week goes on where it stopped and comes to the
same, and a finished one is only told again.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from dispatch.region.checks import require_region
from dispatch.region.coordinate import Coordinator
from dispatch.region.messages import Card
from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from dispatch.region.work import WorkSettings, forget
from dispatch.templates import TemplateShelf
from energy.core.series import FloatArray
from vpp.region.crew import Executor, peak_rss_mb
from vpp.region.pools import SLOTS
from vpp.region.shared import RegionRules
from vpp.region.week.blocks import Played, forecast_block, play_block, week_blocks
from vpp.region.week.correct import correct_window, keep_feeders
from vpp.region.week.limits import FeederLimits, Known, joined_of, limits_at
from vpp.region.week.request import MODES, Mode, Week, happenings_of
from vpp.wholefile import whole_file

__all__ = ["Interrupted", "Step", "run_week", "step_path"]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
Stop = Callable[[], bool]

FEEDER_SHARE: Final = 1.5  # of the highest that is known before the week: a line is built with room
WEEK_RULES: Final = RegionRules(short_yen=4.0, evening_yen=8.0, long_yen=4.0)
"""A kWh off the plan at about what the assumed prices of the week make of it; nobody buys a reserve in it."""
_MOST_CELLS: Final = 2_500
_FORM: Final = 3  # of a step; raised when one holds more: steps of an older form are done again


class Interrupted(Exception):  # noqa: N818 - not an error: it goes on with the same words
    """Somebody asked to stop; what is done is kept."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: tables, and what is said about it."""

    tables: dict[str, FloatArray]
    told: dict[str, Any]


def step_path(folder: Path, mode: Mode, step: int) -> Path:
    """File of a step's tables; what is said about it lies beside it."""
    return folder / mode / f"step-{step:05d}.npz"


def run_week(
    week: Week,
    crew: Executor,
    folder: Path,
    *,
    shelf: TemplateShelf | None = None,
    progress: Progress = lambda *_: None,
    stop: Stop = lambda: False,
) -> None:
    """Run all parts of a week into a folder.

    Raises
    ------
    Interrupted
        If ``stop`` says so; after the step that was under way.
    InvalidPlanError
        If the independent check refuses a plan of the region.
    """
    _open_folder(week, folder)
    runner = _Runner(week, crew, folder, shelf)
    for mode in MODES:
        total = week.steps(mode)
        for step in range(total):
            if not step_path(folder, mode, step).exists():
                if stop():
                    raise Interrupted
                runner.step(mode, step)
            progress(mode, step + 1, total)


def _open_folder(week: Week, folder: Path) -> None:
    """A folder for this very week: what another one left there goes."""
    mark = folder / "week.json"
    mine = {"fingerprint": week.fingerprint(), "week": repr(week), "form": _FORM}
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == mine:
        return
    for name in (*MODES, "forecasts", "meters"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("region.db", "region.db-wal", "region.db-shm", "result.json"):
        (folder / name).unlink(missing_ok=True)
    with whole_file(mark) as file:
        file.write(json.dumps(mine, indent=1) + "\n")


def read_step(folder: Path, mode: Mode, step: int) -> Step:
    """A step that is done."""
    path = step_path(folder, mode, step)
    with np.load(path) as kept:
        tables = {name: kept[name] for name in kept.files}
    return Step(tables, json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))


class _Runner:
    """One step after the other."""

    def __init__(self, week: Week, crew: Executor, folder: Path, shelf: TemplateShelf | None) -> None:
        self._week, self._crew, self._folder = week, crew, folder
        self._work = WorkSettings(shelf=shelf)
        self._rules = WEEK_RULES
        self._happen = happenings_of(week)
        self._feeders: FeederLimits | None = None

    def step(self, mode: Mode, step: int) -> None:
        """Forecast, plan, play, keep."""
        begun = time.perf_counter()
        week, folder = self._week, self._folder
        blocks = week_blocks(week, mode, step, folder=folder)
        self._forecast(mode, step)
        forecast_s = time.perf_counter() - begun
        coordinator = Coordinator(blocks, _grid(week, mode, step), lambda *_: [], self._crew, work=self._work)
        usual, drop = coordinator.alone_kw.copy(), coordinator.alone_droppable_kw.copy()
        told: dict[str, Any] = {}
        calls: dict[str, FloatArray] = {}
        asked = np.zeros((len(usual), week.window(mode)))
        short = np.zeros((len(_feeders_of(coordinator.cards)[0]), week.window(mode)), dtype=bool)
        if mode == "together":
            plan, planned = self._planned(coordinator, step, usual, drop, told)
            share, calls = coordinator.share, self._calls(coordinator, step, plan.droppable_kw, told)
        else:
            planned, share = usual, np.ones((len(usual), 1))
            told["left_out"] = {card.site: card.fault for card in coordinator.cards if card.fault}
        plan_s = time.perf_counter() - begun
        if mode == "together" and week.corrections and week.dr_share:
            asked = self._corrected(coordinator, step, share, planned, told)
        if mode == "together":
            asked, short = self._kept(coordinator, step, share, asked)
        played = _gathered(len(usual), coordinator.hand_out(play_block, share, asked))
        self._crew.run(forget, [()] * self._crew.workers, at=range(self._crew.workers))
        peaks = self._crew.run(peak_rss_mb, [()] * self._crew.workers, at=range(self._crew.workers))
        told |= {
            "forecast_s": round(forecast_s, 3),
            "plan_s": round(plan_s, 3),
            "total_s": round(time.perf_counter() - begun, 3),
            "peak_rss_mb": round(sum(dict([peak_rss_mb(), *peaks]).values()), 1),
            "workers_lost": self._crew.lost,
        }
        if step == 0:
            told["cards"] = [_card(card) for card in coordinator.cards]
            calls["usual_site_kw"] = usual
        sums = {"planned_kw": planned.sum(axis=0), "usual_kw": usual.sum(axis=0)}
        feeders = self._by_feeder(coordinator.cards, planned, played["power_kw"]) | {"feeder_short": short}
        self._keep(mode, step, {**played, **calls, **sums, **feeders}, told)
        log.info("region.step mode=%s step=%d s=%.1f", mode, step, told["total_s"])

    def _corrected(
        self, coordinator: Coordinator, step: int, share: FloatArray, planned: FloatArray,
        told: dict[str, Any],
    ) -> FloatArray:  # fmt: skip
        """What sites are asked to take less than their plans while the call runs. [kW]"""
        count, dr = self._week.window("together"), self._happen.dr
        call = range(dr.start - step * count, dr.stop - step * count)
        asked = correct_window(coordinator, share, planned, call=call, count=count)
        told["asked_back_kwh"] = round(0.5 * float(asked.sum()), 3)
        return asked

    def _kept(
        self, coordinator: Coordinator, step: int, share: FloatArray, asked: FloatArray
    ) -> tuple[FloatArray, np.ndarray]:
        """What else is asked back so that feeders are kept, and where they cannot be."""
        limits, begun = self._feeder_limits(coordinator.cards), step * self._week.window("together")
        names, members = _feeders_of(coordinator.cards)
        slots = range(begun, begun + self._week.window("together"))
        level = np.array([limits.level_kw(name, slots) for name in names])
        return keep_feeders(coordinator, share, asked, members=members, level_kw=level)

    def _forecast(self, mode: Mode, step: int) -> None:
        """Issue what is to be issued before the step: at noon for the next two days."""
        week = self._week
        day, first = week.place(mode, step)
        days = [day] if first < SLOTS // 2 else [day, day.fromordinal(day.toordinal() + 1)]
        spans = [(b.first, b.first + b.count) for b in week_blocks(week, mode, step, folder=self._folder)]
        for one in days:
            if all(
                (self._folder / "forecasts" / one.isoformat() / f"{a:06d}.npz").exists() for a, _ in spans
            ):
                continue
            calls = [(week, a, b, one, str(self._folder)) for a, b in spans]
            self._crew.run(_forecast, calls, at=range(len(calls)))

    def _planned(
        self, coordinator: Coordinator, step: int, usual: FloatArray, drop: FloatArray, told: dict[str, Any]
    ) -> tuple[RegionPlan, FloatArray]:
        """The region's plan, and its powers with what silent sites are expected to use. [kW]"""
        week, happen = self._week, self._happen
        begun = step * week.window("together")
        silent = np.zeros(len(usual), dtype=bool)
        if begun in happen.silent_in:
            silent[list(happen.silent)] = True
        names = [coordinator.cards[k].site for k in np.flatnonzero(silent)]
        coordinator.lose(names)
        known = self._known(coordinator, begun, silent, usual=usual, drop=drop)
        coordinator.set_limits(lambda *_: limits_at(known, self._rules, usual, coordinator.cards))
        cell = max(1, -(-week.region.sites // _MOST_CELLS))
        plan = coordinator.plan(CoordinatorSettings(gap=week.gap, cell=cell))
        require_region(plan, hours=0.5)
        told |= {
            "lower_yen": plan.lower_yen if np.isfinite(plan.lower_yen) else None,
            "upper_yen": plan.upper_yen,
            "gap": plan.gap if np.isfinite(plan.gap) else None,
            "rounds": plan.rounds,
            "violation": plan.violation,
            "left_out": plan.left_out,
            "broken": {site: list(kinds) for site, kinds in plan.broken.items()},
            "shortfalls": [[s.name, s.kind, begun + s.slot, round(s.amount_kw, 3)] for s in plan.shortfalls],
            "silent": names,
            "dr_level_kw": known.dr_level_kw.tolist(),
            "dr_first_slot": known.dr.start if known.dr is not None else None,
            "dr_called_kw": self._called,
        }
        self._usual_in_dr = known.dr_usual_kw
        return plan, plan.power_kw + np.where(silent[:, None], usual, 0.0)

    _called = 0.0
    _usual_in_dr: FloatArray = np.empty(0)

    def _calls(
        self, coordinator: Coordinator, step: int, droppable: FloatArray, told: dict[str, Any]
    ) -> dict[str, FloatArray]:
        """What each site is asked for in the tight evening, by its plan. [kW]"""
        dr, begun = self._happen.dr, step * self._week.window("together")
        if not self._usual_in_dr.size:
            return {}
        tables = {"dr_usual_kw": self._usual_in_dr}
        if begun <= dr.start < begun + self._week.window("together"):
            silent = np.isin([card.site for card in coordinator.cards], told["silent"])
            joined = joined_of(coordinator.cards, silent)
            rows = [t - begun for t in dr]
            given = np.maximum(0.0, (self._usual_in_dr - droppable[:, rows]).mean(axis=1)) * joined
            scale = self._called / given.sum() if given.sum() > 0.0 else 0.0
            tables["dr_called_site_kw"] = given * min(1.0, scale)
        return tables

    def _known(
        self, coordinator: Coordinator, begun: int, silent: np.ndarray, *, usual: FloatArray, drop: FloatArray
    ) -> Known:
        """What is known at a step, from the steps before it."""
        week, happen = self._week, self._happen
        window, step = week.window("together"), begun // week.window("together")
        submitted = np.full(SLOTS * week.days, np.nan)
        level, in_dr = np.empty(0), np.empty(0)
        for before in range(step):
            kept = read_step(self._folder, "together", before)
            at = before * window
            if at % SLOTS == 0:
                submitted[at : at + SLOTS] = kept.tables["planned_kw"][:SLOTS]
            if before == step - 1:
                self._called = float(kept.told["dr_called_kw"])
                in_dr = kept.tables.get("dr_usual_kw", in_dr)
        joined = joined_of(coordinator.cards, silent)
        dr = happen.dr if week.dr_share and begun >= happen.dr_told else None
        there = dr is not None and dr.start >= begun and dr.stop <= begun + SLOTS
        if dr is not None and there and not in_dr.size:
            rows = usual[joined][:, [t - begun for t in dr]].sum(axis=0)
            self._called = float(week.dr_share * rows.mean())
            in_dr = drop[:, [t - begun for t in dr]]
        if dr is not None and in_dr.size:
            # what nobody moves as forecast now, what can be moved as it was before the call, less the call
            ahead = [t for t in dr if begun <= t < begun + SLOTS]
            there_at, old = [t - begun for t in ahead], [t - dr.start for t in ahead]
            level = (
                (usual - drop)[joined][:, there_at].sum(axis=0)
                + in_dr[joined][:, old].sum(axis=0)
                - self._called
            )
            dr = range(ahead[0], ahead[-1] + 1) if ahead else None
        else:
            dr = None
        return Known(
            begun=begun, submitted_kw=submitted, silent=silent,
            feeders=self._feeder_limits(coordinator.cards), dr=dr, dr_level_kw=level,
            dr_usual_kw=in_dr,
        )  # fmt: skip

    def _feeder_limits(self, cards: tuple[Card, ...]) -> FeederLimits:
        """The same for all plans of the week."""
        if self._feeders is None:
            self._feeders = feeder_limits(self._week, self._folder, [card.feeder for card in cards])
        return self._feeders

    def _by_feeder(
        self, cards: tuple[Card, ...], planned: FloatArray, power: FloatArray
    ) -> dict[str, FloatArray]:
        """Measured and planned sums of the feeders, in the order of their names. [kW]"""
        _, rows = _feeders_of(cards)
        return {
            "feeder_kw": np.array([power[row].sum(axis=0) for row in rows]),
            "feeder_planned_kw": np.array([planned[row].sum(axis=0)[: power.shape[1]] for row in rows]),
        }

    def _keep(self, mode: Mode, step: int, tables: dict[str, FloatArray], told: dict[str, Any]) -> None:
        """The checkpoint: words first, tables last, each whole."""
        path = step_path(self._folder, mode, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path.with_suffix(".json")) as file:
            file.write(json.dumps(told) + "\n")
        part = path.with_suffix(".part")
        with part.open("wb") as file_of_tables:
            np.savez(file_of_tables, **tables)  # type: ignore[arg-type]
        part.replace(path)


def _feeders_of(cards: tuple[Card, ...]) -> tuple[list[str], np.ndarray]:
    """Names of the feeders, and the sites of each, shape (feeders, sites)."""
    of = np.array([card.feeder for card in cards])
    names = sorted(set(of.tolist()))
    return names, np.array([of == name for name in names])


def feeder_limits(week: Week, folder: Path, feeders: list[str]) -> FeederLimits:
    """What feeders carry: a share of the highest of the days before and of the first day as it is foreseen.

    The latter counts because a Sunday does not say what a factory takes on the Monday after it.

    Parameters
    ----------
    feeders : list of str
        Feeder of each site.
    """
    names, happen, of = sorted(set(feeders)), happenings_of(week), np.array(feeders)
    usual_kw = read_step(folder, "alone", 0).tables["usual_site_kw"]
    highest = np.array([usual_kw[of == name].sum(axis=0).max() for name in names])
    margin = np.zeros(len(names))
    steps = [read_step(folder, "warm", step).tables for step in range(week.steps("warm"))]
    if steps:
        sums = np.concatenate([one["feeder_kw"] for one in steps], axis=1)
        beyond = sums - np.concatenate([one["feeder_planned_kw"] for one in steps], axis=1)
        highest, margin = np.maximum(highest, sums.max(axis=1)), np.maximum(0.0, beyond.max(axis=1))
    highest_of = dict(zip(names, highest.tolist(), strict=True))
    return FeederLimits(
        top_kw={name: FEEDER_SHARE * kw for name, kw in highest_of.items()},
        margin_kw=dict(zip(names, margin.tolist(), strict=True)),
        derated_feeder=happen.derated_feeder,
        derated_kw=week.derated * highest_of.get(happen.derated_feeder, 0.0),
        derated_in=happen.derated_in,
    )


def _forecast(week: Week, first: int, stop: int, day: Any, folder: str) -> FloatArray:  # Any: a date
    return forecast_block(week, first, stop, day=day, folder=folder)


def _grid(week: Week, mode: Mode, step: int) -> Any:
    from datetime import timedelta

    from energy.core.series import Grid
    from energy.core.slots import jst_midnight

    day, first = week.place(mode, step)
    return Grid(jst_midnight(day) + first * timedelta(minutes=30), SLOTS)


def _gathered(sites: int, answers: list[tuple[np.ndarray, Played]]) -> dict[str, FloatArray]:
    """All blocks' answers as tables of the region."""
    tables: dict[str, FloatArray] = {}
    for part in fields(Played):
        values = [(rows, getattr(answer, part.name)) for rows, answer in answers]
        if part.name in ("sun_kw", "load_kw"):
            tables[part.name] = np.sum([one for _, one in values], axis=0)
            continue
        table = np.zeros((sites, *values[0][1].shape[1:]), dtype=values[0][1].dtype)
        for rows, one in values:
            table[rows] = one
        tables[part.name] = table
    return tables


def _card(card: Card) -> dict[str, Any]:
    return {
        "site": card.site, "feeder": card.feeder, "joins_dr": card.joins_dr, "cars": card.cars,
        "flexible": card.flexible, "fault": card.fault,
    }  # fmt: skip
