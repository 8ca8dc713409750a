"""``vpp room show``: what a site's rooms have learned, night by night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from energy.core.assets import HvacZone
    from energy.core.site import Site
    from energy.store import Snapshot
    from vpp.i18n import Messages

__all__ = ["show"]

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database of the service: a file or a URL.")
]


def show(
    context: typer.Context,
    site: Annotated[str | None, typer.Option(help="Id of the site, if the database holds several.")] = None,
    room: Annotated[str | None, typer.Option(help="Id of one room; all if none.")] = None,
    *,
    nights: Annotated[int, typer.Option(min=1, max=400, help="How many nights back.")] = 1,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show what plans reckon each room with, learned or declared, and why.

    vpp room show --db vpp.db --nights 14
    """
    from vpp.i18n import Messages
    from vpp.jobs.board import clock_of

    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        known = store.as_of(clock_of(store).now())
        found = _site(known, site)
        zones = [one for one in found.zones if room is None or one.id == room]
        if not zones:
            raise ConfigError(
                f"{found.id} has no room {room}" if room else f"{found.id} has no room",
                where=f"its rooms are {', '.join(one.id for one in found.zones) or 'none'}",
                hint="name one of these with --room" if found.zones else "choose another site with --site",
            )
        if json:
            print_json([_document(known, found, zone, nights) for zone in zones])
            return
        for zone in zones:
            _print(Messages(console.lang), known, found, zone, nights)


def _site(known: Snapshot, wanted: str | None) -> Site:
    from vpp.site.sitebook import kept_sites, site_of

    sites = kept_sites(known)
    name = wanted or (sites[0] if len(sites) == 1 else None)
    found = None if name is None else site_of(known, name)
    if found is None:
        raise ConfigError(
            f"the database knows no site {wanted!r}" if wanted else "which site is it?",
            where=f"its sites are {', '.join(sites) or 'none'}",
            hint="name one with --site",
        )
    return found


def _document(known: Snapshot, site: Site, zone: HvacZone, nights: int) -> dict[str, object]:
    from json import loads

    from vpp.site.rooms import room_history, standing_of

    standing = standing_of(known, site, zone)
    return {
        "room": zone.id,
        "learns": zone.learn,
        "state": "declared" if standing is None else standing.state.value,
        "nights": [loads(one.to_json()) for one in room_history(known, site.id, zone.id)[-nights:]],
    }


def _print(words: Messages, known: Snapshot, site: Site, zone: HvacZone, nights: int) -> None:
    from vpp.site.rooms import room_history, standing_of
    from vpp.views.roomwords import room_sentences, value_rows, why_sentence

    print(zone.name_ja if words.lang == "ja" else zone.name_en)
    if not zone.learn:
        print(f"  {words.text('room_use.off')}")
        return
    standing = standing_of(known, site, zone)
    for sentence in room_sentences(words, zone, standing):
        print(f"  {sentence}")
    if standing is not None:
        for name, used, declared in value_rows(words, standing):
            print(f"  {words.text('room_use.line', name=name, used=used, declared=declared)}")
    if nights > 1:
        for one in room_history(known, site.id, zone.id)[-nights:]:
            state = words.text(f"room_use.state.{one.state.value}")
            print(f"  {words.day(one.day)} {state} {why_sentence(words, one)}")
