"""``vpp dr nominate``, ``track``, ``calls``, ``settle``: who is called, how it goes, and what is paid."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from energy.core.units import plain_number
from vpp.cli.dr_event import (
    DEFAULT_DATABASE,
    OPERATOR,
    Actor,
    Database,
    EventId,
    amount,
    clock_now,
    open_events,
)
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.market.portfolio import Nomination
    from vpp.settlement.dr_settled import Settlement
    from vpp.settlement.dr_track import Tracked

__all__ = ["calls", "nominate", "settle", "track"]

Reserve = Annotated[str, typer.Option(help="Share asked for on top of the target.")]
Meters = Annotated[list[str], typer.Option("--meter", help="SITE=FILE: timestamp,kwh; may be repeated.")]


def _files(meters: list[str]) -> dict[str, Path]:
    """Meter files by site, from ``SITE=FILE``."""
    files: dict[str, Path] = {}
    for told in meters:
        site, equals, file = told.partition("=")
        if not equals or site in files:
            raise ConfigError(
                f"{told!r} names no meter", where="--meter", hint="write SITE=FILE, each site once"
            )
        files[site] = Path(file)
    return files


def nominate(
    context: typer.Context,
    event_id: EventId,
    resources: Annotated[
        Path, typer.Option(help="Sites that may take part: site,kw[,reliability][,holder].")
    ],
    *,
    reserve: Reserve = "0.1",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would be called; call nobody.")
    ] = False,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Choose and call sites: the surest first, until target and reserve are covered (else status 6).

    What a site delivered in settled events counts beside its stated reliability, and a reserve against
    non-delivery is kept (rule dr_tracking). A site that declined is not asked; a person's site (holder
    person) needs consent. Run it again with other sites and those that are left out are released:

        site,kw,reliability,holder
        kitakata,18.1,0.9,company
    """
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.dr_track import choose
    from vpp.settlement.files import read_resources

    console = cast("Console", context.obj)
    told = read_resources(resources)
    with open_events(database, read_only=dry_run) as store:
        book = EventBook(store)
        event = book.require(event_id)
        made = choose(book, event, told, target_kw=event.target_kw, reserve=amount(reserve, "--reserve"))
        if not dry_run:
            book.nominate(event_id, made.chosen, at=clock_now(), actor=actor)
    if json:
        print_json(_nominated(event_id, made) | {"called": not dry_run})
    else:
        _show_nomination(console, event_id, made)
        if dry_run:
            console.say(console.text("plans.dry"))
    return int(ExitStatus.PARTIAL if made.short_kw else ExitStatus.OK)


def _nominated(event_id: str, made: Nomination) -> dict[str, object]:
    return {
        "event": event_id,
        "needed_kw": plain_number(made.needed_kw),
        "expected_kw": plain_number(made.expected_kw),
        "firm_kw": plain_number(made.firm_kw),
        "short_kw": plain_number(made.short_kw),
        "sites": [one.site for one in made.chosen],
    }


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


def track(
    context: typer.Context,
    event_id: EventId,
    meters: Meters,
    *,
    resources: Annotated[
        Path | None,
        typer.Option("--replace", help="Sites that may stand in: site,kw[,reliability][,holder]."),
    ] = None,
    reserve: Reserve = "0.1",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Follow delivery half hour by half hour: promised, called, delivered; with --replace, call stand-ins.

    A site without --meter is read from the database itself.
    A site fails when its newest half hours lie below a share of its call, or cannot be read (rule
    dr_tracking). With --replace failing sites are released now and others called from the next half hour on.
    After the end, when every called site was read, the event is noted as measured. Status 6: a site fails.
    """
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.dr_life import OPEN
    from vpp.settlement.dr_track import replacement
    from vpp.settlement.dr_track import track as follow
    from vpp.settlement.files import read_resources

    console = cast("Console", context.obj)
    stand_ins = None if resources is None else read_resources(resources)
    now = clock_now()
    made: Nomination | None = None
    with open_events(database) as store:
        book = EventBook(store)
        event = book.require(event_id)
        found = follow(store, event, _files(meters), at=now, actor=actor)
        if event.state_at(now) not in OPEN:
            if not found.why and found.sites:
                event = book.measured(
                    event_id, at=now, actor=actor, facts={"sites": len(event.taking_part())}
                )
        elif stand_ins is not None and found.failing:
            wanted, made = replacement(
                book, event, found.failing, stand_ins, reserve=amount(reserve, "--reserve")
            )
            event = book.nominate(event_id, wanted, at=now, actor=actor)
    if json:
        print_json(_tracked(event_id, event.state_at(now).value, found, made))
    else:
        _show_track(console, event_id, found, made)
    return int(ExitStatus.PARTIAL if found.failing else ExitStatus.OK)


def _tracked(event_id: str, state: str, found: Tracked, made: Nomination | None) -> dict[str, object]:
    return {
        "event": event_id,
        "state": state,
        "slots": [
            {
                "start": one.slot.start.isoformat(),
                "promised_kwh": plain_number(one.promised_kwh),
                "called_kwh": plain_number(one.called_kwh),
                "delivered_kwh": plain_number(one.delivered_kwh),
                "unread": one.unread,
            }
            for one in found.slots
        ],
        "delivered_kwh": plain_number(found.delivered_kwh),
        "projected_kwh": None if found.projected_kwh is None else plain_number(found.projected_kwh),
        "failing": dict(found.failing),
        "why": dict(found.why),
        "due": {
            site: {
                "paid_kwh": plain_number(one.kwh),
                "yen": None if one.yen is None else plain_number(one.yen),
            }
            for site, one in found.due.items()
        },
        "called_instead": None if made is None else [one.site for one in made.chosen],
        "short_kw": None if made is None else plain_number(made.short_kw),
    }


def _show_track(console: Console, event_id: str, found: Tracked, made: Nomination | None) -> None:
    if not found.slots:
        print(console.text("events.track_none", event=event_id))
    else:
        print(console.text("events.track_head"))
    for one in found.slots:
        numbers = (one.promised_kwh, one.called_kwh, one.delivered_kwh)
        print(
            f"  {one.slot.local_date} {one.slot.label()}"
            + "".join(f"{number:>12.2f}" for number in numbers)
            + f"{one.unread:>8}"
        )
    for site, due in found.due.items():
        yen = "" if due.yen is None else console.text("event_pay.track_yen", yen=f"{due.yen:,.0f}")
        print(f"  {site:<24}" + console.text("event_pay.track", kwh=f"{due.kwh:,.2f}") + yen)
    for site, how in found.failing.items():
        print(console.text(f"events.failing_{how}", site=site))
    for site, why in found.why.items():
        print(f"  {site:<24}{why}")
    if made is not None:
        sites = ", ".join(one.site for one in made.chosen) or "-"
        print(console.text("events.replaced", sites=sites, short=f"{made.short_kw:.1f}"))


def calls(
    context: typer.Context,
    site: Annotated[str, typer.Argument(help="Id of the site.")],
    *,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show what a site is called for from now on. Its gateway asks for this; nothing is pushed to it."""
    from vpp.i18n import Messages
    from vpp.settlement.dr_events import EventBook

    console = cast("Console", context.obj)
    with open_events(database, read_only=True) as store:
        found = EventBook(store).calls(site, clock_now())
    if json:
        print_json(
            [
                {
                    "event": event.id,
                    "product": event.product.value,
                    "kw": plain_number(call.kw),
                    "start": call.start.isoformat(),
                    "end": call.end.isoformat(),
                    "sequence": call.sequence,
                }
                for event, call in found
            ]
        )
        return
    if not found:
        print(console.text("events.no_calls", site=site))
    words = Messages(console.lang)
    for event, call in found:
        print(
            console.text(
                "events.call",
                event=event.id,
                product=event.product.value,
                kw=f"{call.kw:f}",
                start=words.moment(call.start),
                end=words.moment(call.end),
            )
        )


def settle(
    context: typer.Context,
    event_id: EventId,
    meters: Meters,
    price: Annotated[
        str | None,
        typer.Option(
            "--yen-per-kwh", help="What sites without an agreement of their own are paid. [yen/kWh]"
        ),
    ] = None,
    *,
    adjust: Annotated[
        Literal["add", "ratio", "none"], typer.Option(help="Same-day adjustment of the same sites.")
    ] = "add",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Settle an event that is over. The same readings give the same figures; others make a new version.

    Earlier events a site took part in are no baseline days. A site whose dr: part the database knows is
    measured and paid by that, as it stood when the event began. Status 6: a site could not be measured; it is
    paid nothing automatically and listed with the reason.
    """
    from energy.market.baseline import Adjustment
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.dr_measuring import Measuring
    from vpp.settlement.dr_settling import settle_sites, settlement_rules

    console = cast("Console", context.obj)
    yen = None if price is None else amount(price, "--yen-per-kwh")
    how = Measuring(meters=_files(meters), yen_per_kwh=yen, adjustment=Adjustment(adjust))
    now = clock_now()
    with open_events(database) as store:
        book = EventBook(store)
        event = book.require(event_id)
        sites = settle_sites(store, event, how, at=now, actor=actor)
        made, new = book.settle(
            event_id, sites, yen_per_kwh=yen, at=now, actor=actor, rules=settlement_rules(event)
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
                "called_kwh": None if one.called_kwh is None else plain_number(one.called_kwh),
                "delivered_kwh": None if one.delivered_kwh is None else plain_number(one.delivered_kwh),
                "yen": plain_number(one.yen),
                "yen_per_kwh": _price(one.yen_per_kwh if one.adjustment else made.yen_per_kwh),
                "own_agreement": bool(one.adjustment),
                "method": one.method,
                "why": one.why,
            }
            for one in made.sites
        ],
    }


def _price(yen: Decimal | None) -> int | float | None:
    return None if yen is None else plain_number(yen)


def _show_settlement(console: Console, made: Settlement, *, new: bool) -> None:
    called = sum((one.called_kwh or Decimal(0) for one in made.sites), Decimal(0))
    print(
        console.text(
            "events.settled" if new else "events.settled_same",
            event=made.event,
            version=made.version,
            called=f"{called:,.1f}",
            kwh=f"{made.delivered_kwh:,.1f}",
            yen=f"{made.yen:,.0f}",
        )
    )
    for one in made.sites:
        kwh = "-" if one.delivered_kwh is None else f"{one.delivered_kwh:,.2f} kWh"
        own = console.text("events.own_agreement", yen=f"{one.yen_per_kwh:f}") if one.adjustment else ""
        print(
            f"  {one.site:<24}{kwh:>16}{one.yen:>12,.0f}  {'; '.join(filter(None, (own, one.why)))}".rstrip()
        )
