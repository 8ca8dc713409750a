"""``vpp forecast export``: forecasts for retailers and generators, summed over consenting sites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ExitStatus
from vpp.cli.forecast_site import Json, instant, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.forecasts.delivery import Delivered, Withheld
    from vpp.i18n import Messages

__all__ = ["export"]


def export(
    context: typer.Context,
    recipient: Annotated[str, typer.Option("--to", help="Who receives it, as named in the consents.")],
    day: Annotated[
        str | None, typer.Argument(help="Day of delivery, YYYY-MM-DD in Japan; tomorrow if none.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path(),
    target: Annotated[Literal["demand", "pv"], typer.Option(help="What is forecast.")] = "demand",
    *,
    form: Annotated[Literal["both", "csv", "json"], typer.Option("--format", help="Files.")] = "both",
    responsible: Annotated[
        str, typer.Option("--as", help="Who is responsible for the data, as named in the consents.")
    ] = "aizu-spc",
    database: Annotated[
        str, typer.Option("--db", envvar="VPP_DB", help="Database with the sites: a file or a URL.")
    ] = "vpp.db",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be delivered; write nothing.")
    ] = False,
    json: Json = False,
) -> int:
    """Write the newest forecasts of a day as CSV and JSON: the sum of the sites that consent at this moment.

    The same content is the same version; changed content is the next one and says what changed. Status 6: a
    consenting site had no forecast. Status 7: too few sites, or one would show through; nothing is written.
    """
    from datetime import timedelta

    from energy.core.clock import SystemClock
    from energy.core.slots import JST
    from energy.store import open_store
    from vpp.forecasts.delivery import FileKind, Order, Withheld, deliver, preview
    from vpp.forecasts.handover import DeliveryTarget
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    clock = SystemClock()
    now = clock.now()
    delivery_day = now + timedelta(days=1) if day is None else instant(day, "DAY")
    order = Order(
        recipient=recipient,
        controller=responsible,
        target=DeliveryTarget(target),
        day=delivery_day.astimezone(JST).date(),
    )
    kinds = tuple(FileKind) if form == "both" else (FileKind(form),)
    with open_store(database if "://" in database else f"sqlite:///{database}", read_only=dry_run) as store:
        if dry_run:
            outcome = preview(store, order, at=now)
        else:
            outcome = deliver(store, order, clock=clock, folder=output, kinds=kinds)
    words = Messages(console.lang)
    if json:
        print_json(_document(outcome, dry_run=dry_run))
    else:
        for line in _lines(words, outcome):
            print(line)
        if dry_run:
            console.say(console.text("delivery.dry"))
    if isinstance(outcome, Withheld):
        return int(ExitStatus.CONSENT)
    return int(ExitStatus.PARTIAL if outcome.missing else ExitStatus.OK)


def _lines(words: Messages, outcome: Delivered | Withheld) -> list[str]:
    from vpp.forecasts.delivery import Withheld

    if isinstance(outcome, Withheld):
        lines = [words.text(f"delivery.withheld_{outcome.why}", sites=outcome.sites, needed=outcome.needed)]
    else:
        lines = _told(words, outcome)
    if outcome.missing:
        lines.append(words.text("delivery.missing", sites=", ".join(outcome.missing)))
    if outcome.denied:
        sites = (
            words.text("delivery.denied_site", site=one.subject, why=words.text(f"delivery.why_{one.why}"))
            for one in outcome.denied
        )
        lines.append(words.text("delivery.denied", sites=", ".join(sites)))
    return lines


def _told(words: Messages, outcome: Delivered) -> list[str]:
    delivery = outcome.delivery
    lines = [
        words.text(
            "delivery.lead",
            target=words.text(f"delivery.{delivery.target.value}"),
            day=words.day(delivery.delivery_day),
            recipient=delivery.recipient,
            version=delivery.version,
            sites=delivery.sites,
            energy=words.kwh(delivery.energy_kwh),
            issued=words.moment(delivery.issued_at),
        ),
        _version(words, outcome),
    ]
    if delivery.oldest_issued_at != delivery.issued_at:
        lines.append(words.text("delivery.old_issue", issued=words.moment(delivery.oldest_issued_at)))
    if delivery.suppressed:
        lines.append(words.text("delivery.suppressed", count=delivery.suppressed))
    lines += [words.text("delivery.written", path=path) for path in outcome.files]
    return lines


def _version(words: Messages, outcome: Delivered) -> str:
    """Whether this is a new version, and what it changes."""
    delivery, changes = outcome.delivery, outcome.delivery.changes
    if not outcome.is_new:
        return words.text("delivery.same", version=delivery.version, made=words.moment(delivery.made_at))
    if changes is None:
        return words.text("delivery.first")

    def moved(amount: float, written: str) -> str:
        return words.text("delivery.more" if amount >= 0.0 else "delivery.less", amount=written)

    values = {
        "slots": changes.slots,
        "energy": moved(changes.energy_kwh, words.kwh(abs(changes.energy_kwh))),
        "largest": changes.largest_slot,
        "power": moved(changes.largest_kw, words.kw(abs(changes.largest_kw))),
        "before": changes.sites_before,
    }
    what = words.text("delivery.joint").join(
        words.text(f"delivery.what_{name}", **values)
        for name in changes.what
        if name != "values" or changes.slots
    )
    return words.text("delivery.changed", previous=changes.previous_version, what=what)


def _document(outcome: Delivered | Withheld, *, dry_run: bool) -> dict[str, object]:
    from json import loads

    from vpp.forecasts.delivery import Withheld
    from vpp.forecasts.handover import json_text

    document: dict[str, object] = {
        "denied": [
            {"site": one.subject, "why": one.why.value, "consent": one.consent_id} for one in outcome.denied
        ],
        "missing": list(outcome.missing),
        "dry_run": dry_run,
    }
    if isinstance(outcome, Withheld):
        return {"withheld": outcome.why, "sites": outcome.sites, "needed": outcome.needed, **document}
    return {
        "withheld": None,
        "new_version": outcome.is_new,
        "files": [str(path) for path in outcome.files],
        "delivery": loads(json_text(outcome.delivery)),
        **document,
    }
