"""The registry of models: cards in the store, models made again from them, releases that pass a gate.

A model is never saved. Its card says what it was made from; who needs the model again fits it again on what
was known then and compares. What does not come out the same is refused, and the differences are named.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from energy.core.errors import ForecastError
from energy.core.series import Grid
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.store import Snapshot, Store
from forecasting.card import (
    SCORE_DAYS,
    Due,
    Gate,
    ModelCard,
    Recipe,
    differences,
    digest_of_forecast,
    due,
    gate,
)
from vpp.forecasts.issued import put_once
from vpp.forecasts.lookback import NOON, DayAhead, by_rule, forecast_again, issued_by_model, score_days
from vpp.forecasts.methods import Fitted, Method, View

__all__ = ["CARD", "IN_USE", "ModelRegistry", "Release", "program_version", "recipe_of"]

log = logging.getLogger(__name__)

CARD: Final = "forecast-card"
"""Kind of the documents that hold model cards."""
IN_USE: Final = "forecast-model"
"""Kind of the documents that say which model speaks for a target, day by day."""

ACTOR: Final = "forecast-registry"
AGAIN: Final = (
    "again"  # today's model was lost, for instance by an update of the program, and is fitted again
)
LIBRARIES: Final = ("holidays", "numpy", "pandas", "pvlib", "scikit-learn")
UNTRIED: Final = "untried"  # method on the card of a model that no weather forecast let speak at its midnight
WALK_FITS: Final = 2  # the back-test learns anew every week


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Which model speaks for a target from a day on.

    Parameters
    ----------
    day : datetime
        Midnight for which it was decided. UTC.
    fitted_at : datetime
        The model. UTC.
    card : str
        Digest of its card.
    reason : str
        Why a fit was due (:class:`forecasting.card.Reason`).
    gate : Gate or None
        What the gate said about the day's fit; None where it did not have to pass.
    """

    day: datetime
    fitted_at: datetime
    card: str
    reason: str
    gate: Gate | None = None

    def to_json(self) -> str:
        """The release as one JSON document."""
        return _RELEASE.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Release:
        """The release from its document."""
        return _RELEASE.validate_json(text)


_RELEASE = TypeAdapter(Release)


@lru_cache(maxsize=1)
def program_version() -> str:
    """Version of the program."""
    return version("aizu-vpp")


@lru_cache(maxsize=1)
def _code() -> str:
    """Digest of the code that a forecast depends on: the methods, and what feeds them."""
    digest = hashlib.sha256()
    files = [file for file in resources.files("forecasting").iterdir() if file.name.endswith(".py")]
    files.append(resources.files("vpp.forecasts") / "methods.py")
    for file in sorted(files, key=lambda one: one.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("aizu-vpp", program_version())]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "none"))
    return tuple(sorted(found))


def recipe_of(method: Method) -> Recipe:
    """Configuration, code and libraries of a method today."""
    return Recipe(configuration=method.configuration, code=_code(), versions=_versions())


class ModelRegistry:
    """Models of one site.

    Parameters
    ----------
    site : str
        Id of the site.
    store : Store
        Where cards, decisions and the past are.
    methods : mapping of str to Method
        By target.
    """

    def __init__(self, site: str, store: Store, methods: Mapping[str, Method]) -> None:
        self._site = site
        self._store = store
        self._methods = methods

    # -- reading ---------------------------------------------------------------------------------------

    def release(self, known: Snapshot, target: str) -> Release | None:
        """The newest decision that is known for a target."""
        document = known.document(IN_USE, f"{self._site}/{target}")
        return None if document is None else Release.from_json(document.body)

    def card(self, known: Snapshot, target: str, fitted_at: datetime) -> ModelCard | None:
        """The newest card of a fit."""
        document = known.document(CARD, self._key(target, fitted_at))
        return None if document is None else ModelCard.from_json(document.body)

    def cards(self, known: Snapshot, target: str) -> list[ModelCard]:
        """All cards of a target by the time of the fit."""
        documents = known.documents(CARD, prefix=f"{self._site}/{target}/")
        return [ModelCard.from_json(document.body) for document in documents]

    def in_use(self, known: Snapshot, target: str) -> ModelCard | None:
        """Card of the model that speaks for a target."""
        release = self.release(known, target)
        return None if release is None else self.card(known, target, release.fitted_at)

    def due(self, now: datetime) -> tuple[Due, ...]:
        """What is to be fitted now, and whether it has to pass the gate; nothing that was decided today."""
        known = self._store.as_of(now)
        today = jst_midnight(now.astimezone(JST).date())
        releases = {target: self.release(known, target) for target in self._methods}
        open_ = [name for name, release in releases.items() if release is None or release.day < today]
        cards = {target: self.in_use(known, target) for target in open_}
        recipes = {target: recipe_of(method) for target, method in self._methods.items()}
        changed = [target for target, card in cards.items() if card and self._corrected(card, known)]
        return due(cards, now, recipes=recipes, changed=changed)

    # -- making ----------------------------------------------------------------------------------------

    def reproduce(self, card: ModelCard) -> Fitted:
        """The model of a card, fitted again on what was known when it was fitted.

        Raises
        ------
        ForecastError
            If it does not come out the same; the message names what has changed.
        """
        method = self._methods[card.target]
        view = View.of(self._store, card.fitted_at)
        fitted = method.fit(view)
        found = differences(card, self._card(method, view, fitted))
        if "result" in found or any(one.startswith("data of") for one in found):
            raise ForecastError(
                f"the model {card.digest} of {card.target} cannot be made again",
                where=f"fitted at {card.fitted_at.isoformat()}; differs in: {', '.join(found)}",
                hint="go back to that program and those data, or let today's model pass the gate "
                "(vpp forecast run)",
            )
        return fitted

    def of_day(self, target: str, midnight: datetime, now: datetime) -> tuple[Fitted, ModelCard]:
        """The model that speaks for a target on a day; decided once, and kept for the rest of the day.

        Parameters
        ----------
        midnight : datetime
            Begin of the Japanese day: models look back from here, whenever they are fitted. UTC.
        now : datetime
            When the decision is taken and becomes known. UTC.

        Raises
        ------
        ForecastError
            If there is too little history for any method.
        """
        day = _Day(target, midnight, now, self._store.as_of(now))
        release = self.release(day.known, target)
        if release is not None and release.day == midnight:
            resumed = self._again(day, release.fitted_at)
            if resumed is not None:
                return resumed
        return self._decide(day)

    def _again(self, day: _Day, fitted_at: datetime) -> tuple[Fitted, ModelCard] | None:
        """The model of an earlier fit made again; None, on the record, if it cannot be."""
        card = self.card(day.known, day.target, fitted_at)
        if card is None:
            return None
        try:
            return self.reproduce(card), card
        except ForecastError as error:
            log.warning("forecast.model_lost target=%s card=%s %s", day.target, card.digest, error.where)
            self._audit(day, "model.lost", {"card": card.digest, "differs": error.where})
            return None

    def _decide(self, day: _Day) -> tuple[Fitted, ModelCard]:
        """Fit the day's model, let it pass the gate if it has to, and record what speaks from now on."""
        method = self._methods[day.target]
        view = View.of(self._store, day.midnight)
        fitted = method.fit(view)
        card = self._card(method, view, fitted)
        before = self.in_use(day.known, day.target)
        changed = [day.target] if before is not None and self._corrected(before, day.known) else []
        found = due({day.target: before}, day.now, recipes={day.target: card.recipe}, changed=changed)
        reason = found[0].reason.value if found else AGAIN
        verdict = None
        if not found or found[0].gated:
            walked = forecast_again(method, self._store, day.midnight, days=SCORE_DAYS, fits=WALK_FITS)
            noons = (one.grid.start + NOON for one in walked)
            views = [View.again(self._store, at, known=day.known) for at in noons]
            rule = by_rule(method, day.known, views)
            card = replace(card, score=score_days(walked, rule=rule), scored_at=day.midnight)
            verdict = self._compare(method, day.known, walked)
        elif before is not None:
            card = replace(card, score=before.score, scored_at=before.scored_at)
        key = self._key(day.target, day.midnight)
        put_once(self._store, CARD, key, known_at=day.now, body=card.to_json())
        if verdict is not None and not verdict.released and before is not None:
            kept = self._again(day, before.fitted_at)
            if kept is not None:
                self._record(day, kept[1], reason, verdict, "model.refused")
                return kept
        act = "model.released" if verdict is None or verdict.released else "model.without-choice"
        self._record(day, card, reason, verdict, act)
        return fitted, card

    def _record(self, day: _Day, card: ModelCard, reason: str, verdict: Gate | None, act: str) -> None:
        """Put the decision on record; what passed or failed the gate also into the audit trail."""
        release = Release(
            day=day.midnight, fitted_at=card.fitted_at, card=card.digest, reason=reason, gate=verdict
        )
        key = f"{self._site}/{day.target}"
        put_once(self._store, IN_USE, key, known_at=day.now, body=release.to_json())
        ratio = None if verdict is None else verdict.ratio
        log.info("forecast.%s target=%s card=%s reason=%s", act, day.target, card.digest, reason)
        if verdict is not None:
            facts = {
                "in_use": card.digest,
                "model": card.model,
                "fitted_at": card.fitted_at,
                "reason": reason,
                "loss_ratio": None if ratio is None else round(ratio, 4),
                "compared_days": verdict.days,
            }
            self._audit(day, act, facts)

    def _audit(self, day: _Day, act: str, facts: Mapping[str, object]) -> None:
        self._store.audit(ACTOR, act, f"{self._site}/{day.target}", at=day.now, facts=facts)

    def _compare(self, method: Method, known: Snapshot, walked: list[DayAhead]) -> Gate:
        """The day's recipe against what was issued on the same days."""
        if not walked:
            return gate(candidate_loss=None, issued_loss=None, days=0.0)
        span = walked[0].grid.start, walked[-1].grid.end
        issued = {
            one.grid.start: one
            for one in issued_by_model(known, self._site, method, start=span[0], end=span[1])
        }
        pairs = [(one, issued[one.grid.start]) for one in walked if one.grid.start in issued]
        mine = [one.loss_kw(also=other) for one, other in pairs]
        theirs = [other.loss_kw(also=one) for one, other in pairs]
        both = [(a, b) for a, b in zip(mine, theirs, strict=True) if a is not None and b is not None]
        if not both:
            return gate(candidate_loss=None, issued_loss=None, days=0.0)
        candidate, before = (float(np.mean(column)) for column in zip(*both, strict=True))
        return gate(candidate_loss=candidate, issued_loss=before, days=float(len(both)))

    # -- cards -----------------------------------------------------------------------------------------

    def _key(self, target: str, fitted_at: datetime) -> str:
        return f"{self._site}/{target}/{fitted_at.isoformat()}"

    def _card(self, method: Method, view: View, fitted: Fitted) -> ModelCard:
        """What was fitted, and what it says about the first day."""
        reach = method.reach(view, Grid(view.at, SLOTS_PER_DAY))
        model, facts, result = UNTRIED, dict[str, object](), ""
        if reach:
            forecast = fitted.predict(view, Grid(view.at, reach))
            model, facts, result = forecast.model, forecast.facts, digest_of_forecast(forecast)
        return ModelCard(
            site=self._site,
            target=method.target,
            model=model,
            fitted_at=fitted.fitted_at,
            inputs=method.inputs(view),
            facts=tuple(sorted((name, str(value)) for name, value in facts.items())),
            recipe=recipe_of(method),
            result=result,
        )

    def _corrected(self, card: ModelCard, known: Snapshot) -> bool:
        """Whether the metered past that a card was fitted on reads differently now.

        Readings that came late are no correction, unless they are more than a day's.
        """
        start = min(used.start for used in card.inputs)
        grid = Grid.between(start, card.fitted_at)
        method = self._methods[card.target]
        then = method.actual(self._store.as_of(card.fitted_at), grid).values
        now = method.actual(known, grid).values
        late = np.isnan(then) & ~np.isnan(now)
        differs = (then != now) & ~np.isnan(then)
        return bool(differs.any() or late.sum() > SLOTS_PER_DAY)


@dataclass(frozen=True, slots=True)
class _Day:
    """One decision: for which target and Japanese day, when it is taken, and on what."""

    target: str
    midnight: datetime
    now: datetime
    known: Snapshot
