"""A whole month of both scenarios through plan, control, events and settlement; some twenty minutes.

.venv/bin/python tests/bench/month.py [--state FOLDER]

A month that was simulated before in the same folder is settled without being simulated again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MONTH, DAYS = "2026-08", 31


def vpp(*words: str) -> None:
    """One command in this environment; its output goes where ours goes."""
    subprocess.run([sys.executable, "-m", "vpp.cli.main", "--lang", "en", *words], cwd=ROOT, check=True)


def main() -> None:
    """Simulate what is not there, settle both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, default=ROOT / "out")
    state = parser.parse_args().state
    for scenario in ("city-hall", "kitakata"):
        mark = state / f"{scenario}-{MONTH}-01-{DAYS}d" / "optimal.json"
        if not (mark.is_file() and '"finished": true' in mark.read_text(encoding="utf-8")):
            words = ("--start", f"{MONTH}-01", "--days", str(DAYS), "--compare", "optimal")
            vpp("simulate", scenario, *words, "--state", str(state))
        vpp(
            *("settle", "month", scenario, MONTH, "--state", str(state)),
            *("--price", "examples/imbalance-price-2026-08.csv", "--margin", "examples/margin-2026-08.csv"),
        )


if __name__ == "__main__":
    main()
