"""``vpp serve``: the running service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vpp.cli.console import Console

if TYPE_CHECKING:
    from vpp.web.config import ServiceConfig

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
) -> int:
    """Serve console and API on an existing database, until it is told to stop (Ctrl-C, SIGTERM).

    It listens on the loopback unless told otherwise. Nobody can come in before somebody is invited:

        vpp people invite hana --role administrator
    """
    console = cast("Console", context.obj)
    wanted = _settings(config, database, host, port)
    _somebody(console, wanted)
    from vpp.web.serving import serve as run

    console.say(console.text("serve.listening", url=wanted.web.public_url or _address(wanted)))
    return run(wanted)


def _settings(config: Path | None, database: str | None, host: str | None, port: int | None) -> ServiceConfig:
    """The file, with what the command line says in its place."""
    from dataclasses import replace

    from vpp.config import read_yaml
    from vpp.web.config import ServiceConfig

    read = ServiceConfig() if config is None else read_yaml(config, ServiceConfig)
    store = read.store if database is None else replace(read.store, url=database)
    web = read.web if host is None else replace(read.web, host=host)
    return replace(read, store=store, web=web if port is None else replace(web, port=port))


def _somebody(console: Console, wanted: ServiceConfig) -> None:
    """Refuse a database that does not exist, and say how the first one comes in."""
    from energy.core.errors import ConfigError
    from energy.store import open_store

    path = wanted.store.url if "://" not in wanted.store.url else None
    if path is not None and not Path(path).exists():
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
