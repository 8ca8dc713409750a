"""Whether a room was let go: a claim beside the room's own readings, half hour by half hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.core.series import Grid, Unit
from energy.core.slots import Slot
from energy.ledger import ComfortRule
from energy.store import Snapshot
from vpp.site.recorder import SiteSeries

__all__ = ["Proof", "prove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What readings say about the half hours of a claim that an event would reward.

    Parameters
    ----------
    series : str
        The room's temperature in the store.
    let_go : tuple of Slot
        Half hours in which the room was at the rule's limit or beyond it.
    held : tuple of Slot
        Half hours in which it was not: nothing was given up.
    unread : tuple of Slot
        Half hours without a usable reading: nothing is proved.
    """

    series: str
    let_go: tuple[Slot, ...]
    held: tuple[Slot, ...]
    unread: tuple[Slot, ...]

    @property
    def claimed(self) -> int:
        """Half hours that were looked at."""
        return len(self.let_go) + len(self.held) + len(self.unread)

    @property
    def whole(self) -> bool:
        """Whether readings prove all that was claimed."""
        return bool(self.let_go) and not self.held and not self.unread

    def facts(self) -> dict[str, str | int]:
        """For the audit trail: how much is proved, and by which series."""
        return {
            "series": self.series,
            "let_go": len(self.let_go),
            "held": len(self.held),
            "unread": len(self.unread),
        }


def prove(known: Snapshot, rule: ComfortRule, site: str, zone: str, slots: Sequence[Slot]) -> Proof:
    """Compare half hours with the room's stored temperature.

    The reading of a half hour is the one at its end, as the recorder keeps it. One that is missing, invalid
    or stale proves nothing.
    """
    series = SiteSeries(site)[zone, "room_c"]
    found: dict[str, list[Slot]] = {"let_go": [], "held": [], "unread": []}
    for slot in slots:
        value = float(known.series(series, Grid(slot.start, 1), Unit.CELSIUS).values[0])
        if np.isnan(value):
            found["unread"].append(slot)
        else:
            # A register of a tenth of a degree comes back as the nearest binary fraction.
            reading = Decimal(repr(round(value, 3)))
            found["let_go" if rule.let_go(reading) else "held"].append(slot)
    return Proof(series=series, **{name: tuple(which) for name, which in found.items()})
