"""The command ``vpp``. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vpp.cli.alert import app as alert_app
from vpp.cli.audit import app as audit_app
from vpp.cli.bill import bill
from vpp.cli.cars import app as cars_app
from vpp.cli.consent import app as consent_app
from vpp.cli.data import app as data_app
from vpp.cli.db import app as db_app
from vpp.cli.device import app as device_app
from vpp.cli.dr import app as dr_app
from vpp.cli.echonet import app as echonet_app
from vpp.cli.forecast import app as forecast_app
from vpp.cli.jobs import app as jobs_app
from vpp.cli.ledger import app as ledger_app
from vpp.cli.market import app as market_app
from vpp.cli.ocpp import app as ocpp_app
from vpp.cli.paper import app as paper_app
from vpp.cli.people import app as people_app
from vpp.cli.plan import app as plan_app
from vpp.cli.region import app as region_app
from vpp.cli.retention import app as retention_app
from vpp.cli.room import app as room_app
from vpp.cli.rules import app as rules_app
from vpp.cli.run import run as run_service
from vpp.cli.serve import serve
from vpp.cli.settle import app as settle_app
from vpp.cli.simulation import demo, doctor, simulate
from vpp.console import Console, default_lang, guarded
from vpp.threads import end_process, one_blas_thread

__all__ = ["app", "run"]

app = typer.Typer(
    name="vpp",
    help="Regional energy aggregation: forecasts, plans, control and coins. 地域エネルギー管理。",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command()(simulate)
app.command()(doctor)
app.command()(bill)
app.command()(serve)
app.command("run")(run_service)
app.add_typer(plan_app, name="plan")
app.add_typer(data_app, name="data")
app.add_typer(db_app, name="db")
app.add_typer(ledger_app, name="ledger")
app.add_typer(consent_app, name="consent")
app.add_typer(forecast_app, name="forecast")
app.add_typer(cars_app, name="cars")
app.add_typer(room_app, name="room")
app.add_typer(region_app, name="region")
app.add_typer(device_app, name="device")
app.add_typer(ocpp_app, name="ocpp")
app.add_typer(echonet_app, name="echonet")
app.add_typer(rules_app, name="rules")
app.add_typer(market_app, name="market")
app.add_typer(dr_app, name="dr")
app.add_typer(settle_app, name="settle")
app.add_typer(paper_app, name="paper")
app.add_typer(audit_app, name="audit")
app.add_typer(alert_app, name="alert")
app.add_typer(retention_app, name="retention")
app.add_typer(people_app, name="people")
app.add_typer(jobs_app, name="jobs")

_console = Console(default_lang())


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("aizu-vpp"))
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    lang: Annotated[
        Literal["ja", "en"] | None, typer.Option(help="Language of texts; that of LANG if not given.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Regional energy aggregation: forecasts, plans, control and coins. 地域エネルギー管理。"""
    if lang is not None:
        _console.lang = lang
    _console.debug = debug
    context.obj = _console


def run() -> None:
    """Entry point of the command."""
    one_blas_thread()
    end_process(guarded(lambda: app(standalone_mode=False), lambda: _console))


if __name__ == "__main__":
    run()
