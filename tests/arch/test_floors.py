"""The floors and the vendor gates hold, and each contract is shown to break when it is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.arch.rules import PACKAGES, ROOT, cycles, import_graph, imports_of, package_files, vendor_leaks

# Vendors that no contract can name yet, because nobody imports them (import-linter wants them in its graph).
GATES = {
    "sklearn": ("forecasting",),
    "fastapi": ("vpp.api", "vpp.http", "vpp.web"),
    "starlette": ("vpp.api", "vpp.http", "vpp.web"),
    "uvicorn": ("vpp.web",),
    "prometheus_client": ("vpp.http", "vpp.web"),
    "httpx2": ("vpp.ops.webhooks", "vpp.client"),
    "psycopg": ("energy.store",),
    "sqlite3": ("energy.store",),
    "pypdf": (),
    "pysunspec2": (),
    "sunspec2": (),
    "jpholiday": (),
    "lightgbm": ("forecasting.references",),
    "openleadr": ("vpp.openadr.ven",),
    "aiohttp": ("vpp.openadr.session",),
}

# One planted import for each contract of pyproject.toml: (contract id, file, line).
PLANTED = [
    ("floors", "energy/core/slots.py", "import energy.store"),
    ("floors", "energy/ledger/planted.py", "import energy.market"),
    ("floors", "dispatch/planted.py", "import forecasting"),
    ("rooms", "vpp/site/planted.py", "import vpp.web.app"),
    ("pure", "forecasting/planted.py", "import random"),
    ("pure", "dispatch/planted.py", "from energy import store"),
    ("sql", "vpp/planted.py", "def late():\n    import sqlalchemy"),
    ("modbus", "vpp/planted.py", "import pymodbus.client"),
    ("charging", "vpp/planted.py", "import websockets"),
    ("publishing", "vpp/planted.py", "import aiomqtt"),
    ("jobs", "vpp/planted.py", "from apscheduler.schedulers import background"),
    ("optimiser", "forecasting/planted.py", "import pyomo.environ"),
    ("paper", "vpp/planted.py", "import reportlab.pdfgen"),
    ("keys", "vpp/planted.py", "import argon2"),
    ("learning", "dispatch/planted.py", "from pvlib import irradiance"),
    ("light-checks", "dispatch/checks.py", "import highspy"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()",
         "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def contracts() -> dict[str, str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]}


def test_imports_go_down_the_floors_and_vendors_stay_behind_their_gates() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout
    for name in contracts().values():
        assert f"{name} KEPT" in result.stdout


def test_every_contract_breaks_when_it_is_broken(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for _, name, line in PLANTED:
        path = tmp_path / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    result = lint(tmp_path)
    assert result.returncode != 0
    for name in contracts().values():
        assert f"{name} BROKEN" in result.stdout, result.stdout
    for identity, name, _ in PLANTED:
        module = name.removesuffix(".py").replace("/", ".")
        assert module in result.stdout, f"{identity}: {module} is not reported"


def test_no_vendor_is_imported_outside_its_gate() -> None:
    assert vendor_leaks(package_files(), GATES) == []


def test_a_vendor_outside_its_gate_is_found(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in.py", tmp_path / "out.py"
    inside.write_text("import sqlite3\n", encoding="utf-8")
    outside.write_text("def late():\n    from fastapi.routing import APIRouter\n", encoding="utf-8")
    files = {"energy.store.engine": inside, "vpp.cli.main": outside, "vpp.api.app": outside}
    assert vendor_leaks(files, GATES) == ["vpp.cli.main:2 imports fastapi"]


def test_modules_do_not_import_each_other_in_a_ring() -> None:
    assert cycles(import_graph(package_files())) == []


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("from energy.b import name", "from energy import a", [["energy.a", "energy.b"]]),
        ("from .b import name", "def late():\n    import energy.a", [["energy.a", "energy.b"]]),
        ("import energy.b", "import json", []),
    ],
)
def test_a_ring_of_imports_is_found(
    tmp_path: Path, first: str, second: str, expected: list[list[str]]
) -> None:
    (tmp_path / "energy").mkdir()
    for name, text in (("__init__", ""), ("a", first), ("b", second)):
        (tmp_path / "energy" / f"{name}.py").write_text(text, encoding="utf-8")
    assert cycles(import_graph(package_files(tmp_path))) == expected


def test_the_energy_package_itself_imports_nothing() -> None:
    source = (ROOT / "energy" / "__init__.py").read_text(encoding="utf-8")
    assert list(imports_of("energy", source, is_package=True)) == []
