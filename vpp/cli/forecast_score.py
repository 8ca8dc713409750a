"""``vpp forecast score`` and ``vpp forecast models``: how good forecasts were, and what made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError, ExitStatus, ForecastError
from vpp.cli.forecast_site import (
    DEFAULT_SITE,
    DEFAULT_STATE,
    END_OF_TIME,
    Controller,
    Database,
    Json,
    SiteName,
    State,
    instant,
    open_site,
    print_json,
)
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import datetime

    from energy.core.series import Grid
    from energy.store import Snapshot
    from forecasting.card import ModelCard
    from vpp.forecasts.accuracy import By
    from vpp.forecasts.methods import Method

__all__ = ["models", "score"]


def score(
    context: typer.Context,
    start: Annotated[
        str | None, typer.Option("--from", help="First day that was forecast, Japan; the first kept if none.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day that was forecast, Japan; the last known if none.")
    ] = None,
    target: Annotated[str, typer.Option(help="load, or the id of a PV array.")] = "load",
    by: Annotated[str, typer.Option(help="issue, horizon, slot or month.")] = "horizon",
    site: SiteName = DEFAULT_SITE,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Controller = "optimal",
    json: Json = False,
) -> None:
    """Score the issued forecasts against what happened, beside the same weekdays and the day before."""
    from vpp.forecasts.accuracy import accuracy
    from vpp.forecasts.methods import methods_of
    from vpp.forecasts.watch import standing_of
    from vpp.forecasts.words import accuracy_sentences, accuracy_table
    from vpp.i18n import Messages
    from vpp.report.terminal import aligned

    console = cast("Console", context.obj)
    wanted = _by(by)
    place, store = open_site(site, database, state, controller)
    with store:
        known = store.as_of(END_OF_TIME)
        methods = methods_of(place)
        if target not in methods:
            raise ConfigError(
                f"no target {target!r}", where="--target", hint=f"choose from {', '.join(methods)}"
            )
        first, last = _days(known, place.id, methods[target], start, end)
        report = accuracy(known, place.id, methods[target], start=first, end=last, by=wanted)
        standing = standing_of(known, place.id, target)
    if json:
        print_json(report.to_json())
        return
    words = Messages(console.lang)
    table = aligned(accuracy_table(words, report))
    print("\n".join([*accuracy_sentences(words, report, standing), "", table]))


def _by(text: str) -> By:
    from vpp.forecasts.accuracy import By

    try:
        return By(text)
    except ValueError:
        raise ConfigError(
            f"no report by {text!r}", where="--by", hint=f"choose from {', '.join(one.value for one in By)}"
        ) from None


def _days(
    known: Snapshot, site: str, method: Method, start: str | None, end: str | None
) -> tuple[datetime, datetime]:
    """The stretch asked for; without ends, from the first issue to the last slot that is known."""
    from datetime import timedelta

    from energy.core.series import Grid
    from vpp.forecasts.issued import Horizon, first_issued, latest_issued

    first = instant(start, "--from") if start else None
    last = instant(end, "--to") + timedelta(days=1) if end else None
    if first is None:
        earliest = first_issued(known, site, method.target, Horizon.INTRADAY) or first_issued(
            known, site, method.target, Horizon.DAY_AHEAD
        )
        if earliest is None:
            raise DataError(
                f"no forecast of {method.target} is stored", where=f"site {site}", hint="run vpp demo first"
            )
        first = earliest.start
    if last is None:
        found = [latest_issued(known, site, method.target, horizon) for horizon in Horizon]
        last = _last_known(method, known, Grid.between(first, max(one.grid.end for one in found if one)))
    if last <= first:
        raise ConfigError("the days end before they begin", where="--from/--to", hint="swap them")
    return first, last


def _last_known(method: Method, known: Snapshot, grid: Grid) -> datetime:
    """End of the last slot of a grid of which it is known what happened."""
    import numpy as np

    seen = np.flatnonzero(~np.isnan(method.actual(known, grid).values))
    if seen.size == 0:
        raise DataError(
            f"nothing is known yet of what {method.target} was",
            where=f"{grid.start.isoformat()} to {grid.end.isoformat()}",
            hint="let some slots pass, or import the meter's values (vpp data import)",
        )
    return grid.time(int(seen[-1]) + 1)


def models(
    context: typer.Context,
    site: SiteName = DEFAULT_SITE,
    check: Annotated[
        bool,
        typer.Option("--check", help="Make the models in use again and compare; status 8 if one differs."),
    ] = False,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Controller = "optimal",
    json: Json = False,
) -> int:
    """Show the models that speak, the changes on record, and whether the models can be made again."""
    from vpp.forecasts.methods import methods_of
    from vpp.forecasts.registry import ModelRegistry
    from vpp.forecasts.words import audit_sentence, model_sentence
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    words = Messages(console.lang)
    place, store = open_site(site, database, state, controller)
    broken = 0
    told: list[dict[str, object]] = []
    with store:
        known = store.as_of(END_OF_TIME)
        registry = ModelRegistry(place.id, store, methods_of(place))
        for target in methods_of(place):
            release, card = registry.release(known, target), registry.in_use(known, target)
            trail = [r for r in store.audit_trail(f"{place.id}/{target}") if r.act.startswith("model.")]
            found = _checked(registry, card) if check and card is not None else None
            broken += bool(found)
            told.append(
                {
                    "target": target,
                    "card": None if card is None else _card(card),
                    "changes": [
                        {"at": r.at.isoformat(), "act": r.act, "facts": dict(r.facts)} for r in trail
                    ],
                    "reproduced": None if not check or card is None else found == "",
                    "differs": found or None,
                }
            )
            if json or release is None or card is None:
                continue
            print(model_sentence(words, card, since=release.day))
            for record in trail:
                print(f"  {audit_sentence(words, record)}")
            if found is not None:
                held = (
                    words.text("model.check_failed", why=found) if found else words.text("model.check_held")
                )
                print(f"  {held}")
    if json:
        print_json(told)
    elif all(one["card"] is None for one in told):
        print(words.text("model.none"))
    return int(ExitStatus.UNHEALTHY if broken else ExitStatus.OK)


def _checked(registry: object, card: ModelCard) -> str:
    """Empty if the model of a card comes out the same again, else what differs."""
    from vpp.forecasts.registry import ModelRegistry

    assert isinstance(registry, ModelRegistry)
    try:
        registry.reproduce(card)
    except ForecastError as error:
        return error.where
    return ""


def _card(card: ModelCard) -> dict[str, object]:
    from json import loads

    document: dict[str, object] = loads(card.to_json())
    return {"digest": card.digest, **document}
