"""Jobs around the market: plan deadlines, forecast sums and plan drafts for others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from energy.core.clock import require_aware
from energy.core.errors import DataError, PlanError
from energy.core.slots import JST, gate_closure, jst_midnight, slots_of_day
from energy.market.deadlines import submission
from energy.market.rules import plan_deadlines
from vpp.forecasts.delivery import NO_FORECAST, Delivered, Order, deliver
from vpp.forecasts.handover import DeliveryTarget
from vpp.jobs.config import DraftReceiver, ForecastReceiver
from vpp.jobs.due import EachDay
from vpp.jobs.job import Outcome, Run
from vpp.settlement.plan_book import PlanBook, PlanState
from vpp.settlement.plan_delivery import deliver_drafts

__all__ = ["deliver_forecasts", "next_day_gate", "next_day_gate_due", "same_day_gate", "same_day_gate_due"]

_DAY: Final = timedelta(days=1)
_HANDED_IN: Final = frozenset({PlanState.SUBMITTED, PlanState.ACCEPTED})


def _own_deadline(day: date) -> datetime:
    """Our own deadline of the next-day plans of a day of delivery, by the dated rule. UTC."""
    finish_by = submission(day, jst_midnight(day - _DAY)).finish_by
    if finish_by is None:
        raise DataError(
            f"the rules know no deadline of the plans of {day}", where="plan_deadlines", hint="vpp rules show"
        )
    return require_aware(finish_by)


def next_day_gate_due(warn: timedelta) -> EachDay:
    """A while before our own deadline of the next-day plans, and at it."""
    return EachDay(lambda day: [_own_deadline(day) - warn, _own_deadline(day)], "next_day_gate")


def next_day_gate(drafts: Sequence[DraftReceiver], folder: Path | None) -> Callable[[Run], Outcome]:
    """Say which plans of tomorrow are not handed in; hand drafts to those who get them."""

    def look(run: Run) -> Outcome:
        day = run.due_at.astimezone(JST).date() + _DAY
        now = run.clock.now()
        given = 0
        if folder is not None:
            for one in drafts:
                try:
                    made = deliver_drafts(run.store, one.party, day, folder, at=now, actor=run.actor)
                except PlanError:  # no plan of the day concerns it
                    continue
                given += sum(1 for draft in made if draft.new)
        plans = PlanBook(run.store).day(day.isoformat())
        late = [version.key for version in plans if version.state not in _HANDED_IN]
        told = {"day": day.isoformat(), "count": str(len(plans)), "given": str(given)}
        if late:
            return Outcome("gate_open", {**told, "open": str(len(late)), "first": late[0]}, attention=True)
        return Outcome("gate_ready", told, idle=not plans)

    return look


def _closures(day: date) -> list[datetime]:
    """Our own deadlines of each half hour of a day of delivery: gate closure less the margin of the rules."""
    margin = timedelta(minutes=plan_deadlines(day).margin_minutes)
    return [gate_closure(slot) - margin for slot in slots_of_day(day)]


def same_day_gate_due() -> EachDay:
    """Our own deadline before each gate closure."""
    return EachDay(_closures, "same_day_gate")


def same_day_gate(run: Run) -> Outcome:
    """Say which changed plans of today were drafted and not handed in while a gate closes."""
    now = run.clock.now()
    late = []
    for day in dict.fromkeys(
        (run.due_at + ahead).astimezone(JST).date() for ahead in (timedelta(0), _DAY / 8)
    ):
        if submission(day, now).open_slots:
            plans = PlanBook(run.store).day(day.isoformat())
            late += [
                version.key for version in plans if version.version > 1 and version.state not in _HANDED_IN
            ]
    if not late:
        return Outcome("gate_quiet", idle=True)
    return Outcome("gate_closes", {"open": str(len(late)), "first": late[0]}, attention=True)


def deliver_forecasts(receivers: Sequence[ForecastReceiver], folder: Path) -> Callable[[Run], Outcome]:
    """Make the files of tomorrow's forecast sums; content that was delivered before is no new version."""

    def give(run: Run) -> Outcome:
        day = run.due_at.astimezone(JST).date() + _DAY
        new, withheld, nothing = 0, 0, 0
        for receiver in receivers:
            for target in receiver.targets:
                order = _order(receiver, target, day)
                try:
                    made = deliver(run.store, order, clock=run.clock, folder=folder)
                except DataError as error:
                    if error.what != NO_FORECAST:
                        raise
                    nothing += 1
                    continue
                new += isinstance(made, Delivered) and made.is_new
                withheld += not isinstance(made, Delivered)
        told = {"day": day.isoformat(), "new": str(new), "withheld": str(withheld), "nothing": str(nothing)}
        return Outcome("delivered", told, idle=not (new or withheld or nothing))

    return give


def _order(receiver: ForecastReceiver, target: DeliveryTarget, day: date) -> Order:
    return Order(recipient=receiver.recipient, controller=receiver.controller, target=target, day=day)
