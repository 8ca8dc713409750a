"""Everybody looks around and sends the forms they find with nonsense; ``make soak`` does it on the demo."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from energy.ledger import Journal
from tests.e2e.console.served import Console
from tests.e2e.console.town import PASSWORD
from tests.soak.console_soak import tour
from vpp.people.roles import Role

pytestmark = pytest.mark.e2e

FAULTY = """<p id="a">None of it</p><p id="a">NaN</p><a href="/gone">x</a>
<a href="https://elsewhere.example/">y</a><form method="post" action="/echo"><input name="n"></form>
<form method="post" action="/broken"><input type="hidden" name="kept" value="1"></form>"""


def test_nonsense_in_the_forms_is_answered_in_words(own_console: Console) -> None:
    people = {role.value: PASSWORD for role in Role}
    seen = tour(own_console.url, people, pages=20, trials=3)
    assert [f"{one.who}: {fault}" for one in seen for fault in one.faults] == []
    assert all(one.pages > 3 for one in seen), seen
    assert sum(one.sent for one in seen) > 60
    assert any(400 <= status < 500 for one in seen for status in one.answers)
    Journal(own_console.service.store).verify()


class Faulty(BaseHTTPRequestHandler):
    """A console as it must not be."""

    def do_GET(self) -> None:
        login = '<form><input type="hidden" name="form_key" value="k"></form>'
        pages = {"/login": login, "/": FAULTY}
        self._say(200 if self.path in pages else 404, pages.get(self.path, ""))

    def do_POST(self) -> None:
        sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        status = {"/login": 303, "/broken": 500 if sent.get("kept") == ["1"] else 200}
        self._say(status.get(self.path, 200), "".join(sent.get("n", [])))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing on the screen."""


@pytest.fixture
def faulty() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_tour_notices_what_is_wrong(faulty: str) -> None:
    (seen,) = tour(faulty, {"hana": "x"}, pages=10, trials=60)
    found = "\n".join(seen.faults)
    for fault in (
        "/: id 'a' stands there twice",
        "/: says 'None'",
        "/: says 'NaN'",
        "/gone: 404",
        "a link leads to https://elsewhere.example/",
        "post /echo: a program came back",
        "post /broken: 500",
    ):
        assert fault in found, fault
