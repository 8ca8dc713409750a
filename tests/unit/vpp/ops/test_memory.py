"""A service keeps few heaps, however many threads take turns."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests.arch.rules import ROOT

MANY_THREADS = """
import ctypes, threading
from vpp.ops.memory import keep_few_arenas
if {few}:
    assert keep_few_arenas()
here = threading.Barrier(12)
def work():
    kept = [bytes(4_000) for _ in range(100)]
    here.wait()
    del kept
threads = [threading.Thread(target=work) for _ in range(12)]
for one in threads: one.start()
for one in threads: one.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_twelve_threads_share_two_heaps() -> None:
    heaps = {}
    for few in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", MANY_THREADS.format(few=few)],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            timeout=60,
        )
        heaps[few] = done.stderr.count("Arena ")
    assert heaps[True] == 2
    assert heaps[False] > 2
