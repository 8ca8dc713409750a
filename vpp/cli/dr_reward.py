"""``vpp dr reward``: points of a settled event for people without a car."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vpp.cli.dr_event import (
    DEFAULT_DATABASE,
    OPERATOR,
    Actor,
    Database,
    EventId,
    amount,
    clock_now,
    open_events,
)
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.ledger import Grant, NoGrant
    from vpp.settlement.comfort import Proof
    from vpp.settlement.reward_file import Claim
    from vpp.settlement.rewards import Rewarded

__all__ = ["reward"]


def reward(
    context: typer.Context,
    event_id: EventId,
    rules: Annotated[Path, typer.Option(help="Rules by which points are earned, YAML.")],
    claims: Annotated[Path, typer.Option(help="Who takes part: person,way,asset,from,to.")],
    *,
    budget: Annotated[
        str, typer.Option("--budget-yen", help="Money added to what the event settled. [yen]")
    ] = "0",
    readings: Annotated[
        str | None, typer.Option(help="Database with the rooms' readings, if not that of the events.")
    ] = None,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Grant points of a settled tight-supply event for saving at home or letting a room go.

    A saving is that of the site in the event's settlement. Comfort (SITE/ROOM) counts whole half hours in
    which the room's stored temperature was at the rule's limit or beyond it:

        person,way,asset,from,to
        hanako,saving,home-7,,
        taro,comfort,kitakata/office,2026-11-25T16:00+09:00,2026-11-25T18:00+09:00

    Nobody without consent at this moment is granted anything (purposes saving-rewards and comfort-rewards).
    Caps come first, then the money: points are never worth more than the event settled, unless --budget-yen
    adds to it (rule coin_value). Doing it again grants nothing twice.
    """
    from contextlib import ExitStack

    from vpp.cli.bill import warn_unverified
    from vpp.cli.keeping import open_named
    from vpp.settlement.dr_events import EventBook
    from vpp.settlement.reward_file import read_claims, read_reward_rules
    from vpp.settlement.rewards import reward_event

    console = cast("Console", context.obj)
    told, people = read_reward_rules(rules), read_claims(claims)
    money = amount(budget, "--budget-yen")
    with ExitStack() as close:
        store = close.enter_context(open_events(database))
        day = EventBook(store).require(event_id).day
        rooms = None if readings is None else close.enter_context(open_named(readings, read_only=True))
        made = reward_event(
            store,
            event_id,
            told,
            people,
            budget_yen=money,
            at=clock_now(),
            actor=actor,
            readings=rooms,
        )
    from energy.market.rules import facts_on

    warn_unverified(console, facts_on("coin_value", day))
    if json:
        print_json(_document(event_id, made))
        return
    _show(console, event_id, made)


def _show(console: Console, event_id: str, made: Rewarded) -> None:
    """Sentence first, then claim by claim, with what a room's readings do not prove."""
    print(
        console.text(
            "rewards.lead",
            event=event_id,
            points=f"{sum(_points(one) for _, one in made.results):,}",
            covered=f"{made.covered_points:,}",
            new=made.new,
        )
    )
    for (claim, one), proof in zip(made.results, made.proofs, strict=True):
        asset = f"{claim.site}/{claim.asset}" if claim.site else claim.asset
        print(f"  {claim.person:<24}{claim.way:<10}{asset:<20}{_points(one):>8}  {_why(one)}".rstrip())
        if proof is not None and not proof.whole:
            print("    " + console.text("rewards.proof", **proof.facts()))


def _points(one: Grant | NoGrant) -> int:
    from energy.ledger import Grant

    return one.points if isinstance(one, Grant) else 0


def _why(one: Grant | NoGrant) -> str:
    from energy.ledger import NoGrant

    return f"{one.why.value} {one.detail}".strip() if isinstance(one, NoGrant) else ""


def _document(event_id: str, made: Rewarded) -> dict[str, object]:
    def row(claim: Claim, one: Grant | NoGrant, proof: Proof | None) -> dict[str, object]:
        return {
            "person": claim.person,
            "way": claim.way,
            "site": claim.site,
            "asset": claim.asset,
            "points": _points(one),
            "why": _why(one),
            "proof": None if proof is None else proof.facts(),
        }

    return {
        "event": event_id,
        "covered_points": made.covered_points,
        "new": made.new,
        "results": [
            row(claim, one, proof) for (claim, one), proof in zip(made.results, made.proofs, strict=True)
        ],
    }
