"""Unit files, proxy and YAML of the examples hold what they promise, checked by the tools themselves."""

from __future__ import annotations

import configparser
import os
import shutil
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from energy.core.errors import DataError
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.web.browser import Town
from vpp.config import read_yaml
from vpp.ops.alive import alive_every_s, say_alive
from vpp.ops.retention import load_rules
from vpp.ops.status import Part, PartState
from vpp.setup.service import ServiceConfig

FOLDER = ROOT / "examples" / "service"
UNITS = ("vpp.service", "vpp-gateway.service")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_gives_away_no_rights_and_is_watched(name: str) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(FOLDER / name, encoding="utf-8")
    service = unit["Service"]
    for key in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "ProtectClock", "RestrictSUIDSGID"):
        assert service[key] == "yes"
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30
    assert service["User"] != "root"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_no_fault_in_a_unit(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    text = (FOLDER / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(text.replace("/opt/vpp/bin/vpp", "/bin/true"), encoding="utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / name)], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=vpp.example")
    names = ("-keyout", "privkey.pem", "-out", "fullchain.pem")
    subprocess.run(["openssl", *words, *names], cwd=tmp_path, check=True, capture_output=True)
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8").replace("/etc/ssl/vpp", str(tmp_path))
    old = "http2 on;"  # nginx before 1.25.1 says it on the line of `listen`
    version = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    if tuple(int(part) for part in version.partition("/")[2].split()[0].split(".")[:2]) < (1, 25):
        text = text.replace(old, "")
    head = f"pid {tmp_path / 'pid'};\nerror_log stderr;\n"
    (tmp_path / "nginx.conf").write_text(head + text, encoding="utf-8")
    found = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr


class _Behind(BaseHTTPRequestHandler):
    """Stands where the service does, and answers who the proxy says is asking."""

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers.get_all('X-Forwarded-For')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def test_caddy_takes_its_file_and_hands_on_who_asks_but_no_figures(tmp_path: Path) -> None:
    if shutil.which("caddy") is None:
        pytest.skip("caddy is not installed")
    file = FOLDER / "Caddyfile"
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    words = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)]
    found = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    with HTTPServer(("127.0.0.1", 0), _Behind) as behind, socket.socket() as free:
        threading.Thread(target=behind.serve_forever, daemon=True).start()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        text = file.read_text(encoding="utf-8").replace("vpp.example {", f"http://127.0.0.1:{port} {{")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{behind.server_address[1]}")
        (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text, encoding="utf-8")
        words = ["caddy", "run", "--adapter", "caddyfile", "--config", str(tmp_path / "Caddyfile")]
        with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as proxy:
            try:
                assert proxy.stderr is not None
                assert any("serving initial configuration" in line for line in proxy.stderr)
                with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as asks:
                    pretended = {"X-Forwarded-For": "203.0.113.9"}
                    assert asks.get("/health", headers=pretended).text == "/health ['127.0.0.1']"
                    assert asks.get("/metrics").status_code == 404
            finally:
                proxy.terminate()
        behind.shutdown()


def test_the_example_of_a_service_is_read_and_says_where_its_secret_stands() -> None:
    config = read_yaml(FOLDER / "service.yaml", ServiceConfig)
    assert config.ops.alerts.mail is not None
    assert config.ops.alerts.mail.secret == "file:/run/credentials/vpp.service/mail"
    assert config.ops.retention.apply
    assert load_rules()


# ---- alive -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "alive"), [(PartState.OK, True), (PartState.DEGRADED, True), (PartState.FAILED, False)]
)
def test_a_service_is_alive_unless_a_part_has_failed(state: PartState, *, alive: bool) -> None:
    told: list[str] = []
    with open_store("sqlite://") as store:
        parts = (Part(name="jobs", state=PartState.OK), Part(name="site:kitakata", state=state))
        assert say_alive(store, parts, told.append) is alive
    assert told == ["WATCHDOG=1"] * alive


def test_a_service_whose_database_is_gone_is_not_alive() -> None:
    store = open_store("sqlite://")
    store.close()
    with pytest.raises(DataError):
        store.rows.accounts.find()
    assert not say_alive(store, (), print)


def test_it_is_said_three_times_in_the_managers_patience() -> None:
    assert alive_every_s({"WATCHDOG_USEC": "60000000"}) == 20.0
    assert alive_every_s({}) == 10.0


def test_the_manager_hears_ready_alive_and_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with TestClient(Town().app):
            first = {door.recv(100) for _ in range(2)}
        assert first == {b"READY=1", b"WATCHDOG=1"}
        assert door.recv(100) == b"STOPPING=1"
