"""Powers trimmed to what feeders carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from dispatch.agreed import feeder_limits_kw, members_of
from dispatch.terms import Asset, storages
from energy.core.plan import Problem
from energy.core.series import FloatArray

__all__ = ["Cables"]

_ROUNDS: Final = 4  # feeders that share assets: each round mends what the one before left


class Cables:
    """The feeders of a problem; without any, powers stay as they are."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._limits = feeder_limits_kw(problem)

    def fit(self, storage_kw: FloatArray, *draws_and_sun: FloatArray) -> tuple[FloatArray, ...]:
        """Storages, air conditioners, other assets and arrays, trimmed. [kW]

        What is too much towards the assets comes off charging first, then off the rest; what is too much away
        from them off giving back, then off the sun.
        """
        hvac, others, pv = draws_and_sun
        problem = self._problem
        if not problem.feeders:
            return storage_kw, hvac, others, pv
        groups: list[Sequence[Asset]] = [storages(problem), problem.zones, problem.others, problem.pv]
        on = [members_of(problem, group) for group in groups]
        parts = [storage_kw.copy(), hvac.copy(), others.copy(), -pv]
        for _ in range(_ROUNDS):
            for f in range(len(problem.feeders)):
                mine = [member[:, f] > 0.0 if len(member) else np.zeros(0, dtype=bool) for member in on]
                self._towards(parts, mine, self._limits[0][f])
                self._away(parts, mine, self._limits[1][f])
        return parts[0], parts[1], parts[2], -parts[3]

    @staticmethod
    def _through(parts: list[FloatArray], mine: list[np.ndarray]) -> FloatArray:
        flows = [part[member].sum(axis=0) for part, member in zip(parts, mine, strict=True)]
        total: FloatArray = np.sum(flows, axis=0)
        return total

    def _towards(self, parts: list[FloatArray], mine: list[np.ndarray], limit: FloatArray) -> None:
        for part, member in zip(parts[:3], mine[:3], strict=True):
            _take(part, member, np.maximum(0.0, self._through(parts, mine) - limit), sign=1.0)

    def _away(self, parts: list[FloatArray], mine: list[np.ndarray], limit: FloatArray) -> None:
        for k in (0, 3):
            over = np.maximum(0.0, -self._through(parts, mine) - limit)
            _take(parts[k], mine[k], over, sign=-1.0)


def _take(part: FloatArray, member: np.ndarray, over: FloatArray, *, sign: float) -> None:
    """Scale the powers of one sign so that their sum falls by ``over``, or to nothing."""
    rows = part[member]
    flowing = np.maximum(sign * rows, 0.0)
    total = flowing.sum(axis=0)
    kept = np.where(total > 0.0, np.maximum(0.0, 1.0 - over / np.where(total > 0.0, total, 1.0)), 1.0)
    part[member] = np.where(sign * rows > 0.0, rows * kept, rows)
