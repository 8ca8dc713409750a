"""``vpp dr event``, ``nominate``, ``settle``: an event from its announcement to the money."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.bill import plain_number
from vpp.cli.console import Console
from vpp.cli.forecast_site import Json, instant, print_json

if TYPE_CHECKING:
    from energy.core.slots import Slot
    from energy.store import SqlStore
    from vpp.settlement.dr_events import DrEvent, Nomination, Settlement

__all__ = ["app", "event_slots", "half_hour", "nominate", "settle"]

app = typer.Typer(help="Events: announce, cancel, opt, list.", no_args_is_help=True)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with the events: a file or a URL.")
]
EventId = Annotated[str, typer.Argument(metavar="ID", help="Id of the event.")]
Actor = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]
DEFAULT_DATABASE = "vpp.db"
OPERATOR = "operator"


def _open(database: str, *, read_only: bool = False) -> SqlStore:
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


def _now() -> datetime:
    from energy.core.clock import SystemClock

    return SystemClock().now()


def half_hour(text: str, option: str) -> Slot:
    """Slot that starts at an instant.

    Raises
    ------
    ConfigError
        If the text is no instant, or not on a half hour.
    """
    from energy.core.slots import Slot

    try:
        return Slot(instant(text, option))
    except ValueError:
        raise ConfigError(
            f"{text!r} is not on a half hour", where=option, hint="write 2026-11-25T16:00/2026-11-25T19:00"
        ) from None


def event_slots(text: str) -> tuple[Slot, Slot]:
    """First slot of ``START/END`` and the first after it.

    Raises
    ------
    ConfigError
        If it is no such text, or not on half hours.
    """
    start, slash, end = text.partition("/")
    if not slash:
        raise ConfigError(
            f"{text!r} is no event", where="--event", hint="write 2026-11-25T16:00/2026-11-25T19:00"
        )
    if len(end.strip()) <= len("24:00"):  # an end without a day is on the day of the start
        end = f"{start.strip()[:10]}T{end.strip()}"
    return half_hour(start, "--event"), half_hour(end, "--event")


def _number(text: str, option: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigError(f"{text!r} is no number", where=option, hint="such as 500 or 12.5")
    return value


def _event(told: dict[str, object]) -> DrEvent:
    from pydantic import TypeAdapter, ValidationError

    from vpp.settlement.dr_events import DrEvent

    try:
        return TypeAdapter(DrEvent).validate_python(told)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise ConfigError(
            "this is no event",
            where=f"{'.'.join(str(part) for part in fault['loc']) or 'event'}: {fault['msg']}",
            hint="START/END on half hours, ids of a-z, digits and hyphens",
        ) from None


@app.command()
def announce(
    context: typer.Context,
    event_id: EventId,
    when: Annotated[
        str, typer.Option("--event", help="START/END in Japan: 2026-11-25T16:00/2026-11-25T19:00.")
    ],
    target: Annotated[str, typer.Option("--target-kw", help="What the portfolio shall shift. [kW]")],
    *,
    product: Annotated[
        Literal["economic", "tight", "up", "capacity", "balancing"], typer.Option(help="What it is sold as.")
    ] = "economic",
    modification: Annotated[int, typer.Option(help="Number of the upstream's last change.")] = 0,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Take an event or its change: the same modification again changes nothing, a lower one is ignored."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    start, end = event_slots(when)
    now = _now()
    wanted = _event(
        {
            "id": event_id,
            "product": product,
            "modification": modification,
            "start": start.start,
            "end": end.start,
            "target_kw": _number(target, "--target-kw"),
            "announced_at": now,
        }
    )
    with _open(database) as store:
        made, changed = EventBook(store).announce(wanted, at=now, actor=actor)
    if json:
        print_json(_document(made) | {"changed": changed})
        return
    print(_line(console, made))
    if not changed:
        console.say(console.text("events.unchanged", modification=made.modification))


@app.command()
def cancel(
    context: typer.Context, event_id: EventId, actor: Actor = OPERATOR, database: Database = DEFAULT_DATABASE
) -> None:
    """Stop an event now: half hours that had ended are paid, later ones not. A late one changes nothing."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with _open(database) as store:
        made = EventBook(store).cancel(event_id, at=_now(), actor=actor)
    print(_line(console, made))


@app.command()
def opt(
    context: typer.Context,
    event_id: EventId,
    site: Annotated[str, typer.Argument(help="Id of the site.")],
    answer: Annotated[Literal["in", "out"], typer.Argument(help="Whether it takes part.")],
    *,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Note that a site says no, or yes after all. Saying no costs nothing."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with _open(database) as store:
        made = EventBook(store).opt(event_id, site, takes_part=answer == "in", at=_now(), actor=actor)
    print(_line(console, made))


@app.command("list")
def list_(context: typer.Context, database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """Show every event and where it stands."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with _open(database, read_only=True) as store:
        found = EventBook(store).events()
    if json:
        print_json([_document(one) for one in found])
        return
    if not found:
        print(console.text("events.none"))
    for one in found:
        print(_line(console, one))


def _document(event: DrEvent) -> dict[str, object]:
    return {
        "id": event.id,
        "product": event.product.value,
        "state": event.state.value,
        "modification": event.modification,
        "start": event.start.isoformat(),
        "end": event.end.isoformat(),
        "stopped_at": None if event.stopped_at is None else event.stopped_at.isoformat(),
        "target_kw": plain_number(event.target_kw),
        "nominated": [{"site": one.site, "kw": plain_number(one.kw)} for one in event.nominated],
        "opted_out": list(event.opted_out),
    }


def _line(console: Console, event: DrEvent) -> str:
    from vpp.i18n import Messages

    words = Messages(console.lang)
    return console.text(
        "events.line",
        event=event.id,
        product=event.product.value,
        state=console.text(f"events.state_{event.state.value}"),
        start=words.moment(event.start),
        end=words.moment(event.stopped_at or event.end),
        target=f"{event.target_kw:f}",
        sites=len(event.taking_part()),
    )


def nominate(
    context: typer.Context,
    event_id: EventId,
    resources: Annotated[Path, typer.Option(help="Sites that may take part: site,kw,reliability.")],
    *,
    reserve: Annotated[str, typer.Option(help="Share asked for on top of the target.")] = "0.1",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Choose sites for an event: the surest first, until target and reserve are covered (else status 6).

    A site that declined is not asked again; run it once more to replace sites that fail:

        site,kw,reliability
        kitakata,18.1,0.9
    """
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.dr_events import nominate as choose
    from vpp.settlement.files import read_resources

    console = cast("Console", context.obj)
    told = read_resources(resources)
    with _open(database) as store:
        book = EventBook(store)
        event = book.require(event_id)
        asked = [one for one in told if one.site not in event.opted_out]
        made = choose(asked, event.target_kw, reserve=_number(reserve, "--reserve"))
        book.nominate(event_id, made.chosen, at=_now(), actor=actor)
    if json:
        print_json(
            {
                "event": event_id,
                "needed_kw": plain_number(made.needed_kw),
                "expected_kw": plain_number(made.expected_kw),
                "short_kw": plain_number(made.short_kw),
                "sites": [one.site for one in made.chosen],
            }
        )
    else:
        _show_nomination(console, event_id, made)
    return int(ExitStatus.PARTIAL if made.short_kw else ExitStatus.OK)


def _show_nomination(console: Console, event_id: str, made: Nomination) -> None:
    key = "events.nominated_short" if made.short_kw else "events.nominated"
    print(
        console.text(
            key,
            event=event_id,
            sites=len(made.chosen),
            expected=f"{made.expected_kw:.1f}",
            needed=f"{made.needed_kw:.1f}",
            short=f"{made.short_kw:.1f}",
        )
    )
    for one in made.chosen:
        print(f"  {one.site:<24}{one.kw:>10.1f} kW  x {one.reliability}")


def settle(
    context: typer.Context,
    event_id: EventId,
    meters: Annotated[list[str], typer.Option("--meter", help="SITE=FILE: timestamp,kwh; may be repeated.")],
    price: Annotated[str, typer.Option("--yen-per-kwh", help="What a delivered kWh is paid. [yen/kWh]")],
    *,
    adjust: Annotated[Literal["add", "ratio", "none"], typer.Option(help="Same-day adjustment.")] = "add",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Settle an event that is over. The same readings give the same figures; others make a new version.

    Earlier events a site took part in are no baseline days. Status 6: a site could not be measured; it is
    paid nothing automatically and listed with the reason.
    """
    from energy.market.baseline import Adjustment
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.dr_settling import settle_sites, settlement_rules

    console = cast("Console", context.obj)
    files: dict[str, Path] = {}
    for told in meters:
        site, equals, file = told.partition("=")
        if not equals or site in files:
            raise ConfigError(
                f"{told!r} names no meter", where="--meter", hint="write SITE=FILE, each site once"
            )
        files[site] = Path(file)
    yen = _number(price, "--yen-per-kwh")
    with _open(database) as store:
        book = EventBook(store)
        event = book.require(event_id)
        sites = settle_sites(book, event, files, yen_per_kwh=yen, adjustment=Adjustment(adjust))
        made, new = book.settle(
            event_id, sites, yen_per_kwh=yen, at=_now(), actor=actor, rules=settlement_rules(event)
        )
    if json:
        print_json(_settled(made) | {"new": new})
    else:
        _show_settlement(console, made, new=new)
    return int(ExitStatus.PARTIAL if any(one.delivered_kwh is None for one in made.sites) else ExitStatus.OK)


def _settled(made: Settlement) -> dict[str, object]:
    return {
        "event": made.event,
        "version": made.version,
        "delivered_kwh": plain_number(made.delivered_kwh),
        "yen": plain_number(made.yen),
        "sites": [
            {
                "site": one.site,
                "delivered_kwh": None if one.delivered_kwh is None else plain_number(one.delivered_kwh),
                "yen": plain_number(one.yen),
                "why": one.why,
            }
            for one in made.sites
        ],
    }


def _show_settlement(console: Console, made: Settlement, *, new: bool) -> None:
    print(
        console.text(
            "events.settled" if new else "events.settled_same",
            event=made.event,
            version=made.version,
            kwh=f"{made.delivered_kwh:,.1f}",
            yen=f"{made.yen:,.0f}",
        )
    )
    for one in made.sites:
        kwh = "-" if one.delivered_kwh is None else f"{one.delivered_kwh:,.2f} kWh"
        print(f"  {one.site:<24}{kwh:>16}{one.yen:>12,.0f}  {one.why}".rstrip())
