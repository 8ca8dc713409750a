"""``vpp dr listen``: events of an upstream with OpenADR 2.0b, taken and answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.dr_event import DEFAULT_DATABASE, Database, open_events
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.market.dr_products import Product
    from vpp.openadr.inbox import Terms
    from vpp.openadr.ven import Heard, Link, Lost

__all__ = ["listen"]

Telemetry = Annotated[
    bool, typer.Option("--telemetry", help="Offer the portfolio's power as a report (purpose dr-telemetry).")
]
NAMES = "economic, tight, up, capacity, balancing"


def listen(
    context: typer.Context,
    vtn: Annotated[str, typer.Option(help="Address of the upstream: https://host/OpenADR2/Simple/2.0b.")],
    name: Annotated[str, typer.Option(help="Name under which this node registers (venName).")],
    *,
    product: Annotated[
        Literal["economic", "tight", "up", "capacity", "balancing"],
        typer.Option(help="What events are sold as, unless their programme says otherwise."),
    ] = "economic",
    programmes: Annotated[
        list[str] | None,
        typer.Option("--programme", help="URI=PRODUCT for a market context; may be repeated."),
    ] = None,
    answer: Annotated[
        Literal["in", "ask", "out"],
        typer.Option(help="in: yes to what the product allows; ask: an operator answers; out: no."),
    ] = "in",
    cert: Annotated[Path | None, typer.Option(help="Our certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    passphrase: Annotated[
        str | None, typer.Option(help="Of the key, as env:NAME; never the secret itself.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificate of the upstream's authority, PEM.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option(help="Of the upstream's certificate; then every message must be signed.")
    ] = None,
    sign: Annotated[bool, typer.Option("--sign/--no-sign", help="Sign our messages with the key.")] = True,
    max_skew: Annotated[int, typer.Option(help="Clock difference that is pointed out. [s]", min=1)] = 60,
    telemetry: Telemetry = False,
    polls: Annotated[int | None, typer.Option(help="Ask so many times, then stop.", min=1)] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Take events from an upstream with OpenADR 2.0b and answer them, until stopped or after --polls.

    The same event and modification again changes nothing; a cancel stops the event at once, and so does an
    event that the upstream no longer lists. When the link is lost, events go on to their end, and what was
    missed is asked for when it is back. Needs the extra openadr: pip install 'aizu-vpp[openadr]'.

    With --telemetry the upstream may ask for the mean power, by half hours, that the enrolled sites with a
    consent for dr-telemetry draw together; nothing is sent for a group that is too small, or where a reading
    is missing.

    Ends with status 5 if the upstream could not be reached at the last try.

    Example: vpp dr listen --vtn https://vtn.example/OpenADR2/Simple/2.0b --name aizu --cert ven.pem
    --key ven.key --ca ca.pem --programme http://example.com/reserve=balancing
    """
    from datetime import timedelta

    from energy.market.dr_products import Product
    from vpp.openadr.inbox import Terms
    from vpp.openadr.ven import Link

    console = cast("Console", context.obj)
    link = Link(
        url=vtn,
        ven_name=name,
        cert=cert,
        key=key,
        passphrase=_secret(passphrase),
        ca=ca,
        fingerprint=fingerprint,
        sign=sign,
    )
    terms = Terms(
        products=_programmes(programmes or []),
        product=Product(product),
        policy=answer,
        most_skew=timedelta(seconds=max_skew),
        telemetry=telemetry,
    )

    return _listen(console, link, terms, database, polls=polls, json=json)


def _listen(
    console: Console, link: Link, terms: Terms, database: str, *, polls: int | None, json: bool
) -> int:
    """Run the node and say what it finds: a lost link once when it goes, once when it is back."""
    import asyncio

    from energy.core.clock import SystemClock
    from vpp.openadr.ven import Lost, Ven

    gone = False

    def tell(found: Heard | Lost) -> None:
        nonlocal gone
        _tell(console, found, json=json, again=gone)
        gone = isinstance(found, Lost)

    async def run() -> Heard | Lost:
        async with Ven(store, link, terms, SystemClock()) as node:
            return await node.run(tell, steps=polls)

    with open_events(database) as store:
        found = asyncio.run(run())
    return int(ExitStatus.DEVICE if isinstance(found, Lost) else ExitStatus.OK)


def _tell(console: Console, found: Heard | Lost, *, json: bool, again: bool) -> None:
    from vpp.openadr.ven import Lost

    if json:
        print_json(_document(found))
    elif isinstance(found, Lost):
        if not again:
            console.say(console.text("openadr.lost", why=found.why, running=", ".join(found.running) or "-"))
    else:
        if found.returned_after is not None:
            console.say(console.text("openadr.returned", seconds=round(found.returned_after.total_seconds())))
        for one in found.answers:
            key = "openadr.in" if one.opt == "optIn" else "openadr.out"
            print(console.text(key, event=one.event, modification=one.modification))


def _document(found: Heard | Lost) -> dict[str, object]:
    from vpp.openadr.ven import Lost

    if isinstance(found, Lost):
        return {
            "reached": False,
            "why": found.why,
            "since": found.since.isoformat(),
            "running": list(found.running),
        }
    return {
        "reached": True,
        "messages": found.messages,
        "answers": [
            {"event": one.event, "modification": one.modification, "opt": one.opt} for one in found.answers
        ],
        "lost_for_s": None if found.returned_after is None else found.returned_after.total_seconds(),
    }


def _secret(reference: str | None) -> str | None:
    """The secret that ``env:NAME`` names."""
    import os

    if reference is None:
        return None
    kind, _, name = reference.partition(":")
    if kind != "env" or name not in os.environ:
        raise ConfigError(
            "the passphrase cannot be read",
            where="--passphrase" if kind != "env" else f"the environment has no {name}",
            hint="write env:NAME and set NAME; secrets do not belong on a command line",
        )
    return os.environ[name]


def _programmes(told: list[str]) -> dict[str, Product]:
    from energy.market.dr_products import Product

    found = {}
    for one in told:
        uri, equals, name = one.rpartition("=")
        if not equals or name not in [product.value for product in Product]:
            raise ConfigError(
                f"{one!r} names no programme", where="--programme", hint=f"write URI=PRODUCT: {NAMES}"
            )
        found[uri] = Product(name)
    return found
