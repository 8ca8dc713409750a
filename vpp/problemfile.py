"""Problems and plans as JSON files: read with every fault named, written compactly, described by a schema."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from energy.core.errors import DataError
from energy.core.plan import Plan, Problem
from vpp.wholefile import whole_file

__all__ = ["problem_schema", "read_plan", "read_problem", "write_json"]

_HINT = "the form is described in docs/reference/plan-problem.md; examples/problem.json is one"
_PROBLEM: TypeAdapter[Problem] = TypeAdapter(Problem)
_PLAN: TypeAdapter[Plan] = TypeAdapter(Plan)
T = TypeVar("T")


def read_problem(path: Path) -> Problem:
    """A problem from its JSON file.

    Raises
    ------
    DataError
        If the file cannot be read, is not JSON, or a field is missing, unknown or of the wrong kind; named by
        its path in the document, with the value.
    """
    return _read(path, _PROBLEM, "problem")


def read_plan(path: Path) -> Plan:
    """A plan from its JSON file; faults as in :func:`read_problem`."""
    return _read(path, _PLAN, "plan")


def _read(path: Path, kind: TypeAdapter[T], name: str) -> T:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} cannot be read", where=str(error), hint="give the path of a JSON file"
        ) from error
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path.name} is not JSON", where=str(error), hint=_HINT) from error
    try:
        value = kind.validate_python(document, strict=False)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        told = f" ({more} more)" if more else ""
        given = first.get("input")
        shown = "" if isinstance(given, dict | list) or first["type"] == "missing" else f", not {given!r}"
        raise DataError(
            f"{path.name} is not a {name}", where=f"{place}: {first['msg']}{shown}{told}", hint=_HINT
        ) from error
    unknown = list(_unknown(document, kind.dump_python(value, mode="json"), ""))
    if unknown:
        told = f" ({len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise DataError(f"{path.name} has an unknown field", where=f"{unknown[0]}{told}", hint=_HINT)
    return value


def _unknown(given: Any, known: Any, place: str) -> Iterator[str]:  # Any: JSON
    """Fields of a document that were not understood, with the nearest name that would be."""
    if isinstance(given, dict) and isinstance(known, dict):
        if "code" in known and "facts" in known:
            return  # facts of a reason are free
        for key, value in given.items():
            where = f"{place}.{key}" if place else str(key)
            if key in known:
                yield from _unknown(value, known[key], where)
            else:
                near = difflib.get_close_matches(str(key), list(known), n=1)
                yield f"{where}; did you mean {near[0]}?" if near else where
    elif isinstance(given, list) and isinstance(known, list):
        for k, (inner, other) in enumerate(zip(given, known, strict=False)):
            if isinstance(inner, dict | list):
                yield from _unknown(inner, other, f"{place}.{k}")


def write_json(path: Path, document: str) -> None:
    """Write a problem or a plan; the file appears whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    with whole_file(path) as file:
        file.write(document if document.endswith("\n") else document + "\n")


def problem_schema() -> dict[str, Any]:  # Any: JSON Schema
    """JSON Schema of a problem file."""
    return _PROBLEM.json_schema()
