"""Every worked case of the rule book, T01 to T44, is a test of that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def cases() -> dict[str, list[str]]:
    """Tests by number of the case."""
    found: dict[str, list[str]] = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (match := re.match(r"test_(t\d\d)_", node.name)):
                found.setdefault(match[1], []).append(node.name)
    return found


def test_all_forty_four_cases_are_tests_each_once() -> None:
    found = cases()
    assert sorted(found) == [f"t{number:02d}" for number in range(1, 45)]
    assert {number: names for number, names in found.items() if len(names) != 1} == {}


def test_the_reference_page_lists_the_same_cases() -> None:
    page = (FOLDER.parents[2] / "docs" / "reference" / "sources.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"RULES-JP (T\d\d) \|", page))
    assert listed == {f"T{number:02d}" for number in range(1, 45)}
