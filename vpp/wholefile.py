"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from energy.core.errors import DataError

__all__ = ["whole_bytes", "whole_file"]


@contextmanager
def whole_file(path: Path, *, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A text file to write; it takes its name when the block ends well, and an old file of that name goes.

    Line ends are written as given. If the block fails nothing is left behind and an old file stays.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding=encoding, newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path.name}",
            where=f"{path}: {error}",
            hint="choose a folder that you may write to",
        ) from error
    finally:
        with suppress(OSError):  # gone already when all went well
            part.unlink()


def whole_bytes(path: Path, content: bytes) -> None:
    """Write a file of bytes, whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write {path.name}",
            where=f"{path}: {error}",
            hint="choose a folder that you may write to",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
