"""Telemetry on the wire: one report is offered (TELEMETRY_USAGE), and sent as the upstream asks for it.

The library would collect readings by timers of its own; here the node's own steps send them, so that consent
and age are looked at when a value leaves. An upstream asks again when the node registers, so requests are not
kept; what was sent last is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from energy.core.clock import Clock
from energy.core.slots import SLOT_LENGTH
from energy.store import Store, canonical_json
from vpp.openadr.inbox import ACTOR
from vpp.openadr.telemetry import PortfolioPower, Silence, half_hours, portfolio_power

__all__ = ["Reports"]

log = logging.getLogger(__name__)

SENT: Final = "openadr-telemetry"
"""Kind of the documents: the half hour that an upstream was told last; key is the upstream."""
_REPORT: Final = "portfolio-power"
_SERVICE: Final = "EiReport"
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
_Ask = Callable[[str, str], Awaitable[tuple[str | None, Mapping[str, Any]]]]


@dataclass(slots=True)
class Reports:
    """The report of one node.

    Parameters
    ----------
    ask : callable
        Sends a message to a service of the upstream; ``(None, {})`` if it did not arrive.
    """

    store: Store
    clock: Clock
    ask: _Ask
    _client: Any = None  # openleadr has no types
    _vtn: str = ""
    _wanted: dict[str, timedelta] = field(default_factory=dict)
    _next: dict[str, datetime] = field(default_factory=dict)
    _silent: str = ""

    async def offer(self, client: Any, vtn: str) -> None:
        """Tell the upstream what can be asked for; it answers with what it wants."""
        self._client, self._vtn = client, vtn
        if not client.reports:
            client.add_report(
                callback=lambda: None,  # never called: the library's timers are not started
                resource_id="portfolio",
                measurement="POWER_REAL",
                unit="W",
                scale="k",
                sampling_rate=SLOT_LENGTH,
                report_specifier_id=_REPORT,
                r_id=_REPORT,
                report_duration=SLOT_LENGTH,
            )
        self._wanted.clear()
        self._next.clear()
        kind, message = await self._say(
            "oadrRegisterReport", request_id=_new_id(), reports=client.reports, report_request_id=0
        )
        if kind == "oadrRegisteredReport" and message.get("report_requests"):
            await self._asked_for(message)

    async def take(self, kind: str, message: Mapping[str, Any]) -> bool:
        """Follow what the upstream says about reports; False if this message is not about them."""
        if kind == "oadrCreateReport" and self._client is not None:
            await self._asked_for(message)
        elif kind == "oadrCancelReport" and self._client is not None:
            told = message.get("report_request_id")
            for one in {str(told)} if not isinstance(told, list) else {str(name) for name in told}:
                self._wanted.pop(one, None)
                self._note("telemetry_ended", {"request": one})
            pending = [{"report_request_id": one} for one in self._wanted]
            await self._say("oadrCanceledReport", response=_ok(message), pending_reports=pending)
        else:
            return False
        return True

    async def send(self) -> None:
        """Send what is due and may leave; what does not arrive is due again."""
        now = self.clock.now()
        due = [one for one in self._wanted if self._next.get(one, now) <= now]
        if not due:
            return
        found = portfolio_power(self.store, at=now)
        if isinstance(found, Silence):
            self._keep_silent(found)
            return
        last = self._last()
        if last is not None and found.slot.start <= last:
            return
        self._silent = ""
        told = False
        for one in due:
            kind, _ = await self._say(
                "oadrUpdateReport", request_id=_new_id(), reports=[_report(one, found, now)]
            )
            if kind == "oadrUpdatedReport":
                told = True
                self._next[one] = found.slot.end + self._wanted[one]
        if told:
            self._sent(found, now)

    # -- inside ------------------------------------------------------------------------------------------

    async def _asked_for(self, message: Mapping[str, Any]) -> None:
        """Keep the requests for our report; others are answered with 452 (no such report)."""
        strange = False
        for one in message.get("report_requests") or []:
            told = one["report_specifier"]
            if told["report_specifier_id"] != _REPORT:
                strange = True
                continue
            request = str(one["report_request_id"])
            self._wanted[request] = half_hours(told.get("report_back_duration"))
            self._note(
                "telemetry_asked", {"request": request, "every_s": self._wanted[request].total_seconds()}
            )
        answer = _ok(message) if not strange else {**_ok(message), "response_code": 452}
        pending = [{"report_request_id": one} for one in self._wanted]
        await self._say("oadrCreatedReport", response=answer, pending_reports=pending)

    async def _say(self, kind: str, **told: object) -> tuple[str | None, Mapping[str, Any]]:
        made = self._client._create_message(kind, ven_id=self._client.ven_id, **told)  # noqa: SLF001
        return await self.ask(_SERVICE, made)

    def _last(self) -> datetime | None:
        known = self.store.as_of(_END_OF_TIME).document(SENT, self._vtn)
        return None if known is None else datetime.fromisoformat(json.loads(known.body)["slot"])

    def _sent(self, found: PortfolioPower, now: datetime) -> None:
        facts = {
            "slot": found.slot.start.isoformat(),
            "import_kw": found.import_kw,
            "sites": found.sites,
            "left_out": found.left_out,
        }
        with self.store.transaction():
            self.store.put_document(SENT, self._vtn, known_at=now, body=canonical_json(facts))
            self._note("telemetry_sent", facts)

    def _keep_silent(self, found: Silence) -> None:
        """Say once why nothing is sent."""
        if found.why == self._silent:
            return
        self._silent = found.why
        log.warning("openadr.telemetry.silent why=%s sites=%d", found.why, found.sites)
        facts = {"why": found.why, "sites": found.sites, "left_out": found.left_out}
        self._note("telemetry_silent", facts)

    def _note(self, act: str, facts: Mapping[str, object]) -> None:
        self.store.audit(ACTOR, f"openadr.{act}", f"openadr/{self._vtn}", at=self.clock.now(), facts=facts)


def _new_id() -> str:
    return str(uuid4())  # of a message, as the profile wants it; nothing is decided by it


def _ok(message: Mapping[str, Any]) -> dict[str, object]:
    told = message.get("request_id") or (message.get("response") or {}).get("request_id") or ""
    return {"response_code": 200, "response_description": "OK", "request_id": told}


def _report(request: str, found: PortfolioPower, now: datetime) -> dict[str, object]:
    """One half hour of the report. [kW]"""
    return {
        "report_request_id": request,
        "report_specifier_id": _REPORT,
        "report_name": "TELEMETRY_USAGE",
        "created_date_time": now,
        "dtstart": found.slot.start,
        "intervals": [
            {
                "dtstart": found.slot.start,
                "duration": SLOT_LENGTH,
                "report_payload": {"r_id": _REPORT, "value": found.import_kw},
            }
        ],
    }
