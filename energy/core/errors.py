"""One tree of errors: what went wrong, where and with which values, and what to do.

::

    VppError
      ConfigError              unknown key, bad value, missing secret, port in use
      DataError                bad rows, wrong encoding, unreadable file
        AlignmentError         two series on different grids
        GapError               values missing where they are needed
        StaleDataError         the newest value is too old to act on
      ForecastError
        NotFittedError
        UnknownModelError
      PlanError
        InfeasiblePlanError    promises that clash, by name
        SolverTimeoutError     no answer in time; carries the best gap
        InvalidPlanError       the independent check refused a plan
      DeviceError
        UnreachableError
        RegisterError
        RefusedError
      LedgerError
        DuplicateEntryError
        BrokenChainError
      ConsentError

Every error prints as three lines: what; where and why, with values; what to do.
Expected trouble of equipment is an outcome (:mod:`energy.core.outcome`), not an exception.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

__all__ = [
    "AlignmentError",
    "BrokenChainError",
    "ConfigError",
    "ConsentError",
    "DataError",
    "DeviceError",
    "DuplicateEntryError",
    "ExitStatus",
    "ForecastError",
    "GapError",
    "InfeasiblePlanError",
    "InvalidPlanError",
    "LedgerError",
    "NotFittedError",
    "PlanError",
    "RefusedError",
    "RegisterError",
    "SolverTimeoutError",
    "StaleDataError",
    "UnknownModelError",
    "UnreachableError",
    "VppError",
]


class ExitStatus(IntEnum):
    """Exit status of the ``vpp`` command."""

    OK = 0
    BUG = 1
    USAGE = 2
    DATA = 3
    INFEASIBLE = 4
    DEVICE = 5
    PARTIAL = 6
    CONSENT = 7
    UNHEALTHY = 8
    INTERRUPTED = 130


class VppError(Exception):
    """Base of every error that a user may see.

    Parameters
    ----------
    what : str
        One line: what failed.
    where : str
        Where and why, with the values that matter (file and line, series, asset).
    hint : str
        What the reader can do about it.
    **details : object
        The same facts for machines; kept in :attr:`details` and printed after ``where``.
    """

    code: ClassVar[str] = "error"
    exit_status: ClassVar[ExitStatus] = ExitStatus.BUG

    def __init__(self, what: str, *, where: str = "", hint: str = "", **details: object) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return "; ".join(part for part in (self.what, self._where_line(), self.hint) if part)

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process."""
        return _rebuild, (type(self), self.what, self.where, self.hint, self.details)

    def _where_line(self) -> str:
        facts = ", ".join(f"{key}={value}" for key, value in self.details.items())
        return " ".join(part for part in (self.where, f"({facts})" if facts else "") if part)

    def lines(self) -> tuple[str, str, str]:
        """The three lines shown to a person: what, where and why, what to do."""
        return self.what, self._where_line(), self.hint


def _rebuild(kind: type[VppError], what: str, where: str, hint: str, details: dict[str, object]) -> VppError:
    error = kind.__new__(kind)
    VppError.__init__(error, what, where=where, hint=hint, **details)
    return error


class ConfigError(VppError):
    """A configuration or a command line that cannot be used as written."""

    code = "config"
    exit_status = ExitStatus.USAGE


class DataError(VppError):
    """Data that cannot be read or trusted."""

    code = "data"
    exit_status = ExitStatus.DATA


class AlignmentError(DataError):
    """Two series with different grids or units were combined."""

    code = "data.alignment"


class GapError(DataError):
    """Values are missing where a complete stretch is needed."""

    code = "data.gap"


class StaleDataError(DataError):
    """The newest known value is too old to act on."""

    code = "data.stale"


class ForecastError(VppError):
    """A forecast could not be made honestly."""

    code = "forecast"
    exit_status = ExitStatus.DATA


class NotFittedError(ForecastError):
    """A model was asked to predict before it had seen data."""

    code = "forecast.not_fitted"


class UnknownModelError(ForecastError):
    """No model of that name."""

    code = "forecast.unknown_model"


class PlanError(VppError):
    """No usable plan."""

    code = "plan"
    exit_status = ExitStatus.INFEASIBLE


class InfeasiblePlanError(PlanError):
    """Hard limits contradict each other; ``details["clashes"]`` names them."""

    code = "plan.infeasible"


class SolverTimeoutError(PlanError):
    """The solver ran out of time; ``details["best_gap"]`` is what it had."""

    code = "plan.timeout"


class InvalidPlanError(PlanError):
    """A plan broke a limit in the independent check and was not used."""

    code = "plan.invalid"


class DeviceError(VppError):
    """Trouble with a device that is not an expected outcome."""

    code = "device"
    exit_status = ExitStatus.DEVICE


class UnreachableError(DeviceError):
    """No answer from a device."""

    code = "device.unreachable"


class RegisterError(DeviceError):
    """A device answered with something that its profile does not allow."""

    code = "device.register"


class RefusedError(DeviceError):
    """A device, the read-only gate or a dry run refused a write."""

    code = "device.refused"


class LedgerError(VppError):
    """The journal refused an entry."""

    code = "ledger"
    exit_status = ExitStatus.UNHEALTHY


class DuplicateEntryError(LedgerError):
    """An entry with this key exists and says something else."""

    code = "ledger.duplicate"


class BrokenChainError(LedgerError):
    """The hash chain of the journal does not hold."""

    code = "ledger.broken_chain"


class ConsentError(VppError):
    """No valid consent for this use of the data."""

    code = "consent"
    exit_status = ExitStatus.CONSENT
