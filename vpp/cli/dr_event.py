"""``vpp dr event``: announced, answered, changed, cancelled; where it stands and how it came there."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
from energy.core.units import plain_number
from vpp.cli.forecast_site import Json, instant, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.core.slots import Slot
    from energy.store import SqlStore
    from vpp.settlement.dr_event import DrEvent

__all__ = [
    "DEFAULT_DATABASE",
    "OPERATOR",
    "Actor",
    "Database",
    "EventId",
    "amount",
    "app",
    "clock_now",
    "event_slots",
    "half_hour",
    "open_events",
]

app = typer.Typer(help="Events: announce, answer, cancel, opt, list, show.", no_args_is_help=True)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with the events: a file or a URL.")
]
EventId = Annotated[str, typer.Argument(metavar="ID", help="Id of the event.")]
Actor = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]
DEFAULT_DATABASE = "vpp.db"
OPERATOR = "operator"


def open_events(database: str, *, read_only: bool = False) -> SqlStore:
    """The database with the events."""
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


def clock_now() -> datetime:
    """Now, by the machine's clock."""
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


def amount(text: str, option: str) -> Decimal:
    """A finite number that was typed.

    Raises
    ------
    ConfigError
        If it is none.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigError(f"{text!r} is no number", where=option, hint="such as 500 or 12.5")
    return value


def _event(told: dict[str, object]) -> DrEvent:
    from pydantic import TypeAdapter, ValidationError

    from vpp.settlement.dr_event import DrEvent

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
    margin: Annotated[
        str | None, typer.Option("--margin", help="Reserve margin behind a tight-supply request. [%]")
    ] = None,
    service: Annotated[
        Literal["primary", "secondary1", "secondary2", "tertiary1", "tertiary2"],
        typer.Option(help="Which product of the balancing market."),
    ] = "tertiary2",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Take an event or its change: the same modification again changes nothing, a lower one is ignored.

    The hours, size and notice must be those of the product (vpp dr event products). Events of an upstream
    system with OpenADR come in by themselves: vpp dr listen.
    """
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    start, end = event_slots(when)
    now = clock_now()
    wanted = _event(
        {
            "id": event_id,
            "product": product,
            "modification": modification,
            "start": start.start,
            "end": end.start,
            "target_kw": amount(target, "--target-kw"),
            "announced_at": now,
            "margin_percent": None if margin is None else amount(margin, "--margin"),
            "service": service,
        }
    )
    with open_events(database) as store:
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
    now = clock_now()
    with open_events(database) as store:
        made = EventBook(store).cancel(event_id, at=now, actor=actor)
    print(_line(console, made))
    if made.stopped_at != now:
        console.say(console.text("events.cancel_late"))


@app.command()
def answer(
    context: typer.Context,
    event_id: EventId,
    yes: Annotated[Literal["in", "out"], typer.Argument(metavar="in|out", help="Whether we take part.")],
    *,
    why: Annotated[str, typer.Option(help="Why, for the audit trail.")] = "",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Say yes or no to an event as a whole. A no releases every site; vpp dr listen passes it on."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with open_events(database) as store:
        made = EventBook(store).answer(event_id, takes_part=yes == "in", at=clock_now(), actor=actor, why=why)
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
    with open_events(database) as store:
        made = EventBook(store).opt(event_id, site, takes_part=answer == "in", at=clock_now(), actor=actor)
    print(_line(console, made))


@app.command("list")
def list_(context: typer.Context, database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """Show every event and where it stands."""
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with open_events(database, read_only=True) as store:
        found = EventBook(store).events()
    if json:
        print_json([_document(one) for one in found])
        return
    if not found:
        print(console.text("events.none"))
    for one in found:
        print(_line(console, one))


@app.command()
def show(
    context: typer.Context, event_id: EventId, database: Database = DEFAULT_DATABASE, json: Json = False
) -> None:
    """Show one event with its history: every act with its instant, refused ones included."""
    from vpp.i18n import Messages
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with open_events(database, read_only=True) as store:
        event = EventBook(store).require(event_id)
        acts = store.audit_trail(f"dr/{event_id}")
    if json:
        told = [
            {"at": one.at.isoformat(), "actor": one.actor, "act": one.act, "facts": dict(one.facts)}
            for one in acts
        ]
        print_json(_document(event) | {"history": told})
        return
    words = Messages(console.lang)
    print(_line(console, event))
    for one in acts:
        why = one.facts.get("why") or one.facts.get("site") or ""
        print(f"  {words.moment(one.at)}  {one.act:<22}{one.actor}  {why}".rstrip())


@app.command()
def products(
    context: typer.Context,
    on: Annotated[str | None, typer.Option("--on", help="Day of delivery; today if none.")] = None,
    json: Json = False,
) -> None:
    """Show what an event must keep to, product by product: dated rules with their source and status."""
    from energy.core.slots import JST, jst_midnight
    from energy.market.dr_products import Product, product_facts
    from vpp.cli.rules import day_named

    console = cast("Console", context.obj)
    day = clock_now().astimezone(JST).date() if on is None else day_named(on, "--on")
    found = {one: product_facts(one, jst_midnight(day)) for one in Product}
    if json:
        print_json({one.value: [fact.as_json() for fact in facts] for one, facts in found.items()})
        return
    for one, facts in found.items():
        print(console.text(f"events.product_{one.value}"))
        for fact in facts:
            print(f"  {fact.rule:<44}{fact.value:>8} {fact.unit:<6}{fact.status}")


def _document(event: DrEvent) -> dict[str, object]:
    return {
        "id": event.id,
        "product": event.product.value,
        "state": event.state_at(clock_now()).value,
        "modification": event.modification,
        "start": event.start.isoformat(),
        "end": event.end.isoformat(),
        "stopped_at": None if event.stopped_at is None else event.stopped_at.isoformat(),
        "target_kw": plain_number(event.target_kw),
        "nominated": [{"site": one.site, "kw": plain_number(one.kw)} for one in event.nominated],
        "opted_out": list(event.opted_out),
        "calls": [
            {
                "site": one.site,
                "kw": plain_number(one.kw),
                "start": one.start.isoformat(),
                "end": one.end.isoformat(),
                "sequence": one.sequence,
            }
            for one in event.calls
        ],
        "origin": event.origin,
    }


def _line(console: Console, event: DrEvent) -> str:
    from vpp.i18n import Messages

    words = Messages(console.lang)
    return console.text(
        "events.line",
        event=event.id,
        product=event.product.value,
        state=console.text(f"events.state_{event.state_at(clock_now()).value}"),
        start=words.moment(event.start),
        end=words.moment(event.stopped_at or event.end),
        target=f"{event.target_kw:f}",
        sites=len(event.taking_part()),
    )
