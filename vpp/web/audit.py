"""The audit trail: who did what to what, filtered, in pages, and as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from energy.core.slots import jst_midnight
from energy.store import AuditFilter, AuditRecord
from vpp.api.common import csv_answer
from vpp.http.access import access_of
from vpp.i18n import Messages
from vpp.web.pages import Page, render

__all__ = ["PAGES"]

_PER_PAGE: Final = 100
_MOST: Final = 50_000
_SHOWN: Final = 60
_COLUMNS: Final = ("number", "at", "actor", "act", "subject", "facts")
_ACTS: Final = ("access", "account", "alert", "consent", "forecast", "job", "personal", "site", "wish")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The filter as the address says it; what makes no sense in it is as if it were not there."""

    actor: str
    act: str
    subject: str
    first: date | None
    last: date | None
    before: int | None

    def filters(self) -> AuditFilter:
        """For the store."""
        return AuditFilter(
            actor=self.actor,
            act=self.act,
            subject=self.subject,
            start=None if self.first is None else jst_midnight(self.first),
            end=None if self.last is None else jst_midnight(self.last + timedelta(days=1)),
        )

    def query(self, *, before: int | None = None) -> str:
        """The same as a query, for a link."""
        told = {
            "actor": self.actor,
            "act": self.act,
            "subject": self.subject,
            "first": "" if self.first is None else self.first.isoformat(),
            "last": "" if self.last is None else self.last.isoformat(),
            "before": "" if before is None else str(before),
        }
        return urlencode({name: value for name, value in told.items() if value})


def _asked(request: Request) -> _Asked:
    query = request.query_params
    before = query.get("before", "")
    actor, act, subject = (
        query.get(n, "").replace("\0", "").strip()[:100] for n in ("actor", "act", "subject")
    )
    return _Asked(
        actor=actor,
        act=act,
        subject=subject,
        first=_day(query.get("first", "")),
        last=_day(query.get("last", "")),
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 15 else None,
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1990 <= day.year <= 2200 else None


def trail(request: Request) -> Response:
    """What was done, newest first."""
    access, asked = access_of(request), _asked(request)
    found = access.service.store.audit_page(asked.filters(), before=asked.before, limit=_PER_PAGE + 1)
    shown = found[:_PER_PAGE]
    words = Messages(access.lang)
    older = asked.query(before=shown[-1].number) if len(found) > _PER_PAGE else ""
    return render(
        request,
        "audit.html",
        asked=asked,
        acts=_ACTS,
        rows=[(one, words.moment(one.at), _facts(one)) for one in shown],
        older=older,
        newest="" if asked.before is None else asked.query(),
        file=asked.query(),
        most=_MOST,
    )


def _facts(record: AuditRecord) -> str:
    """Details in one line; digests and lists are cut, the file has them whole."""
    told = []
    for name, value in sorted(record.facts.items()):
        if value in (None, "", [], {}):
            continue
        text = str(value) if isinstance(value, (str, int, float)) else json.dumps(value, ensure_ascii=False)
        told.append(f"{name} {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}")
    return ", ".join(told)


def export(request: Request) -> Response:
    """The filtered trail as CSV; taking it is itself written down."""
    access, asked = access_of(request), _asked(request)
    found = access.service.store.audit_page(asked.filters(), limit=_MOST)
    access.audit("audit.exported", "audit", rows=len(found), filter=asked.query())
    rows = [
        {
            "number": one.number,
            "at": one.at,
            "actor": one.actor,
            "act": one.act,
            "subject": one.subject,
            "facts": json.dumps(dict(one.facts), ensure_ascii=False, sort_keys=True),
        }
        for one in found
    ]
    return csv_answer(_COLUMNS, rows, name=f"audit-{_stamp(access.service.clock.now())}")


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}"


PAGES: Final = (
    Page(path="/audit", endpoint=trail, rule="audit", nav="nav.audit"),
    Page(path="/audit/audit.csv", endpoint=export, rule="audit"),
)
