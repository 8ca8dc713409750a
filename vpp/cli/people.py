"""``vpp people``: who may come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from energy.store import SqlStore
    from vpp.people.accounts import People

__all__ = ["app"]

app = typer.Typer(help="People: who may come in, with one-time links.", no_args_is_help=True)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database of the service: a file or a URL.")
]
Name = Annotated[str, typer.Argument(metavar="ID", help="Log-in name, such as hana or hana@example.jp.")]
Address = Annotated[
    str, typer.Option("--url", envvar="VPP_URL", help="Address under which people reach the service.")
]
ACTOR = "vpp-people"
DEFAULT_URL = "http://127.0.0.1:8080"


def _people(store: SqlStore) -> People:
    from energy.core.clock import SystemClock
    from vpp.people.accounts import People

    return People(store, SystemClock())


@app.command("list")
def list_(context: typer.Context, database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """Show everybody, disabled accounts included."""
    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        found = _people(store).all()
    if json:
        print_json([one.to_json() for one in found])
        return
    if not found:
        print(console.text("people.nobody"))
    for one in found:
        own = ", ".join((*one.objects.sites, *one.objects.cars, *filter(None, [one.objects.party])))
        print(
            console.text(
                "people.line",
                id=one.id,
                name=one.name,
                role=console.text(f"role.{one.role.value}"),
                state=console.text(f"account_state.{one.state.value}"),
                own=own or console.text("people.nothing_own"),
                factor=console.text("people.with_code" if one.second_factor else "people.without_code"),
            )
        )


@app.command()
def invite(
    context: typer.Context,
    account_id: Name,
    role: Annotated[
        Literal["operator", "factory", "retailer", "driver", "installer", "auditor", "administrator"],
        typer.Option(help="What they come for."),
    ],
    *,
    name: Annotated[str, typer.Option(help="What screens call them; the log-in name if none.")] = "",
    sites: Annotated[
        list[str] | None, typer.Option("--site", help="Own site, for factory and installer; may be repeated.")
    ] = None,
    cars: Annotated[
        list[str] | None, typer.Option("--car", help="Own car as site/car, for drivers; may be repeated.")
    ] = None,
    party: Annotated[str, typer.Option(help="Company as named in consents and plans, for retailers.")] = "",
    lang: Annotated[Literal["ja", "en"], typer.Option(help="Language of their screens.")] = "ja",
    url: Address = DEFAULT_URL,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Make an account and print its one-time link, once. There are no default passwords.

    The first administrator comes in like this too:

        vpp people invite hana --role administrator
    """
    from vpp.people.accounts import INVITATION_LASTS
    from vpp.people.roles import Objects, Role

    console = cast("Console", context.obj)
    objects = Objects(sites=tuple(sites or ()), cars=tuple(cars or ()), party=party)
    with open_named(database) as store:
        secret = _people(store).invite(
            account_id, name=name, role=Role(role), objects=objects, lang=lang, actor=ACTOR
        )
    console.say(console.text("people.invited", id=account_id, hours=_hours(INVITATION_LASTS)))
    print(f"{url.rstrip('/')}/welcome/{secret}")


@app.command()
def reset(
    context: typer.Context,
    account_id: Name,
    *,
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="Also forget the second factor, for a lost phone.")
    ] = False,
    url: Address = DEFAULT_URL,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """End a password and all sessions, print a link for a new one. Also brings back who was shut out."""
    from vpp.people.accounts import RESET_LASTS

    console = cast("Console", context.obj)
    with open_named(database) as store:
        secret = _people(store).reset(account_id, actor=ACTOR, second_factor=second_factor)
    console.say(console.text("people.reset", id=account_id, hours=_hours(RESET_LASTS)))
    print(f"{url.rstrip('/')}/welcome/{secret}")


@app.command()
def disable(context: typer.Context, account_id: Name, database: Database = DEFAULT_DATABASE) -> None:
    """Shut somebody out at once: sessions, links, tokens and webhooks end."""
    console = cast("Console", context.obj)
    with open_named(database) as store:
        is_new = _people(store).disable(account_id, actor=ACTOR)
    print(console.text("people.disabled" if is_new else "people.was_disabled", id=account_id))


def _hours(lasts: object) -> int:
    from datetime import timedelta

    return int(cast("timedelta", lasts) / timedelta(hours=1))
