"""``vpp run``: sites and jobs of a service, without the web part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from vpp.console import Console

__all__ = ["run"]


def run(
    context: typer.Context,
    config: Annotated[Path, typer.Option(envvar="VPP_CONFIG", help="YAML of the service.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Everything but writing to equipment, whatever the file says.")
    ] = False,
) -> int:
    """Run the sites of a service: read, guard, command, plan, keep; until Ctrl-C or SIGTERM.

    At the end every site is left in its safe state. Equipment is only written to where the file says
    ``access: control``.
    """
    from vpp.config import read_yaml
    from vpp.live.running import run_sites
    from vpp.ops.memory import keep_few_arenas
    from vpp.setup.service import ServiceConfig

    keep_few_arenas()
    console = cast("Console", context.obj)
    wanted = read_yaml(config, ServiceConfig)
    return run_sites(
        wanted,
        folder=config.resolve().parent,
        dry_run=dry_run,
        ready=lambda sites: console.say(console.text("run.runs", sites=", ".join(sites))),
    )
