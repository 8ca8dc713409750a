"""Who works for the blocks of a region: this process, a pool of processes, or a dask cluster.

All do the same, and come to the same: what a block answers depends on what it was told alone. Each block goes
to the same worker in every round, because that one has it prepared; if a worker dies, another one plays the
earlier rounds again.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from energy.core.errors import ConfigError
from vpp.threads import one_blas_thread

__all__ = ["DaskCrew", "Executor", "InlineCrew", "ProcessCrew", "cpu_s_of", "open_executor", "peak_rss_mb"]

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_ADDRESS = "dask://"
_PATIENCE_S = 10.0  # for a scheduler to answer
_PRELOADED = ("dispatch.region.work", "vpp.region.draw")


class Executor(Protocol):
    """Runs functions on workers; the port that every kind of crew fits.

    Attributes
    ----------
    workers : int
        How many work side by side.
    lost : int
        Workers that died so far; their work was done again by others.
    """

    workers: int
    lost: int

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        """Results of ``function(*call)`` in order; one number in ``at``, one worker if it can be."""


class InlineCrew:
    """Everything in this process."""

    workers = 1

    def __init__(self) -> None:
        self.lost = 0

    def run(
        self,
        function: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        *,
        at: Sequence[int],  # noqa: ARG002 - there is only one worker
    ) -> list[Any]:
        """As :class:`Executor`."""
        return [function(*call) for call in calls]


class ProcessCrew:
    """One process per worker, each with its own queue, so that blocks stay where they are prepared."""

    def __init__(self, workers: int) -> None:
        self.workers, self.lost = workers, 0
        # one process imports everything and does nothing else: the others are copies of it
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_PRELOADED))
        self._lanes = [self._lane() for _ in range(workers)]

    def _lane(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, initializer=_quiet)

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        """As :class:`Executor`."""
        futures = [self._submit(k % self.workers, function, call) for k, call in zip(at, calls, strict=True)]
        results = []
        for k, (lane, future) in enumerate(futures):
            number = at[k] % self.workers
            for attempt in range(_ATTEMPTS):
                try:
                    results.append(future.result())
                    break
                except BrokenProcessPool:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    self._renew(number, lane)
                    lane, future = self._submit(number, function, calls[k])
        return results

    def _submit(
        self, number: int, function: Callable[..., Any], call: tuple[Any, ...]
    ) -> tuple[ProcessPoolExecutor, Future[Any]]:
        lane = self._lanes[number]
        try:
            return lane, lane.submit(function, *call)
        except BrokenProcessPool:  # it died while it had nothing to do
            self._renew(number, lane)
            return self._lanes[number], self._lanes[number].submit(function, *call)

    def _renew(self, number: int, dead: ProcessPoolExecutor) -> None:
        if self._lanes[number] is dead:
            self.lost += 1
            log.warning("region.worker lost=%d", self.lost)
            dead.shutdown(wait=False)
            self._lanes[number] = self._lane()

    def close(self) -> None:
        """End the processes."""
        for lane in self._lanes:
            lane.shutdown(cancel_futures=True)


class DaskCrew:
    """Workers of a ``dask.distributed`` cluster, on this machine or on others.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster; it has to run the same version of this program.
    """

    def __init__(self, client: Any) -> None:  # Any: an optional package
        self._client = client
        self._names = sorted(client.scheduler_info(n_workers=-1)["workers"])
        self.workers, self.lost = len(self._names), 0
        if not self._names:
            raise ConfigError("the cluster has no worker", where=str(client), hint="start dask worker on it")

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        """As :class:`Executor`."""
        here = set(self._client.scheduler_info(n_workers=-1)["workers"])
        gone = [name for name in self._names if name not in here]
        if gone:
            self.lost += len(gone)
            self._names = sorted(here) or self._names
        futures = [
            self._client.submit(
                function,
                *call,
                workers=[self._names[k % len(self._names)]],
                allow_other_workers=True,
                pure=False,
                retries=_ATTEMPTS,
            )
            for k, call in zip(at, calls, strict=True)
        ]
        return list(self._client.gather(futures))


def _quiet() -> None:
    """A worker leaves the interrupt key to the process that gives the orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    one_blas_thread()


def peak_rss_mb() -> tuple[int, float]:
    """Process number, and the most memory that this process has had. [MB]"""
    unit = 1024.0**2 if sys.platform == "darwin" else 1024.0
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def cpu_s_of(crew: Executor) -> float:
    """Processor time of this process and of all workers, each since it was started. [s]"""
    mine = {os.getpid(): time.process_time()}
    return sum((mine | dict(crew.run(_own_cpu_s, [()] * crew.workers, at=range(crew.workers)))).values())


def _own_cpu_s() -> tuple[int, float]:
    return os.getpid(), time.process_time()


@contextlib.contextmanager
def open_executor(name: str, workers: int) -> Iterator[Executor]:
    """An executor by name: ``inline``, ``process``, ``local-dask`` or ``dask://HOST:PORT``.

    Raises
    ------
    ConfigError
        If there is none of that name, dask is not installed, or the cluster does not answer.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers", where="--workers", hint="give 1 or more")
    if name == "inline":
        yield InlineCrew()
    elif name == "process":
        crew = ProcessCrew(workers)
        try:
            yield crew
        finally:
            crew.close()
    elif name == "local-dask" or name.startswith(_ADDRESS):
        with _dask(name, workers) as client:
            yield DaskCrew(client)
    else:
        raise ConfigError(
            f"no executor {name!r}",
            where="--executor",
            hint="process, inline, local-dask or dask://HOST:PORT",
        )


@contextlib.contextmanager
def _dask(name: str, workers: int) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError(
            "dask is not installed", where=f"--executor {name}", hint="pip install 'aizu-vpp[cluster]'"
        ) from None
    if name.startswith(_ADDRESS):
        try:
            client = Client("tcp://" + name.removeprefix(_ADDRESS), timeout=_PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                "the dask scheduler does not answer",
                where=f"{name}: {error}",
                hint="start dask scheduler there",
            ) from None
        with client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
