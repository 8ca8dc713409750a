"""``vpp forecast run`` and ``vpp forecast show``: forecasts made, kept and looked at."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError
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
    from collections.abc import Iterator
    from datetime import datetime

    from energy.store import SqlStore, Store
    from vpp.forecasts.issued import Horizon, IssuedForecast

__all__ = ["run", "show"]

HorizonName = Annotated[str, typer.Option("--horizon", help="intraday, day-ahead or week.")]
Target = Annotated[str | None, typer.Option(help="load, or the id of a PV array; all if none.")]


def run(
    context: typer.Context,
    site: SiteName = DEFAULT_SITE,
    horizon: HorizonName = "day-ahead",
    target: Target = None,
    at: Annotated[
        str | None,
        typer.Option(help="Forecast as of this instant, Japan, and keep nothing; now, and keep it, if none."),
    ] = None,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Controller = "optimal",
    json: Json = False,
) -> None:
    """Make forecasts: fit what is due, pass the gate, judge the drift, issue, and keep what was issued.

    With --at the past is forecast again from what was known then, and nothing is kept:

        vpp forecast run --at 2026-08-05T12:00
    """
    from dataclasses import asdict

    from energy.core.clock import SystemClock
    from vpp.forecasts.desk import ForecastDesk

    console = cast("Console", context.obj)
    wanted = _horizon(horizon)
    now = SystemClock().now() if at is None else instant(at, "--at")
    place, store = open_site(site, database, state, controller, write=True)
    with ExitStack() as stack:
        stack.callback(store.close)
        if at is not None:
            stack.enter_context(_undone(store))
        desk = ForecastDesk(place, store)
        if target is not None and target not in desk.methods:
            raise ConfigError(
                f"no target {target!r}", where="--target", hint=f"choose from {', '.join(desk.methods)}"
            )
        due = desk.registry.due(now)
        for one in due:
            why = console.text(f"model.why_{one.reason.value.replace('-', '_')}")
            console.say(
                console.text(f"model.due_{'gated' if one.gated else 'fit'}", target=one.target, why=why)
            )
        desk.prepare(now)
        targets = [target] if target else list(desk.methods)
        with store.transaction():
            issued = [desk.keep_one(wanted, now, one) for one in targets]
        if json:
            print_json(
                {
                    "at": now.isoformat(),
                    "kept": at is None,
                    "due": [asdict(one) for one in due],
                    "issued": [_document(one) for one in issued],
                }
            )
        else:
            print("\n\n".join(_told(console, store, one, now) for one in issued))
    if at is not None:
        console.say(console.text("issue.not_kept"))


class _Undo(Exception):  # noqa: N818 - a signal, not an error
    """Takes back what a replay wrote."""


@contextmanager
def _undone(store: Store) -> Iterator[None]:
    """Everything written inside is taken back."""
    try:
        with store.transaction():
            yield
            raise _Undo
    except _Undo:
        return


def show(
    context: typer.Context,
    day: Annotated[
        str | None,
        typer.Argument(help="Day that is forecast, YYYY-MM-DD in Japan; the newest issue if none."),
    ] = None,
    site: SiteName = DEFAULT_SITE,
    horizon: HorizonName = "day-ahead",
    target: Annotated[str, typer.Option(help="load, or the id of a PV array.")] = "load",
    at: Annotated[
        str | None, typer.Option(help="What was known at this instant, Japan; everything if none.")
    ] = None,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Controller = "optimal",
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values on stdout.")] = False,
) -> None:
    """Show an issued forecast: what it says, who made it and when, and slot by slot."""
    console = cast("Console", context.obj)
    wanted = _horizon(horizon)
    instant_known = END_OF_TIME if at is None else instant(at, "--at")
    place, store = open_site(site, database, state, controller)
    with store:
        one = _find(store, place.id, target, wanted, day=day, known_at=instant_known)
        if json:
            print_json(_document(one))
        elif csv:
            print("\n".join(_csv(one)))
        else:
            print(_told(console, store, one, instant_known))


def _horizon(text: str) -> Horizon:
    from vpp.forecasts.issued import Horizon

    try:
        return Horizon(text)
    except ValueError:
        raise ConfigError(
            f"no horizon {text!r}",
            where="--horizon",
            hint=f"choose from {', '.join(one.value for one in Horizon)}",
        ) from None


def _find(
    store: SqlStore, site: str, target: str, horizon: Horizon, *, day: str | None, known_at: datetime
) -> IssuedForecast:
    from datetime import timedelta

    from vpp.forecasts.issued import issued_forecasts, latest_issued, targets_of

    known = store.as_of(known_at)
    if day is None:
        found = latest_issued(known, site, target, horizon)
    else:
        midnight = instant(day, "DAY")
        issues = issued_forecasts(
            known,
            site,
            target,
            horizon,
            start=midnight - timedelta(days=8),
            end=midnight + timedelta(days=1),
        )
        ends = midnight + timedelta(days=1)
        speaking = [one for one in issues if one.start < ends and one.grid.end > midnight]
        found = speaking[-1] if speaking else None
    if found is None:
        targets = ", ".join(targets_of(known, site)) or "none"
        raise DataError(
            f"no {horizon.value} forecast of {target} is stored" + (f" for {day}" if day else ""),
            where=f"site {site}; targets with forecasts: {targets}",
            hint="make one (vpp forecast run), or run vpp demo first",
        )
    return found


def _document(one: IssuedForecast) -> dict[str, object]:
    from json import loads

    document: dict[str, object] = loads(one.to_json())
    return document


def _csv(one: IssuedForecast) -> Iterator[str]:
    from energy.core.slots import JST

    yield "slot_start,p10_kw,p50_kw,p90_kw"
    for at, p10, p50, p90 in zip(one.grid.times(), one.p10, one.p50, one.p90, strict=True):
        yield f"{at.astimezone(JST).isoformat()},{p10},{p50},{p90}"


def _told(console: Console, store: SqlStore, one: IssuedForecast, known_at: datetime) -> str:
    """The sentences, then the table."""
    from vpp.forecasts.watch import standing_of
    from vpp.forecasts.words import issue_sentences, issue_table
    from vpp.i18n import Messages
    from vpp.report.terminal import aligned

    words = Messages(console.lang)
    standing = standing_of(store.as_of(known_at), one.site, one.target)
    return "\n".join([*issue_sentences(words, one, standing), "", aligned(issue_table(words, one))])
