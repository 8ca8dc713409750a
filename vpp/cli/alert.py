"""``vpp alert``: what is wrong, who takes care, and whether mail arrives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.ops.alerts import Alert
    from vpp.setup.service import ServiceConfig

__all__ = ["app"]

app = typer.Typer(help="Alerts: what is wrong now, acknowledged and silenced by name.", no_args_is_help=True)

Database = Annotated[str, typer.Option("--db", envvar="VPP_DB", help="Database: a file or a URL.")]
KindName = Annotated[str, typer.Argument(metavar="KIND", help="As in the list, such as device_lost.")]
Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="As in the list; none for the service.")]
By = Annotated[str, typer.Option("--by", help="Who does it, for the record.")]
Config = Annotated[Path, typer.Option("--config", envvar="VPP_CONFIG", help="YAML of the service.")]


@app.command("list")
def list_(
    context: typer.Context,
    database: Database = DEFAULT_DATABASE,
    over: Annotated[bool, typer.Option("--over", help="Those that are over.")] = False,
    json: Json = False,
) -> None:
    """Show what is wrong now, alarms first."""
    from vpp.ops.alerts import AlertBook, State

    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        found = AlertBook(store).alerts(State.CLEARED if over else State.OPEN)
    if json:
        print_json([_as_json(console, one) for one in found])
        return
    if not found:
        print(console.text("alert.none_recent" if over else "alert.none"))
    for one in found:
        print(_line(console, one))


@app.command()
def ack(
    context: typer.Context,
    kind: KindName,
    subject: Subject = "",
    *,
    by: By,
    note: Annotated[str, typer.Option(help="What is being done about it.")] = "",
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Say that somebody takes care of an alert. It stays until the trouble is over."""
    from energy.core.clock import SystemClock
    from vpp.i18n import Messages
    from vpp.ops.alerts import AlertBook
    from vpp.ops.alerts_tell import alert_sentence

    console = cast("Console", context.obj)
    with open_named(database) as store:
        seen = AlertBook(store).acknowledge(kind, subject, by=by, note=note, at=SystemClock().now())
    print(console.text("alert.acknowledged", sentence=alert_sentence(Messages(console.lang), seen)))


@app.command()
def silence(
    context: typer.Context,
    kind: KindName,
    subject: Subject = "",
    *,
    by: By,
    hours: Annotated[int, typer.Option(min=1, max=744, help="For how long. [h]")] = 8,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Tell nobody about an alert for some hours. It stays on the list."""
    from energy.core.clock import SystemClock
    from vpp.ops.alerts import AlertBook

    console, now = cast("Console", context.obj), SystemClock().now()
    with open_named(database) as store:
        until = now + timedelta(hours=hours)
        quiet = AlertBook(store).silence(kind, subject, by=by, until=until, at=now)
    print(_line(console, quiet))


@app.command()
def check(context: typer.Context, config: Config, json: Json = False) -> None:
    """Look at everything once, as the service does every minute, and tell whom the file names."""
    from energy.core.clock import SystemClock
    from vpp.ops.alerts import Act, AlertBook
    from vpp.ops.alerts_look import look
    from vpp.ops.alerts_tell import tell_by_mail
    from vpp.ops.jobs import disk_of, limits_of

    console, now, wanted = cast("Console", context.obj), SystemClock().now(), _service(config)
    alerts = wanted.ops.alerts
    with open_named(wanted.store.address) as store:
        troubles, looked = look(store, now, limits=limits_of(alerts), disk=disk_of(wanted.store.address))
        events = AlertBook(store).review(troubles, now, looked_for=looked)
        if alerts.mail is not None:
            tell_by_mail(store, alerts.mail, now)
        found = AlertBook(store).alerts()
    if json:
        print_json([_as_json(console, one) for one in found])
        return
    opened = sum(one.act is Act.OPENED for one in events)
    cleared = sum(one.act is Act.CLEARED for one in events)
    console.say(console.text("alert.told", opened=opened, cleared=cleared))
    for one in found:
        print(_line(console, one))


@app.command()
def test(context: typer.Context, config: Config) -> None:
    """Send a test message to everybody who gets alerts by mail."""
    from energy.core.clock import SystemClock
    from vpp.ops.alerts_tell import trial_mail

    console, mail = cast("Console", context.obj), _service(config).ops.alerts.mail
    if mail is None:
        raise ConfigError(
            console.text("alert.no_mail"), where=str(config), hint="docs/how-to/keep-it-running.md"
        )
    trial_mail(mail, SystemClock().now())
    print(console.text("alert.mail_sent", to=", ".join(mail.to)))


def _service(config: Path) -> ServiceConfig:
    from vpp.config import read_yaml
    from vpp.setup.service import ServiceConfig

    return read_yaml(config, ServiceConfig)


def _as_json(console: Console, one: Alert) -> dict[str, object]:
    from vpp.i18n import Messages
    from vpp.ops.alerts_tell import alert_sentence

    def instant(name: str) -> str | None:
        at = getattr(one, name)
        return None if at is None else at.isoformat()

    return {
        "kind": one.kind.value,
        "subject": one.subject,
        "state": one.state.value,
        "level": one.level.value,
        "said": alert_sentence(Messages(console.lang), one),
        "facts": dict(one.facts),
        **{name: instant(name) for name in ("since", "opened_at", "cleared_at", "seen_at", "silent_until")},
        "seen_by": one.seen_by,
        "note": one.note,
    }


def _line(console: Console, one: Alert) -> str:
    from vpp.i18n import Messages
    from vpp.ops.alerts_tell import alert_sentence

    words = Messages(console.lang)
    seen = words.text("alert.not_seen")
    if one.seen_at is not None:
        seen = words.text("alert.seen", by=one.seen_by, at=words.moment(one.seen_at))
    told = words.text(
        "alert.line",
        at=words.moment(one.opened_at or one.since),
        level=words.text(f"alert.level_{one.level.value}"),
        sentence=alert_sentence(words, one),
        seen=seen,
    )
    return f"{told}  [{one.kind.value} {one.subject}]".replace(" ]", "]")
