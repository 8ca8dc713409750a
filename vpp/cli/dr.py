"""``vpp dr``: demand response; baselines and whether a site may enrol with one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, DataError
from energy.core.units import plain_number
from vpp.cli.bill import local, warn_unverified
from vpp.cli.dr_event import app as event_app
from vpp.cli.dr_event import event_slots, half_hour
from vpp.cli.dr_listen import listen
from vpp.cli.dr_portfolio import calls, nominate, settle, track
from vpp.cli.dr_reward import reward
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.rules import day_named
from vpp.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable

    from energy.core.calendar import SiteCalendar
    from energy.market.baseline import Adjustment, Baseline, BaselineRequest, BaselineUnavailable
    from energy.market.baseline import Method as BaselineMethod
    from energy.market.rule_table import RuleFact

__all__ = ["app"]

app = typer.Typer(help="Demand response: baselines, events, settlement.", no_args_is_help=True)
app.add_typer(event_app, name="event")
app.command()(nominate)
app.command()(track)
app.command()(calls)
app.command()(settle)
app.command()(reward)
app.command()(listen)

Meter = Annotated[Path, typer.Option(help="Meter file: timestamp,kwh; rows stamped by their end.")]
Events = Annotated[Path | None, typer.Option(help="Past events: start,end.")]
Holidays = Annotated[
    Path | None, typer.Option(help="More days of rest than weekends and national holidays: date.")
]
Method = Annotated[
    Literal["high4of5", "same-day"], typer.Option(help="high4of5 (2 of 3 on days of rest) or same-day.")
]
Adjust = Annotated[Literal["add", "ratio", "none"], typer.Option(help="What the hours before the event do.")]
RatioCap = Annotated[float | None, typer.Option(help="Largest change by a ratio, such as 0.2.")]
Floor = Annotated[bool, typer.Option("--floor-zero", help="The adjusted baseline is never below zero.")]


def _past_days(events: Path | None) -> frozenset[date]:
    """Japanese days that past events touch."""
    from energy.core.slots import slots_between
    from vpp.settlement.files import read_events

    found = [] if events is None else read_events(events)
    return frozenset(slot.local_date for start, end in found for slot in slots_between(start, end))


def _calendar(holidays: Path | None) -> SiteCalendar:
    from energy.core.calendar import SiteCalendar
    from vpp.settlement.files import read_days

    return SiteCalendar(closed=frozenset() if holidays is None else read_days(holidays))


@app.command()
def baseline(
    context: typer.Context,
    meter: Meter,
    event: Annotated[str, typer.Option(help="START/END in Japan: 2026-11-25T16:00/2026-11-25T19:00.")],
    *,
    events: Events = None,
    holidays: Holidays = None,
    method: Method = "high4of5",
    adjust: Adjust = "add",
    ratio_cap: RatioCap = None,
    floor_zero: Floor = False,
    json: Json = False,
) -> None:
    """Find what a site would have used in an event, and what it saved. Nothing after the event is looked at.

    The meter file holds some thirty days before the event and the event itself:

        timestamp,kwh
        2026-11-25T16:30:00+09:00,41.2

    Past events and agreed days of rest:

        start,end                                              date
        2026-11-20T16:00:00+09:00,2026-11-20T19:00:00+09:00    2026-11-24

    Without enough days there is no baseline and nothing is paid automatically (status 3).

    Example: vpp dr baseline --meter examples/meter.csv --event 2026-11-25T16:00/2026-11-25T19:00
    --events examples/events.csv --holidays examples/holidays.csv
    """
    from energy.market.baseline import Adjustment, BaselineRequest, BaselineUnavailable, Method
    from energy.market.baseline import baseline as find_baseline
    from energy.market.baseline_checks import gaming_flag
    from vpp.settlement.files import read_meter

    console = cast("Console", context.obj)
    start, end = event_slots(event)
    request = BaselineRequest(
        start=start,
        end=end,
        event_days=_past_days(events),
        calendar=_calendar(holidays),
        method=Method(method),
        adjustment=Adjustment(adjust),
        ratio_cap=None if ratio_cap is None else Decimal(repr(ratio_cap)),
        floor_zero=floor_zero,
    )
    found = find_baseline(request, read_meter(meter))
    if isinstance(found, BaselineUnavailable):
        raise _unavailable(found)
    warn_unverified(console, _rules(request, found))
    flag = gaming_flag(found, request.day)
    if flag is not None:
        console.say(
            console.text(
                "dr.gaming",
                raised=f"{flag.raised_kwh:.2f}",
                limit=f"{flag.limit_kwh:.2f}",
                phantom=f"{flag.phantom_kwh:.1f}",
            )
        )
    if json:
        print_json(_document(found))
        return
    _show(console, found)


def _unavailable(found: BaselineUnavailable) -> DataError:
    listed = ", ".join(day.isoformat() for day in found.found) or "none"
    return DataError(
        "there is no baseline for this event",
        where=f"{found.needed} days are needed, found: {listed}; {len(found.days_excluded)} were left out",
        hint="add earlier meter data, or let an operator decide; nothing is paid automatically",
    )


def _rules(request: BaselineRequest, found: Baseline) -> list[RuleFact]:
    """The dated rules that made a baseline."""
    from energy.market.baseline import Adjustment, Method
    from energy.market.rules import facts_on

    facts = []
    if request.method is not Method.SAME_DAY:
        facts += facts_on("dr_baseline_days", request.day)
    if request.adjustment is not Adjustment.NONE or request.method is Method.SAME_DAY:
        facts += facts_on("dr_baseline_adjustment", request.day)
    if found.completed_by:
        facts += facts_on("dr_baseline_shortage", request.day)
    return facts


def _document(found: Baseline) -> dict[str, object]:
    return {
        "method": found.method,
        "days_used": [day.isoformat() for day in found.days_used],
        "days_excluded": [{"date": one.day.isoformat(), "why": one.why.value} for one in found.days_excluded],
        "slots": [
            {
                "start": local(slot.slot),
                "baseline_kwh": plain_number(slot.baseline_kwh),
                "adjustment_kwh": plain_number(slot.adjustment_kwh),
                "adjusted_kwh": plain_number(slot.adjusted_kwh),
                "actual_kwh": plain_number(slot.actual_kwh),
                "reduction_kwh": plain_number(slot.reduction_kwh),
            }
            for slot in found.slots
        ],
        "reduction_kwh": plain_number(found.reduction_kwh),
        "mean_kw": plain_number(found.mean_kw),
    }


def _show(console: Console, found: Baseline) -> None:
    """Sentence first, then the slots, then the days."""
    print(
        console.text(
            "dr.lead",
            kwh=f"{found.reduction_kwh:,.1f}",
            kw=f"{found.mean_kw:,.1f}",
            method=found.method,
            days=", ".join(day.isoformat() for day in found.days_used),
        )
    )
    print(console.text("dr.head"))
    for slot in found.slots:
        numbers = (
            slot.baseline_kwh,
            slot.adjustment_kwh,
            slot.adjusted_kwh,
            slot.actual_kwh,
            slot.reduction_kwh,
        )
        print(
            f"  {slot.slot.local_date} {slot.slot.label()}"
            + "".join(f"{number:>12.2f}" for number in numbers)
        )
    for day in found.completed_by:
        print(console.text("dr.completed", day=day))
    for one in found.days_excluded:
        print(f"  {one.day}  {console.text(f'dr.why_{one.why.value}')}")


@app.command()
def check(
    context: typer.Context,
    meter: Meter,
    hours: Annotated[str, typer.Option(help="Hours in which events would lie, such as 16:00-19:00, Japan.")],
    first: Annotated[str, typer.Option("--from", help="First day to try, such as 2026-10-01.")],
    last: Annotated[str, typer.Option("--to", help="Last day to try.")],
    *,
    events: Events = None,
    holidays: Holidays = None,
    method: Method = "high4of5",
    adjust: Adjust = "add",
    json: Json = False,
) -> int:
    """Try a baseline on days without an event: how far off it is, and whether a site may enrol with it.

    Ends with status 6 if the error is above the limit (rule dr_baseline_error): another method is needed.

    Example: vpp dr check --meter examples/meter.csv --hours 16:00-19:00 --from 2026-11-16 --to 2026-11-27
    --events examples/events.csv
    """
    from energy.core.errors import ExitStatus
    from energy.market.baseline import Adjustment, Method
    from energy.market.baseline_checks import baseline_error
    from energy.market.rules import facts_on
    from vpp.settlement.files import read_meter

    console = cast("Console", context.obj)
    begin, end = day_named(first, "--from"), day_named(last, "--to")
    request = _requests(hours, _past_days(events), _calendar(holidays), Method(method), Adjustment(adjust))
    days = [begin + timedelta(days=offset) for offset in range((end - begin).days + 1)]
    found = baseline_error(request, days, read_meter(meter))
    (limit,) = facts_on("dr_baseline_error", end)
    warn_unverified(console, [limit])
    enrol = found.rrmse is not None and found.rrmse <= float(limit.value)
    if json:
        print_json(
            {
                "rrmse": found.rrmse,
                "bias_kwh": found.bias_kwh,
                "limit": float(limit.value),
                "may_enrol": enrol,
                "days": [day.isoformat() for day in found.days],
                "unavailable": [day.isoformat() for day in found.unavailable],
            }
        )
    elif found.rrmse is None or found.bias_kwh is None:
        print(console.text("dr.no_error", days=len(days)))
    else:
        print(
            console.text(
                "dr.error_ok" if enrol else "dr.error_large",
                rrmse=f"{found.rrmse:.1%}",
                limit=f"{float(limit.value):.0%}",
                bias=f"{found.bias_kwh:+.2f}",
                days=len(found.days),
                unavailable=len(found.unavailable),
            )
        )
    return int(ExitStatus.OK if enrol else ExitStatus.PARTIAL)


def _requests(
    hours: str, past: frozenset[date], calendar: SiteCalendar, method: BaselineMethod, adjust: Adjustment
) -> Callable[[date], BaselineRequest]:
    """What a day would have been asked for, had an event lain in these hours."""
    from energy.market.baseline import BaselineRequest

    opens, dash, closes = hours.partition("-")
    if not dash:
        raise ConfigError(f"{hours!r} are no hours", where="--hours", hint="write 16:00-19:00")

    def request(day: date) -> BaselineRequest:
        return BaselineRequest(
            start=half_hour(f"{day}T{opens}", "--hours"),
            end=half_hour(f"{day}T{closes}", "--hours"),
            event_days=past,
            calendar=calendar,
            method=method,
            adjustment=adjust,
        )

    return request
