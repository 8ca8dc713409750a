"""``vpp serve``: a process of its own, on a port of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.unit.vpp.cli.calling import vpp


@pytest.fixture
def db(tmp_path: Path) -> str:
    path = str(tmp_path / "vpp.db")
    assert vpp("people", "invite", "hana", "--role", "administrator", "--db", path)[0] == 0
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(port: int) -> bool:
    """Whether nobody listens there any more."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Served:
    def __init__(self, db: str) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vpp.cli.main", "serve", "--db", db, "--port", str(self.port)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if "serve.listening" in line:
                break
        else:
            pytest.fail("".join(self.lines))
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr or ()))
        self.reader.start()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.reader.join(timeout=10)
        return code


@pytest.fixture
def served(db: str) -> Iterator[Served]:
    process = Served(db)
    yield process
    if process.process.poll() is None:
        process.process.kill()
        process.process.wait()
    process.reader.join(timeout=10)
    assert process.process.stderr is not None
    process.process.stderr.close()


def test_it_answers_and_stops_cleanly_when_told_to(served: Served) -> None:
    base = f"http://127.0.0.1:{served.port}"
    assert httpx2.get(f"{base}/health/ready").status_code == 200
    page = httpx2.get(f"{base}/login", headers={"Accept-Language": "ja"})
    assert "ログイン" in page.text
    assert "server" not in page.headers
    assert served.stop() == 0
    assert any('"event": "http.request"' in line for line in served.lines)


def test_a_request_in_flight_is_finished_before_it_stops(served: Served) -> None:
    body = b"form_key=x&name=hana&password=" + b"x" * 20
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as link:
        head = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
        link.sendall(head.encode())
        assert b"100 Continue" in link.recv(1000)  # the app is waiting for the body now
        served.process.send_signal(signal.SIGTERM)
        for _ in iter(lambda: refused(served.port), True):
            assert served.process.poll() is None
        link.sendall(body)
        assert link.recv(1000).startswith(b"HTTP/1.1 403")  # a wrong form key: but answered
    assert served.process.wait(timeout=30) == 0


def test_a_port_that_is_taken_is_said_and_ends_the_command(served: Served, db: str) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "vpp.cli.main", "serve", "--db", db, "--port", str(served.port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert again.returncode == 2
    assert "Address already in use" in again.stderr
    assert "--port" in again.stderr


def test_a_database_that_is_not_there_is_refused(tmp_path: Path) -> None:
    status, _, err = vpp("serve", "--db", str(tmp_path / "none.db"))
    assert status == 2
    assert "vpp people invite" in err


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("web: {prot: 80}", "did you mean 'port'"),
        ("web: {port: 99999}", "less than or equal to 65535"),
        ("web: {public_url: 'ftp://x'}", "not an address of a service"),
        ("web: {second_factor_for: [king]}", "king"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "vpp.yaml"
    path.write_text(text, encoding="utf-8")
    status, _, err = vpp("serve", "--config", str(path))
    assert status == 2
    assert fault in err
    assert "line 1" in err
