"""What was read from a device: value, quality and age. Unknown is ``None``, never the last value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from energy.core.errors import StaleDataError
from energy.core.series import Unit

__all__ = ["Measurement", "Quality"]


class Quality(StrEnum):
    """How far a value can be trusted."""

    GOOD = "good"
    STALE = "stale"
    INVALID = "invalid"
    CLAMPED = "clamped"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading of one point of one device.

    Parameters
    ----------
    point : str
        Name of the point in the device's profile, with its unit: ``active_power_kw``.
    value : float or None
        The reading in ``unit``, power positive into the asset; None when there is none.
    unit : Unit
        Unit of ``value``.
    read_at : datetime
        When the answer arrived, UTC.
    quality : Quality
        Trust in the value.
    raw : tuple of int
        The registers as read, for the record.
    """

    point: str
    value: float | None
    unit: Unit
    read_at: datetime
    quality: Quality
    raw: tuple[int, ...] = ()

    def age(self, now: datetime) -> timedelta:
        """Time since the reading."""
        return now - self.read_at

    def fresh(self, now: datetime, *, limit: timedelta) -> float:
        """The value, if it is good and young enough to act on.

        Raises
        ------
        StaleDataError
            If there is no value, it is not good, or it is older than ``limit``.
        """
        usable = self.quality in (Quality.GOOD, Quality.ESTIMATED) and self.age(now) <= limit
        if self.value is None or not usable:
            raise StaleDataError(
                f"{self.point} cannot be acted on",
                age_s=round(self.age(now).total_seconds()),
                limit_s=round(limit.total_seconds()),
                quality=self.quality,
                hint="check the link to the device; control holds the safe state",
            )
        return self.value
