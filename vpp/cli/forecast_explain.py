"""``vpp forecast explain``: what moved a forecast."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
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

__all__ = ["explain"]


def explain(
    context: typer.Context,
    day: Annotated[str, typer.Argument(help="Day that is forecast, YYYY-MM-DD in Japan.")],
    slot: Annotated[
        str | None, typer.Option(help="Begin of one half hour, HH:MM; the mean of the day if none.")
    ] = None,
    target: Annotated[str, typer.Option(help="load, or the id of a PV array.")] = "load",
    against: Annotated[
        Literal["last-week", "usual"],
        typer.Option(help="The same weekday last week, or the mean of the last four."),
    ] = "last-week",
    *,
    at: Annotated[
        str | None, typer.Option(help="The newest issue known at this instant, Japan; the newest if none.")
    ] = None,
    site: SiteName = DEFAULT_SITE,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Controller = "optimal",
    json: Json = False,
) -> None:
    """Say which inputs moved a day-ahead forecast against another day, in kW that add up."""
    from energy.core.slots import JST
    from vpp.forecasts.because import reason_lines, reasons_document
    from vpp.forecasts.reasons import explain_day
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    wanted = instant(day, "DAY").astimezone(JST).date()
    number = None if slot is None else _number(slot)
    known_at = END_OF_TIME if at is None else instant(at, "--at")
    place, store = open_site(site, database, state, controller)
    with store:
        told = explain_day(store, place, target, wanted, known_at=known_at, against=against)
    lines = reason_lines(Messages(console.lang), told, number)
    if json:
        print_json(reasons_document(told, lines, number))
    else:
        print("\n".join(lines))


def _number(text: str) -> int:
    """Number of the half hour that begins at a time of day, 0 to 47."""
    hour, colon, minute = text.strip().partition(":")
    if not colon or not (hour.isdigit() and minute in ("00", "30")) or int(hour) > 23:
        raise ConfigError(f"{text!r} begins no half hour", where="--slot", hint="write it like 14:30")
    return 2 * int(hour) + int(minute == "30")
