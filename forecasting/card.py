"""Model cards: what a model was made from and what came out, so that it can be made again.

A model here is a function of its history, its configuration, the code and the libraries, and of nothing else.
So no model is ever saved: its card is, and the model is fitted again and compared (:func:`differences`). What
does not come out the same is refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from energy.core.clock import require_aware
from energy.core.forecast import QuantileForecast
from energy.core.series import Series
from energy.core.slots import JST, jst_midnight

__all__ = [
    "GATE_RATIO",
    "SCORE_DAYS",
    "Due",
    "Gate",
    "InputUsed",
    "ModelCard",
    "Reason",
    "Recipe",
    "ScoreOfDays",
    "differences",
    "digest_of_forecast",
    "digest_of_series",
    "due",
    "gate",
]

SCORE_DAYS = 14  # days of the back-test that a release rests on
GATE_RATIO = 1.15  # a fit this much worse than what was issued on the same days is not released: ours
GATE_DAYS = 7  # fewer common days decide nothing; a released recipe is tried again after as many
_ROUNDED_KW = 3  # results are compared to the watt: the last bits of a sum may differ between machines

Availability = Literal["end of slot", "issue of the weather forecast", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputUsed:
    """One input of a model.

    Parameters
    ----------
    name : str
        Name of the stored series.
    available : str
        When a value of it may be used.
    start, end : datetime
        Stretch that was read. UTC.
    values : int
        Known values in it.
    digest : str
        :func:`digest_of_series` of the stretch.
    """

    name: str
    available: Availability
    start: datetime
    end: datetime
    values: int
    digest: str

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, require_aware(getattr(self, name)))

    @staticmethod
    def of(name: str, series: Series, available: Availability) -> InputUsed:
        """What was read of a series."""
        return InputUsed(
            name=name,
            available=available,
            start=series.grid.start,
            end=series.grid.end,
            values=int((~np.isnan(series.values)).sum()),
            digest=digest_of_series(series),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything but the data that a model is a function of.

    Parameters
    ----------
    configuration, code : str
        Digests of the site's configuration and of the forecasting code.
    versions : tuple of (str, str)
        Libraries and their versions, sorted.
    """

    configuration: str
    code: str
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOfDays:
    """Day-ahead figures over some days, beside the rule of thumb on the same slots.

    Parameters
    ----------
    first, last : datetime
        Begin of the first and end of the last scored slot. UTC.
    slots : int
        Slots scored.
    nmae : float
        Mean absolute error of P50 over the mean of the actuals. [-]
    pinball_kw, rule_pinball_kw : float
        Mean pinball loss of P10, P50 and P90; that of the rule of thumb. [kW]
    cover80 : float
        Share inside P10 to P90. [-]
    """

    first: datetime
    last: datetime
    slots: int
    nmae: float
    pinball_kw: float
    cover80: float
    rule_pinball_kw: float | None = None

    def __post_init__(self) -> None:
        for name in ("first", "last"):
            object.__setattr__(self, name, require_aware(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a fitted model is.

    Parameters
    ----------
    site, target : str
        What it forecasts.
    model : str
        Name of the method.
    fitted_at : datetime
        The instant from which it looks back. UTC.
    inputs : tuple of InputUsed
        What it was fitted on.
    facts : tuple of (str, str)
        What the method says about itself: days learned from, tier, experts.
    recipe : Recipe
        Configuration, code and libraries.
    result : str
        :func:`digest_of_forecast` of its forecast of the first day after ``fitted_at``.
    score : ScoreOfDays or None
        Its own back-test on the days before ``scored_at``; None where there was too little history.
    """

    site: str
    target: str
    model: str
    fitted_at: datetime
    inputs: tuple[InputUsed, ...]
    facts: tuple[tuple[str, str], ...]
    recipe: Recipe
    result: str
    score: ScoreOfDays | None = None
    scored_at: datetime | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fitted_at", require_aware(self.fitted_at))
        if self.scored_at is not None:
            object.__setattr__(self, "scored_at", require_aware(self.scored_at))

    @property
    def digest(self) -> str:
        """SHA-256 of the card, 12 hexadecimal digits: the model's name in every forecast it makes."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """The card as one JSON document."""
        return _CARD.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> ModelCard:
        """The card from its document."""
        return _CARD.validate_json(text)


_CARD = TypeAdapter(ModelCard)


def digest_of_series(series: Series) -> str:
    """SHA-256 of a series: grid, unit and values, whatever its ``known_at``."""
    grid = series.grid
    head = f"{grid.start.isoformat()}|{grid.step.total_seconds():g}|{grid.count}|{series.unit.value}|"
    values = np.where(np.isnan(series.values), np.nan, series.values)  # one bit pattern for every NaN
    return hashlib.sha256(head.encode() + values.astype("<f8").tobytes()).hexdigest()


def digest_of_forecast(forecast: QuantileForecast) -> str:
    """SHA-256 of a forecast: grid, method and quantiles to the watt."""
    grid = forecast.grid
    head = f"{grid.start.isoformat()}|{grid.count}|{forecast.model}|"
    values = np.round(np.stack([forecast.p10, forecast.p50, forecast.p90]), _ROUNDED_KW) + 0.0  # no -0.0
    return hashlib.sha256(head.encode() + values.astype("<f8").tobytes()).hexdigest()


def differences(card: ModelCard, again: ModelCard) -> tuple[str, ...]:
    """What differs between a card and that of the same model fitted again; empty if nothing does.

    Named are changed data (by series), configuration, code, libraries (with both versions), and the result.
    """
    found = []
    news = {used.name: used for used in again.inputs}
    for used in card.inputs:
        new = news.pop(used.name, None)
        if new is None or new.digest != used.digest:
            found.append(f"data of {used.name}")
    found += [f"data of {name}" for name in news]
    if card.recipe.configuration != again.recipe.configuration:
        found.append("configuration of the site")
    if card.recipe.code != again.recipe.code:
        found.append("forecasting code")
    before, now = dict(card.recipe.versions), dict(again.recipe.versions)
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            found.append(f"{name} {before.get(name, 'none')} -> {now.get(name, 'none')}")
    if card.result != again.result:
        found.append("result")
    return tuple(found)


# -- release -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether a fit may be used.

    Parameters
    ----------
    released : bool
        Whether it may.
    ratio : float or None
        Its back-tested loss over that of what was issued on the same slots; None if nothing compares. [-]
    days : float
        Days compared. [d]
    """

    released: bool
    ratio: float | None
    days: float


def gate(*, candidate_loss: float | None, issued_loss: float | None, days: float) -> Gate:
    """Release a new fit unless its back-test is clearly worse than what was issued on the same days.

    Parameters
    ----------
    candidate_loss, issued_loss : float or None
        Mean pinball loss of P10, P50 and P90 on the same slots. [kW]
    days : float
        Days with both. [d]

    Notes
    -----
    Refused if ``candidate_loss > 1.15 * issued_loss`` over seven days or more.
    """
    if candidate_loss is None or issued_loss is None or issued_loss <= 0.0 or days < GATE_DAYS:
        return Gate(released=True, ratio=None, days=days)
    ratio = candidate_loss / issued_loss
    return Gate(released=ratio <= GATE_RATIO, ratio=ratio, days=days)


class Reason(StrEnum):
    """Why a model is due."""

    NO_MODEL = "no-model"
    NEW_DAY = "new-day"
    NEW_RECIPE = "new-recipe"
    CHANGED_DATA = "changed-data"
    NOT_TRIED = "not-tried"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A model that is to be fitted, and whether it has to pass the gate."""

    target: str
    reason: Reason
    gated: bool


def due(
    cards: Mapping[str, ModelCard | None],
    now: datetime,
    *,
    recipes: Mapping[str, Recipe] | None = None,
    changed: Sequence[str] = (),
) -> tuple[Due, ...]:
    """What is to be fitted at an instant.

    Parameters
    ----------
    cards : mapping
        By target: the card of the model in use, None where there is none.
    now : datetime
        UTC.
    recipes : mapping, optional
        By target: today's recipe.
    changed : sequence of str
        Targets whose history, as far as the card saw it, has been corrected since.

    Returns
    -------
    tuple of Due
        Models are fitted anew once a Japanese day. The new fit has to pass the gate if recipe or history have
        changed, seven days after a fit last passed, and if the model in use is older than yesterday (a fit
        was refused, or nobody forecast).
    """
    midnight = jst_midnight(now.astimezone(JST).date())
    found = []
    for target, card in cards.items():
        reason: Reason | None = None
        gated = True
        if card is None:
            reason = Reason.NO_MODEL
        elif recipes is not None and recipes.get(target, card.recipe) != card.recipe:
            reason = Reason.NEW_RECIPE
        elif target in changed:
            reason = Reason.CHANGED_DATA
        elif card.fitted_at < midnight:
            reason, gated = _of_a_new_day(card, midnight)
        if reason is not None:
            found.append(Due(target=target, reason=reason, gated=gated))
    return tuple(found)


def _of_a_new_day(card: ModelCard, midnight: datetime) -> tuple[Reason, bool]:
    if midnight - card.fitted_at > timedelta(days=1):
        return Reason.OVERDUE, True
    if card.scored_at is None or midnight - card.scored_at >= timedelta(days=GATE_DAYS):
        return Reason.NOT_TRIED, True
    return Reason.NEW_DAY, False
