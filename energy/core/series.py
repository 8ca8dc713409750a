"""Strict time series: values on a regular grid, with a unit.

Two series combine only on the same grid and in compatible units; anything else raises
:class:`~energy.core.errors.AlignmentError` and says how to mend it. There is no silent alignment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, GapError
from energy.core.slots import SLOT_LENGTH, Slot

__all__ = ["FloatArray", "Grid", "Series", "Unit"]

FloatArray = NDArray[np.float64]


class Unit(StrEnum):
    """Units that values are stored in."""

    KW = "kW"
    KWH = "kWh"
    YEN_PER_KWH = "yen/kWh"
    CELSIUS = "degC"
    W_PER_M2 = "W/m2"
    RATIO = "1"
    PERCENT = "%"
    CM = "cm"
    COIN = "coin"


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of intervals, labelled by their starts.

    Parameters
    ----------
    start : datetime
        Start of the first interval, aware; kept in UTC.
    count : int
        Number of intervals, >= 0.
    step : timedelta
        Length of one interval, > 0. Thirty minutes unless said.
    """

    start: datetime
    count: int
    step: timedelta = SLOT_LENGTH

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_aware(self.start))
        if self.count < 0 or self.step <= timedelta(0):
            msg = f"a grid needs count >= 0 and step > 0, not {self.count} and {self.step}"
            raise ValueError(msg)

    @classmethod
    def between(cls, start: datetime, end: datetime, step: timedelta = SLOT_LENGTH) -> Grid:
        """Grid of the whole intervals in ``[start, end)``."""
        return cls(start, max(0, (require_aware(end) - require_aware(start)) // step), step)

    @property
    def end(self) -> datetime:
        """First instant after the last interval, UTC."""
        return self.start + self.count * self.step

    @property
    def hours(self) -> float:
        """Length of one interval. [h]"""
        return self.step / timedelta(hours=1)

    def time(self, index: int) -> datetime:
        """Start of interval ``index``, UTC."""
        return self.start + index * self.step

    def times(self) -> list[datetime]:
        """Starts of all intervals, UTC."""
        return [self.time(k) for k in range(self.count)]

    def slots(self) -> Iterator[Slot]:
        """The intervals as slots; only for a grid of thirty minutes."""
        if self.step != SLOT_LENGTH:
            raise AlignmentError(
                "not a grid of slots", step=self.step, hint="resample to 30 minutes first (Series.to_slots)"
            )
        return (Slot(self.time(k)) for k in range(self.count))

    def index(self, instant: datetime) -> int:
        """Index of the interval that holds an instant.

        Raises
        ------
        IndexError
            If the instant lies outside the grid.
        """
        k = (require_aware(instant) - self.start) // self.step
        if not 0 <= k < self.count:
            msg = f"{instant.isoformat()} lies outside {self.start.isoformat()}..{self.end.isoformat()}"
            raise IndexError(msg)
        return k


@dataclass(frozen=True, slots=True)
class Series:
    """Values on a grid.

    Parameters
    ----------
    grid : Grid
        Where the values lie.
    values : ndarray, shape (grid.count,)
        One value per interval; NaN where unknown. Made read-only.
    unit : Unit
        Unit of the values.
    known_at : datetime or None
        When the newest of the values became known, UTC.
    """

    grid: Grid
    values: FloatArray
    unit: Unit
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.shape != (self.grid.count,):
            raise AlignmentError("values do not fit their grid", values=values.shape, grid=self.grid.count)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __add__(self, other: Series) -> Series:
        """Sum of two series on the same grid, in the same unit."""
        self._must_match(other)
        return replace(
            self, values=self.values + other.values, known_at=_later(self.known_at, other.known_at)
        )

    def __sub__(self, other: Series) -> Series:
        """Difference of two series on the same grid, in the same unit."""
        self._must_match(other)
        return replace(
            self, values=self.values - other.values, known_at=_later(self.known_at, other.known_at)
        )

    def __neg__(self) -> Series:
        """The same values with the other sign."""
        return replace(self, values=-self.values)

    def scaled(self, factor: float) -> Series:
        """All values times a number; the unit stays."""
        return replace(self, values=self.values * factor)

    def between(self, start: datetime, end: datetime) -> Series:
        """The part in ``[start, end)``; both must lie on the grid.

        Raises
        ------
        AlignmentError
            If the stretch does not lie on this grid.
        """
        grid = self.grid
        first, first_rest = divmod(require_aware(start) - grid.start, grid.step)
        last, last_rest = divmod(require_aware(end) - grid.start, grid.step)
        if first_rest or last_rest or not 0 <= first <= last <= grid.count:
            raise AlignmentError(
                "the stretch does not lie on the series",
                wanted=f"{start.isoformat()}..{end.isoformat()}",
                series=f"{grid.start.isoformat()}..{grid.end.isoformat()}",
                hint="ask for whole intervals inside the series",
            )
        return replace(
            self, grid=Grid(grid.time(first), last - first, grid.step), values=self.values[first:last]
        )

    def missing(self) -> list[tuple[datetime, datetime]]:
        """Stretches without a value, as ``[start, end)``."""
        bad = np.flatnonzero(np.isnan(self.values))
        if bad.size == 0:
            return []
        breaks = np.flatnonzero(np.diff(bad) > 1)
        firsts, lasts = np.r_[bad[0], bad[breaks + 1]], np.r_[bad[breaks], bad[-1]]
        return [
            (self.grid.time(int(a)), self.grid.time(int(b) + 1)) for a, b in zip(firsts, lasts, strict=True)
        ]

    def require_complete(self, name: str) -> Series:
        """Give the series back, or raise an error that names its gaps.

        Raises
        ------
        GapError
            If any value is missing.
        """
        gaps = self.missing()
        if gaps:
            first, last = gaps[0]
            raise GapError(
                f"{name} has {len(gaps)} gap(s)",
                where=f"the first from {first.isoformat()} to {last.isoformat()}",
                hint="import the missing data, or choose other dates (vpp data gaps)",
                missing=int(np.isnan(self.values).sum()),
            )
        return self

    def to_slots(self) -> Series:
        """The same series on slots of thirty minutes, energy kept.

        Finer steps are averaged (powers, prices, temperatures) or summed (kWh); coarser steps are held (kWh
        is shared equally). A slot with any missing part is missing.

        Raises
        ------
        AlignmentError
            If the step neither divides nor is a multiple of thirty minutes, or the grid starts inside a slot.
        """
        grid, step = self.grid, self.grid.step
        if step == SLOT_LENGTH:
            return self
        if (grid.start - Slot.containing(grid.start).start) or (SLOT_LENGTH % step and step % SLOT_LENGTH):
            raise AlignmentError("cannot bring this grid to slots", start=grid.start.isoformat(), step=step)
        if step < SLOT_LENGTH:
            per_slot = SLOT_LENGTH // step
            whole = grid.count // per_slot
            blocks = self.values[: whole * per_slot].reshape(whole, per_slot)
            values = blocks.sum(axis=1) if self.unit is Unit.KWH else blocks.mean(axis=1)
        else:
            per_step = step // SLOT_LENGTH
            values = np.repeat(self.values / (per_step if self.unit is Unit.KWH else 1), per_step)
        return replace(self, grid=Grid(grid.start, len(values)), values=values)

    def _must_match(self, other: Series) -> None:
        if self.grid != other.grid:
            raise AlignmentError(
                "series lie on different grids",
                left=f"{self.grid.start.isoformat()} x {self.grid.count} x {self.grid.step}",
                right=f"{other.grid.start.isoformat()} x {other.grid.count} x {other.grid.step}",
                hint="cut both with Series.between or resample with Series.to_slots",
            )
        if self.unit is not other.unit:
            raise AlignmentError("series have different units", left=self.unit, right=other.unit)


def _later(a: datetime | None, b: datetime | None) -> datetime | None:
    return None if a is None or b is None else max(a, b)
