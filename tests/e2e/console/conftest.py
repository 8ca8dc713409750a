"""The running console in a real browser: ``console`` serves the filled database, ``desk`` opens its pages."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.console import town
from tests.e2e.console.desk import AXE, Desk, chromium
from tests.e2e.console.ingredients import ROOT, unchanged
from tests.e2e.console.served import Console

_DAY_S = 86_400.0


@pytest.fixture(scope="session")
def filled() -> Path:
    """The database, made once per checkout and text of all that it is made of; others look at copies."""
    mine = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"aizu-vpp-console-{os.getuid()}" / mine
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    read = folder / "read.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be making it
        path = _named(folder, read)
        if path is None:
            fresh = folder / "fresh.db"
            fresh.unlink(missing_ok=True)
            order = [sys.executable, "-m", "tests.e2e.console.ingredients", str(read)]
            order += ["tests.e2e.console.town", str(fresh)]
            made = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-4000:]
            path = fresh.replace(_name(folder, read))
            for old in folder.glob("town-*.db"):  # younger ones may be those of a run that goes on
                if old.stat().st_mtime < path.stat().st_mtime - _DAY_S:
                    old.unlink()
    return path


def _name(folder: Path, read: Path) -> Path:
    return folder / f"town-{hashlib.sha256(read.read_bytes()).hexdigest()[:16]}.db"


def _named(folder: Path, read: Path) -> Path | None:
    """The database that stands there, if all that it was made of is what it was."""
    if not unchanged(read):
        return None
    path = _name(folder, read)
    return path if path.exists() else None


@contextlib.contextmanager
def _serving(filled: Path, folder: Path) -> Iterator[Console]:
    copy = folder / "console.db"
    shutil.copyfile(filled, copy)
    console = Console(copy, town.NOW)
    console.start()
    try:
        yield console
    finally:
        console.stop()


@pytest.fixture(scope="module")
def console(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console for tests that only look."""
    with _serving(filled, tmp_path_factory.mktemp("console")) as served:
        yield served


@pytest.fixture
def own_console(filled: Path, tmp_path: Path) -> Iterator[Console]:
    """A console of a test's own, for what it changes."""
    with _serving(filled, tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A browser without windows; closed with its module, or its event loop would meet those of others."""
    if chromium() is None or not AXE.is_file():
        pytest.skip(
            "chromium (Debian: chromium) or axe-core is missing: npm ci --prefix tests/counterparts/npm"
        )
    with Desk.opened() as opened:
        yield opened
