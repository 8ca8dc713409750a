"""``vpp serve --demo`` as a newcomer meets it: it starts, people come in, it runs, it stops, it goes on."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from energy.core.slots import JST

pytestmark = pytest.mark.e2e


class Demo:
    """One start of the command."""

    def __init__(self, state: Path, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        more = ["--state", str(state), "--port", str(port), "--past", "1", "--speed", "30"]
        more += ["--site", "kitakata", "--site", "city-hall"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vpp.cli.main", "--lang", "en", "serve", "--demo", *more],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.lines: list[str] = []
        self.browsers: list[httpx2.Client] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("Open http"):
                break
        else:
            pytest.fail("".join(self.lines))
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr or ()))
        self.reader.start()

    @property
    def passwords(self) -> dict[str, str]:
        found = (re.match(r"  (\w+) +([0-9a-f-]{19}) ", line) for line in self.lines)
        return {one[1]: one[2] for one in found if one}

    def browser(self, who: str, password: str) -> httpx2.Client:
        browser = httpx2.Client(
            base_url=self.base,
            follow_redirects=True,
            timeout=60,
            headers={"Accept": "text/html", "Accept-Language": "en", "Origin": self.base},
        )
        self.browsers.append(browser)
        key = re.search(r'name="form_key" value="([^"]+)"', browser.get("/login").text)
        assert key is not None
        answer = browser.post("/login", data={"form_key": key[1], "name": who, "password": password})
        assert answer.status_code == 200
        return browser

    def stop(self) -> int:
        for browser in self.browsers:
            browser.close()
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self.reader.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def demo_time(page: str) -> datetime:
    """Demo time, as every page says it: without the year, as every moment."""
    found = re.search(r"the time here is \w{3} (\d{1,2} \w{3} \d\d:\d\d)", page)
    assert found is not None
    return datetime.strptime(f"2026 {found[1]} +0900", "%Y %d %b %H:%M %z")


def test_a_newcomer_starts_it_logs_in_sees_it_run_and_finds_it_again(tmp_path: Path) -> None:
    port = free_port()
    first = Demo(tmp_path / "demo", port)
    passwords = first.passwords
    try:
        assert set(passwords) == {
            *("hana", "ken", "mori", "sato", "shiyaku", "aoki", "machi", "denki", "kobo", "kansa")
        }
        health = httpx2.get(f"{first.base}/health").json()
        assert {part["name"] for part in health["parts"]} == {"site:kitakata", "site:city-hall", "jobs"}
        assert httpx2.get(f"{first.base}/health/ready").status_code == 200
        mori = first.browser("mori", passwords["mori"])
        page = mori.get("/factory/kitakata")
        assert page.status_code == 200
        began = demo_time(page.text)
        assert began >= datetime(2026, 8, 6, 9, tzinfo=JST)
        why = mori.get("/factory/kitakata/why/ariya")
        assert why.status_code == 200
        shiyaku = first.browser("shiyaku", passwords["shiyaku"])
        assert shiyaku.get("/factory/city-hall").status_code == 200
        assert shiyaku.get("/factory/kitakata").status_code in {403, 404}
        agreements = first.browser("ken", passwords["ken"]).get("/operator/ppa").text
        assert "On-site PPA of the roof" in agreements
        assert "July 2026" in agreements or "2026-07" in agreements
        sato = first.browser("sato", passwords["sato"])
        assert sato.get("/car").status_code == 200
        assert sato.get("/factory/kitakata").status_code in {403, 404}
        for _ in iter(lambda: demo_time(mori.get("/account").text) > began, True):
            assert first.process.poll() is None
    finally:
        status = first.stop()
    assert status == 0, "".join(first.lines)
    assert not [line for line in first.lines if "Traceback" in line]
    again = Demo(tmp_path / "demo", port)
    try:
        assert again.passwords == {}
        assert any("goes on from" in line for line in again.lines)
        page = again.browser("mori", passwords["mori"]).get("/account")
        assert demo_time(page.text) >= began
    finally:
        assert again.stop() == 0


def test_what_belongs_to_other_commands_is_refused(tmp_path: Path) -> None:
    for words, fault in (
        (["--demo", "--db", str(tmp_path / "x.db")], "--demo has sites and a database of its own"),
        (["--speed", "10"], "belong to --demo"),
        (["--demo", "--site", "atlantis"], "no site 'atlantis' in the demonstration"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "vpp.cli.main", "--lang", "en", "serve", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 2
        assert fault in done.stderr
