"""Every error says what, where and what to do, and survives the way back from a worker."""

from __future__ import annotations

import pickle

import pytest

from energy.core import errors
from energy.core.errors import DataError, ExitStatus, InfeasiblePlanError, StaleDataError, VppError

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]


def test_an_error_prints_as_what_where_and_what_to_do() -> None:
    error = StaleDataError("the meter is too old", where="kitakata/meter", hint="check the link", age_s=412)
    assert error.lines() == ("the meter is too old", "kitakata/meter (age_s=412)", "check the link")
    assert str(error) == "the meter is too old; kitakata/meter (age_s=412); check the link"
    assert str(DataError("only this")) == "only this"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_back_from_a_worker_process(kind: type[VppError]) -> None:
    error = kind("what", where="where", hint="hint", file="a.csv", line=3)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.lines(), back.details) == (error.lines(), error.details)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_its_own_code_below_that_of_its_parent(kind: type[VppError]) -> None:
    assert [other for other in CLASSES if other.code == kind.code] == [kind]
    parent = kind.__base__
    if parent not in (VppError, Exception):
        assert kind.code.startswith(f"{parent.code}.")


def test_exit_statuses_are_those_that_scripts_rely_on() -> None:
    assert {
        kind.__name__: int(kind.exit_status) for kind in CLASSES if kind.__base__ in (VppError, Exception)
    } == {
        "VppError": 1,
        "ConfigError": 2,
        "DataError": 3,
        "ForecastError": 3,
        "PlanError": 4,
        "DeviceError": 5,
        "LedgerError": 8,
        "ConsentError": 7,
    }
    assert InfeasiblePlanError("x").exit_status is ExitStatus.INFEASIBLE
    assert int(ExitStatus.INTERRUPTED) == 130


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    drawn = [
        line for line in (errors.__doc__ or "").splitlines() if line.strip().split(" ")[0].endswith("Error")
    ]
    depth = {kind.__name__: len(kind.__mro__) for kind in CLASSES}
    top = depth["VppError"]
    assert sorted(line.split()[0] for line in drawn) == sorted(depth)
    for line in drawn:
        assert (len(line) - len(line.lstrip())) // 2 == 2 + depth[line.split()[0]] - top
