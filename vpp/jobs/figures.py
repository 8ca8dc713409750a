"""The job that works out figures of the region before somebody asks: errors by day, sums for recipients."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from energy.core.errors import DataError
from energy.core.slots import JST
from energy.store import Store
from vpp.consents import CONTROLLER
from vpp.forecasts.delivery import NO_FORECAST, SUM_FORECAST, Order, preview, recipients
from vpp.forecasts.errormap import ERROR_DAY, SHOWN_DAYS, errors_by_day
from vpp.forecasts.handover import DeliveryTarget
from vpp.forecasts.sumscore import SUM_DAY, sum_scores
from vpp.jobs.job import Outcome, Run

__all__ = ["work_out"]

_KINDS: Final = (ERROR_DAY, SUM_DAY, SUM_FORECAST)


def work_out(run: Run) -> Outcome:
    """Have the figures that pages show as they are now; what stands as it should is not made again.

    Each is kept as soon as it is made, so that a run which is cut off loses one of them.
    """
    now = run.clock.now()
    errors_by_day(run.store, now, SHOWN_DAYS)
    for order in _orders(run.store, now):
        if run.stopping.is_set():
            break
        try:
            preview(run.store, order, at=now)
        except DataError as error:
            if error.what != NO_FORECAST:
                raise
        sum_scores(run.store, order, at=now)
    made = sum(
        known_at == now for kind in _KINDS for _, known_at in run.store.across(now).keys(kind, [""], "", "~")
    )
    return Outcome("figures", {"count": str(made)}) if made else Outcome("figures_stand", idle=True)


def _orders(store: Store, now: datetime) -> Iterator[Order]:
    """Today and tomorrow for everybody with whom sites share forecasts."""
    today = now.astimezone(JST).date()
    for recipient in recipients(store, now):
        for target in DeliveryTarget:
            for ahead in (1, 0):
                day = today + timedelta(days=ahead)
                yield Order(recipient=recipient, controller=CONTROLLER, target=target, day=day)
