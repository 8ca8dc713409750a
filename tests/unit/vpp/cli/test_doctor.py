"""Each probe of the doctor finds the fault that it is there for."""

from __future__ import annotations

import importlib.metadata
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy.core.clock import ManualClock
from energy.core.errors import ConfigError, ExitStatus
from vpp.cli import doctor
from vpp.cli.doctor import Finding, Status, examine, exit_status, worst

NOON = ManualClock(datetime(2026, 11, 22, 3, 0, tzinfo=UTC))


def by_name(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_this_machine_is_healthy(tmp_path: Path) -> None:
    findings = examine(clock=NOON, state=tmp_path, scenario_names=lambda: ["city-hall", "kitakata"])
    assert [finding for finding in findings if finding.status is Status.FAIL] == []
    assert exit_status(findings) is ExitStatus.OK
    names = by_name(findings)
    assert {
        "python",
        "solver",
        "foreign packages",
        "time zone",
        "clock",
        "state directory",
        "loopback",
    } <= set(names)
    assert "kitakata" in names["scenarios"].detail


def test_every_required_package_is_looked_at() -> None:
    names = set(by_name(doctor.package_versions()))
    assert {"package:pyomo", "package:highspy", "package:pymodbus", "package:sqlalchemy"} <= names
    assert not any("psycopg" in name for name in names), "extras are not required"


def test_every_finding_that_is_not_ok_says_what_to_do(tmp_path: Path) -> None:
    broken = [
        doctor.python_version((3, 10, 4)),
        *doctor.package_versions(["no-such-package-of-ours>=1", "numpy<1"]),
        doctor.solver(_no_solver),
        doctor.time_zone("Asia/Nowhere"),
        doctor.time_zone("Europe/London"),
        doctor.clock_sanity(ManualClock(datetime(1970, 1, 1, tzinfo=UTC))),
        doctor.writable(tmp_path / "file" / "state"),
        doctor.loopback("192.0.2.1"),  # RFC 5737: an address that no machine has
        doctor.scenarios(_no_scenarios),
        doctor.scenarios(list),
    ]
    (tmp_path / "file").write_text("", encoding="utf-8")
    broken.append(doctor.writable(tmp_path / "file" / "state"))
    sound = [finding for finding in broken if finding.status is Status.OK]
    assert [finding.name for finding in sound] == ["state directory"], "before the file was in the way"
    for finding in broken:
        if finding.status is not Status.OK:
            assert finding.fix is not None
            assert finding.fix.text("ja") != finding.fix.text("en")
            assert finding.detail


def test_a_package_outside_its_bounds_is_a_warning_and_a_missing_one_a_failure() -> None:
    installed = importlib.metadata.version("numpy")
    old, missing = doctor.package_versions(["numpy<1", "no-such-package-of-ours>=1"])
    assert (old.status, missing.status) == (Status.WARN, Status.FAIL)
    assert installed in old.detail
    assert "<1" in old.detail


def test_a_requirement_for_another_platform_is_not_asked_for() -> None:
    assert doctor.package_versions(["no-such-package-of-ours; sys_platform == 'nowhere'"]) == []


def test_a_solver_that_solves_says_so() -> None:
    finding = doctor.solver(lambda: "a car charged in 3 ms")
    assert finding.status is Status.OK
    assert "a car charged" in finding.detail


def test_the_solver_really_plans_a_car_into_the_cheap_hour() -> None:
    finding = doctor.solver(doctor.solve_probe)
    assert finding.status is Status.OK
    assert "optimal" in finding.detail


@pytest.mark.parametrize("layout", ["dispatch/__init__.py", "dispatch.py"])
def test_a_namesake_before_our_package_is_found(tmp_path: Path, layout: str) -> None:
    stranger = tmp_path / layout
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("", encoding="utf-8")
    findings = doctor.foreign_packages([str(tmp_path), *sys.path])
    assert [finding.name for finding in findings] == ["foreign package:dispatch"]
    assert findings[0].status is Status.FAIL
    assert str(tmp_path) in findings[0].detail


def test_our_own_packages_are_no_strangers() -> None:
    assert [finding.status for finding in doctor.foreign_packages(sys.path)] == [Status.OK]


def test_the_state_directory_need_not_exist_and_stays_unmade(tmp_path: Path) -> None:
    state = tmp_path / "a" / "b"
    assert doctor.writable(state).status is Status.OK
    assert not state.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_state_directory_that_refuses_writing_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(
        doctor.tempfile, "TemporaryFile", refuse
    )  # root may write anywhere, so chmod shows nothing
    finding = doctor.writable(tmp_path)
    assert finding.status is Status.FAIL
    assert "Permission denied" in finding.detail


def test_the_port_that_was_tried_is_given_back() -> None:
    port = int(doctor.loopback("127.0.0.1").detail.split("port ")[1].rstrip(")"))
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_a_finding_is_one_json_object_with_advice_in_both_languages() -> None:
    well, ill = doctor.time_zone("Asia/Tokyo").to_json(), doctor.python_version((3, 10, 4)).to_json()
    assert well == {
        "name": "time zone",
        "status": "ok",
        "detail": "Asia/Tokyo is UTC+9",
        "fix_ja": None,
        "fix_en": None,
    }
    assert (ill["status"], ill["fix_en"]) == ("fail", "install Python 3.11 or newer")
    assert ill["fix_ja"]


def test_warnings_do_not_make_the_doctor_fail_but_one_failure_does() -> None:
    ok, warn, fail = (Finding("x", status, "y") for status in Status)
    assert worst([ok, warn]) is Status.WARN
    assert exit_status([ok, warn]) is ExitStatus.OK
    assert exit_status([ok, fail, warn]) is ExitStatus.UNHEALTHY
    assert worst([]) is Status.OK


def _no_solver() -> str:
    raise RuntimeError("no licence, no library")


def _no_scenarios() -> list[str]:
    raise ConfigError("the scenarios are missing", where="nowhere", hint="reinstall aizu-vpp")
