"""What commands share that keep their figures in the database: options, and what was kept in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from energy.store import SqlStore
    from vpp.cli.console import Console
    from vpp.settlement.record import KeptSettlement

__all__ = ["DEFAULT_DATABASE", "Actor", "Database", "keep", "open_named"]

DEFAULT_DATABASE = "vpp.db"

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with --keep: a file or a URL.")
]
Actor = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]


def open_named(database: str, *, read_only: bool = False) -> SqlStore:
    """A database by its file or URL."""
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


def keep(console: Console, database: str, made: KeptSettlement, *, actor: str) -> None:
    """Keep figures with what they were made from, and say under which id, on stderr."""
    from energy.core.clock import SystemClock
    from vpp.settlement.record import SettlementBook

    with open_named(database) as store:
        kept = SettlementBook(store).keep(made, at=SystemClock().now(), actor=actor)
    console.say(console.text("kept.new" if kept.new else "kept.same", id=kept.id))
    if kept.new:
        for why in kept.because:
            console.say(f"  {why}")
