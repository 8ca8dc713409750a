"""Reading configuration: one YAML document, checked against one type, with errors that point at the line.

An unknown key is an error that names the nearest known one; a value that cannot be is an error that names its
place and what was written there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from energy.core.errors import ConfigError

__all__ = ["read_yaml"]

T = TypeVar("T")
Location = tuple[int | str, ...]


def read_yaml(path: Path, kind: type[T]) -> T:
    """Read a YAML file as ``kind``, a (nested) pydantic dataclass.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not YAML, or does not fit the type; the first fault is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path), hint="check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            "the file is not UTF-8", where=f"{path}, byte {error.start}", hint="save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError("cannot read the file", where=f"{path}: {error.strerror}") from None
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(
            f"not valid YAML: {error.problem}", where=f"{path}, line {line}", hint="check indents and quotes"
        ) from None
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        raise _explain(error, path, text, kind) from None


def _explain(error: ValidationError, path: Path, text: str, kind: type) -> ConfigError:
    faults = error.errors(include_url=False)
    fault = next((one for one in faults if one["type"] in _UNKNOWN_KEY), faults[0])
    place = ".".join(str(part) for part in fault["loc"]) or "(top level)"
    where = f"{path}, line {_line_of(text, fault['loc'])}: {place}"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] in _UNKNOWN_KEY:
        key = str(fault["loc"][-1])
        near = difflib.get_close_matches(key, sorted(_known_keys(kind)), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "remove it; see docs/reference/scenario-yaml.md"
        return ConfigError(f"unknown key {key!r}{more}", where=where, hint=hint)
    if fault["type"] in _MISSING_KEY:
        return ConfigError(f"missing key {fault['loc'][-1]!r}{more}", where=where, hint="add it")
    return ConfigError(
        f"{_reason(fault)}{more}",
        where=f"{where} = {_short(fault['input'])}",
        hint="mend the value and try again",
    )


_UNKNOWN_KEY = frozenset({"unexpected_keyword_argument", "extra_forbidden"})
_MISSING_KEY = frozenset({"missing", "missing_argument", "missing_keyword_only_argument"})


def _reason(fault: ErrorDetails) -> str:
    return fault["msg"].removeprefix("Value error, ")


def _short(written: object, width: int = 80) -> str:
    text = str(written)
    return text if len(text) <= width else text[: width - 1] + "…"


def _line_of(text: str, location: Location) -> int:
    """Line of the deepest part of a location that the document really has, from 1."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if str(k.value) == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


@cache
def _known_keys(kind: type) -> frozenset[str]:
    return frozenset(_walk_keys(kind, set()))


def _walk_keys(kind: object, seen: set[object]) -> Iterator[str]:
    if isinstance(kind, type) and is_dataclass(kind):
        if kind in seen:
            return
        seen.add(kind)
        hints = get_type_hints(kind, include_extras=False)
        for field in fields(kind):
            yield field.name
            yield from _walk_keys(hints[field.name], seen)
    for inner in get_args(kind):
        yield from _walk_keys(inner, seen)
