"""What a model may have; what a site does not need is not in its model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["Features"]


@dataclass(frozen=True, slots=True)
class Features:
    """What a model may have; all but the last are of its batteries.

    Parameters
    ----------
    floors : bool
        Floors above empty, below which driving may take them.
    trips : bool
        Energy used by driving.
    ready : bool
        Energy that they shall hold against an unforeseen peak.
    ends : bool
        A value of what they hold at the end of the horizon.
    whole : bool
        Directions that can be made binary, where the linear program would take both at once.
    """

    floors: bool = True
    trips: bool = True
    ready: bool = True
    ends: bool = True
    whole: bool = False

    def given(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of the names of given quantities, those that a model with these features has."""
        absent = {name for feature, owned in _OWNED.items() if not getattr(self, feature) for name in owned}
        return tuple(name for name in names if name not in absent)


_OWNED: Final = {
    "floors": ("most_below_kwh", "below_yen_per_kwh"),
    "trips": ("drive_kwh", "drop_kwh", "road_yen_per_kwh"),
    "ready": ("ready_kwh", "unready_yen_per_kwh"),
    "ends": ("keep_kwh", "keep_yen_per_kwh"),
}
