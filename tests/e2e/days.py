"""The command in a process of its own, and days that are simulated once for all who look at them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

__all__ = ["Day", "command", "simulate"]

Day = tuple[Path, dict[str, object]]
"""Where a simulation ran, its state below ``state``, and the document that it printed."""


def command(*words: str) -> list[str]:
    """What starts ``vpp`` in a process of its own."""
    return [sys.executable, "-m", "vpp.cli.main", *words]


def simulate(folder: Path, *words: str) -> dict[str, object]:
    """Run ``vpp simulate`` in a folder, and read what it prints."""
    whole = command("simulate", *words, "--json", "--state", "state")
    done = subprocess.run(whole, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document
