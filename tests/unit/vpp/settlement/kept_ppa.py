"""A month of the city hall's agreements in a store, settled as the command settles it."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.market.co2 import Co2Factors
from energy.market.ppa import Supply
from energy.store import Store
from vpp.config import read_yaml
from vpp.settlement.ppa import ppa_month
from vpp.settlement.ppa_record import document, to_keep
from vpp.settlement.record import Evidence, SettlementBook

EXAMPLES = Path(__file__).parents[4] / "examples"


def keep_ppa(store: Store, month: str, *, at: datetime, co2: bool = True) -> dict[str, Any]:
    """Settle and keep a month of an office's load with two arrays; gives back its figures."""
    year, number = map(int, month.split("-"))
    days = monthrange(year, number)[1]
    grid = Grid(jst_midnight(date(year, number, 1)), 48 * days)
    hours = np.arange(48) / 2
    sun = np.clip(np.sin((hours - 5.5) / 13.0 * np.pi), 0.0, None)

    def series(day: np.ndarray) -> Series:
        return Series(grid, np.tile(np.round(day, 3), days), Unit.KWH)

    supply = read_yaml(EXAMPLES / "ppa-city-hall.yaml", Supply)
    factors = read_yaml(EXAMPLES / "co2-factors.yaml", Co2Factors) if co2 else None
    office = 10.0 + 22.0 * np.exp(-(((hours - 13.0) / 4.0) ** 2))
    plants = {"roof": series(9.0 * sun), "valley": series(200.0 * sun)}
    made = ppa_month(supply, month, series(office), plants, factors=factors)
    evidence = [Evidence.of("supply", EXAMPLES / "ppa-city-hall.yaml")]
    SettlementBook(store).keep(to_keep(supply, made, evidence), at=at, actor="desk")
    return document(supply, made)
