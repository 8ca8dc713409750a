"""``vpp forecast``: forecasts made, looked at and measured."""

from __future__ import annotations

import typer

from vpp.cli.forecast_backtest import backtest
from vpp.cli.forecast_bench import bench
from vpp.cli.forecast_explain import explain
from vpp.cli.forecast_export import export
from vpp.cli.forecast_run import run, show
from vpp.cli.forecast_score import models, score

__all__ = ["app"]

app = typer.Typer(help="Make, show and measure forecasts.", no_args_is_help=True)
app.command()(backtest)
app.command()(bench)
app.command()(run)
app.command()(show)
app.command()(score)
app.command()(models)
app.command()(explain)
app.command()(export)


@app.callback()
def _forecast() -> None:
    """Make, show and measure forecasts."""
