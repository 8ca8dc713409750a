"""How time, memory and gap grow with the number of sites, for diverse and for exchangeable ones.

    python tests/bench/region_scaling.py --sites 100,300,1000,3000,10000 --gap 0.005 --last-gap 0.01

prints one line per size and kind, and the exponents of lines through the logarithms: of the time, and of the
processor time of all processes, which says more on a machine that others use. Each plan is a fresh
``vpp region plan`` in a process of its own, with compiled models on disk unless ``--cold`` is given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np


def planned(sites: int, said: argparse.Namespace, *, gap: float, exchangeable: bool) -> dict[str, object]:
    """What ``vpp region plan --json`` printed."""
    words = [
        sys.executable, "-m", "vpp.cli.main", "region", "plan", "--json", "--sites", str(sites),
        "--seed", str(said.seed), "--gap", str(gap), "--workers", str(said.workers),
        "--executor", said.executor, *(["--exchangeable"] if exchangeable else []),
    ]  # fmt: skip
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as empty:
        if said.cold:
            environment["VPP_CACHE_DIR"] = empty
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if not done.stdout:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout))


def exponent(sites: list[int], seconds: list[float]) -> float:
    """Slope of the line through the logarithms. [-]"""
    return float(np.polyfit(np.log(sites), np.log(seconds), 1)[0])


def _main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sites", default="100,300,1000")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--gap", type=float, default=0.005)
    asked.add_argument("--last-gap", type=float, help="gap of the largest size")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--executor", default="process")
    asked.add_argument("--cold", action="store_true", help="compile all models anew")
    said = asked.parse_args()
    sizes = [int(size) for size in said.sites.split(",")]
    for exchangeable in (False, True):
        seconds: dict[str, list[float]] = {"total_s": [], "cpu_s": []}
        for size in sizes:
            gap = said.last_gap if said.last_gap and size == sizes[-1] else said.gap
            told = planned(size, said, gap=gap, exchangeable=exchangeable)
            for name, values in seconds.items():
                values.append(float(str(told[name])))
            names = (
                "sites",
                "cars",
                "total_s",
                "cpu_s",
                "template_s",
                "gap",
                "rounds",
                "max_violation",
                "peak_rss_mb",
            )
            print(
                json.dumps({"exchangeable": exchangeable} | {name: told[name] for name in names}), flush=True
            )
        if len(sizes) > 1:
            slopes = {name: round(exponent(sizes, values), 3) for name, values in seconds.items()}
            print(json.dumps({"exchangeable": exchangeable, "exponents": slopes}), flush=True)


if __name__ == "__main__":
    _main()
