"""Pages a person can reach, as many as told, and the forms there, filled in by somebody who means no good.

For each person of a console it follows links, as many as told and few of one kind, and sends each kind of
form several times with what no field expects: other scripts, numbers that are none, programs, nothing at
all. Then it must hold:

* no page and no form answers with a fault of the server, and no link leads to an error;
* nothing that was sent comes back as a program;
* no page writes words that only programs use, or uses one id twice.

Forms that end a session or take another person's key away are left out: the rest could not go on.

    python -m tests.soak.console_soak PAGES [SEED]

starts ``vpp serve --demo`` and prints one JSON document; status 1 if something was found.
"""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx2

__all__ = ["Tour", "tour"]

NONSENSE: Final = (
    "",
    "'; DROP TABLE point; --",
    "<script>alert(1)</script>",
    "-1",
    "1e309",
    "NaN",
    "9" * 400,
    "2026-13-45",
    "25:99",
    "\x00",
    "🚗" * 50,
    "../../etc/passwd",
    "０８：００",
    "{{ 7 * 7 }}",
)
_PROGRAMS_WORDS: Final = ("None", "undefined", "NaN", "nan", "Traceback", "{{", "}}", "object at 0x")
_LEFT_OUT: Final = ("/leave", "/people/", "/password", "/second-factor")
_OF_ONE_KIND: Final = 2  # pages that differ in numbers and values only
_PAUSE_S: Final = 3.0  # where the service asks for patience


class _Page(HTMLParser):
    """Links, forms and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[_Form] = []
        self.ids: Counter[str] = Counter()
        self._form: _Form | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if "id" in told:
            self.ids[told["id"]] += 1
        if tag == "a" and told.get("href"):
            self.links.append(told["href"].split("#")[0])
        if told.get("hx-get"):
            self.links.append(told["hx-get"])
        if tag == "form":
            self._form = _Form(told.get("action", ""), told.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and told.get("name") and "disabled" not in told:
            kind = told.get("type", "text") if tag == "input" else tag
            if kind != "file":
                self._form.fields.append((told["name"], kind, told.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None


@dataclass
class _Form:
    action: str
    method: str
    fields: list[tuple[str, str, str]] = field(default_factory=list)

    def filled(self, rng: random.Random) -> dict[str, str]:
        """What a browser would send after nonsense was written into it; hidden fields are as they were."""
        sent = {}
        for name, kind, value in self.fields:
            if kind == "hidden":
                sent[name] = value
            elif kind not in {"checkbox", "radio", "button"} or rng.random() < 0.5:
                sent[name] = rng.choice((*NONSENSE, value))
        return sent


@dataclass
class Tour:
    """What one person saw.

    Attributes
    ----------
    pages, sent : int
        Pages that were opened, and forms that were sent.
    answers : Counter of int
        How often each status answered a form.
    faults : list of str
        What must not be.
    """

    who: str
    pages: int = 0
    sent: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class _Visitor:
    """One person with a browser that knows no script."""

    def __init__(self, url: str, who: str, password: str) -> None:
        self.url, self.told = url, Tour(who)
        self.browser = httpx2.Client(base_url=url, headers={"Accept": "text/html"}, timeout=60)
        key = re.search(r'name="form_key" value="([^"]+)"', self.browser.get("/login").text)
        assert key is not None
        data = {"form_key": key[1], "name": who, "password": password, "next": "/"}
        answer = self.ask("POST", "/login", data)
        assert answer.status_code == 303, f"{who}: {answer.status_code}"

    def ask(self, method: str, path: str, told: Mapping[str, str] | None = None) -> httpx2.Response:
        """One request; waits where the service asks for patience."""
        own = {"Origin": self.url}
        while True:
            if method == "POST":
                answer = self.browser.post(path, data=told, headers=own)
            else:
                answer = self.browser.get(path, params=told)
            if answer.status_code != httpx2.codes.TOO_MANY_REQUESTS:
                return answer
            time.sleep(_PAUSE_S)

    def walk(self, pages: int, trials: int, rng: random.Random) -> Tour:
        """Open pages, the nearest first, and send their forms."""
        ahead, kinds, forms = deque(["/"]), Counter[str](), set[object]()
        while ahead and self.told.pages < pages:
            path = ahead.popleft()
            kind = re.sub(r"[\d-]+", "#", re.sub(r"=[^&]*", "=", path))
            if kinds[kind] >= _OF_ONE_KIND or any(part in path for part in _LEFT_OUT):
                continue
            kinds[kind] += 1
            page = self._open(path, ahead)
            for form in page.forms if page else ():
                target = self._inside(urljoin(path, form.action or path))
                if target is None or any(part in target for part in _LEFT_OUT):
                    continue
                shape = (re.sub(r"\d+", "#", target), tuple(one[0] for one in form.fields))
                if shape in forms:
                    continue
                forms.add(shape)
                for _ in range(trials):
                    self._send(form, target, rng)
        return self.told

    def _open(self, path: str, ahead: deque[str]) -> _Page | None:
        answer = self.ask("GET", path)
        self.told.pages += 1
        if answer.status_code >= httpx2.codes.BAD_REQUEST:
            self.told.faults.append(f"{path}: {answer.status_code}")
        if answer.is_redirect:
            ahead.append(urljoin(path, answer.headers["location"]))
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return None
        page = _Page(answer.text)
        twice = sorted(one for one, count in page.ids.items() if count > 1)
        self.told.faults += [f"{path}: id {one!r} stands there twice" for one in twice]
        words = re.sub(r"(?s)<(script|textarea)\b.*?</\1>|<[^>]+>", " ", answer.text)
        for word in _PROGRAMS_WORDS:
            if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", words):
                self.told.faults.append(f"{path}: says {word!r}")
        for link in page.links:
            inside = self._inside(urljoin(path, link))
            if inside is not None:
                ahead.append(inside)
        return page

    def _inside(self, link: str) -> str | None:
        """A link as a path of this console; others are named, for a page must lead nowhere else."""
        parts = urlsplit(link)
        if parts.scheme and not link.startswith(self.url):
            if parts.scheme in {"http", "https"}:
                self.told.faults.append(f"a link leads to {link}")
            return None
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def _send(self, form: _Form, target: str, rng: random.Random) -> None:
        sent = form.filled(rng)
        answer = self.ask(form.method.upper(), target, sent)
        self.told.sent += 1
        self.told.answers[answer.status_code] += 1
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            self.told.faults.append(f"{form.method} {target}: {answer.status_code} to {sent}")
        if NONSENSE[2] in answer.text:
            self.told.faults.append(f"{form.method} {target}: a program came back")


def tour(url: str, people: Mapping[str, str], *, pages: int, trials: int = 5, seed: int = 1) -> list[Tour]:
    """Let everybody look around.

    Parameters
    ----------
    people : mapping of str to str
        Passwords by name.
    pages : int
        Most pages for each.
    trials : int
        How often each kind of form is sent.
    """
    with ExitStack() as stack:
        visitors = []
        for who, password in people.items():  # all come in before the first one does anything
            visitors.append(_Visitor(url, who, password))
            stack.callback(visitors[-1].browser.close)
        return [one.walk(pages, trials, random.Random(f"{seed} {one.told.who}")) for one in visitors]


@contextmanager
def demo(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The demonstration on a free port; its address and its people."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "vpp.cli.main", "--lang", "en", "serve", "--demo", "--port", str(port)]
    said = folder / "log"
    with said.open("wb") as log:
        process = subprocess.Popen([*words, "--state", str(folder / "state")], stdout=log, stderr=log)
    try:
        while "\nOpen http" not in (text := said.read_text(encoding="utf-8")):
            assert process.poll() is None, text[-2000:]
            time.sleep(1.0)
        people = dict(re.findall(r"(?m)^  (\w+)\s+((?:[0-9a-f]{4}-){3}[0-9a-f]{4})\s", text))
        yield f"http://127.0.0.1:{port}", people
    finally:
        process.terminate()
        process.wait(60)


def main(words: Sequence[str] | None = None) -> int:
    """Tour the demonstration and print what was seen."""
    given = list(sys.argv[1:] if words is None else words)
    pages, seed = int(given[0]) if given else 100, int(given[1]) if len(given) > 1 else 1
    with tempfile.TemporaryDirectory(prefix="vpp-tour-") as folder, demo(Path(folder)) as (url, people):
        seen = tour(url, people, pages=pages, seed=seed)
        alive = httpx2.get(f"{url}/health/ready").status_code
    answers: Counter[int] = sum((one.answers for one in seen), Counter())
    faults = [f"{one.who}: {fault}" for one in seen for fault in one.faults]
    told = {
        "seed": seed,
        "people": len(seen),
        "pages": sum(one.pages for one in seen),
        "forms_sent": sum(one.sent for one in seen),
        "answers": {str(status): count for status, count in sorted(answers.items())},
        "ready_at_the_end": alive,
        "faults": faults,
    }
    print(json.dumps(told, indent=1, ensure_ascii=False))
    return int(bool(faults) or alive != httpx2.codes.OK)


if __name__ == "__main__":
    sys.exit(main())
