"""What an event came to, by site and version."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict

__all__ = ["SettledSite", "Settlement"]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SettledSite:
    """What one site delivered.

    Parameters
    ----------
    delivered_kwh : Decimal or None
        Against its baseline, in the direction of the product; None if it could not be measured. [kWh]
    called_kwh : Decimal or None
        What it was called for in the half hours that count; None if nobody called it. [kWh]
    yen : Decimal
        What that is worth; 0 if it could not be measured, below 0 only where the site agreed to that. [yen]
    why : str
        Empty, or why it could not be measured.
    method : str
        Baseline that was used.
    yen_per_kwh : Decimal or None
        Price of the site's own agreement; None: that of the settlement. [yen/kWh]
    adjustment : str
        Same-day adjustment of the site's own agreement; empty: that of whoever settled.
    days_used : tuple of date
        Days whose mean it is.
    meter_sha256 : str
        SHA-256 of the meter file: proves later which readings it was made from.
    """

    site: Identifier
    delivered_kwh: Decimal | None
    yen: Decimal
    called_kwh: Decimal | None = None
    why: str = ""
    method: str = ""
    days_used: tuple[date, ...] = ()
    meter_sha256: str = ""
    yen_per_kwh: Decimal | None = None
    adjustment: str = ""


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Settlement:
    """One version of an event's settlement; ``rules`` are the dated rows that its baselines rest on.

    ``yen_per_kwh`` is the price of the sites without one of their own; None if there was none. [yen/kWh]
    """

    event: Identifier
    version: Annotated[int, Field(ge=1)]
    yen_per_kwh: Decimal | None
    sites: tuple[SettledSite, ...]
    rules: tuple[dict[str, str | None], ...] = ()

    @property
    def delivered_kwh(self) -> Decimal:
        """Sum of what was measured. [kWh]"""
        return sum((one.delivered_kwh or Decimal(0) for one in self.sites), Decimal(0))

    @property
    def paid_kwh(self) -> Decimal:
        """Sum of what the money is for: less than measured where calls are the most paid. [kWh]

        A site that is paid nothing for a kWh counts as measured.
        """
        prices = [
            (one, self.yen_per_kwh if one.yen_per_kwh is None else one.yen_per_kwh) for one in self.sites
        ]
        return sum(
            (one.yen / price if price else one.delivered_kwh or Decimal(0) for one, price in prices),
            Decimal(0),
        )

    @property
    def yen(self) -> Decimal:
        """Sum over the sites. [yen]"""
        return sum((one.yen for one in self.sites), Decimal(0))
