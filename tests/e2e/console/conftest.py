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
from tests.e2e.console.served import Console

ROOT = Path(__file__).parents[3]
# What the database is made of: another text of these makes another file.
_MADE_OF = (
    "tests/e2e/console/town.py",
    "scenarios/kitakata/scenario.yaml",
    "vpp/simulate.py",
    "vpp/operate.py",
    "vpp/planning.py",
    "energy/store/schema.py",
)


@pytest.fixture(scope="session")
def filled() -> Path:
    """The database, made once per machine and text of the program; others look at copies."""
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in _MADE_OF)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"aizu-vpp-console-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{digest}.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be making it
        if not path.exists():
            order = [sys.executable, "-m", "tests.e2e.console.town", str(path)]
            made = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-4000:]
    return path


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
