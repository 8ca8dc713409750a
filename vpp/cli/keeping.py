"""What commands share that keep their figures in the database: options, and what was kept in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy.core.errors import VppError

if TYPE_CHECKING:
    from energy.store import SqlStore
    from vpp.console import Console
    from vpp.settlement.record import KeptSettlement

__all__ = ["DEFAULT_DATABASE", "Actor", "Database", "keep", "noted_refusal", "open_named"]

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


@contextmanager
def noted_refusal(
    database: str, key: str | None, actor: str, files: Mapping[str, Path | None]
) -> Iterator[None]:
    """Put into the audit trail what could not be settled and why; without a key nothing is noted.

    A meter gap, a negative energy or a half hour that comes twice stops the settlement; that it did is as
    much part of its history as the version that comes after the file is mended.
    """
    try:
        yield
    except VppError as error:
        if key is not None:
            from hashlib import sha256

            from energy.core.clock import SystemClock

            facts: dict[str, object] = {"why": error.what, "where": error.lines()[1], "code": error.code}
            for role, path in files.items():
                if path is not None and path.is_file():
                    facts[role] = f"{path.name} {sha256(path.read_bytes()).hexdigest()}"
            act = f"{key.partition('/')[0]}.refused"
            with open_named(database) as store:
                store.audit(actor, act, f"settlement/{key}", at=SystemClock().now(), facts=facts)
        raise
