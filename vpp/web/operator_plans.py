"""Half-hour plans on screen: 48 rows, one column at a time to write in, checks, a second person, handing in.

Every act goes through the plan book, which keeps versions and refuses what is late or stale; here its
refusals become words, and what somebody typed is not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import PlanError
from energy.core.slots import SLOTS_PER_DAY, slots_of_day
from energy.market.deadlines import PlanWindow, submission
from energy.market.plan_file import csv_of_plan
from energy.market.plans import BalancingPlan, Member, Trade, internal_checks
from vpp.http.access import Access, access_of
from vpp.i18n import Messages
from vpp.settlement.plan_book import PlanBook, PlanState, PlanVersion
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]

_MOST_KWH: Final = 1_000_000
_RECENT: Final = 60
_NEXT: Final = {
    PlanState.DRAFT: ("check",),
    PlanState.CHECKED: ("approve",),
    PlanState.APPROVED: ("submit",),
    PlanState.SUBMITTED: ("accepted", "rejected"),
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A member or a trade of a plan; ``id`` is how addresses name it."""

    id: str
    name: str
    kwh: tuple[int, ...]


def plans(request: Request) -> Response:
    """The newest version of every plan, the latest day first."""
    access, words = access_of(request), Messages(access_of(request).lang)
    found = sorted(PlanBook(access.service.store).day(""), key=lambda one: one.plan.day, reverse=True)
    now = access.service.clock.now()
    rows = [
        {
            "href": f"/operator/plans/{_address(one)}",
            "day": words.day(one.plan.day),
            "name": f"{words.text(f'operator.kind_{one.plan.kind.value}')} {one.plan.group}",
            "behalf": one.plan.on_behalf_of,
            "version": one.version,
            "state": words.text(f"plans.state_{one.state.value}"),
            "total": words.number(sum(one.plan.totals_kwh), 0),
            "window": _window(one.plan, now, words),
        }
        for one in found[:_RECENT]
    ]
    return render(request, "operator_plans.html", rows=rows, gone=request.query_params.get("gone") == "1")


def sheet(request: Request) -> Response:
    """One version, with the column that may be written in."""
    access = access_of(request)
    found = _find(access, str(request.path_params["plan"]))
    if found is None:
        return go("/operator/plans?gone=1")
    return _sheet(request, found)


async def write(request: Request) -> Response:
    """A column was filled in: the next version, unless something is wrong with it."""
    access, fields = access_of(request), await fields_of(request)
    return await run_in_threadpool(_write, request, access, fields)


def _write(request: Request, access: Access, fields: dict[str, str]) -> Response:
    found = _find(access, str(request.path_params["plan"]))
    if found is None:
        return go("/operator/plans?gone=1")
    column = next((one for one in _columns(found.plan) if one.id == fields.get("column")), None)
    if column is None:
        return _sheet(request, found, fault="operator.bad_column", status=422)
    typed = [fields.get(f"k{slot}", "").strip() for slot in range(SLOTS_PER_DAY)]
    bad = [slot + 1 for slot, text in enumerate(typed) if not _is_kwh(text)]
    if bad:
        return _sheet(
            request, found, fault="operator.bad_kwh", bad=bad, typed=typed, wanted=column.id, status=422
        )
    wanted = _with(found.plan, column, tuple(int(text) for text in typed))
    book, now = PlanBook(access.service.store), access.service.clock.now()
    newest = book.newest(found.plan.key)
    if newest is not None and newest.version != found.version and newest.plan != wanted:
        return _sheet(request, found, fault="operator.stale_plan", typed=typed, wanted=column.id, status=409)
    try:
        made = book.draft(wanted, at=now, author=access.who.id, consent=found.consent)
    except PlanError:
        return _sheet(request, found, fault="operator.frozen", typed=typed, wanted=column.id, status=409)
    return go(f"/operator/plans/{_address(made)}?column={column.id}")


async def act(request: Request) -> Response:
    """Check, approve, hand in, or note the answer."""
    access, fields = access_of(request), await fields_of(request)
    return await run_in_threadpool(_act, request, access, fields)


def _act(request: Request, access: Access, fields: dict[str, str]) -> Response:
    found = _find(access, str(request.path_params["plan"]))
    if found is None:
        return go("/operator/plans?gone=1")
    book, now, who = PlanBook(access.service.store), access.service.clock.now(), access.who.id
    key, version, wanted = found.plan.key, found.version, fields.get("act", "")
    try:
        match wanted:
            case "check":
                if book.check(key, version, at=now, actor=who).rejected:
                    return _sheet(request, found, fault="operator.class_a", status=409)
            case "approve":
                book.approve(key, version, at=now, approver=who)
            case "submit":
                book.submit(key, version, at=now, actor=who)
            case "accepted" | "rejected":
                receipt = fields.get("receipt", "").strip()[:80]
                if not receipt:
                    return _sheet(request, found, fault="operator.no_receipt", status=422)
                book.answer(key, version, at=now, actor=who, accepted=wanted == "accepted", receipt=receipt)
            case _:
                return _sheet(request, found, fault="operator.bad_act", status=422)
    except PlanError:
        return _sheet(request, found, fault=_why(book, found, wanted, who, now), status=409)
    return go(f"/operator/plans/{_address(found)}")


def _why(book: PlanBook, found: PlanVersion, wanted: str, who: str, now: datetime) -> str:
    """Which words fit a refusal of the plan book."""
    newest = book.newest(found.plan.key)
    if newest is not None and newest.version != found.version:
        return "operator.stale_plan"
    if wanted == "approve" and found.author == who and found.state is PlanState.CHECKED:
        return "operator.second_person"
    closed = submission(found.plan.day, now).window in {PlanWindow.CLOSED, PlanWindow.OVER}
    return "operator.closed" if wanted == "submit" and closed else "operator.not_now"


def csv(request: Request) -> Response:
    """The plan as the file that is handed in."""
    found = _find(access_of(request), str(request.path_params["plan"]))
    if found is None:
        return go("/operator/plans?gone=1")
    return Response(
        "\ufeff" + csv_of_plan(found.plan),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="plan-{_address(found)}.csv"'},
    )


def _address(version: PlanVersion) -> str:
    return version.key.replace("/", "~")


def _find(access: Access, address: str) -> PlanVersion | None:
    """The version that an address names."""
    key, _, version = address.replace("~", "/").rpartition("/v")
    if not key or not version.isdecimal():
        return None
    found = PlanBook(access.service.store).versions(key)
    return next((one for one in found if str(one.version) == version), None)


def _columns(plan: BalancingPlan) -> list[_Column]:
    trades = [_Column(f"{one.side}~{one.party}", one.party, one.kwh) for one in plan.trades]
    return [*trades, *(_Column(f"member~{one.code}", one.code, one.kwh) for one in plan.members)]


def _with(plan: BalancingPlan, column: _Column, kwh: tuple[int, ...]) -> BalancingPlan:
    """The plan with another column; totals stay the sums of their members."""
    side, _, name = column.id.partition("~")
    if side == "member":
        members = tuple(Member(code=one.code, kwh=kwh) if one.code == name else one for one in plan.members)
        totals = tuple(sum(one.kwh[slot] for one in members) for slot in range(SLOTS_PER_DAY))
        return replace(plan, members=members, totals_kwh=totals)
    trades = tuple(
        Trade(party=one.party, side=one.side, kwh=kwh) if (one.side, one.party) == (side, name) else one
        for one in plan.trades
    )
    return replace(plan, trades=trades)


def _is_kwh(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 7 and int(text) <= _MOST_KWH


def _window(plan: BalancingPlan, now: datetime, words: Messages) -> str:
    window = submission(plan.day, now)
    at = window.finish_by or window.changes_at
    return words.text(f"operator.window_{window.window.value}", at="" if at is None else words.moment(at))


def _sheet(
    request: Request, found: PlanVersion, *, fault: str = "", bad: list[int] | None = None,
    typed: list[str] | None = None, wanted: str = "", status: int = 200,
) -> Response:  # fmt: skip
    access = access_of(request)
    words, now = Messages(access.lang), access.service.clock.now()
    versions = PlanBook(access.service.store).versions(found.plan.key)
    before = next((one for one in versions if one.version == found.version - 1), None)
    columns = _columns(found.plan)
    asked = request.query_params.get("column", "") or wanted
    column = next((one for one in columns if one.id == asked), columns[0])
    wrong = [one for one in internal_checks(found.plan) if one.slot]
    may_write = access.who.role.value == "operator"
    newest = versions[-1].version == found.version
    return render(
        request,
        "operator_plan.html",
        status=status,
        m=words,
        version=found,
        address=_address(found),
        title=f"{words.day(found.plan.day)} {words.text(f'operator.kind_{found.plan.kind.value}')}",
        state=words.text(f"plans.state_{found.state.value}"),
        window=_window(found.plan, now, words),
        columns=columns,
        column=column,
        rows=_rows(found, before, column, now=now, words=words, typed=typed),
        wrong={one.slot for one in wrong},
        lacking=sum(one.buy_kwh for one in wrong),
        surplus=sum(one.sell_kwh for one in wrong),
        fault="" if not fault else words.text(fault, slots=", ".join(map(str, bad or []))),
        versions=[
            (one.version, _address(one), words.text(f"plans.state_{one.state.value}")) for one in versions
        ],
        newest=newest,
        edits=may_write and newest,
        acts=_NEXT.get(found.state, ()) if may_write and newest else (),
        preview=request.query_params.get("step") == "submit" and found.state is PlanState.APPROVED,
        changed=before is not None,
    )


def _rows(
    found: PlanVersion, before: PlanVersion | None, column: _Column, *, now: datetime, words: Messages,
    typed: list[str] | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """48 rows: what stands there, what stood there before, and whether it may still be changed."""
    frozen = {slot.koma for slot in submission(found.plan.day, now).frozen_slots}
    old = {} if before is None else {one.id: one.kwh for one in _columns(before.plan)}
    rows = []
    for number, slot in enumerate(slots_of_day(found.plan.day)):
        was = old[column.id][number] if column.id in old else None
        value = column.kwh[number]
        rows.append(
            {
                "number": number + 1,
                "slot": words.slot(slot.start),
                "value": str(value) if typed is None else typed[number],
                "was": None if was is None or was == value else was,
                "total": found.plan.totals_kwh[number],
                "net": found.plan.settlement_kwh(number),
                "surplus": found.plan.surplus_kwh(number),
                "frozen": number + 1 in frozen,
            }
        )
    return rows


PAGES: Final = (
    Page(path="/operator/plans", endpoint=plans, rule="region"),
    Page(path="/operator/plans/{plan}", endpoint=sheet, rule="region"),
    Page(path="/operator/plans/{plan}", endpoint=write, rule="region-write", method="POST"),
    Page(path="/operator/plans/{plan}/acts", endpoint=act, rule="region-write", method="POST"),
    Page(path="/operator/plans/{plan}/csv", endpoint=csv, rule="region"),
)
