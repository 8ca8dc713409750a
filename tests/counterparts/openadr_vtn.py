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
            if wanted["act"] != "answers":
                getattr(upstream, wanted["act"])(wanted)
            say({"answers": upstream.answers})


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
