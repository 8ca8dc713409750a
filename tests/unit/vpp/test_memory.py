"""The highest memory of a program is its own, not that of the program that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vpp.memory import peak_mb

ASK = "from vpp.memory import peak_mb; print(peak_mb())"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc is of Linux")
def test_a_small_program_started_by_a_large_one_is_small() -> None:
    held = np.ones(40_000_000)  # 320 MB
    assert peak_mb() > 320.0
    told = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    assert 5.0 < float(told) < 160.0
    assert held[0] == 1.0


def test_without_a_status_file_the_kernel_is_asked(tmp_path: Path) -> None:
    assert peak_mb(tmp_path / "none") > 20.0


def test_the_figure_of_the_status_file_is_in_megabytes(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t  204800 kB\n", encoding="ascii")
    assert peak_mb(tmp_path / "status") == pytest.approx(209.7152)
