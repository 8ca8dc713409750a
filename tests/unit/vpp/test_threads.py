"""One thread for the linear algebra, unless somebody asked for more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vpp.threads import one_blas_thread

NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def test_what_is_not_set_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    one_blas_thread()
    assert [os.environ[name] for name in NAMES] == ["1", "1", "1"]


def test_what_somebody_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    one_blas_thread()
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_the_command_sets_it_before_numpy_is_imported() -> None:
    code = (
        "import os, sys; import vpp.cli.main as main; assert 'numpy' not in sys.modules; "
        "sys.argv = ['vpp', '--version']\n"
        "try: main.run()\n"
        "except SystemExit: print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    bare = {name: value for name, value in os.environ.items() if name not in NAMES}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare)
    assert told.stdout.split()[-1] == "1"


@pytest.mark.parametrize("name", ["planner", "job forecast", "other"])
def test_a_process_ends_with_its_status_while_something_still_computes(name: str) -> None:
    code = (
        "import threading, time; from vpp.threads import end_process\n"
        f"threading.Thread(target=lambda: time.sleep(600), name={name!r}, daemon=True).start()\n"
        "print('said'); end_process(8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (8, "said\n", "")
