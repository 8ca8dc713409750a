"""What a meter says is held against physics: counters against the rating, power against counters."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from energy.core.errors import DataError

__all__ = ["CounterGuard", "FrozenGuard"]

log = logging.getLogger(__name__)

_SLACK: Final = timedelta(minutes=5)  # counters are updated when the meter likes
_MARGIN: Final = 1.1  # a connection may be overloaded for a while
_FROZEN_KWH: Final = 0.5  # some steps of the coarsest counter that we know (0.1 kWh)
_FROZEN_AFTER: Final = timedelta(minutes=5)


class CounterGuard:
    """A counter that only grows, and never faster than the rating allows.

    A wrap is bridged. A jump or a fall back gives no value until the next reading confirms the new level;
    then counting goes on from where it was, so that nobody books energy that never flowed.

    Parameters
    ----------
    name : str
        Device and point, for the log.
    rated_kw : float
        Highest power that may flow. [kW]
    """

    def __init__(self, name: str, rated_kw: float) -> None:
        self._name = name
        self._rated_kw = rated_kw
        self._last: tuple[float, datetime] | None = None
        self._suspect: tuple[float, datetime] | None = None
        self._offset_kwh = 0.0

    def take(self, value_kwh: float, at: datetime, *, wrap_kwh: float | None = None) -> float | None:
        """The counter without wraps and restarts; None while it cannot be believed.

        Parameters
        ----------
        value_kwh : float
            What it shows. [kWh]
        at : datetime
            When it was read.
        wrap_kwh : float or None
            Where it begins anew at zero. [kWh]
        """
        if self._last is None or self._follows(self._last, value_kwh, at):
            return self._accept(value_kwh, at)
        known = math.isfinite(self._rated_kw)  # without a rating a restart would pass for a wrap
        if known and wrap_kwh is not None and self._follows(self._last, value_kwh + wrap_kwh, at):
            log.info("counter.wrapped point=%s at=%g", self._name, wrap_kwh)
            self._offset_kwh += wrap_kwh
            return self._accept(value_kwh, at)
        if self._suspect is not None and self._follows(self._suspect, value_kwh, at):
            log.warning(
                "counter.restarted point=%s from=%g to=%g", self._name, self._last[0], self._suspect[0]
            )
            self._offset_kwh += self._last[0] - self._suspect[0]
            return self._accept(value_kwh, at)
        self._suspect = (value_kwh, at)
        return None

    def state(self) -> dict[str, float | str]:
        """What must survive a restart of the program, as values that go through JSON; nothing if unused."""
        if self._last is None:
            return {}
        value_kwh, at = self._last
        return {"value_kwh": value_kwh, "at": at.isoformat(), "offset_kwh": self._offset_kwh}

    def restore(self, state: Mapping[str, float | str]) -> None:
        """Go on from :meth:`state`.

        Raises
        ------
        DataError
            If it is none.
        """
        try:
            at = datetime.fromisoformat(str(state["at"]))
            self._last, self._offset_kwh = (float(state["value_kwh"]), at), float(state["offset_kwh"])
        except (KeyError, ValueError) as error:
            raise DataError(
                "the memory of a counter cannot be used",
                where=f"{self._name}: {error!r}",
                hint="without it counting begins anew: remove it from the file",
            ) from None

    def _accept(self, value_kwh: float, at: datetime) -> float:
        self._last, self._suspect = (value_kwh, at), None
        return value_kwh + self._offset_kwh

    def _follows(self, before: tuple[float, datetime], value_kwh: float, at: datetime) -> bool:
        hours = (at - before[1] + _SLACK) / timedelta(hours=1)
        return 0.0 <= value_kwh - before[0] <= _MARGIN * self._rated_kw * hours


class FrozenGuard:
    """Notices a meter (or the cache of a gateway) that shows power while its counters stand still."""

    def __init__(self) -> None:
        self._counters: tuple[object, ...] = ()
        self._since: datetime | None = None
        self._last: tuple[float, datetime] | None = None
        self._energy_kwh = 0.0

    def frozen(self, power_kw: float, counters: tuple[object, ...], at: datetime) -> bool:
        """Whether energy must have flowed that no counter has seen."""
        if self._since is None or counters != self._counters or self._last is None:
            self._counters, self._since, self._energy_kwh = counters, at, 0.0
        else:
            self._energy_kwh += self._last[0] * ((at - self._last[1]) / timedelta(hours=1))
        self._last = (power_kw, at)
        return abs(self._energy_kwh) > _FROZEN_KWH and at - self._since >= _FROZEN_AFTER
