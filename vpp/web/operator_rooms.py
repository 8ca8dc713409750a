"""Rooms beside the region's page: events of demand response, the register of consents, the coin ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import DataError, VppError
from energy.ledger import (
    EXPIRED,
    ISSUER,
    Batch,
    BatchBook,
    Channel,
    Consent,
    ConsentRegister,
    batch_csv,
)
from vpp.consents import on_record
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import OPEN, EventState
from vpp.settlement.dr_settled import Settlement
from vpp.site.sitebook import site_names
from vpp.web.doors import fields_of
from vpp.web.operator_dr import tracking
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]

_RECENT: Final = 100
_OPERATORS: Final = {ISSUER: "operator.account_issued", EXPIRED: "operator.account_expired"}
_OWNERS: Final = frozenset({"driver", "person", "company"})
_ACCOUNTS: Final = 50


# -- events ------------------------------------------------------------------------------------------------


def events(request: Request) -> Response:
    """Every event, the next first."""
    access = access_of(request)
    words, now = Messages(access.lang), access.service.clock.now()
    found = sorted(EventBook(access.service.store).events(), key=lambda one: one.start, reverse=True)
    rows = [_event_row(one, words) for one in found[:_RECENT]]
    waiting = sum(one.state is EventState.ANNOUNCED and one.end > now for one in found)
    return render(request, "operator_events.html", rows=rows, waiting=waiting)


def event(request: Request) -> Response:
    """One event: who was asked, who is called, who said no, what came of it."""
    access = access_of(request)
    return _event(request, access, _found(access, str(request.path_params["event"])))


async def answer(request: Request) -> Response:
    """Yes or no to an event as a whole."""
    access, fields = access_of(request), await fields_of(request)
    return await run_in_threadpool(_answer, request, access, fields)


def _answer(request: Request, access: Access, fields: dict[str, str]) -> Response:
    found = _found(access, str(request.path_params["event"]))
    wanted = fields.get("answer", "")
    if wanted not in {"yes", "no"}:
        return _event(request, access, found, fault="operator.bad_act", status=422)
    now = access.service.clock.now()
    try:
        EventBook(access.service.store).answer(
            found.id, takes_part=wanted == "yes", at=now, actor=access.who.id
        )
    except DataError:
        return _event(request, access, found, fault="operator.not_now", status=409)
    return go(f"/operator/events/{found.id}")


def _found(access: Access, event_id: str) -> DrEvent:
    found = EventBook(access.service.store).find(event_id)
    if found is None:
        raise Problem("not_found")
    return found


def _event_row(one: DrEvent, words: Messages) -> dict[str, Any]:
    return {
        "id": one.id,
        "when": words.day_slot(one.start, one.end - one.start),
        "target": words.kw(float(one.target_kw)),
        "called": words.kw(sum(float(call.kw) for call in one.standing())),
        "state": words.text(f"operator.event_{one.state.value}"),
        "sites": len(one.nominated),
    }


def _event(
    request: Request, access: Access, found: DrEvent, *, fault: str = "", status: int = 200
) -> Response:
    words, now = Messages(access.lang), access.service.clock.now()
    settled = EventBook(access.service.store).settlement(found.id)
    called = {one.site: float(one.kw) for one in found.standing()}
    asked = {one.site: float(one.kw) for one in found.nominated}
    asked_of = sorted({*asked, *called, *found.opted_out})
    names = site_names(access.service.store, now, asked_of, words.lang)
    sites = [
        {
            "site": names[site],
            "asked": words.kw(asked[site]) if site in asked else "-",
            "called": words.kw(called[site]) if site in called else "-",
            "out": site in found.opted_out,
        }
        for site in asked_of
    ]
    going = {} if settled else tracking(access.service.store, found, now, words, actor=access.who.id)
    missing = float(found.target_kw) - sum(called.values())
    may = access.who.role.value == "operator" and found.state in OPEN and found.end > now
    return render(
        request,
        "operator_event.html",
        status=status,
        row=_event_row(found, words),
        announced=words.moment(found.announced_at),
        product=words.text(f"screens.product_{found.product.value}"),
        sites=sites,
        going=going,
        missing=words.kw(missing) if missing > 0 else "",
        spare=words.kw(-missing) if missing < 0 else "",
        settled=None if settled is None else _settled(settled, words),
        may=may,
        takes_part=found.state is not EventState.OPTED_OUT,
        fault="" if not fault else words.text(fault),
    )


def _settled(made: Settlement, words: Messages) -> tuple[str, str, str]:
    """What was measured, what was paid, and for how much energy where that is something else."""
    measured, paid = (words.kwh(float(kwh)) for kwh in (made.delivered_kwh, made.paid_kwh))
    return measured, words.yen(float(made.yen)), "" if paid == measured else paid


# -- consents ----------------------------------------------------------------------------------------------


def consents(request: Request) -> Response:
    """Who shares what with whom until when."""
    access = access_of(request)
    words, now = Messages(access.lang), access.service.clock.now()
    found = on_record(access.service.store, now)
    names = site_names(access.service.store, now, [one.subject for one in found], words.lang)
    rows = [_consent_row(one, now, words) for one in found]
    rows.sort(key=lambda row: (not row["holds"], row["subject"], row["id"]))
    rows = [row | {"subject": names[row["subject"]]} for row in rows]
    holding = sum(bool(row["holds"]) for row in rows)
    return render(request, "operator_consents.html", rows=rows, holding=holding)


def consent(request: Request) -> Response:
    """One consent, and what its end would change."""
    access = access_of(request)
    return _consent(request, access, _kept(access, str(request.path_params["consent"])))


async def withdraw(request: Request) -> Response:
    """Somebody took a consent back, on paper or by telephone: it ends now."""
    access, fields = access_of(request), await fields_of(request)
    return await run_in_threadpool(_withdraw, request, access, fields)


def _withdraw(request: Request, access: Access, fields: dict[str, str]) -> Response:
    kept = _kept(access, str(request.path_params["consent"]))
    if fields.get("sure") != "yes":
        return _consent(request, access, kept, fault="operator.not_sure", status=422)
    now = access.service.clock.now()
    try:
        ConsentRegister(access.service.store).withdraw(
            kept.id, withdrawn_at=now, recorded_at=now, actor=access.who.id, channel=Channel.PAPER
        )
    except VppError:
        return _consent(request, access, kept, fault="operator.not_now", status=409)
    return go(f"/operator/consents/{kept.id}")


def _kept(access: Access, consent_id: str) -> Consent:
    found = on_record(access.service.store, access.service.clock.now())
    one = next((one for one in found if one.id == consent_id), None)
    if one is None:
        raise Problem("not_found")
    return one


def _holds(one: Consent, now: datetime) -> bool:
    over = one.valid_until is not None and one.valid_until <= now
    return not over and (one.withdrawn_at is None or one.withdrawn_at > now)


def _data(category: str, words: Messages) -> str:
    """What a category of data is called; its own name if it is one that nobody here knows."""
    key = f"screens.data_{category.replace('-', '_')}"
    return words.text(key) if words.has(key) else category


def _consent_row(one: Consent, now: datetime, words: Messages) -> dict[str, Any]:
    ended = one.withdrawn_at
    return {
        "id": one.id,
        "subject": one.subject,
        "purpose": one.purpose,
        "categories": ", ".join(_data(category, words) for category in one.categories),
        "recipients": ", ".join(one.recipients),
        "since": words.moment(one.granted_at),
        "until": words.text("operator.no_end") if one.valid_until is None else words.moment(one.valid_until),
        "holds": _holds(one, now),
        "withdrawn": "" if ended is None else words.moment(ended),
    }


def _consent(
    request: Request, access: Access, kept: Consent, *, fault: str = "", status: int = 200
) -> Response:
    words, now = Messages(access.lang), access.service.clock.now()
    others = [
        one
        for one in on_record(access.service.store, now)
        if one.id != kept.id and one.purpose == kept.purpose and _holds(one, now)
    ]
    effects = [
        words.text(
            "operator.effect",
            recipient=recipient,
            data=", ".join(_data(category, words) for category in kept.categories),
            left=len({one.subject for one in others if recipient in one.recipients} - {kept.subject}),
        )
        for recipient in kept.recipients
    ]
    again = [one.id for one in others if one.subject == kept.subject]
    subject = site_names(access.service.store, now, [kept.subject], words.lang)[kept.subject]
    return render(
        request,
        "operator_consent.html",
        status=status,
        row=_consent_row(kept, now, words) | {"subject": subject},
        effects=effects,
        again=", ".join(again),
        may=access.who.role.value == "operator" and _holds(kept, now),
        fault="" if not fault else words.text(fault),
    )


# -- ledger ------------------------------------------------------------------------------------------------


def _balance(account: str, points: int, words: Messages) -> tuple[str, str]:
    """Whose account it is and what is on it; what was issued is said in words, not by a minus."""
    kind, _, owner = account.partition("/")
    if account in _OPERATORS:
        return words.text(_OPERATORS[account]), words.number(abs(points), 0)
    key = f"operator.account_{kind}"
    return words.text(key, name=owner) if kind in _OWNERS else account, words.number(points, 0)


def ledger(request: Request) -> Response:
    """Balances, batches that went out, and what the next one would hold."""
    access = access_of(request)
    words, store = Messages(access.lang), access.service.store
    book = BatchBook(store)
    coming = book.preview(at=access.service.clock.now())
    balances = sorted(store.journal.balances().items(), key=lambda one: -one[1])
    batches = [_batch_row(book, one, words) for one in book.batches()[: -_RECENT - 1 : -1]]
    return render(
        request,
        "operator_ledger.html",
        balances=[_balance(name, points, words) for name, points in balances[:_ACCOUNTS]],
        hidden=max(0, len(balances) - _ACCOUNTS),
        batches=batches,
        coming=None if coming is None else (coming.id, len(coming.lines), words.number(coming.points, 0)),
        may=access.who.role.value == "operator",
    )


def _batch_row(book: BatchBook, one: Batch, words: Messages) -> dict[str, Any]:
    """A batch, and what the coin operator said about it."""
    answered = book.standing(one.id)
    if answered is None:
        sign, told = "△", words.text("operator_receipt.none")
    elif answered.differences:
        sign, told = "▲", words.text("operator_receipt.some", count=len(answered.differences))
    else:
        sign, told = "✓", words.text("operator_receipt.agrees")
    return {
        "id": one.id,
        "at": words.moment(one.made_at),
        "lines": len(one.lines),
        "points": words.number(one.points, 0),
        "sign": sign,
        "receipt": told,
    }


async def make_batch(request: Request) -> Response:
    """Record the next batch; what was shown before is what goes out, or nothing."""
    access, fields = access_of(request), await fields_of(request)
    return await run_in_threadpool(_make_batch, access, fields)


def _make_batch(access: Access, fields: dict[str, str]) -> Response:
    book, now = BatchBook(access.service.store), access.service.clock.now()
    coming = book.preview(at=now)
    if coming is not None and coming.id == fields.get("batch"):  # a second click finds another one
        book.make(at=now, actor=access.who.id)
    return go("/operator/ledger")


def batch(request: Request) -> Response:
    """A batch as the file for the coin operator."""
    access = access_of(request)
    try:
        made = BatchBook(access.service.store).find(str(request.path_params["batch"]))
    except VppError:
        return go("/operator/ledger")
    return Response(
        "\ufeff" + batch_csv(made),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="coin-{made.id}.csv"'},
    )


PAGES: Final = (
    Page(path="/operator/events", endpoint=events, rule="region"),
    Page(path="/operator/events/{event}", endpoint=event, rule="region"),
    Page(path="/operator/events/{event}/answer", endpoint=answer, rule="region-write", method="POST"),
    Page(path="/operator/consents", endpoint=consents, rule="consent-register"),
    Page(path="/operator/consents/{consent}", endpoint=consent, rule="consent-register"),
    Page(path="/operator/consents/{consent}/withdraw", endpoint=withdraw, rule="region-write", method="POST"),
    Page(path="/operator/ledger", endpoint=ledger, rule="ledger-all"),
    Page(path="/operator/ledger/batches", endpoint=make_batch, rule="region-write", method="POST"),
    Page(path="/operator/ledger/batches/{batch}", endpoint=batch, rule="ledger-all"),
)
