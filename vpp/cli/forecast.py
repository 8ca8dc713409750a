"""``vpp forecast``: forecasts made, looked at and measured."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(help="Make, show and measure forecasts.", no_args_is_help=True)


@app.callback()
def _forecast() -> None:
    """Make, show and measure forecasts."""
