"""How much of a load renewable energy covers: over the year, and half hour by half hour (RULES-JP 6).

The annual share counts a summer's surplus against a winter's night; the matched share does not. Both are
published side by side. No official certificate by the hour exists, so the matched share is voluntary.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.core.errors import AlignmentError
from energy.core.series import Series, Unit
from energy.market.prices import MICRO, micro

__all__ = ["RenewableShare", "renewable_share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewableShare:
    """Renewable share of a load.

    Parameters
    ----------
    annual : Decimal or None
        ``min(1, sum RE / sum load)``; None without any load. [-]
    matched : Decimal or None
        ``sum over slots of min(load, RE) / sum load``; None without any load. [-]
    load_kwh, renewable_kwh, matched_kwh : Decimal
        Energies behind them. [kWh]
    """

    annual: Decimal | None
    matched: Decimal | None
    load_kwh: Decimal
    renewable_kwh: Decimal
    matched_kwh: Decimal


def renewable_share(load_kwh: Series, renewable_kwh: Series) -> RenewableShare:
    """Annual and matched renewable share of a load on the same slots.

    Raises
    ------
    AlignmentError
        If the two lie on different grids or are not energies.
    GapError
        If a value is missing: a gap would raise one share and not the other.
    """
    if load_kwh.grid != renewable_kwh.grid or {load_kwh.unit, renewable_kwh.unit} != {Unit.KWH}:
        raise AlignmentError(
            "load and renewable energy differ in grid or unit", hint="pass kWh per slot of both"
        )
    load = micro(load_kwh.require_complete("load").values)
    renewable = micro(renewable_kwh.require_complete("renewable energy").values)
    used, made, both = (
        Decimal(int(values.sum())) / MICRO for values in (load, renewable, np.minimum(load, renewable))
    )
    return RenewableShare(
        annual=min(Decimal(1), made / used) if used else None,
        matched=both / used if used else None,
        load_kwh=used,
        renewable_kwh=made,
        matched_kwh=both,
    )
