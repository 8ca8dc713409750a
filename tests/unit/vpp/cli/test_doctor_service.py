"""``vpp doctor`` of a running service: each line right, with what to do where something is wrong."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread

import pytest

from energy.core.clock import ManualClock
from energy.core.errors import ConfigError
from energy.store import open_store
from tests.unit.vpp.cli.calling import NOON, vpp
from vpp.cli.doctor import Finding, Status
from vpp.cli.doctor_service import Answer, certificate_end, examine_address, fetch

HERE = "http://127.0.0.1:8080"
CLOCK = ManualClock(NOON)
ALL_WELL: Mapping[str, object] = {"status": "ok", "parts": [{"name": "jobs", "status": "ok", "why": []}]}


def service(
    *, told: Mapping[str, object] = ALL_WELL, ready: int = 200, live: int = 200, off: float = 0.0
) -> list[Finding]:
    """What is found in a service that answers like this."""
    headers = {"date": format_datetime(NOON + timedelta(seconds=off), usegmt=True)}

    def get(address: str) -> Answer:
        status = {"/health/live": live, "/health/ready": ready}.get(address.removeprefix(HERE), 200)
        return Answer(status, headers, json.dumps(told).encode())

    return examine_address(HERE, clock=CLOCK, get=get)


def grades(findings: list[Finding]) -> dict[str, Status]:
    return {one.name: one.status for one in findings}


def test_a_sound_service_is_ok_in_every_line() -> None:
    found = service()
    assert grades(found) == dict.fromkeys(("service", "clock offset", "ready", "jobs", "tls"), Status.OK)


@pytest.mark.parametrize(("off", "status"), [(2, Status.OK), (-5, Status.WARN), (60, Status.FAIL)])
def test_clocks_that_differ_are_told_with_their_difference(off: float, status: Status) -> None:
    (one,) = [one for one in service(off=off) if one.name == "clock offset"]
    assert (one.status, one.detail.startswith(f"{abs(off + 0.5):.1f} s")) == (status, True)


def test_parts_say_what_is_wrong_with_them() -> None:
    parts = [
        {"name": "site:kitakata", "status": "degraded", "why": ["meter_silent"]},
        {"name": "jobs", "status": "failed", "why": ["ended"]},
    ]
    found = {one.name: one for one in service(told={"parts": parts}, ready=503)}
    assert (found["site:kitakata"].status, found["site:kitakata"].detail) == (
        Status.WARN,
        "degraded: meter_silent",
    )
    assert found["jobs"].status is found["ready"].status is Status.FAIL
    assert all(found[name].fix for name in ("jobs", "ready", "site:kitakata"))


def test_an_address_of_something_else_and_of_nothing_is_a_failure_with_advice() -> None:
    assert grades(service(live=404))["service"] is Status.FAIL
    found = examine_address("http://127.0.0.1:1", clock=CLOCK, get=fetch)
    assert found[0].status is Status.FAIL
    assert found[0].fix is not None
    with pytest.raises(ConfigError, match="no address"):
        examine_address("127.0.0.1:8080", clock=CLOCK)


def get_well(_address: str) -> Answer:
    return Answer(200, {"date": format_datetime(NOON, usegmt=True)}, json.dumps(ALL_WELL).encode())


@pytest.mark.parametrize(("days", "status"), [(90, Status.OK), (20, Status.WARN), (2, Status.FAIL)])
def test_a_certificate_that_ends_soon_is_told_in_time(days: int, status: Status) -> None:
    found = examine_address(
        "https://vpp.example",
        clock=CLOCK,
        get=get_well,
        ends=lambda _host, _port: NOON + timedelta(days=days),
    )
    assert grades(found)["tls"] is status


def test_a_service_without_tls_off_this_machine_is_a_failure() -> None:
    found = examine_address("http://vpp.example", clock=CLOCK, get=get_well)
    assert grades(found)["tls"] is Status.FAIL


def test_the_end_of_a_real_certificate_is_read_and_a_strange_one_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(["openssl", *words, *names], cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", str(tmp_path / "cert.pem")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            certificate_end("localhost", server.server_port)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        end = certificate_end("localhost", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    written = datetime.strptime(
        shown.removeprefix("notAfter=").replace("GMT", "+0000"), "%b %d %H:%M:%S %Y %z"
    )
    assert end == written.astimezone(UTC)


def test_a_service_is_looked_at_from_inside(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'vpp.db'}").close()
    config = tmp_path / "service.yaml"
    config.write_text(f"store: {{url: {tmp_path / 'vpp.db'}}}\n", encoding="utf-8")
    status, out, _ = vpp("doctor", "--config", str(config), "--json")
    found = {one["name"]: one for one in json.loads(out)}
    assert status == 0
    assert found["data stale"]["status"] == found["jobs stopped"]["status"] == "ok"
    assert (found["backup old"]["status"], found["mail"]["status"]) == ("warn", "warn")
    assert "vpp db backup" in found["backup old"]["fix_en"]


def test_a_store_that_is_not_there_is_a_failure_and_status_8(tmp_path: Path) -> None:
    config = tmp_path / "service.yaml"
    config.write_text(f"store: {{url: {tmp_path / 'none.db'}}}\n", encoding="utf-8")
    status, out, _ = vpp("doctor", "--config", str(config))
    assert (status, "fail  store:" in out) == (8, True)
