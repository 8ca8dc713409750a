"""``vpp market plan``: thirty-minute plans from draft to receipt."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.rules import area_named, day_named
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    from energy.market.plans import BalancingPlan, Mismatch, Trade
    from energy.store import SqlStore
    from vpp.settlement.plan_book import PlanVersion

__all__ = ["app", "version_named"]

app = typer.Typer(
    help="Thirty-minute plans: draft, check, approve, export, receipt, diff.", no_args_is_help=True
)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with the plans: a file or a URL.")
]
Key = Annotated[str, typer.Argument(help="DAY/KIND/GROUP/AREA/vN, as vpp market plan list shows it.")]
Actor = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]
DEFAULT_DATABASE = "vpp.db"
OPERATOR = "operator"


def _open(database: str, *, read_only: bool = False) -> SqlStore:
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


def _now() -> datetime:
    from energy.core.clock import SystemClock

    return SystemClock().now()


def version_named(key: str) -> tuple[str, int]:
    """Plan and version of a key."""
    plan, _, version = key.rpartition("/v")
    if not plan or not version.isdecimal():
        raise ConfigError(
            f"{key!r} names no version of a plan",
            where="it ends in /v1, /v2, ...",
            hint="vpp market plan list shows them",
        )
    return plan, int(version)


@app.command()
def draft(
    context: typer.Context,
    day: Annotated[str, typer.Option(help="Day of delivery, Japan.")],
    group: Annotated[str, typer.Option(help="Code of the balancing group.")],
    area: Annotated[str, typer.Option(help="Supply area, such as tohoku.")],
    forecasts: Annotated[
        list[str], typer.Option("--forecast", help="CODE=FILE: a member and its forecast; may be repeated.")
    ],
    *,
    kind: Annotated[
        Literal["demand", "generation", "curtailment"], typer.Option(help="Whose plan it is.")
    ] = "demand",
    trades: Annotated[
        Path | None, typer.Option(help="What is bought and sold: slot_start,party,side,kwh.")
    ] = None,
    notified: Annotated[
        list[str] | None,
        typer.Option(help="PARTY=FILE: a FIT or FIP plant's notified values, copied as bought; repeat."),
    ] = None,
    principal: Annotated[
        str | None, typer.Option("--for", help="On whose behalf, with its consent; our own group if none.")
    ] = None,
    sender: Annotated[str, typer.Option(help="Sender code: company and area digit.")] = "00002",
    recipient: Annotated[str, typer.Option(help="Recipient code.")] = "00000",
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; record nothing.")] = False,
    json: Json = False,
) -> None:
    """Draft a plan: forecasts become whole kWh by largest remainder; the demand is never bent to balance.

    A forecast is a CSV of vpp forecast export, or

        slot_start,kwh
        2026-11-25T00:00+09:00,10.4

    Trades, by party; spot and intraday are the markets:

        slot_start,party,side,kwh
        2026-11-25T00:00+09:00,bg-x,buy,30

    Notified values; the newest notification before now counts:

        slot_start,kwh,notified_at
        2026-11-25T00:00+09:00,12,2026-11-24T06:00+09:00

    Example: vpp market plan draft --day 2026-11-25 --group bg-aizu --area tohoku
    --forecast office=examples/forecast-office.csv --forecast works=examples/forecast-works.csv
    --trades examples/trades.csv --dry-run
    """
    from energy.market.plans import draft_plan, read_plan
    from vpp.settlement.files import read_trades
    from vpp.settlement.plan_book import PlanBook, PlanState, PlanVersion

    console = cast("Console", context.obj)
    delivery = day_named(day, "--day")
    parts = _forecasts(forecasts, delivery)
    header = read_plan(
        {
            "kind": kind,
            "day": delivery,
            "group": group,
            "area": area_named(area),
            "sender": sender,
            "recipient": recipient,
            "on_behalf_of": principal or group,
            "members": [{"code": code, "kwh": [0] * 48} for code in parts],
            "totals_kwh": [0] * 48,
        },
        name="the plan",
    )
    traded = [] if trades is None else read_trades(trades, delivery)
    plan = draft_plan(header, parts, [*traded, *_notified(notified or [], delivery)])
    version = PlanVersion(plan=plan, version=1, state=PlanState.DRAFT, author=actor)
    if not dry_run:
        now = _now()
        with _open(database) as store:
            consent = "" if principal is None else _consent_of(store, principal, kind, now)
            version = PlanBook(store).draft(plan, at=now, author=actor, consent=consent)
    _tell(console, version, _flags(plan), json=json, dry=dry_run)


def _notified(told: list[str], day: date) -> list[Trade]:
    """Purchases that follow from notified values."""
    from vpp.settlement.market_files import read_notified

    found = []
    for one in told:
        party, equals, file = one.partition("=")
        if not equals:
            raise ConfigError(f"{one!r} names no party", where="--notified", hint="write PARTY=FILE")
        found.append(read_notified(Path(file), party, day, at=_now()))
    return found


def _forecasts(told: list[str], day: date) -> dict[str, list[Decimal]]:
    """Energies of the members by slot."""
    from vpp.settlement.files import read_forecast

    parts: dict[str, list[Decimal]] = {}
    for one in told:
        code, equals, file = one.partition("=")
        if not equals or code in parts:
            raise ConfigError(
                f"{one!r} names no member" if not equals else f"member {code!r} comes twice",
                where="--forecast",
                hint="write CODE=FILE, each code once",
            )
        parts[code] = read_forecast(Path(file), day)
    return parts


def _consent_of(store: SqlStore, principal: str, kind: str, at: datetime) -> str:
    """Consent of the one for whom we draft, checked now.

    Raises
    ------
    ConsentError
        If there is none.
    """
    from energy.market.plans import PlanKind
    from vpp.consents import require_consent
    from vpp.settlement.plan_delivery import drafting_use

    use = drafting_use(PlanKind(kind))
    return require_consent(store, principal, use, at=at).id


def _flags(plan: BalancingPlan) -> list[Mismatch]:
    from energy.market.plans import internal_checks

    return internal_checks(plan)


def _tell(
    console: Console, version: PlanVersion, found: list[Mismatch], *, json: bool, dry: bool = False
) -> None:
    """One version and what was found in it."""
    from energy.market.plans import plan_json

    if json:
        print_json(
            {
                "key": version.key,
                "version": version.version,
                "state": version.state.value,
                "plan": plan_json(version.plan),
                "mismatches": [_mismatch(one) for one in found],
            }
        )
        return
    total = sum(version.plan.totals_kwh)
    print(
        console.text(
            "plans.lead",
            plan=version.key,
            state=console.text(f"plans.state_{version.state.value}"),
            total=f"{total:,}",
            members=len(version.plan.members),
        )
    )
    _findings(console, version, found)
    if dry:
        console.say(console.text("plans.dry"))


def _mismatch(one: Mismatch) -> dict[str, object]:
    return {
        "class": one.kind.value,
        "what": one.what,
        "where": one.where,
        "slot": one.slot,
        "kwh": one.kwh,
        "buy_kwh": one.buy_kwh,
        "sell_kwh": one.sell_kwh,
    }


def _findings(console: Console, version: PlanVersion, found: list[Mismatch]) -> None:
    from energy.market.plans import lots

    if not found:
        print(console.text("plans.balanced"))
    for one in found:
        key = "buy" if one.buy_kwh else "sell" if one.sell_kwh else one.what
        print(
            "  "
            + console.text(
                f"plans.found_{key}",
                kind=one.kind.value,
                where=one.where,
                slot=one.slot,
                kwh=f"{one.kwh:+d}",
                amount=one.buy_kwh or one.sell_kwh,
                lots=lots(one.buy_kwh or one.sell_kwh, version.plan.day),
            )
        )


@app.command()
def check(
    context: typer.Context,
    key: Key,
    *,
    codes: Annotated[Path | None, typer.Option(help="Codes of the master data: code.")] = None,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Look for the three classes of mismatch. Status 4: class A, the file would be rejected.

    A: the file contradicts itself. B: procurement and use differ; accepted, but cleared by trading before
    gate closure. C: another group's plan says something else.
    """
    from vpp.settlement.files import read_codes
    from vpp.settlement.plan_book import PlanBook

    console = cast("Console", context.obj)
    plan, version = version_named(key)
    known = None if codes is None else read_codes(codes)
    with _open(database) as store:
        made = PlanBook(store).check(plan, version, at=_now(), actor=actor, codes=known)
    _tell(console, made.version, list(made.found), json=json)
    return int(ExitStatus.INFEASIBLE if made.rejected else ExitStatus.OK)


@app.command()
def approve(
    context: typer.Context,
    key: Key,
    actor: Annotated[str, typer.Option("--by", help="Who approves: not the one who drafted it.")],
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Approve a checked plan. Only a person other than its author may, and only the newest version."""
    from vpp.settlement.plan_book import PlanBook

    console = cast("Console", context.obj)
    plan, version = version_named(key)
    with _open(database) as store:
        made = PlanBook(store).approve(plan, version, at=_now(), approver=actor)
    print(console.text("plans.moved", plan=made.key, state=console.text(f"plans.state_{made.state.value}")))


@app.command()
def export(
    context: typer.Context,
    key: Key,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the two files.")] = Path(),
    *,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    preview: Annotated[
        bool, typer.Option("--preview", help="Write the files; do not note it as handed in.")
    ] = False,
) -> None:
    """Write an approved plan as XML ("draft for OCCTO input") and CSV, and note that it is handed in.

    Refused from 12:00 to 17:00 of the day before delivery and once the day is over. --preview writes those
    of any version at any time.
    """
    from energy.market.plan_file import csv_of_plan, xml_of_plan
    from vpp.settlement.plan_book import PlanBook
    from vpp.wholefile import whole_file

    console = cast("Console", context.obj)
    name, number = version_named(key)
    output.mkdir(parents=True, exist_ok=True)
    with _open(database) as store:
        book = PlanBook(store)
        made, window = (
            (book.version(name, number), None)
            if preview
            else book.submit(name, number, at=_now(), actor=actor)
        )
    stem = f"draft-for-occto-input-{made.key.replace('/', '-')}"
    with whole_file(output / f"{stem}.xml") as file:
        file.write(xml_of_plan(made.plan, version=made.version))
    with whole_file(output / f"{stem}.csv", encoding="utf-8-sig") as file:
        file.write(csv_of_plan(made.plan))
    for ending in ("xml", "csv"):
        print(console.text("plans.written", path=output / f"{stem}.{ending}"))
    if window is not None and window.finish_by is not None:
        from vpp.i18n import Messages

        until = Messages(console.lang).moment(window.finish_by)
        console.say(console.text(f"plans.window_{window.window.value}", until=until))


@app.command()
def receipt(
    context: typer.Context,
    key: Key,
    answer: Annotated[Literal["accepted", "rejected"], typer.Argument(help="What the operator said.")],
    reference: Annotated[str, typer.Option("--ref", help="Number or mail of the receipt.")],
    *,
    actor: Actor = OPERATOR,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Note the operator's receipt of a plan that was handed in."""
    from vpp.settlement.plan_book import PlanBook

    console = cast("Console", context.obj)
    plan, version = version_named(key)
    with _open(database) as store:
        made = PlanBook(store).answer(
            plan, version, at=_now(), actor=actor, accepted=answer == "accepted", receipt=reference
        )
    print(console.text("plans.moved", plan=made.key, state=console.text(f"plans.state_{made.state.value}")))


@app.command("diff")
def diff_(
    context: typer.Context,
    before: Key,
    after: Annotated[str, typer.Argument(help="The other version.")],
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show the slots that differ between two versions."""
    from vpp.settlement.plan_book import PlanBook, diff

    console = cast("Console", context.obj)
    with _open(database, read_only=True) as store:
        book = PlanBook(store)
        changes = diff(*(book.version(*version_named(key)).plan for key in (before, after)))
    if json:
        print_json(
            [
                {"item": one.item, "slot": one.slot, "before_kwh": one.before_kwh, "after_kwh": one.after_kwh}
                for one in changes
            ]
        )
        return
    if not changes:
        print(console.text("plans.same"))
    for one in changes:
        print(f"  {one.item:<24}{one.slot:>3}{one.before_kwh:>10}{one.after_kwh:>10}")


@app.command("list")
def list_(
    context: typer.Context,
    day: Annotated[str | None, typer.Argument(help="Day of delivery; all if none.")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show the newest version of every plan, and until when it may be changed."""
    from energy.market.deadlines import submission
    from vpp.i18n import Messages
    from vpp.settlement.plan_book import PlanBook

    console = cast("Console", context.obj)
    wanted = "" if day is None else day_named(day, "DAY").isoformat()
    now = _now()
    with _open(database, read_only=True) as store:
        found = PlanBook(store).day(wanted)
    rows: list[dict[str, object]] = []
    for one in found:
        window = submission(one.plan.day, now)
        rows.append(
            {
                "key": one.key,
                "state": one.state.value,
                "for": one.plan.on_behalf_of,
                "author": one.author,
                "approver": one.approver,
                "receipt": one.receipt,
                "window": window.window.value,
                "frozen_slots": len(window.frozen_slots),
                "finish_by": None if window.finish_by is None else window.finish_by.isoformat(),
            }
        )
    if json:
        print_json(rows)
        return
    if not rows:
        print(console.text("plans.none"))
    words = Messages(console.lang)
    for row in rows:
        until = row["finish_by"]
        print(
            console.text(
                "plans.line",
                plan=row["key"],
                state=console.text(f"plans.state_{row['state']}"),
                window=console.text(f"plans.taken_{row['window']}"),
                frozen=row["frozen_slots"],
                until="-" if until is None else words.moment(datetime.fromisoformat(str(until))),
            )
        )
