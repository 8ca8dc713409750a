"""What ``vpp doctor`` looks at: each finding is one line with a status and, if needed, what to do.

Every probe is a small function that returns a :class:`Finding` and raises nothing; :func:`examine` runs them
all. Heavy packages are only imported by the probe that needs them.
"""

from __future__ import annotations

import errno
import importlib.metadata
import platform
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from packaging.requirements import Requirement

from energy.core.clock import Clock
from energy.core.errors import ExitStatus, PlanError, VppError

if TYPE_CHECKING:
    from energy.core.plan import Problem

__all__ = ["Finding", "Fix", "Status", "examine", "exit_status", "solve_probe", "worst"]

DISTRIBUTION = "aizu-vpp"
OUR_PACKAGES = ("energy", "forecasting", "dispatch", "devices", "vpp")
OLDEST_PYTHON = (3, 11)  # requires-python of pyproject.toml
# Before this program was written; a clock that shows less has lost its battery.
_EARLIEST = datetime(2026, 11, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """Result of one probe."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do, for Japanese and for English readers."""

    ja: str
    en: str

    def text(self, lang: str) -> str:
        """The advice in ``ja`` or ``en``."""
        return self.ja if lang == "ja" else self.en


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Parameters
    ----------
    name : str
        What was looked at: ``python``, ``package:numpy``, ``solver``.
    status : Status
        ``ok``, ``warn`` (works, but look at it) or ``fail``.
    detail : str
        What was found, with values.
    fix : Fix or None
        What to do; None when all is well.
    """

    name: str
    status: Status
    detail: str
    fix: Fix | None = None

    def to_json(self) -> dict[str, str | None]:
        """The finding as one JSON object, advice in both languages."""
        return {
            "name": self.name,
            "status": self.status.value,
            "detail": self.detail,
            "fix_ja": self.fix.ja if self.fix else None,
            "fix_en": self.fix.en if self.fix else None,
        }


def examine(
    *,
    clock: Clock,
    state: Path,
    scenario_names: Callable[[], Sequence[str]],
    solve_probe: Callable[[], str] | None = None,
    search_path: Sequence[str] | None = None,
) -> list[Finding]:
    """Look at everything the program needs on this machine.

    Parameters
    ----------
    clock : Clock
        The clock that is examined.
    state : Path
        Directory that the program writes to; it need not exist yet.
    scenario_names : callable
        Gives the shipped scenarios, or raises a :class:`~energy.core.errors.VppError`.
    solve_probe : callable, optional
        Solves a tiny problem and says what solved it; without it only the solver's version is checked.
    search_path : sequence of str, optional
        Where Python looks for packages; ``sys.path`` by default.
    """
    findings = [python_version(sys.version_info[:3]), *package_versions()]
    findings.append(solver(solve_probe))
    findings += foreign_packages(sys.path if search_path is None else search_path)
    findings += [
        time_zone("Asia/Tokyo"),
        clock_sanity(clock),
        writable(state),
        loopback("127.0.0.1"),
        scenarios(scenario_names),
    ]
    return findings


def worst(findings: Iterable[Finding]) -> Status:
    """The most serious status among the findings."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)


def exit_status(findings: Iterable[Finding]) -> ExitStatus:
    """Exit status of ``vpp doctor``: 8 if anything failed, otherwise 0."""
    return ExitStatus.UNHEALTHY if worst(findings) is Status.FAIL else ExitStatus.OK


def python_version(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough."""
    shown = ".".join(str(part) for part in version)
    if version[:2] >= OLDEST_PYTHON:
        return Finding("python", Status.OK, f"{shown} on {platform.system()} {platform.machine()}")
    oldest = ".".join(str(part) for part in OLDEST_PYTHON)
    return Finding(
        "python",
        Status.FAIL,
        f"{shown}, needs {oldest} or newer",
        Fix(f"Python {oldest} 以降を入れてください", f"install Python {oldest} or newer"),
    )


def package_versions(requirements: Sequence[str] | None = None) -> list[Finding]:
    """Whether every required package is there and inside its tested bounds."""
    if requirements is None:
        try:
            requirements = importlib.metadata.requires(DISTRIBUTION) or []
        except importlib.metadata.PackageNotFoundError:
            return [
                Finding(
                    f"package:{DISTRIBUTION}",
                    Status.FAIL,
                    "not installed, only on the path",
                    Fix("make setup を実行してください", "run: make setup"),
                )
            ]
    wanted = [requirement for requirement in map(Requirement, requirements) if _applies(requirement)]
    return [_package(one.name, str(one.specifier), one.specifier.contains) for one in wanted]


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _package(name: str, bounds: str, fits: Callable[[str], bool]) -> Finding:
    fix = Fix(f"pip install '{name}{bounds}' を実行してください", f"run: pip install '{name}{bounds}'")
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(f"package:{name}", Status.FAIL, f"missing, needs {bounds or 'any version'}", fix)
    if fits(version):
        return Finding(f"package:{name}", Status.OK, version)
    return Finding(f"package:{name}", Status.WARN, f"{version} is outside the tested {bounds}", fix)


def solver(probe: Callable[[], str] | None) -> Finding:
    """Whether the solver is there and, given a probe, really solves something."""
    fix = Fix(
        "pip install --force-reinstall highspy を実行してください",
        "run: pip install --force-reinstall highspy",
    )
    try:
        version = importlib.metadata.version("highspy")
    except importlib.metadata.PackageNotFoundError:
        return Finding("solver", Status.FAIL, "HiGHS is not installed", fix)
    if probe is None:
        return Finding("solver", Status.OK, f"HiGHS {version}, not tried")
    try:
        solved = probe()
    except (VppError, ImportError, OSError, RuntimeError) as error:
        return Finding("solver", Status.FAIL, f"HiGHS {version} does not solve: {error}", fix)
    return Finding("solver", Status.OK, f"HiGHS {version}, {solved}")


def solve_probe() -> str:
    """Plan a car for two hours and say what solved it; the price falls, so charging has to wait.

    Raises
    ------
    PlanError
        If the plan does not come from the optimiser, or charges while energy is dear.
    """
    from dispatch.planner import Planner  # loads Pyomo and HiGHS
    from energy.core.plan import PlanSource

    plan = Planner().plan(_small_problem())
    early, late = (
        sum(point.power_kw for point in plan.setpoints[half]) for half in (slice(0, 2), slice(2, 4))
    )
    if plan.source is not PlanSource.OPTIMAL or not early < late:
        raise PlanError("a small plan came out wrong", source=plan.source, early_kw=early, late_kw=late)
    return f"a small plan, {plan.source}"


def _small_problem() -> Problem:
    from energy.core.plan import CarProblem, Problem, Promise, SiteLimits
    from energy.core.series import Grid
    from energy.core.units import AssetId

    count = 4
    same = (0.0,) * count
    car = CarProblem(
        id=AssetId("car"),
        capacity_kwh=40.0,
        soc0_kwh=20.0,
        floor_kwh=12.0,
        ceiling_kwh=38.0,
        max_charge_kw=6.0,
        max_discharge_kw=0.0,
        charge_efficiency=0.9,
        discharge_efficiency=0.9,
        wear_yen_per_kwh=5.0,
        plugged=(True,) * count,
        drive_kwh=same,
        may_discharge=(False,) * count,
        promises=(Promise(index=count, soc_kwh=24.0),),
        discharge_value_yen_per_kwh=same,
    )
    return Problem(
        site="doctor",
        made_at=_EARLIEST,
        grid=Grid(_EARLIEST, count),
        load_p10_kw=(10.0,) * count,
        load_p50_kw=(10.0,) * count,
        load_p90_kw=(10.0,) * count,
        outdoor_c=(20.0,) * count,
        price_yen_per_kwh=(30.0, 30.0, 20.0, 20.0),
        tight=(False,) * count,
        limits=SiteLimits(contract_kw=50.0, peak_memory_kw=50.0, peak_yen_per_kw=0.0, import_margin_kw=1.0),
        cars=(car,),
    )


def foreign_packages(search_path: Sequence[str]) -> list[Finding]:
    """Whether each of our package names leads to our package and not to a namesake.

    Old distributions named ``energy`` and ``dispatch`` exist on the public index; the first one on the search
    path wins.
    """
    ours = Path(__file__).resolve().parents[2]
    findings = []
    for name in OUR_PACKAGES:
        spec = PathFinder.find_spec(name, list(search_path))
        places = (
            [Path(place).resolve().parent for place in (spec.submodule_search_locations or ())]
            if spec
            else []
        )
        if spec is not None and not places and spec.origin:
            places = [Path(spec.origin).resolve().parent]
        strangers = [place for place in places if place != ours]
        if strangers:
            findings.append(_foreign(name, strangers[0]))
    if not findings:
        findings.append(Finding("foreign packages", Status.OK, f"{', '.join(OUR_PACKAGES)} are ours"))
    return findings


def _foreign(name: str, place: Path) -> Finding:
    owners = importlib.metadata.packages_distributions().get(name, [])
    owner = next((owner for owner in owners if owner != DISTRIBUTION), name)
    return Finding(
        f"foreign package:{name}",
        Status.FAIL,
        f"{name} in {place} is not ours",
        Fix(
            f"pip uninstall {owner} を実行するか、専用の仮想環境を使ってください",
            f"run: pip uninstall {owner}, or use a virtual environment of its own",
        ),
    )


def time_zone(name: str) -> Finding:
    """Whether the time zone data know Japan and put it nine hours before UTC."""
    fix = Fix("pip install tzdata を実行してください", "run: pip install tzdata")
    try:
        offset = datetime(2026, 7, 1, tzinfo=ZoneInfo(name)).utcoffset()
    except ZoneInfoNotFoundError:
        return Finding("time zone", Status.FAIL, f"{name} is unknown here", fix)
    hours = offset.total_seconds() / 3600 if offset else 0.0
    if hours != 9.0:  # RULES-JP 1.1: JST = UTC+9, no daylight saving
        return Finding("time zone", Status.FAIL, f"{name} is UTC{hours:+g}, not UTC+9", fix)
    return Finding("time zone", Status.OK, f"{name} is UTC+9")


def clock_sanity(clock: Clock) -> Finding:
    """Whether the clock shows a time in which this program can be running."""
    now = clock.now()
    if _EARLIEST <= now < _LATEST:
        return Finding("clock", Status.OK, now.isoformat(timespec="seconds"))
    return Finding(
        "clock",
        Status.FAIL,
        f"{now.isoformat(timespec='seconds')} cannot be",
        Fix("時刻同期（NTP）を設定してください。コマは料金です", "set the clock (NTP): slots are money"),
    )


def writable(state: Path) -> Finding:
    """Whether the program may write where it keeps its state; leaves nothing behind."""
    nearest = next((place for place in (state, *state.parents) if place.exists()), state)
    fix = Fix(
        "書き込めるフォルダを --state で指定してください",
        "name a directory that can be written with --state",
    )
    if not nearest.is_dir():
        return Finding("state directory", Status.FAIL, f"{nearest} is not a directory", fix)
    try:
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"vpp")
    except OSError as error:
        return Finding("state directory", Status.FAIL, f"{nearest}: {error.strerror}", fix)
    return Finding("state directory", Status.OK, str(state) if nearest == state else f"{state} can be made")


def loopback(host: str) -> Finding:
    """Whether a port on this machine can be opened, as the device twins need it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind((host, 0))
            listener.listen(1)
            port = listener.getsockname()[1]
    except OSError as error:
        why = errno.errorcode.get(error.errno or 0, "error")
        return Finding(
            "loopback",
            Status.FAIL,
            f"cannot listen on {host}: {error.strerror} ({why})",
            Fix("ループバックの通信を許可してください", "allow connections on the loopback interface"),
        )
    return Finding("loopback", Status.OK, f"{host} can listen (tried port {port})")


def scenarios(names: Callable[[], Sequence[str]]) -> Finding:
    """Whether the shipped scenarios are found."""
    fix = Fix("aizu-vpp を入れ直してください", "reinstall aizu-vpp")
    try:
        found = names()
    except VppError as error:
        return Finding("scenarios", Status.FAIL, str(error), fix)
    if not found:
        return Finding("scenarios", Status.FAIL, "none found", fix)
    return Finding("scenarios", Status.OK, ", ".join(found))
