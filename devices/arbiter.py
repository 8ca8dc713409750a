"""Who is heard: of all orders that stand for an asset, the one with the highest priority, until it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from energy.core.outcome import Command, CommandSource
from energy.core.units import AssetId

__all__ = ["Arbiter"]

_RANK: Final = {source: rank for rank, source in enumerate(CommandSource)}  # declared highest first


class Arbiter:
    """Orders by asset and issuer. It decides; it neither writes nor reads.

    An issuer that speaks again replaces what it said before, also with a lower priority: the controller's
    plan follows upon its own guard, but not upon a person's order. Of equal priorities the newer is heard.
    """

    def __init__(self) -> None:
        self._orders: dict[AssetId, dict[str, Command]] = {}

    @property
    def assets(self) -> tuple[AssetId, ...]:
        """Assets for which something stands, or stood and was not looked at since."""
        return tuple(self._orders)

    def claim(self, command: Command) -> None:
        """Take an order down, in the place of what its issuer wanted before."""
        orders = self._orders.setdefault(command.asset, {})
        orders.pop(command.issuer, None)  # the newer comes last
        orders[command.issuer] = command

    def withdraw(self, asset: AssetId, issuer: str) -> None:
        """Forget what an issuer wanted."""
        self._orders.get(asset, {}).pop(issuer, None)

    def heard(self, asset: AssetId, now: datetime) -> Command | None:
        """The order that counts now; None if none stands. What has ended is forgotten."""
        orders = self._orders.get(asset, {})
        for issuer in [name for name, command in orders.items() if now >= command.expires_at]:
            del orders[issuer]
        if not orders:
            self._orders.pop(asset, None)
            return None
        best = min(_RANK[command.source] for command in orders.values())
        return next(command for command in reversed(orders.values()) if _RANK[command.source] == best)
