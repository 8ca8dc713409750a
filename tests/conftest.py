"""What all tests share: random tests that repeat, and no configuration of the machine they run on."""

from __future__ import annotations

import os

from hypothesis import settings

# Read when NumPy is first imported: threads on small matrices cost ten times what they save (vpp/threads.py).
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# The same examples every time; a failure prints the blob that repeats it. No deadline: machines differ.
settings.register_profile("house", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("house")

# What a developer has set for a real site must not reach a test.
_FOR_TESTS = ("VPP_TEST_", "VPP_DATA_DIR")
for _name in [name for name in os.environ if name.startswith("VPP_") and not name.startswith(_FOR_TESTS)]:
    del os.environ[_name]
