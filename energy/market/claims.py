"""Who may say "this kWh was renewable": every kWh of a plant is claimed once (RULES-JP 6, no double claim).

A claim holds whole millionths of a kWh per slot. What all claims on a plant hold in a slot never exceeds what
the plant generated in it. The value of a plant under FIT belongs to all who pay the levy: nobody claims it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from energy.core.errors import DataError
from energy.core.series import Grid
from energy.market.prices import MICRO, IntArray

__all__ = ["Claim", "ClaimPurpose", "claimed", "require_free"]

ClaimPurpose = Literal["own_use", "j_credit", "certificate", "sold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one claimant has of a plant.

    Parameters
    ----------
    claimant : str
        Who counts the energy as renewable, or to whom the value went (``value_claimed_by``).
    parts : ndarray of int
        Energy per slot of the grid. [kWh / 1e6]
    """

    plant: str
    claimant: str
    purpose: ClaimPurpose
    grid: Grid
    parts: IntArray


def claimed(claims: Iterable[Claim], plant: str, grid: Grid) -> IntArray:
    """What claims hold of a plant on some slots. [kWh / 1e6]"""
    total = np.zeros(grid.count, dtype=np.int64)
    for claim in claims:
        if claim.plant != plant:
            continue
        for at, parts in zip(claim.grid.times(), claim.parts.tolist(), strict=True):
            if grid.start <= at < grid.end:
                total[grid.index(at)] += parts
    return total


def require_free(new: Claim, others: Iterable[Claim], generation: IntArray, *, fit: bool = False) -> None:
    """Refuse a claim on energy that is not there or that somebody else has claimed.

    Parameters
    ----------
    others : iterable of Claim
        Claims that stand; that of the same claimant and purpose on the same slots is replaced, not added.
    generation : ndarray of int
        What the plant generated on the claim's slots. [kWh / 1e6]
    fit : bool
        Whether the plant is under FIT.

    Raises
    ------
    DataError
        Names the first slot that is claimed beyond its generation, and who holds it.
    """
    if fit and new.parts.any():
        raise DataError(
            f"the value of plant {new.plant!r} cannot be claimed",
            where="it is under FIT: its value belongs to all who pay the levy",
            hint="buy FIT non-fossil certificates and claim those",
        )
    if (new.parts < 0).any():
        raise DataError(f"a claim on {new.plant!r} is negative", hint="claim 0 or more in every slot")
    standing = [
        one
        for one in others
        if one.plant == new.plant
        and (one.claimant, one.purpose, one.grid) != (new.claimant, new.purpose, new.grid)
    ]
    held = claimed(standing, new.plant, new.grid)
    over = held + new.parts - generation
    if (over > 0).any():
        k = int(np.argmax(over > 0))
        names = sorted({f"{one.claimant} ({one.purpose})" for one in standing})
        raise DataError(
            f"energy of plant {new.plant!r} would be claimed twice",
            where=f"{new.grid.time(k).isoformat()}: generated {_kwh(generation[k])} kWh, claimed by "
            f"{', '.join(names) or 'nobody'} {_kwh(held[k])} kWh, asked {_kwh(new.parts[k])} kWh",
            hint="take back the other claim, or claim no more than what is left",
        )


def _kwh(parts: int) -> str:
    return f"{int(parts) / MICRO:g}"
