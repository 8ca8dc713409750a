"""The command line starts light, and every command that a page shows exists with these options."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.core import TyperGroup, TyperOption

from tests.arch import documents
from tests.arch.rules import ROOT, tracked
from vpp.cli.main import app

HEAVY = (
    "pandas",
    "sklearn",
    "pyomo",
    "highspy",
    "fastapi",
    "sqlalchemy",
    "pvlib",
    "pymodbus",
    "scipy",
    "pyarrow",
)
PROBE = """
import sys
sys.argv = ["vpp", *{words!r}]
from vpp.cli.main import run
try:
    run()
except SystemExit as end:
    print("status", end.code or 0)
print("heavy", sorted(set({heavy!r}) & set(sys.modules)))
"""


def probe(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROBE.format(words=words, heavy=HEAVY)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    "words",
    [
        *(("--help",), ("--version",), ("simulate", "--help"), ("data", "--help"), ("device", "--help")),
        *(("serve", "--help"), ("people", "invite", "--help")),
        *(("forecast", "--help"), ("forecast", "backtest", "--help"), ("forecast", "bench", "--help")),
    ],
)
def test_help_and_version_load_no_heavy_package(words: tuple[str, ...]) -> None:
    shown = probe(*words)
    assert "status 0" in shown
    assert "heavy []" in shown


def test_the_probe_sees_a_heavy_package() -> None:
    code = PROBE.format(words=("--help",), heavy=HEAVY).replace("import sys", "import sys, pandas", 1)
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "heavy ['pandas'" in shown


def resolve(root: Any, words: list[str]) -> str | None:
    """What is wrong with a shown command, or None: walks groups, then checks the names of options."""
    command, rest = root, list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and word != "--help":
            options = [parameter for parameter in command.params if isinstance(parameter, TyperOption)]
            option = next((o for o in options if word.split("=")[0] in (*o.opts, *o.secondary_opts)), None)
            if option is None:
                return f"{command.name} has no option {word}"
            if not option.is_flag and "=" not in word and rest:
                rest.pop(0)
        elif isinstance(command, TyperGroup) and not word.startswith("-"):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


def test_every_command_that_a_page_shows_exists() -> None:
    root = typer.main.get_command(app)
    wrong = {}
    for page in tracked():
        if page.suffix == ".md":
            for program, words in documents.commands(page.read_text(encoding="utf-8")):
                if program == "vpp" and (fault := resolve(root, words)):
                    wrong[f"{page.relative_to(ROOT)}: vpp {' '.join(words)}"] = fault
    assert wrong == {}


@pytest.mark.parametrize(
    "words", ["brew coffee", "simulate kitakata --bogus", "simulate kitakata --days 7 --nope 1"]
)
def test_a_command_that_does_not_exist_is_found(words: str) -> None:
    assert re.match(r"\w+ has no (command|option)", resolve(typer.main.get_command(app), words.split()) or "")


@pytest.mark.parametrize(
    "words", [("--nope",), ("brew",), ("simulate",), ("simulate", "kitakata", "--days", "many")]
)
def test_a_wrong_word_is_a_usage_error_in_three_lines_and_no_bug(words: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "vpp.cli.main", *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.splitlines()) == 3
    assert ended.stdout == ""
