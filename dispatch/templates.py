"""Compiled templates: kept in memory, and on a shelf that outlives the process.

What is kept on the shelf is the core of a structure, one asset of each kind, so sites that differ only in how
many assets they have share it. Its name is a digest of the structure and of everything that could change what
compiling gives: the block definitions, the compiler, and the versions of Pyomo and numpy. A file that is cut
short, foreign or altered is not used: the structure is compiled again and the file replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, fields
from functools import cache
from importlib.resources import files
from typing import Any, Final, Protocol

import numpy as np
import pyomo.version

from dispatch.features import Features
from dispatch.layout import Layout, Table
from dispatch.template import Affine, Structure, Template, tile

__all__ = ["TemplateCache", "TemplateShelf", "core_from_bytes", "core_name", "core_to_bytes"]

_MAGIC: Final = b"aizu-vpp template 1\n"
_DIGEST: Final = 32  # bytes of SHA-256
_SOURCES: Final = ("compile.py", "features.py", "layout.py", "template.py", "blocks")


class TemplateShelf(Protocol):
    """Where compiled cores outlive a process; a shelf never raises: what cannot be read is not there."""

    def read(self, name: str) -> bytes | None:
        """What was kept under a name."""

    def write(self, name: str, content: bytes) -> None:
        """Keep something under a name."""


def core_name(structure: Structure) -> str:
    """Name under which the core of a structure is kept."""
    core = structure.core
    text = json.dumps([asdict(core), *_environment()])
    kinds = "-".join(kind for kind, count in core.counts.items() if count)
    return f"{core.intervals}-{kinds or 'site'}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@cache
def _environment() -> tuple[str, ...]:
    """Versions of the libraries and a digest of the code that decide what compiling gives."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        place = files("dispatch") / name
        parts = [place] if place.is_file() else sorted(place.iterdir(), key=lambda part: part.name)
        for part in parts:
            if part.name.endswith(".py"):
                digest.update(part.read_bytes())
    return pyomo.version.version, np.__version__, digest.hexdigest()


def _arrays(core: Template) -> Iterator[tuple[str, np.ndarray]]:
    for field in fields(core):
        value = getattr(core, field.name)
        if isinstance(value, Affine):
            for part in fields(value):
                yield f"{field.name}.{part.name}", getattr(value, part.name)
        elif isinstance(value, np.ndarray):
            yield field.name, value


def core_to_bytes(core: Template) -> bytes:
    """A compiled core as bytes: magic, digest, a JSON head of one line, arrays."""
    arrays = list(_arrays(core))
    head = {
        "structure": asdict(core.structure),
        "layouts": {name: _layout_json(getattr(core, name)) for name in ("columns", "data", "rows")},
        "arrays": [[name, array.dtype.str, len(array)] for name, array in arrays],
    }
    body = json.dumps(head).encode() + b"\n" + b"".join(array.tobytes() for _, array in arrays)
    return _MAGIC + hashlib.sha256(body).digest() + body


def core_from_bytes(content: bytes) -> Template | None:
    """The core again, None if the bytes are not what :func:`core_to_bytes` wrote."""
    begin = len(_MAGIC) + _DIGEST
    body = content[begin:]
    if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != content[len(_MAGIC) : begin]:
        return None
    line = body.index(b"\n")
    head = json.loads(body[:line])
    arrays: dict[str, np.ndarray] = {}
    at = line + 1
    for name, dtype, length in head["arrays"]:
        arrays[name] = np.frombuffer(body, dtype=dtype, count=length, offset=at)
        at += arrays[name].nbytes
    parts: dict[str, Any] = {  # Any: each field has its own type, as it was written
        field.name: Affine(*(arrays[f"{field.name}.{part.name}"] for part in fields(Affine)))
        for field in fields(Template)
        if f"{field.name}.base" in arrays
    }
    parts |= {name: array for name, array in arrays.items() if "." not in name}
    parts |= {name: _layout(rows) for name, rows in head["layouts"].items()}
    structure = head["structure"]
    structure["features"] = Features(**structure["features"])
    structure["divisions"] = tuple(structure["divisions"])
    structure["others"] = tuple((kind, count) for kind, count in structure["others"])
    return Template(structure=Structure(**structure), **parts)


def _layout_json(layout: Layout) -> dict[str, object]:
    return {kind: asdict(table) for kind, table in layout.tables.items()}


def _layout(rows: dict[str, dict[str, Any]]) -> Layout:
    tables = {}
    for kind, row in rows.items():
        parts = {name: (start, stop) for name, (start, stop) in row["parts"].items()}
        tables[kind] = Table(row["first"], row["count"], row["width"], parts)
    return Layout(tables)


class TemplateCache:
    """Compiled templates by structure, the least recently used dropped first.

    Parameters
    ----------
    limit : int
        How many templates are kept in memory.
    shelf : TemplateShelf, optional
        Where cores outlive the process.

    Attributes
    ----------
    counts : Counter
        Where templates came from: ``compiled``, ``shelf``, ``core`` (compiled before for another number of
        assets), and ``broken`` files that were compiled again.
    """

    def __init__(self, limit: int = 16, *, shelf: TemplateShelf | None = None) -> None:
        self._limit = limit
        self._shelf = shelf
        self._templates: OrderedDict[Structure, Template] = OrderedDict()
        self._cores: OrderedDict[Structure, Template] = OrderedDict()
        self.counts: Counter[str] = Counter()

    @property
    def compiled(self) -> int:
        """How often a model was compiled."""
        return self.counts["compiled"]

    def of(self, structure: Structure) -> Template:
        """The template of a structure, compiled when it is nowhere to be found."""
        template = self._templates.get(structure)
        if template is None:
            template = self._templates[structure] = tile(self._core(structure.core), structure)
        self._templates.move_to_end(structure)
        while len(self._templates) > self._limit:
            self._templates.popitem(last=False)
        return template

    def _core(self, structure: Structure) -> Template:
        core = self._cores.get(structure)
        if core is not None:
            self.counts["core"] += 1
        else:
            core = self._shelved(structure) or self._compiled(structure)
            self._cores[structure] = core
        self._cores.move_to_end(structure)
        while len(self._cores) > self._limit:
            self._cores.popitem(last=False)
        return core

    def _shelved(self, structure: Structure) -> Template | None:
        known = self._shelf is not None and not structure.others
        content = self._shelf.read(core_name(structure)) if self._shelf and known else None
        if content is None:
            return None
        core = core_from_bytes(content)
        if core is None or core.structure != structure:
            self.counts["broken"] += 1
            return None
        self.counts["shelf"] += 1
        return core

    def _compiled(self, structure: Structure) -> Template:
        from dispatch.compile import (
            compile_core,
        )  # loads Pyomo, which is not needed where a shelf has the core

        core = compile_core(structure)
        self.counts["compiled"] += 1
        if self._shelf and not structure.others:  # code from outside is in no digest
            self._shelf.write(core_name(structure), core_to_bytes(core))
        return core
