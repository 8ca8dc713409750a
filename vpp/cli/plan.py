"""``vpp plan``: plans made, checked, explained and compared."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError
from vpp.cli.plan_file import bench, check, diff, explain_file, make
from vpp.console import DEFAULT_STATE, Console, newest_database, open_database

if TYPE_CHECKING:
    from energy.store import Document, Snapshot
    from vpp.i18n import Messages
    from vpp.site.records import SlotRecord

__all__ = ["app"]

app = typer.Typer(help="Plans: made, checked, explained, compared.", no_args_is_help=True)
app.command()(make)
app.command()(check)
app.command()(diff)
app.command()(bench)


@app.callback()
def _plan() -> None:
    """Plans: made, checked, explained, compared."""


@app.command()
def explain(
    context: typer.Context,
    slot: Annotated[
        str | None, typer.Argument(help="2026-08-05T16:30, or 16:30 for the last stored day.")
    ] = None,
    asset: Annotated[str | None, typer.Argument(help="Id of a car or a room, or pv.")] = None,
    state: Annotated[Path, typer.Option(help="Folder of a simulation.")] = DEFAULT_STATE,
    controller: Annotated[str, typer.Option(help="none, rules, optimal-p50 or optimal.")] = "optimal",
    problem: Annotated[
        Path | None, typer.Option(help="Problem file to plan and explain, instead of a stored plan.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Plan of that problem, if it is made already.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say in words what an asset was told to do in a slot, and why.

    With --problem the plan of a file is explained: all slots and assets unless some are named, and what one
    more kW of load or 10 % more charge would cost.

    Example: vpp plan explain --problem examples/problem.json 16:30
    """
    if problem is not None:
        explain_file(context, problem, plan=plan, slot=slot, asset=asset, json=json)
        return
    if plan is not None:
        raise ConfigError(
            "--plan needs --problem", where="--plan", hint="name the problem that it was made for"
        )
    if slot is None or asset is None:
        raise ConfigError(
            "a slot and an asset are missing",
            where="vpp plan explain SLOT ASSET",
            hint="vpp plan explain 16:30 leaf, or --problem FILE",
        )
    from energy.core.slots import Slot
    from vpp.i18n import Messages
    from vpp.site.records import SLOT_RECORD
    from vpp.site.sitebook import asset_names
    from vpp.views.explain import explain_slot

    console = cast("Console", context.obj)
    store = open_database(newest_database(state, controller))
    try:
        known = store.as_of(_END_OF_TIME)
        documents = known.documents(SLOT_RECORD)
        if not documents:
            raise DataError("nothing was planned yet", where=str(state), hint="run vpp demo first")
        wanted = Slot.containing(_instant(slot, documents))
        record = _find(documents, wanted.start)
        said = explain_slot(record, asset, names=asset_names(known), lang=console.lang)
        rooms = _rooms(store.as_of(wanted.start), asset, Messages(console.lang))
    finally:
        store.close()
    if json:
        from json import dumps

        print(dumps({**said.to_json(), "room": rooms}, ensure_ascii=False, indent=1))
    else:
        print("\n".join([*said.sentences, *rooms]))


def _rooms(known: Snapshot, asset: str, words: Messages) -> list[str]:
    """What the plan reckoned with, if the asset is a room that learns."""
    from vpp.site.rooms import standing_of
    from vpp.site.sitebook import kept_sites, site_of
    from vpp.views.roomwords import room_sentences

    sites = [site for name in kept_sites(known) if (site := site_of(known, name)) is not None]
    return [
        sentence
        for site in sites
        for zone in site.zones
        if zone.id == asset
        for sentence in room_sentences(words, zone, standing_of(known, site, zone))
    ]


_END_OF_TIME = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def _instant(text: str, documents: list[Document]) -> datetime:
    """An instant from ``YYYY-MM-DDTHH:MM`` in Japan, or from ``HH:MM`` of the last stored day."""
    from energy.core.slots import JST, parse_jst

    try:
        if len(text.strip()) <= 5:
            last = _start(documents[-1]).astimezone(JST).date()
            return parse_jst(f"{last.isoformat()} {text.strip().zfill(5)}")
        return parse_jst(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a slot", where="SLOT", hint="write it like 2026-08-05T16:30"
        ) from None


def _start(document: Document) -> datetime:
    return datetime.fromisoformat(document.key.rsplit("/", 1)[1])


def _find(documents: list[Document], start: datetime) -> SlotRecord:
    from energy.core.slots import JST
    from vpp.site.records import SlotRecord

    for document in documents:
        if _start(document) == start:
            return SlotRecord.from_json(document.body)
    first, last = _start(documents[0]).astimezone(JST), _start(documents[-1]).astimezone(JST)
    raise DataError(
        f"nothing is stored for {start.astimezone(JST):%Y-%m-%d %H:%M}",
        where=f"stored: {first:%Y-%m-%d %H:%M} to {last + timedelta(minutes=30):%Y-%m-%d %H:%M} (Japan)",
        hint="choose a slot inside these days",
    )
