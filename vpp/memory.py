"""How much memory this process has needed."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_mb"]

_STATUS = Path("/proc/self/status")


def peak_mb(status: Path = _STATUS) -> float:
    """Highest resident memory of this process so far. [MB]

    Linux tells it per program (``VmHWM``). The figure of ``getrusage``, taken elsewhere, is that of the
    process: a program started by a large one begins with the large one's.
    """
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024.0 / 1e6  # kB are 1,024 bytes there
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024.0 / 1e6  # bytes there, kibibytes elsewhere
