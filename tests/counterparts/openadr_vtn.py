"""An OpenADR 2.0b upstream (VTN) in a process of its own: the openleadr server, driven by lines on its stdin.

Each line is one JSON document with an ``act``; each is answered by one line of JSON on stdout. The first line
out says that the server listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from openleadr import OpenADRServer, objects, utils

VEN, REGISTRATION = "VEN-1", "REG-1"


def intervals(told: dict[str, Any]) -> list[dict[str, Any]]:
    """One interval over the whole event."""
    start, end = (datetime.fromisoformat(told[name]) for name in ("start", "end"))
    return [{"dtstart": start, "duration": end - start, "signal_payload": told["kw"]}]


class Upstream:
    """The server and what it heard."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.answers: list[list[str]] = []
        self.reports: list[list[object]] = []
        fingerprint = told.get("fingerprint")
        registered = {
            "ven_id": VEN,
            "ven_name": "ven",
            "fingerprint": fingerprint,
            "registration_id": REGISTRATION,
        }
        self.server = OpenADRServer(
            vtn_id=told.get("vtn_id", "VTN-1"),
            http_port=told["port"],
            requested_poll_freq=timedelta(seconds=1),
            cert=told.get("cert"),
            key=told.get("key"),
            http_cert=told.get("cert"),
            http_key=told.get("key"),
            http_ca_file=told.get("ca"),
            show_fingerprint=False,
            ven_lookup=lambda ven_id: registered if ven_id == VEN else None,
        )
        self.server.add_handler("on_create_party_registration", lambda _message: (VEN, REGISTRATION))
        self.server.add_handler("on_register_report", self.asked)
        self.next: list[tuple[str, dict[str, Any]]] = []
        poll, report = (self.server.services[name] for name in ("poll_service", "report_service"))
        self.usual = poll.handlers["oadrPoll"]
        poll.handlers["oadrPoll"] = self.polled
        report.handlers["oadrCanceledReport"] = self.ended  # the library's server has no word for it

    async def polled(self, payload: dict[str, Any]) -> tuple[str, Any]:
        """What is queued goes first; the library's server queues nothing but events."""
        return self.next.pop(0) if self.next else await self.usual(payload)

    def ended(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The node ended a report."""
        self.reports.append(["ended", payload["response"]["response_code"]])
        return "oadrResponse", {}

    def end_report(self, _told: dict[str, Any]) -> None:
        """Want the report no more."""
        (wanted,) = self.server.services["report_service"].requested_reports[VEN]
        request = {"report_request_id": wanted.report_request_id, "report_to_follow": False}
        self.next.append(("oadrCancelReport", {"request_id": "end-1", "ven_id": VEN, **request}))

    def want_report(self, _told: dict[str, Any]) -> None:
        """Want it again."""
        wanted = self.server.services["report_service"].requested_reports[VEN]
        self.next.append(
            ("oadrCreateReport", {"request_id": "want-1", "ven_id": VEN, "report_requests": wanted})
        )

    def asked(
        self,
        ven_id: str,
        resource_id: str,
        measurement: str,
        unit: str,
        scale: str,
        min_sampling_interval: timedelta,
        max_sampling_interval: timedelta,
    ) -> tuple[Any, timedelta, timedelta]:
        """Ask for a report that is offered, as often as it can be had."""
        self.reports.append(
            [resource_id, measurement, f"{scale}{unit}", min_sampling_interval.total_seconds()]
        )
        return self.reported, min_sampling_interval, max_sampling_interval

    def reported(self, values: list[tuple[datetime, float]]) -> None:
        """Values of a report."""
        self.reports += [[at.isoformat(), value] for at, value in values]

    def heard(self, ven_id: str, event_id: str, opt_type: str) -> None:
        """An answer of the node."""
        self.answers.append([event_id, opt_type])

    def add(self, told: dict[str, Any]) -> None:
        """A new event."""
        self.server.add_event(
            VEN,
            told.get("signal", "LOAD_DISPATCH"),
            "setpoint",
            intervals(told),
            callback=self.heard,
            event_id=told["id"],
            market_context="http://example.com/economic",
        )

    def change(self, told: dict[str, Any]) -> None:
        """Other hours or another power for an event, under the next modification number."""
        event = self.find(told["id"])
        told_intervals = intervals(told)
        event.event_signals[0].intervals = [objects.Interval(**one) for one in told_intervals]
        event.active_period = utils.get_active_period_from_intervals(told_intervals, False)
        event.event_descriptor.modification_number += told.get("by", 1)
        self.server.event_callbacks[told["id"]] = (event, self.heard)
        self.server.events_updated[VEN] = True

    def find(self, event_id: str) -> Any:
        """An event by its id."""
        return next(one for one in self.server.events[VEN] if one.event_descriptor.event_id == event_id)

    def cancel(self, told: dict[str, Any]) -> None:
        """Cancel an event in the profile's own way."""
        self.server.cancel_event(VEN, told["id"])
        self.server.event_callbacks[told["id"]] = (self.find(told["id"]), self.heard)

    def forget(self, told: dict[str, Any]) -> None:
        """Leave an event out of what is distributed: the profile's implied cancel."""
        self.server.events[VEN].remove(self.find(told["id"]))
        self.server.events_updated[VEN] = True

    def repeat(self, _told: dict[str, Any]) -> None:
        """Distribute again what was distributed before."""
        self.server.events_updated[VEN] = True


async def main(told: dict[str, Any]) -> None:
    """Listen, do what stdin says, answer each line."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # the server prints a banner
        upstream = Upstream(told)
        await upstream.server.run()

        def say(document: object) -> None:
            out.write(json.dumps(document) + "\n")
            out.flush()

        say({"listening": told["port"], "at": datetime.now(UTC).isoformat()})
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            wanted = json.loads(line)
            if wanted["act"] not in {"answers", "reports"}:
                getattr(upstream, wanted["act"])(wanted)
            say({"answers": upstream.answers, "reports": upstream.reports})


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
