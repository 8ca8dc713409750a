"""What a program read of this checkout while it made something: its ingredients.

``python -m tests.e2e.console.ingredients LIST MODULE WORD ...`` runs a module and writes the digest of every
file of the checkout that it read, taken when it read it, and of the names in every folder that it looked
through (in a package without those of modules: they count when they are imported).
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import sys
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any, Final

__all__ = ["ROOT", "digest_of", "unchanged"]

ROOT: Final = Path(__file__).resolve().parents[3]
_BESIDE: Final = ("constraints.txt", "tests/e2e/console/ingredients.py")
"""Versions of what is installed; read by nobody, and another one may make another thing."""


def digest_of(name: str) -> str:
    """Digest of a file of the checkout, or of the names in a folder; empty if it is gone."""
    path = ROOT / name
    if path.is_dir():
        left_out = (".py", "__pycache__") if (path / "__init__.py").exists() else ("__pycache__",)
        told = "\n".join(sorted(one.name for one in path.iterdir() if not one.name.endswith(left_out)))
        return hashlib.sha256(told.encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def unchanged(written: Path) -> bool:
    """Whether everything that is on a list is still what it was."""
    if not written.is_file():
        return False
    read: dict[str, str] = json.loads(written.read_text(encoding="utf-8"))
    return all(digest_of(name) == digest for name, digest in read.items())


class _Reader:
    """Notes what is read below the checkout, once per file."""

    def __init__(self) -> None:
        self.read = {name: digest_of(name) for name in _BESIDE}
        self._busy = False

    def hear(self, event: str, told: tuple[Any, ...]) -> None:  # Any: what Python tells its auditors
        if self._busy or event not in {"open", "os.listdir", "os.scandir"} or not told:
            return
        if event == "open" and isinstance(told[1], str) and set(told[1]) & set("wax+"):
            return
        if not isinstance(told[0], str | os.PathLike):
            return
        self._busy = True  # taking a digest opens a file, too
        try:
            self._note(Path(os.fsdecode(told[0])).resolve())
        finally:
            self._busy = False

    def _note(self, path: Path) -> None:
        if path.suffix == ".pyc":
            try:
                path = Path(source_from_cache(str(path)))
            except ValueError:
                return
        if (
            path == ROOT
            or not path.is_relative_to(ROOT)
            or ".venv" in path.parts
            or "__pycache__" in path.parts
        ):
            return
        name = path.relative_to(ROOT).as_posix()
        if name not in self.read and path.exists():
            self.read[name] = digest_of(name)


def main(words: list[str]) -> None:
    """Run a module and write what it read."""
    written, module, *sys.argv[1:] = words
    reader = _Reader()
    sys.addaudithook(reader.hear)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    made = Path(written)
    begun = made.with_suffix(".part")
    begun.write_text(json.dumps(reader.read, indent=1, sort_keys=True), encoding="utf-8")
    begun.replace(made)


if __name__ == "__main__":
    main(sys.argv[1:])
