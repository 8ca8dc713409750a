"""Simulated days that several tests look at: made once per run of pytest, whichever worker asks first."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from tests.e2e.days import Day, simulate


def _once(factory: pytest.TempPathFactory, *words: str) -> Day:
    """The day that these words simulate; whoever writes to its folder takes a copy."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # the same for all workers
    folder = base / f"day-{words[0]}"
    printed = folder / "document.json"
    folder.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            document = simulate(folder, *words, "--days", "1")
            printed.write_text(json.dumps(document), encoding="utf-8")
    return folder, json.loads(printed.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def wednesday(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """One day of kitakata with a tight evening, under four controllers."""
    compare = "none,rules,optimal,perfect"
    return _once(tmp_path_factory, "kitakata", "--start", "2026-08-05", "--compare", compare)


@pytest.fixture(scope="session")
def city_day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The first day of a month of the city hall, with cars that leave and plans that promise."""
    return _once(tmp_path_factory, "city-hall", "--start", "2026-07-01", "--compare", "none,optimal")
