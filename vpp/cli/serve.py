"""``vpp serve``: the running service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig

__all__ = ["serve"]


def serve(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option(envvar="VPP_CONFIG", help="YAML of the service; defaults if none.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--db", envvar="VPP_DB", help="Database, in place of store.url: a file or a URL."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, in place of web.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, in place of web.port.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Everything but writing to equipment, whatever the file says.")
    ] = False,
    demo: Annotated[
        bool,
        typer.Option("--demo", help="A factory, a city hall and a small region, live and faster than time."),
    ] = False,
    speed: Annotated[
        float | None, typer.Option(min=1, max=600, help="With --demo: seconds of it in a second.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="With --demo: folder that keeps it over a restart; a temporary one if none."),
    ] = None,
    past: Annotated[
        int | None, typer.Option(min=1, max=200, help="With --demo: hours simulated before it runs (33).")
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="With --demo: only this site, such as kitakata; may be repeated.")
    ] = None,
) -> int:
    """Serve console and API, and run what the file names, until told to stop (Ctrl-C, SIGTERM).

    Without a file it only shows an existing database. With one it runs its sites and jobs as well. It listens
    on the loopback unless told otherwise. Nobody can come in before somebody is invited:

        vpp people invite hana --role administrator
    """
    from vpp.ops.memory import keep_few_arenas

    keep_few_arenas()
    console = cast("Console", context.obj)
    wanted = _settings(config, database, host, port)
    if demo:
        given = config is not None or database is not None
        return _demo(console, wanted, speed=speed, state=state, past=past, sites=site or (), given=given)
    if (speed, state, past, site or None) != (None, None, None, None):
        raise ConfigError(
            "--speed, --state, --past and --site belong to --demo",
            where="vpp serve",
            hint="real time cannot be hurried",
        )
    _somebody(console, wanted, makes=bool(wanted.sites))
    from vpp.web.serving import serve as run

    console.say(console.text("serve.listening", url=wanted.web.public_url or _address(wanted)))
    if config is None:
        return run(wanted)
    from vpp.live.serving import beside

    return run(wanted, beside(wanted, folder=config.resolve().parent, dry_run=dry_run))


def _demo(
    console: Console,
    wanted: ServiceConfig,
    *,
    speed: float | None,
    state: Path | None,
    past: int | None,
    sites: Sequence[str],
    given: bool,
) -> int:
    """A demonstration; it has a database and sites of its own, so none may be given."""
    if given:
        raise ConfigError(
            "--demo has sites and a database of its own",
            where="vpp serve --demo with --config or --db",
            hint="leave them out; --state FOLDER keeps a demonstration",
        )
    from vpp.live.demo import Demo, serve_demo
    from vpp.live.demo_places import places

    names = tuple(sites)
    places(names)  # a name that does not exist is refused before anything begins
    demo = Demo(web=wanted.web, speed=speed or 60.0, state=state, past_hours=past or 33, sites=names)
    return serve_demo(demo, console)


def _settings(config: Path | None, database: str | None, host: str | None, port: int | None) -> ServiceConfig:
    """The file, with what the command line says in its place."""
    from dataclasses import replace

    from vpp.config import read_yaml
    from vpp.setup.service import ServiceConfig

    read = ServiceConfig() if config is None else read_yaml(config, ServiceConfig)
    store = read.store if database is None else replace(read.store, url=database)
    web = read.web if host is None else replace(read.web, host=host)
    return replace(read, store=store, web=web if port is None else replace(web, port=port))


def _somebody(console: Console, wanted: ServiceConfig, *, makes: bool) -> None:
    """Refuse a database that does not exist and is not about to be made; say how the first one comes in."""
    from energy.store import open_store

    path = wanted.store.url if "://" not in wanted.store.url else None
    if path is not None and not makes and not Path(path).exists():
        raise ConfigError(
            "there is no database to serve",
            where=path,
            hint="the first invitation makes it: vpp people invite NAME --role administrator",
        )
    with open_store(wanted.store.address) as store:
        if not store.rows.accounts.find():
            console.say(console.text("people.nobody"))


def _address(wanted: ServiceConfig) -> str:
    return f"http://{wanted.web.host}:{wanted.web.port}"
