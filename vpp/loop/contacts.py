"""Demand contacts of outdoor units: the last means of the guard, when cars and rooms have given all they can.

A contact leaves 70 or 40 % of full power, whatever the rooms ask for. It is closed at once and opened late,
one step at a time: compressors that stop and start wear, and a demand that was too high is soon so again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from energy.core.measurement import Measurement
from energy.core.units import AssetId

__all__ = ["DemandContacts"]

STEPS: Final = (0.4, 0.7, 1.0)
"""Shares of full power, as the adaptors of outdoor units know them. [-]"""
HOLD: Final = timedelta(minutes=5)  # as long as a compressor must rest (the guard's own rule for rooms)


@dataclass(slots=True)
class DemandContacts:
    """What the contacts of a site should leave."""

    _ratio: dict[AssetId, float] = field(default_factory=dict)
    _since: dict[AssetId, datetime] = field(default_factory=dict)

    def decide(
        self,
        readings: Mapping[AssetId, Mapping[str, Measurement]],
        *,
        unmet_kw: float,
        running_kw: float | None,
        full_kw: float,
        now: datetime,
    ) -> dict[AssetId, float]:
        """Share of full power by relay block; nothing for one that was never needed.

        Parameters
        ----------
        readings : mapping
            Newest readings; what shows a ``demand_ratio`` is a relay block.
        unmet_kw : float
            What is still above the target demand after cars and rooms gave way, >= 0. [kW]
        running_kw : float or None
            What the outdoor units draw now; taken for full power if unknown. [kW]
        full_kw : float
            What they can draw. [kW]
        """
        for asset in (asset for asset, points in readings.items() if "demand_ratio" in points):
            held = self._ratio.get(asset, 1.0)
            if unmet_kw > 0.0 and full_kw > 0.0:
                left_kw = min(full_kw if running_kw is None else running_kw, held * full_kw) - unmet_kw
                wanted = max([step for step in STEPS if step * full_kw <= left_kw], default=STEPS[0])
                self._ratio[asset] = min(held, wanted)
                self._since[asset] = now
            elif held < 1.0 and now - self._since[asset] >= HOLD:
                self._ratio[asset] = min(step for step in STEPS if step > held)
                self._since[asset] = now
        return dict(self._ratio)
