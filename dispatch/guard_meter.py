"""The window as the meter counts it, from readings that come late, twice, out of order or not at all.

A demand counts in windows of the *meter's* clock (RULES-JP 2.1); a controller whose clock is a minute off is
wrong about three percent of each window (RULES-JP 2.3). :class:`MeterClock` learns the difference from the
meter's own stamps, :class:`WindowMeter` what was used since the window began and how old that knowledge is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from energy.core.slots import SLOT_LENGTH, Slot

__all__ = ["MeterClock", "WindowMeter", "WindowReading"]

DRIFT_PER_S: Final = 50e-6  # a quartz clock gains or loses less (50 ppm: four seconds a day)
STEPPED: Final = timedelta(seconds=5)  # stamps that contradict the bounds by more: a clock was set
KEPT: Final = 2 * SLOT_LENGTH  # readings of the present and the last window, however many they are


@dataclass(slots=True)
class MeterClock:
    """Bounds of how far the meter's clock is ahead of ours.

    A stamp of resolution ``r`` that reads ``m``, was asked for at ``sent`` and came at ``received`` says that
    the meter's clock was in ``[m, m + r)`` at some instant between: ``m - received <= ahead < m + r - sent``.
    Bounds from many stamps are intersected, and widen with the drift of two quartz clocks in between.

    Parameters
    ----------
    resolution : timedelta
        Of the meter's stamps: a second, or a minute on the B route (ECHONET Lite, EPC 0x98).
    """

    resolution: timedelta = timedelta(seconds=1)
    _low: timedelta | None = None
    _high: timedelta | None = None
    _at: datetime | None = None
    steps_seen: int = 0

    def observe(self, stamp: datetime, *, sent: datetime, received: datetime) -> None:
        """Take note of a stamp of the meter; stamps that cannot be (received before sent) are ignored."""
        if received < sent:
            return
        low, high = stamp - received, stamp + self.resolution - sent
        if self._low is None or self._high is None or self._at is None:
            self._low, self._high, self._at = low, high, received
            return
        wider = abs(received - self._at) * DRIFT_PER_S
        new_low, new_high = max(low, self._low - wider), min(high, self._high + wider)
        if new_low > new_high:
            if new_low - new_high > STEPPED:
                self.steps_seen += 1
            new_low, new_high = low, high
        self._low, self._high, self._at = new_low, new_high, received

    @property
    def ahead(self) -> timedelta:
        """How far the meter is ahead of us: the middle of the bounds, zero before any stamp."""
        if self._low is None or self._high is None:
            return timedelta(0)
        return self._low + (self._high - self._low) / 2

    @property
    def doubt(self) -> timedelta | None:
        """Half of the distance of the bounds; None before any stamp."""
        return None if self._low is None or self._high is None else (self._high - self._low) / 2

    def meter_time(self, ours: datetime) -> datetime:
        """What the meter's clock shows at an instant of ours."""
        return ours + self.ahead


@dataclass(frozen=True, slots=True)
class WindowReading:
    """What is known of the running window.

    Parameters
    ----------
    elapsed_min : float
        Since it began, by the meter's clock. [min]
    imported_kwh : float
        Counted up to the newest reading, and from there on with the power that it showed. [kWh]
    import_kw : float
        Of the newest reading. [kW]
    age_s : float
        Of the newest reading. [s]
    """

    elapsed_min: float
    imported_kwh: float
    import_kw: float
    age_s: float


@dataclass(slots=True)
class WindowMeter:
    """Readings of an import counter, brought to the window that runs; instants are of the meter's clock."""

    _readings: list[tuple[datetime, float, float]] = field(default_factory=list)

    def observe(self, taken_at: datetime, counter_kwh: float, import_kw: float) -> None:
        """Take note of a reading; order does not matter, a second one of the same instant is the same.

        A counter that runs backwards was exchanged or set to zero: what it said before is forgotten.
        """
        if any(taken_at == known for known, _, _ in self._readings):
            return
        self._readings.append((taken_at, counter_kwh, import_kw))
        self._readings.sort(key=lambda one: one[0])
        for k in range(len(self._readings) - 1, 0, -1):
            if self._readings[k][1] < self._readings[k - 1][1] - 1e-9:
                self._readings = self._readings[k:]
                break
        oldest = self._readings[-1][0] - KEPT
        self._readings = [one for one in self._readings if one[0] >= oldest]

    def read(self, now: datetime) -> WindowReading | None:
        """The window that runs now; None before any reading, or if none is of the last half hour.

        The counter at the window's start is taken on the line between the readings before and after it, or
        reckoned back from the one after with the power that it showed, whichever leaves more to this window:
        a step that nobody saw may have come with its start.
        """
        known = [one for one in self._readings if one[0] <= now]
        if not known or now - known[-1][0] > SLOT_LENGTH:
            return None
        start = Slot.containing(now).start
        newest, counter, power = known[-1]
        began = self._counter_at(start, known)
        ahead_h = (now - max(newest, start)) / timedelta(hours=1)
        counted = max(0.0, counter - began) if newest > start else 0.0
        return WindowReading(
            elapsed_min=(now - start) / timedelta(minutes=1),
            imported_kwh=counted + max(0.0, power) * ahead_h,
            import_kw=power,
            age_s=(now - newest).total_seconds(),
        )

    def state(self) -> list[list[str | float]]:
        """The readings, as values that go through JSON."""
        return [[at.isoformat(), counter, power] for at, counter, power in self._readings]

    def restore(self, state: Iterable[Sequence[str | float]]) -> None:
        """Go on from :meth:`state`."""
        self._readings = [
            (datetime.fromisoformat(str(at)), float(counter), float(power)) for at, counter, power in state
        ]

    @staticmethod
    def _counter_at(start: datetime, known: list[tuple[datetime, float, float]]) -> float:
        before = [one for one in known if one[0] <= start]
        after = [one for one in known if one[0] > start]
        if before and after:
            (t0, c0, _), (t1, c1, p1) = before[-1], after[0]
            line = c0 + (c1 - c0) * ((start - t0) / (t1 - t0))
            back = c1 - max(0.0, p1) * ((t1 - start) / timedelta(hours=1))
            return max(c0, min(line, back))
        if after:
            t1, c1, p1 = after[0]
            return c1 - max(0.0, p1) * ((t1 - start) / timedelta(hours=1))
        return before[-1][1]
