"""How fast the product plans an instance: cold, from a template on disk, and again with other data.

What runs is the product's own way: the one Pyomo model, compiled, reduced, solved. Cold and cached times are
taken in processes of their own, so that nothing is warm that would not be warm for a user.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from energy.core.errors import PlanError

__all__ = ["PlanBench", "bench_plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBench:
    """What was measured.

    Parameters
    ----------
    objective : float
        Cost of the solution, as the instance counts it. [yen]
    status : str
        ``optimal`` or ``incumbent``.
    gap : float
        Relative distance to a proven bound. [-]
    compile_s : float
        Building the Pyomo model and compiling it. [s]
    cold_s : float
        From the plain instance to the objective in a new process, with nothing at hand but imports. [s]
    cached_s : float
        The same in a new process that finds the compiled template on disk. [s]
    resolve_s : float
        Median of re-solves with other prices, loads, sun, arrivals and targets: from the problem to the
        objective, in one process. [s]
    highs_s : float
        Median of HiGHS' own run time inside those. [s]
    peak_rss_mb : float
        Highest resident memory of the cold process. [MiB]
    max_violation : float
        The most by which the solution breaks a limit of the instance, followed from its powers. [kW, kWh]
    """

    objective: float
    status: str
    gap: float
    compile_s: float
    cold_s: float
    cached_s: float
    resolve_s: float
    highs_s: float
    peak_rss_mb: float
    max_violation: float

    def to_json(self) -> dict[str, float | str]:
        """The same as plain values."""
        return asdict(self)


def bench_plan(instance: Path, *, rounds: int = 20, time_limit_s: float = 60.0) -> PlanBench:
    """Measure one instance.

    Parameters
    ----------
    rounds : int
        Re-solves with other data.
    time_limit_s : float
        For one solve, all its rounds together. [s]

    Raises
    ------
    PlanError
        If no solution was found in time, or a measuring process died.
    """
    with tempfile.TemporaryDirectory(prefix="vpp-templates-") as folder:
        cold = _child(instance, Path(folder), rounds=0, time_limit_s=time_limit_s)
        cached = _child(instance, Path(folder), rounds=rounds, time_limit_s=time_limit_s)
    if cached["template"] != "shelf":
        raise PlanError(
            "the compiled template was not found again", where=str(cached["template"]), hint="report this"
        )
    return PlanBench(
        objective=float(cold["objective"]),
        status=str(cold["status"]),
        gap=float(cold["gap"]),
        compile_s=float(cold["compile_s"]),
        cold_s=float(cold["total_s"]),
        cached_s=float(cached["total_s"]),
        resolve_s=float(cached["resolve_s"]),
        highs_s=float(cached["highs_s"]),
        peak_rss_mb=float(cold["peak_rss_mb"]),
        max_violation=float(cold["max_violation"]),
    )


def _child(instance: Path, folder: Path, *, rounds: int, time_limit_s: float) -> dict[str, float | str]:
    """One measuring process and what it printed."""
    command = [sys.executable, "-m", "vpp.bench.child", str(instance), str(folder)]
    command += [str(rounds), str(time_limit_s)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise PlanError(
            "an instance could not be planned", where=told[0], hint="give more time: --time-limit"
        )
    measured: dict[str, float | str] = json.loads(done.stdout)
    return measured
