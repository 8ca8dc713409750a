"""What the coin operator answered to a batch: its receipt comes in here, every difference says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import DataError, LedgerError, VppError
from energy.ledger import Batch, BatchBook, Difference
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.settlement.files import receipt_of
from vpp.web.doors import file_of
from vpp.web.pages import Page, go, render

__all__ = ["LARGEST", "PAGES"]

LARGEST: Final = 2_000_000
"""A receipt of a batch of 50,000 lines has about 1.3 MB. [bytes]"""
_SHOWN: Final = 200


def receipt(request: Request) -> Response:
    """The newest receipt of a batch, or that there is none."""
    access = access_of(request)
    batch = _batch(access, str(request.path_params["batch"]))
    told = request.query_params.get("told", "")
    return _page(request, access, batch, told=told if told in {"new", "known"} else "")


async def take(request: Request) -> Response:
    """A receipt was sent: compared and kept, or refused as a whole."""
    access = access_of(request)
    batch = await run_in_threadpool(_batch, access, str(request.path_params["batch"]))
    sent = await file_of(request, "receipt", largest=LARGEST)
    return await run_in_threadpool(_take, request, access, batch, sent)


def _take(request: Request, access: Access, batch: Batch, sent: tuple[str, bytes] | None) -> Response:
    if sent is None:
        return _page(request, access, batch, fault="no_file", status=422)
    name, content = sent
    book, now = BatchBook(access.service.store), access.service.clock.now()
    try:
        rows = receipt_of(Path(name), content)
        made = book.reconcile(batch.id, rows, at=now, actor=access.who.id)
    except LedgerError as error:  # of another batch, or a line twice
        return _page(request, access, batch, fault="other", detail=error.where, status=409)
    except DataError as error:
        book.refuse(batch.id, error, at=now, actor=access.who.id)
        where = error.where.replace(str(Path(name)), name)
        return _page(request, access, batch, fault="unreadable", detail=f"{error.what}: {where}", status=422)
    return go(f"/operator/ledger/batches/{batch.id}/receipt?told={'known' if made.known else 'new'}")


def _batch(access: Access, batch_id: str) -> Batch:
    try:
        return BatchBook(access.service.store).find(batch_id)
    except VppError:
        raise Problem("not_found") from None


def _page(
    request: Request, access: Access, batch: Batch, *, told: str = "", fault: str = "", detail: str = "",
    status: int = 200,
) -> Response:  # fmt: skip
    words = Messages(access.lang)
    standing = BatchBook(access.service.store).standing(batch.id)
    found = () if standing is None else standing.differences
    key = "none_yet" if standing is None else "differs" if found else "all_agree"
    return render(
        request,
        "operator_receipt.html",
        status=status,
        batch=batch.id,
        lead=words.text(
            f"operator_receipt.{key}",
            lines=len(batch.lines),
            points=words.number(batch.points, 0),
            at=words.moment(batch.made_at),
            count=len(found),
        ),
        rows=[_row(one, batch, words) for one in found[:_SHOWN]],
        hidden=max(0, len(found) - _SHOWN),
        told="" if not told else words.text(f"operator_receipt.told_{told}"),
        fault="" if not fault else words.text(f"operator_receipt.{fault}"),
        detail=detail,
        again=standing is not None,
        may=access.who.role.value == "operator",
        largest=words.number(LARGEST / 1e6, 0),
    )


def _row(one: Difference, batch: Batch, words: Messages) -> dict[str, Any]:
    line = next((line for line in batch.lines if line.line == one.line), None)
    return {
        "line": one.line,
        "account": "-" if line is None else line.account,
        "what": words.text(f"operator_receipt.what_{one.what}"),
        "ours": words.number(one.ours, 0),
        "theirs": words.number(one.theirs, 0),
        "act": words.text(f"operator_receipt.do_{one.what}"),
    }


PAGES: Final = (
    Page(path="/operator/ledger/batches/{batch}/receipt", endpoint=receipt, rule="ledger-all"),
    Page(path="/operator/ledger/batches/{batch}/receipt", endpoint=take, rule="region-write", method="POST"),
)
