"""Threads: those of the linear algebra, and those that still compute when the process ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import NoReturn

__all__ = ["end_process", "one_blas_thread"]

_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_blas_thread() -> None:
    """Let NumPy and SciPy compute in one thread, unless the environment says otherwise.

    We solve thousands of small systems; threads that share one of them wait for each other most of the time
    (learning a room: ten times slower on two cores). Work is spread over processes instead. Libraries read
    the settings when they are first imported, so this must be called before.
    """
    for name in _SETTINGS:
        os.environ.setdefault(name, "1")


def end_process(status: int) -> NoReturn:
    """End the process with a status, also while a planner or a job still computes in a thread.

    All that matters is closed by now. Python would unwind such threads through the solver's C++ frames, and
    the process would abort (status 134) instead of ending as it was told to.
    """
    busy = [one for one in threading.enumerate() if one.daemon and one.name.startswith(("planner", "job "))]
    if busy:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
