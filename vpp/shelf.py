"""Compiled templates in a folder, so that a new process need not compile (:mod:`dispatch.templates`)."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

__all__ = ["FolderShelf", "cache_folder"]

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Folder for what can be made again: ``VPP_CACHE_DIR``, else the user's cache folder."""
    said = os.environ.get("VPP_CACHE_DIR")
    if said:
        return Path(said)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "aizu-vpp"


class FolderShelf:
    """Keeps compiled templates as files; a folder that cannot be used costs a compile, never a plan.

    Parameters
    ----------
    folder : Path
        Made when it is first written to.

    Attributes
    ----------
    counts : Counter
        ``read``, ``missing``, ``written`` and ``failed`` (logged with the reason).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        """The same for every copy of a shelf in whatever process: what is cached by it is found again."""
        return f"FolderShelf({str(self._folder)!r})"

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.template"

    def read(self, name: str) -> bytes | None:
        """What was kept under a name."""
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            self.counts["missing"] += 1
            return None
        except OSError as error:
            self._failed(name, error)
            return None
        self.counts["read"] += 1
        return content

    def write(self, name: str, content: bytes) -> None:
        """Keep something under a name; other processes see the old file or the whole new one."""
        part: str | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=f".{name}.", delete=False) as file:
                part = file.name
                file.write(content)
            Path(part).replace(self._path(name))
        except OSError as error:
            self._failed(name, error)
            if part is not None:
                with suppress(OSError):
                    Path(part).unlink()
            return
        self.counts["written"] += 1

    def _failed(self, name: str, error: OSError) -> None:
        self.counts["failed"] += 1
        log.warning("template.shelf name=%s folder=%s error=%s", name, self._folder, error)
