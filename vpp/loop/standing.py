"""What each asset was last told: what is new is told, and what stands is told again before it would end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from pydantic import TypeAdapter

from energy.core.outcome import (
    ChargerPower,
    ClimateMode,
    Command,
    GenerationLimit,
    NotApplied,
    Order,
    Outcome,
    RoomClimate,
)
from energy.core.units import AssetId

__all__ = ["StandingOrders"]

log = logging.getLogger(__name__)

# Setpoints closer than this to the standing one are not written: adapters count their writes.
SETPOINT_STEP_K: Final = 0.2
POWER_STEP_KW: Final = 0.05
LIMIT_STEP_KW: Final = 1.0
# A standing order is repeated this often. Nothing is written for that; what became of it is looked up.
REPEAT: Final = timedelta(minutes=5)


_COMMANDS = TypeAdapter(list[Command])


class StandingOrders:
    """The newest order of each asset that was carried out."""

    def __init__(self) -> None:
        self.not_applied: dict[AssetId, NotApplied] = {}
        """Assets that do not do what they were told: a plan must not count on them."""
        self._told: dict[AssetId, Command] = {}
        self._trouble: dict[AssetId, str] = {}

    def of(self, asset: AssetId) -> Order | None:
        """What stands for an asset; None if nothing is known to stand."""
        told = self._told.get(asset)
        return None if told is None else told.order

    def due(self, command: Command) -> Command | None:
        """What to say now: the command if it is news, the standing order again in its time, else nothing."""
        told = self._told.get(command.asset)
        if told is None or _is_news(command.order, told.order):
            return command
        if command.expires_at > told.expires_at or command.issued_at - told.issued_at >= REPEAT:
            return replace(command, order=told.order)
        return None

    def note(self, outcome: Outcome, counts: Counter[str]) -> None:
        """Remember what has become of a command."""
        command, kind = outcome.command, type(outcome).__name__.lower()
        counts[kind] += 1
        self.not_applied.pop(command.asset, None)
        if kind in ("applied", "clipped"):
            self._told[command.asset] = command
            self._trouble.pop(command.asset, None)
            return
        self._told.pop(command.asset, None)
        if isinstance(outcome, NotApplied):
            self.not_applied[command.asset] = outcome
        news = self._trouble.get(command.asset) != kind  # the same again each step is no news
        self._trouble[command.asset] = kind
        level = logging.WARNING if news else logging.DEBUG
        log.log(level, "command.%s asset=%s order=%s", kind, command.asset, command.order)

    def state(self) -> list[dict[str, object]]:
        """What stands, as values that go through JSON."""
        state: list[dict[str, object]] = _COMMANDS.dump_python(list(self._told.values()), mode="json")
        return state

    def restore(self, state: Iterable[Mapping[str, object]]) -> None:
        """Go on from :meth:`state`: all of it is told again at once, for nobody knows what stands by now."""
        told = _COMMANDS.validate_python(list(state))
        self._told = {one.asset: replace(one, expires_at=one.issued_at) for one in told}

    def forget(self, asset: AssetId) -> None:
        """Take the standing order of an asset for unknown, so that the next one is told."""
        self._told.pop(asset, None)

    def forget_all(self) -> None:
        """The same for all assets: after a safe state nothing stands."""
        self._told.clear()


def _is_news(order: Order, standing: Order) -> bool:
    """Whether an order differs from the standing one by more than its dead band."""
    match order, standing:
        case ChargerPower(new), ChargerPower(old):
            return abs(new - old) > POWER_STEP_KW
        case RoomClimate(mode, new), RoomClimate(old_mode, old):
            return mode != old_mode or (
                mode is not ClimateMode.OFF and abs(new - old) >= SETPOINT_STEP_K - 1e-9
            )
        case GenerationLimit(new_limit), GenerationLimit(old_limit):
            if new_limit is None or old_limit is None:
                return new_limit is not old_limit
            return abs(new_limit - old_limit) > LIMIT_STEP_KW
        case _:
            return order != standing
