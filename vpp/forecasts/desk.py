"""The forecast desk: one model a day and target, forecasts at every slot, and what of them is kept.

A simulation and a real site use the same desk; what differs is the clock and who asks.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import RLock

import numpy as np

from energy.core.errors import ForecastError, GapError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, Slot, jst_midnight
from energy.store import Snapshot, Store
from forecasting.card import ModelCard
from forecasting.drift import Standing
from forecasting.weather import outdoor_forecast_fallback
from vpp.forecasts.issued import (
    LOAD,
    SHADOW,
    Horizon,
    IssuedForecast,
    horizons_at,
    keep,
    kept_grid,
)
from vpp.forecasts.methods import RECENT, Fitted, Method, View, methods_of
from vpp.forecasts.registry import ModelRegistry, program_version
from vpp.forecasts.watch import DriftWatch
from vpp.site.planning import Outlook
from vpp.site.recorder import SiteSeries

__all__ = ["ForecastDesk"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Who speaks for a target today: the model or, if it has drifted, the rule of thumb."""

    method: Method
    fitted: Fitted
    card: ModelCard
    standing: Standing

    def forecast(self, view: View, grid: Grid) -> tuple[QuantileForecast, str]:
        """What is issued, and the card of the model that made it (empty for the rule of thumb).

        Where the rule of thumb knows too little, the model speaks after all.
        """
        if not self.standing.model_in_use:
            try:
                return self.method.rule(view, grid), ""
            except ForecastError as error:
                log.warning("forecast.no_rule target=%s %s", self.method.target, error)
        return self.fitted.predict(view, grid), self.card.digest

    def as_far_as_it_goes(self, view: View, grid: Grid) -> tuple[QuantileForecast, str]:
        """The model to its reach and the rule of thumb from there on; ``model`` names both.

        Where the rule knows too little for the rest, the forecast ends with the model's reach.
        """
        reach = self.method.reach(view, grid)
        if reach == grid.count or not self.standing.model_in_use:
            return self.forecast(view, grid)
        if reach == 0:
            return self.method.rule(view, grid), ""
        near = self.fitted.predict(view, Grid(grid.start, reach, grid.step))
        try:
            far = self.method.rule(view, Grid(grid.time(reach), grid.count - reach, grid.step))
        except ForecastError as error:
            log.warning("forecast.shorter target=%s slots=%d %s", self.method.target, reach, error)
            return near, self.card.digest
        return _joined(near, far, grid), self.card.digest


def _joined(near: QuantileForecast, far: QuantileForecast, grid: Grid) -> QuantileForecast:
    return QuantileForecast(
        target=near.target,
        issued_at=near.issued_at,
        grid=grid,
        unit=near.unit,
        p10=np.concatenate([near.p10, far.p10]),
        p50=np.concatenate([near.p50, far.p50]),
        p90=np.concatenate([near.p90, far.p90]),
        model=f"{near.model}+{far.model}",
        facts={**near.facts, "model_slots": near.grid.count},
    )


@dataclass(slots=True)
class ForecastDesk:
    """Makes and keeps the forecasts of one site.

    Parameters
    ----------
    site : Site
        Whose load and roof are forecast.
    store : Store
        Where the past is, and where forecasts, cards and judgements go. Models of a day are fitted on what
        was known at its midnight, whenever they are fitted, so that a run which was cut off goes on with the
        same models.
    methods : mapping of str to Method
        How each target is forecast; those of the site unless given.
    """

    site: Site
    store: Store
    methods: Mapping[str, Method] = field(default_factory=dict)
    registry: ModelRegistry = field(init=False)
    watch: DriftWatch = field(init=False)
    _day: date | None = None
    _speakers: dict[str, _Speaker] = field(default_factory=dict)
    _preparing: RLock = field(default_factory=RLock, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.methods = self.methods or methods_of(self.site)
        self.registry = ModelRegistry(self.site.id, self.store, self.methods)
        self.watch = DriftWatch(self.site.id, self.store, self.methods)

    # -- forecasting -----------------------------------------------------------------------------------

    def outlook(self, known: Snapshot, now: datetime, grid: Grid) -> Outlook:
        """Forecasts on a grid from what is known at an instant.

        Where the weather forecast ends the rule of thumb goes on, and the forecast's ``model`` says so.

        Raises
        ------
        ForecastError
            If there is too little history for any method; the message says how much is missing.
        """
        self.prepare(now)
        view = View(known, known, now)
        said = {
            target: speaker.as_far_as_it_goes(view, grid)[0] for target, speaker in self._speakers.items()
        }
        for target, forecast in said.items():
            if forecast.grid.count < grid.count:
                raise ForecastError(
                    f"nothing forecasts {target} to the end of the plan",
                    where=f"{forecast.grid.count} of {grid.count} slots from {grid.start.isoformat()}",
                    hint="import the missing weather, or a week of measurements for the rule of thumb",
                )
        names = SiteSeries(self.site.id)
        ghi = known.series(names["weather", "ghi_forecast_w_m2"], grid, Unit.W_PER_M2)
        return Outlook(
            load=said[LOAD],
            pv=None if self.site.pv is None else said[self.site.pv.id],
            outdoor_c=self._outdoor(view, grid),
            ghi_w_m2=np.nan_to_num(ghi.values, nan=0.0),
        )

    def prepare(self, now: datetime) -> None:
        """Have a model for every target, and a judgement of it, once a Japanese day.

        A desk may be asked by several threads: one prepares, the others wait for it.
        """
        with self._preparing:
            self._prepare(now)

    def _prepare(self, now: datetime) -> None:
        today = now.astimezone(JST).date()
        if self._day == today:
            return
        midnight = jst_midnight(today)
        self._speakers = {
            target: _Speaker(
                method, *self.registry.of_day(target, midnight, now), self.watch.of_day(target, midnight, now)
            )
            for target, method in self.methods.items()
        }
        self._day = today

    def issue(self, horizon: Horizon, now: datetime, target: str) -> IssuedForecast:
        """One forecast of a target as it would be kept, from what is known at an instant.

        Raises
        ------
        ForecastError
            If there is too little history for any method, or no such target.
        """
        self.prepare(now)
        speaker = self._speaker(target)
        grid = kept_grid(horizon, Slot.containing(now).start)
        forecast, card = speaker.as_far_as_it_goes(View.of(self.store, now), grid)
        return self._issued(forecast, horizon, target, card, forecast.grid)

    # -- keeping ---------------------------------------------------------------------------------------

    def keep(self, outlook: Outlook, now: datetime) -> tuple[IssuedForecast, ...]:
        """Keep what is due at the slot of an instant: the next hours always, days and weeks at their hours.

        Parameters
        ----------
        outlook : Outlook
            The forecasts of the slot that begins; what it covers is not made a second time.
        now : datetime
            When they were issued. UTC.
        """
        slot = Slot.containing(now).start
        said = {LOAD: outlook.load}
        if self.site.pv is not None and outlook.pv is not None:
            said[self.site.pv.id] = outlook.pv
        kept = []
        for target, forecast in said.items():
            speaker = self._speaker(target)
            card = speaker.card.digest if speaker.standing.model_in_use else ""
            for horizon in horizons_at(slot):
                grid = kept_grid(horizon, slot)
                if grid.end <= forecast.grid.end:
                    one = self._issued(forecast, horizon, target, card, grid)
                else:
                    try:
                        one = self.issue(horizon, now, target)
                    except (ForecastError, GapError) as error:  # today's plan does not wait for next week
                        log.warning("forecast.not_issued target=%s horizon=%s %s", target, horizon, error)
                        continue
                keep(self.store, one)
                kept.append(one)
            self._keep_shadow(speaker, target, now)
        return tuple(kept)

    def keep_one(self, horizon: Horizon, now: datetime, target: str) -> IssuedForecast:
        """Make and keep one forecast outside the rhythm of the slots."""
        one = self.issue(horizon, now, target)
        keep(self.store, one)
        if horizon is Horizon.DAY_AHEAD:
            self._keep_shadow(self._speaker(target), target, now)
        return one

    def _keep_shadow(self, speaker: _Speaker, target: str, now: datetime) -> None:
        """What the demoted model would have said for tomorrow: so it can show that it is better again."""
        slot = Slot.containing(now).start
        if speaker.standing.model_in_use or Horizon.DAY_AHEAD not in horizons_at(slot):
            return
        grid = kept_grid(Horizon.DAY_AHEAD, slot)
        try:
            forecast = speaker.fitted.predict(View.of(self.store, now), grid)
        except (ForecastError, GapError) as error:
            log.warning("forecast.no_shadow target=%s %s", target, error)
            return
        one = self._issued(forecast, Horizon.DAY_AHEAD, target, speaker.card.digest, grid)
        keep(self.store, one, kind=SHADOW)

    def _issued(
        self, forecast: QuantileForecast, horizon: Horizon, target: str, card: str, grid: Grid
    ) -> IssuedForecast:
        return IssuedForecast.of(
            forecast,
            horizon,
            site=self.site.id,
            target=target,
            card=card,
            version=program_version(),
            grid=grid,
        )

    def _speaker(self, target: str) -> _Speaker:
        if target not in self._speakers:
            raise ForecastError(
                f"no target {target!r}",
                where=f"site {self.site.id} has {', '.join(self.methods)}",
                hint="choose one of these",
            )
        return self._speakers[target]

    # -- weather ---------------------------------------------------------------------------------------

    def _outdoor(self, view: View, grid: Grid) -> FloatArray:
        names = SiteSeries(self.site.id)
        forecast = view.forecast(names["weather", "outdoor_forecast_c"], Unit.CELSIUS, grid)
        if not np.isnan(forecast.values).any():
            return forecast.values
        measured: Series = view.past(names["weather", "outdoor_c"], Unit.CELSIUS, RECENT)
        return outdoor_forecast_fallback(measured, grid, issued_at=view.at).p50
