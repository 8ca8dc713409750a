"""What a program that dies within a half-hour must find again: one small file for each site."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from energy.core.errors import DataError
from vpp.wholefile import whole_bytes

__all__ = ["MemoryFile"]

log = logging.getLogger(__name__)

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file that is whole or as it was before."""

    path: Path

    def write(self, memory: dict[str, object]) -> None:
        """Keep a memory.

        Raises
        ------
        DataError
            If the file cannot be written.
        """
        text = json.dumps({"version": _VERSION, "memory": memory}, sort_keys=True)
        whole_bytes(self.path, text.encode())

    def read(self) -> dict[str, Any] | None:
        """What was kept; None if nothing was, or if it cannot be used.

        One that cannot be used is put aside, for whoever wants to know: a site must not stand still for it.
        """
        try:
            found = json.loads(self.path.read_bytes())
            if found["version"] != _VERSION:
                raise DataError("another version", where=str(found["version"]))
            memory: dict[str, Any] = found["memory"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, LookupError, DataError) as error:
            self.put_aside(error)
            return None
        return memory

    def put_aside(self, why: Exception) -> None:
        """Give an unusable file another name."""
        aside = self.path.with_suffix(".unusable")
        log.error("memory.unusable file=%s kept_as=%s why=%s", self.path, aside.name, why)
        self.path.replace(aside)
