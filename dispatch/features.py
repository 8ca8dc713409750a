"""What a model may have; what a site does not need is not in its model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Features"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a model may have.

    Parameters
    ----------
    floors : bool
        Floors of batteries above empty, below which driving may take them.
    trips : bool
        Energy used by driving.
    ready : bool
        Energy that batteries shall hold against an unforeseen peak.
    ends : bool
        A value of what batteries hold at the end of the horizon.
    whole : bool
        Directions that can be made binary, where the linear program would take both at once.
    minimum : bool
        A least power of chargers; only with ``whole``.
    stages : int
        Most stages of a room's unit; 0 if every power between nothing and the limit will do.
    lags : int
        Over how many intervals a unit's minimum time on or off reaches at most.
    steady : bool
        A price of leaving the plan in force.
    submitted : bool
        A submitted plan.
    """

    floors: bool = True
    trips: bool = True
    ready: bool = True
    ends: bool = True
    whole: bool = False
    minimum: bool = False
    stages: int = 0
    lags: int = 0
    steady: bool = False
    submitted: bool = False

    def given(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of the names of given quantities, those that a model with these features has."""
        absent = {name for feature, owned in _OWNED.items() if not getattr(self, feature) for name in owned}
        return tuple(name for name in names if name not in absent)


_OWNED: Final = {
    "floors": ("most_below_kwh", "below_yen_per_kwh"),
    "trips": ("drive_kwh", "drop_kwh", "away", "most_unused_kwh", "road_yen_per_kwh"),
    "ready": ("ready_kwh", "unready_yen_per_kwh"),
    "ends": ("keep_kwh", "keep_yen_per_kwh"),
    "minimum": ("min_power_kw",),
    "steady": ("most_planned_kw", "least_planned_kw", "change_yen_per_kw"),
    "submitted": ("submitted_kw", "short_yen_per_kw", "long_yen_per_kw"),
    "stages": ("stage_kw", "may_run", "slide_most_kw", "slide_loose_kw", "slide_span_kw"),
    "lags": ("was_running", "must_run", "keeps", "rests"),
}
