"""``vpp consent``: who may use whose data for what."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, DataError
from vpp.cli.consent_person import enrol, erase, export
from vpp.cli.forecast_site import Json, instant, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.ledger import Consent
    from energy.store import SqlStore

__all__ = ["app"]

app = typer.Typer(help="Consents and people: who may use whose data for what.", no_args_is_help=True)
app.command()(enrol)
app.command()(export)
app.command()(erase)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with the sites: a file or a URL.")
]
Channel = Annotated[Literal["paper", "app"], typer.Option(help="How it came in.")]
Actor = Annotated[str, typer.Option(help="Who records it, for the audit trail.")]
DEFAULT_DATABASE = "vpp.db"


def _open(database: str, *, read_only: bool = False) -> SqlStore:
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


@app.command()
def grant(
    context: typer.Context,
    consent_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the consent, such as c-2026-0001.")],
    subject: Annotated[str, typer.Option(help="Whose data: id of the site. Never a person's name.")],
    recipients: Annotated[list[str], typer.Option("--to", help="Who may receive them; may be repeated.")],
    evidence: Annotated[
        Path, typer.Option(help="Scan of the signed sheet or record of the app; only its hash is kept.")
    ],
    *,
    categories: Annotated[
        list[str],
        typer.Option("--data", help="demand-forecast, pv-forecast, meter-energy, ...; may be repeated."),
    ],
    purpose: Annotated[str, typer.Option(help="What for.")] = "forecast-delivery",
    purpose_version: Annotated[int, typer.Option(help="Version of the wording that was shown.")] = 1,
    responsible: Annotated[str, typer.Option("--as", help="Who is responsible for the data.")] = "aizu-spc",
    given: Annotated[
        str | None, typer.Option("--given", help="When it was given, Japan; now if none.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="First instant at which it no longer holds, Japan.")
    ] = None,
    channel: Channel = "paper",
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Put a consent on record. The same one twice changes nothing; another under its id is refused.

    Taking part in events and earning points have fixed terms (purposes dr-participation, coin-rewards,
    saving-rewards, comfort-rewards, dr-telemetry, home-comparison). A consent for one of them that does not
    cover its terms is recorded as it was signed, and stderr says what it lacks.
    """
    from energy.core.clock import SystemClock
    from energy.ledger import ConsentRegister

    console = cast("Console", context.obj)
    now = SystemClock().now()
    consent = _consent(
        {
            "id": consent_id,
            "subject": subject,
            "controller": responsible,
            "purpose": purpose,
            "purpose_version": purpose_version,
            "categories": categories,
            "recipients": recipients,
            "granted_at": now if given is None else instant(given, "--given"),
            "channel": channel,
            "evidence_sha256": _proof(evidence),
            "valid_until": None if until is None else instant(until, "--until"),
        }
    )
    with _open(database) as store:
        is_new = ConsentRegister(store).grant(consent, recorded_at=now, actor=actor)
    print(console.text("consent.granted" if is_new else "consent.known", consent=consent.id))
    _tell_gap(console, consent)


def _tell_gap(console: Console, consent: Consent) -> None:
    """Say on stderr what the fixed terms of a purpose ask for that a consent does not say."""
    from vpp.consents import uncovered

    use = uncovered(consent)
    if use is None:
        return
    console.say(
        console.text(
            "consent_terms.falls_short",
            consent=consent.id,
            purpose=use.purpose,
            version=use.purpose_version,
            data=", ".join(use.categories),
            recipient=use.recipient,
            controller=use.controller,
        )
    )


def _proof(evidence: Path) -> str:
    """Hash of the evidence: it proves the sheet without holding it."""
    from hashlib import sha256

    try:
        return sha256(evidence.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            "the evidence cannot be read",
            where=f"{evidence}: {error.strerror}",
            hint="name the scan of the signed sheet",
        ) from None


def _consent(told: dict[str, object]) -> Consent:
    """A consent from what was typed."""
    from pydantic import TypeAdapter

    from energy.ledger import Consent

    try:
        return TypeAdapter(Consent).validate_python(told)
    except ValueError as error:
        raise ConfigError(
            "this is no consent",
            where="; ".join(line.strip() for line in str(error).splitlines()[1:3]),
            hint="ids are a-z, digits and hyphens; the end lies after the beginning",
        ) from None


@app.command()
def withdraw(
    context: typer.Context,
    consent_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the consent.")],
    *,
    at: Annotated[str | None, typer.Option(help="From when on, Japan; now if none.")] = None,
    channel: Channel = "paper",
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Withdraw a consent: every use from that instant on is refused. What was done before stays."""
    from energy.core.clock import SystemClock
    from energy.ledger import Channel as Came
    from energy.ledger import ConsentRegister
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    now = SystemClock().now()
    since = now if at is None else instant(at, "--at")
    with _open(database) as store:
        is_new = ConsentRegister(store).withdraw(
            consent_id, withdrawn_at=since, recorded_at=now, actor=actor, channel=Came(channel)
        )
    key = "consent.withdrawn" if is_new else "consent.was_withdrawn"
    print(console.text(key, consent=consent_id, at=Messages(console.lang).moment(since)))


@app.command("list")
def list_(
    context: typer.Context,
    subject: Annotated[str | None, typer.Argument(help="Id of a site; all if none.")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show what is on record, withdrawn consents included."""
    from energy.core.clock import SystemClock
    from energy.ledger import ConsentRegister

    console = cast("Console", context.obj)
    with _open(database, read_only=True) as store:
        found = ConsentRegister(store).consents(SystemClock().now())
    chosen = [one for one in found if subject in (None, one.subject)]
    if json:
        print_json([_document(one) for one in chosen])
        return
    if not chosen:
        print(console.text("consent.none"))
    for one in chosen:
        print(_line(console, one))


def _document(consent: Consent) -> dict[str, object]:
    from dataclasses import asdict

    def written(value: object) -> object:
        return value.isoformat() if isinstance(value, datetime) else value

    return {name: written(value) for name, value in asdict(consent).items()}


def _line(console: Console, one: Consent) -> str:
    from vpp.i18n import Messages

    words = Messages(console.lang)
    end = "" if one.valid_until is None else words.text("consent.until", at=words.moment(one.valid_until))
    if one.withdrawn_at is not None:
        end += words.text("consent.withdrawn_at", at=words.moment(one.withdrawn_at))
    return words.text(
        "consent.line",
        consent=one.id,
        subject=one.subject,
        purpose=one.purpose,
        version=one.purpose_version,
        categories=", ".join(one.categories),
        recipients=", ".join(one.recipients),
        since=words.moment(one.granted_at),
        end=end,
    )
