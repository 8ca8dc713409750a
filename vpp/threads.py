"""Threads of the linear algebra."""

from __future__ import annotations

import os

__all__ = ["one_blas_thread"]

_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def one_blas_thread() -> None:
    """Let NumPy and SciPy compute in one thread, unless the environment says otherwise.

    We solve thousands of small systems; threads that share one of them wait for each other most of the time
    (learning a room: ten times slower on two cores). Work is spread over processes instead. Libraries read
    the settings when they are first imported, so this must be called before.
    """
    for name in _SETTINGS:
        os.environ.setdefault(name, "1")
