"""What a person gets who makes a mistake: three lines, the right exit status, nothing half-written."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.vpp.cli import calling
from vpp.simulation.scenario import scenarios_root

pytestmark = pytest.mark.e2e

USAGE, DATA, UNHEALTHY = 2, 3, 8


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command writes without being told where stays in the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VPP_DB", raising=False)


def vpp(*words: str) -> tuple[int, list[str]]:
    """Status and lines on stderr of a command that must print nothing else."""
    status, out, err = calling.vpp(*words)
    assert out == ""
    return status, err.rstrip("\n").split("\n")


def own_scenario(folder: Path, old: str, new: str) -> Path:
    """A copy of kitakata with one thing changed."""
    target = folder / "mine"
    shutil.copytree(scenarios_root() / "kitakata", target)
    shutil.copy(scenarios_root() / "weather_wakamatsu.csv.gz", folder)
    file = target / "scenario.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return target


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("capacity_kwh: 66", "capasity_kwh: 66", "unknown key 'capasity_kwh'"),
        ("capacity_kwh: 66", "capacity_kwh: 0", "greater than 0"),
        ("soc_min: 0.3, soc_ready", "soc_min: 0.99, soc_ready", "soc_min 0.99 must be below soc_max"),
        ('departs: "09:30", hours_away: 5.0', 'departs: "09:30", hours_away: 60.0', "trips of ariya overlap"),
        ("cooling_c: [20.0, 27.5]", "cooling_c: [27.5, 20.0]", "band is upside down"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused_at_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    mine = own_scenario(tmp_path, old, new)
    status, lines = vpp("simulate", str(mine), "--days", "1")
    assert status == USAGE
    assert len(lines) == 3
    assert says in lines[0]
    assert "scenario.yaml, line" in lines[1]
    assert not (tmp_path / "out").exists()


def test_a_tariff_without_prices_for_the_days_is_refused(tmp_path: Path) -> None:
    words = ("simulate", "kitakata", "--start", "2027-06-07", "--days", "1", "--compare", "optimal")
    status, lines = vpp(*words)
    assert status == USAGE
    assert lines[0] == "error: the tariff has no prices for 2027-06-07"
    assert len(lines) == 3
    assert not list(tmp_path.iterdir())  # nothing ran


def test_a_gap_of_three_days_in_the_load_is_named(tmp_path: Path) -> None:
    mine = own_scenario(tmp_path, "title_en", "title_en")
    file = mine / "load_15min_2018.csv.gz"
    rows = gzip.decompress(file.read_bytes()).decode().splitlines()
    # ISO week 32 of 2018 begins on 6 August; 7 August 06:00 to 10 August 06:00 are cut out
    kept = [row for row in rows if not "2018-08-07T06:00" <= row[:16] < "2018-08-10T06:00"]
    file.write_bytes(gzip.compress("\n".join(kept).encode()))
    words = ("simulate", str(mine), "--start", "2026-08-03", "--days", "7", "--compare", "none")
    status, lines = vpp(*words)
    assert status == DATA
    assert len(lines) == 3
    assert "2026-08-05" in lines[0] or "2026-08-04 06:00" in lines[1]


def test_a_load_in_another_encoding_is_named(tmp_path: Path) -> None:
    mine = own_scenario(tmp_path, "title_en", "title_en")
    (mine / "load_15min_2018.csv.gz").write_bytes(gzip.compress("開始,電力量\n".encode("cp932")))
    status, lines = vpp("simulate", str(mine), "--days", "1", "--compare", "none")
    assert status == DATA
    assert len(lines) == 3
    assert "utf-8" in lines[1]


def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    words = ("simulate", "kitakata", "--days", "1", "--state", "/proc/vpp-state")
    status, lines = vpp(*words)
    assert status == USAGE
    assert lines[0] == "error: cannot write to the state folder"
    assert len(lines) == 3


def test_a_file_in_the_wrong_encoding_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    file.write_bytes("timestamp,kwh\n2026-11-30 23:30,41.2\n十二月,3\n".encode("cp932"))
    mapping = tmp_path / "meter.yaml"
    mapping.write_text("kind: meter\nseries: works/meter/import_kwh\n", encoding="utf-8")
    words = ("data", "import", str(file), "--kind", "meter", "--mapping", str(mapping), "--db", "v.db")
    status, lines = vpp(*words)
    assert status == DATA
    assert len(lines) == 3
    assert calling.vpp("data", "gaps", "--db", "v.db", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "kitakata", "--days", "0"),
        ("simulate", "kitakata", "--days", "many"),
        ("simulate", "kitakata", "--start", "3 August"),
        ("simulate", "kitakata", "--compare", "best"),
        ("simulate", "nowhere"),
        ("plan", "explain", "16:30", "commuter"),
        ("ledger", "verify"),
    ],
)
def test_a_wrong_word_is_a_usage_error(words: tuple[str, ...]) -> None:
    status, lines = vpp(*words)
    assert status == USAGE
    assert len(lines) == 3


def test_the_process_ends_with_the_status_and_the_three_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vpp.cli.main", "--lang", "en", "plan", "explain", "16:30", "commuter"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.rstrip("\n").split("\n") == vpp("plan", "explain", "16:30", "commuter")[1]
