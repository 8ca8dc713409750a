"""Executors: the same plan to the last bit with one worker, two, or one that is killed on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from energy.core.errors import ConfigError
from vpp.region.crew import Executor, InlineCrew, ProcessCrew, open_executor, peak_rss_mb
from vpp.region.draw import Request
from vpp.region.plan import RegionFile, blocks_of, plan_region

REGION = RegionFile(request=Request(sites=8, seed=5, failures=0.0, exchangeable=True))
SHORT = CoordinatorSettings(gap=0.0, rounds=2)


def plan_with(crew: Executor) -> RegionPlan:
    return plan_region(REGION, crew, SHORT).plan


@pytest.fixture(scope="module")
def inline() -> RegionPlan:
    return plan_with(InlineCrew())


def assert_same(plan: RegionPlan, other: RegionPlan) -> None:
    np.testing.assert_array_equal(plan.power_kw, other.power_kw)
    assert (plan.lower_yen, plan.upper_yen) == (other.lower_yen, other.upper_yen)
    assert plan.cards == other.cards


class Killing:
    """Kills a worker once, when the sites are asked for the second time."""

    def __init__(self, crew: Executor, victim: Callable[[], int]) -> None:
        self._crew, self._victim, self._calls = crew, victim, 0
        self.workers = crew.workers

    @property
    def lost(self) -> int:
        return self._crew.lost

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        self._calls += 1
        if self._calls == 3:
            os.kill(self._victim(), signal.SIGKILL)
        return self._crew.run(function, calls, at=at)


def test_blocks_cover_all_sites_once_and_every_worker_has_several() -> None:
    blocks = blocks_of(Request(sites=130, seed=0), 2)
    assert [block.first for block in blocks] == [sum(b.count for b in blocks[:k]) for k in range(len(blocks))]
    assert sum(block.count for block in blocks) == 130
    assert len({block.key for block in blocks}) == len(blocks) >= 8
    assert blocks_of(Request(sites=130, seed=1), 2)[0].key != blocks[0].key


def test_two_processes_and_one_that_is_killed_come_to_the_same_to_the_last_bit(inline: RegionPlan) -> None:
    with open_executor("process", 2) as crew:
        assert_same(plan_with(crew), inline)
        assert crew.lost == 0
        victim = crew.run(peak_rss_mb, [()], at=[0])[0][0]
        killed = plan_with(Killing(crew, lambda: victim))
        assert crew.lost == 1
    assert_same(killed, inline)


def test_a_worker_that_always_dies_ends_the_plan_instead_of_going_on_for_ever() -> None:
    crew = ProcessCrew(1)
    try:
        with pytest.raises(Exception, match="terminated abruptly"):
            crew.run(os._exit, [(3,)], at=[0])
    finally:
        crew.close()


def test_a_dask_cluster_of_two_workers_of_which_one_is_killed_comes_to_the_same(inline: RegionPlan) -> None:
    pytest.importorskip("distributed")
    with open_executor("local-dask", 2) as crew:
        victims = crew.run(peak_rss_mb, [(), ()], at=[0, 1])
        assert len({pid for pid, _ in victims}) == 2
        killed = plan_with(Killing(crew, lambda: int(victims[0][0])))
    assert_same(killed, inline)


@pytest.mark.parametrize(
    ("name", "workers", "said"),
    [("carrier-pigeon", 2, "no executor"), ("process", 0, "0 workers"), ("dask://127.0.0.1:1", 2, "dask")],
)
def test_an_executor_that_is_not_there_is_refused_by_name(
    name: str, workers: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpp.region.crew._PATIENCE_S", 0.3)
    with pytest.raises(ConfigError, match=said), open_executor(name, workers):
        pass
