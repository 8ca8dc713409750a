"""Which fault of the table of field faults a test is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])
TESTED: dict[int, list[str]] = {}


def fault(number: int) -> Callable[[Test], Test]:
    """Note that a test is for this row of the table."""

    def note(test: Test) -> Test:
        TESTED.setdefault(number, []).append(test.__name__)
        return test

    return note
