"""A demand guard that keeps a step of the load in hand, to be compared with the product's; not part of it."""

from __future__ import annotations

from dispatch.guard import WINDOW_MIN, DemandGuard

__all__ = ["ReservedGuard"]


class ReservedGuard(DemandGuard):
    """Aims further below what is allowed when a window begins, less and less until it ends.

    Parameters
    ----------
    early : float
        How much further at the beginning, as a share of what is allowed. [-]
    """

    def __init__(self, *, early: float, minutes_per_call: float = 1.0) -> None:
        super().__init__(minutes_per_call=minutes_per_call)
        self._early = early

    def _affordable_kw(self, elapsed_min: float, allowed_kw: float) -> float:
        reserve = self._early * (1.0 - elapsed_min / WINDOW_MIN)
        return super()._affordable_kw(elapsed_min, allowed_kw) - reserve * allowed_kw
