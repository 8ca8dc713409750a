"""Which units run and since when, as far as control knows: what they were told, minute by minute.

A unit with minimum times keeps them by itself, as compressors do. A plan that knows them asks for nothing
that it would not do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from energy.core.plan import Plan
from energy.core.site import Site
from energy.core.slots import Slot
from energy.core.units import AssetId
from vpp.site.climate import OFF_SHARE
from vpp.site.planning import UnitState
from vpp.site.setpoints import now_of

__all__ = ["UnitWatch"]

# A unit that nobody has seen change has been as it is for long enough.
_LONG = timedelta(hours=24)


class UnitWatch:
    """Follows the units that have stages or a least power.

    Parameters
    ----------
    site : Site
        Whose rooms.
    """

    def __init__(self, site: Site) -> None:
        self._zones = {AssetId(z.id): z for z in site.zones if z.unit.stages_kw or z.unit.least_kw}
        self._since: dict[AssetId, tuple[bool, datetime | None]] = dict.fromkeys(self._zones, (False, None))

    def note(self, plan: Plan | None, now: datetime, *, shed: Collection[AssetId]) -> None:
        """Note what the units were told at an instant.

        Parameters
        ----------
        shed : collection of AssetId
            Rooms that the guard lets coast.
        """
        points = {} if plan is None or not self._zones else plan.at(Slot.containing(now))
        for asset, (was_on, _) in self._since.items():
            if asset not in points:
                continue
            power_kw = now_of(points[asset], now).power_kw
            runs = power_kw > OFF_SHARE * self._zones[asset].max_electric_kw and asset not in shed
            if runs is not was_on:
                self._since[asset] = (runs, now)

    def states(self, now: datetime) -> dict[AssetId, UnitState]:
        """What each unit does, and for how long."""
        return {
            asset: UnitState(on=on, for_h=(_LONG if since is None else now - since) / timedelta(hours=1))
            for asset, (on, since) in self._since.items()
        }

    def state(self) -> dict[str, list[object]]:
        """What must survive a restart, as plain values."""
        return {
            str(asset): [on, None if since is None else since.isoformat()]
            for asset, (on, since) in self._since.items()
        }

    def restore(self, state: Mapping[str, list[object]]) -> None:
        """Go on from :meth:`state`; a unit that it does not know is taken to rest."""
        for name, (on, since) in state.items():
            if AssetId(name) in self._zones:
                at = None if since is None else datetime.fromisoformat(str(since))
                self._since[AssetId(name)] = (bool(on), at)
