"""What the forests of a day-ahead model are grown on."""

from __future__ import annotations

from dataclasses import dataclass

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.forest import ForestOptions
from forecasting.residuals import Residuals

__all__ = ["Prepared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Features, targets and offsets of the forests, each row made from its own past only.

    Parameters
    ----------
    scale : float
        Mean of the values learned from; targets and offsets are in units of it.
    features : tuple of ndarray, each of shape (n, slots, p)
        One array per forest, without NaN.
    targets, offsets : tuple of ndarray, each of shape (n, slots)
        What each forest learns, and what is added to its answers. [-]
    base : ndarray, shape (n, slots)
        The experts' combined forecast. [unit of the panel]
    first_row : int
        First row with experts worth learning from.
    options : ForestOptions
        How the forests are grown.
    dark : ndarray of bool, shape (n, slots), optional
        Slots without sun.
    residuals : Residuals, optional
        The experts' own errors, where a band of them has a part in the forecast.
    """

    scale: float
    features: tuple[FloatArray, ...]
    targets: tuple[FloatArray, ...]
    offsets: tuple[FloatArray, ...]
    base: FloatArray
    first_row: int
    options: ForestOptions
    dark: BoolArray | None = None
    residuals: Residuals | None = None
