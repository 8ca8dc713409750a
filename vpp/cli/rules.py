"""``vpp rules``: the market's dated numbers, with source and whether it was seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import date

    from energy.market.rule_table import Area, RuleFact, RuleTable, RuleValues

__all__ = ["app", "area_named", "day_named"]

app = typer.Typer(help="The market's dated numbers and where they come from.", no_args_is_help=True)


def day_named(text: str, option: str) -> date:
    """A day as a person writes it.

    Raises
    ------
    ConfigError
        If it is none.
    """
    from datetime import date as day

    try:
        return day.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{text!r} is no day", where=option, hint="write it like 2026-10-01") from None


def area_named(text: str) -> Area:
    """A supply area by its English name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    from energy.market.rule_table import Area

    try:
        return Area(text.strip().lower())
    except ValueError:
        known = ", ".join(area.value for area in Area)
        raise ConfigError(f"no area {text!r}", where="--area", hint=f"choose from {known}") from None


@app.command()
def show(
    context: typer.Context,
    rule: Annotated[
        str | None, typer.Argument(help="Id of a rule, or of one of its numbers (ID.KEY); all if none.")
    ] = None,
    on: Annotated[str | None, typer.Option(help="Day of delivery, Japan; today if none.")] = None,
    area: Annotated[str, typer.Option(help="Supply area, such as tohoku; all if none.")] = "all",
    json: Json = False,
) -> None:
    """Show what a rule says on a day of delivery. A day that no row covers is an error, not a guess.

    A table is a YAML file in energy/rules:

        rule_id: renewable_levy
        title_ja: 再生可能エネルギー発電促進賦課金
        title_en: Renewable-energy levy
        units: { levy_yen_per_kwh: yen/kWh }
        rows:
          - valid_from: 2026-05-01
            valid_to: 2027-04-30      # null: still open
            area: all                 # or one of the ten supply areas
            source: "who says so"
            status: verified          # or unverified
            values: { levy_yen_per_kwh: "4.18" }
    """
    from energy.core.clock import SystemClock
    from energy.core.slots import JST
    from energy.market.rules import RULES, facts_on

    console = cast("Console", context.obj)
    day = SystemClock().now().astimezone(JST).date() if on is None else day_named(on, "--on")
    place = area_named(area)
    if rule is not None:
        facts = facts_on(rule, day, place)
    else:
        facts = [fact for rule_id in RULES for fact in _known(rule_id, day, place)]
    if json:
        print_json([fact.as_json() for fact in facts])
        return
    for fact in facts:
        print(
            console.text(
                "rules.line",
                rule=fact.rule,
                value=fact.value,
                unit="" if fact.unit == "1" else fact.unit,
                area=fact.area.value,
                first=fact.valid_from,
                last=fact.valid_to or console.text("rules.open"),
                status=console.text(f"rules.{fact.status}"),
                source=fact.source,
            )
        )


def _known(rule_id: str, day: date, area: Area) -> list[RuleFact]:
    """The numbers of a rule on a day; only a list of all rules may pass over one that is silent."""
    from energy.market.rules import facts_on

    try:
        return facts_on(rule_id, day, area)
    except ConfigError:
        return []


@app.command()
def check(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Tables of your own; the shipped ones if none.")
    ] = None,
    json: Json = False,
) -> None:
    """Check tables: known values with units, rows that neither overlap nor leave a gap, sources named."""
    from energy.market.rules import RULES, rule_table

    console = cast("Console", context.obj)
    tables = [_read(path) for path in files] if files else [rule_table(rule_id) for rule_id in RULES]
    if json:
        print_json([_summary(table) for table in tables])
        return
    for table in tables:
        said = _summary(table)
        print(
            console.text(
                "rules.checked",
                rule=table.rule_id,
                title=table.title_ja if console.lang == "ja" else table.title_en,
                rows=said["rows"],
                unverified=said["unverified"],
                last=said["valid_to"] or console.text("rules.open"),
            )
        )
    print(console.text("rules.all_hold", tables=len(tables)))


def _read(path: Path) -> RuleTable[RuleValues]:
    """A table of one's own; its id says which values it must have."""
    import yaml

    from energy.market.rule_table import parse_rule_table
    from energy.market.rules import RULES

    try:
        text = path.read_text(encoding="utf-8")
        told = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path.name}", where=f"{path}: {error}", hint="check the path") from None
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{path.name} is not YAML", where=str(error), hint="check indents and quotes"
        ) from None
    rule_id = told.get("rule_id") if isinstance(told, dict) else None
    if rule_id not in RULES:
        raise ConfigError(
            f"{path.name} is of no known rule",
            where=f"rule_id: {rule_id!r}",
            hint=f"one of {', '.join(RULES)}",
        )
    return parse_rule_table(text, RULES[rule_id], name=path.name)


def _summary(table: RuleTable[RuleValues]) -> dict[str, object]:
    ends = [row.valid_to for row in table.rows]
    last = None if None in ends else max(end for end in ends if end is not None)
    return {
        "rule": table.rule_id,
        "rows": len(table.rows),
        "unverified": sum(row.status == "unverified" for row in table.rows),
        "valid_from": min(row.valid_from for row in table.rows).isoformat(),
        "valid_to": None if last is None else last.isoformat(),
    }
