"""Mail about alerts, taken by a server that nobody here wrote: over TLS, in digests, until it arrives."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError

from energy.core.errors import ConfigError
from energy.store import SqlStore, open_store
from tests.contract.store_backends import NOON
from vpp.ops.alerts import AlertBook, Kind, Level, Trouble
from vpp.ops.alerts_tell import MailSettings, smtp_post, tell_by_mail, trial_mail

MINUTE = timedelta(minutes=1)
BASE = MailSettings(
    host="127.0.0.1", sender="vpp@aizu.example", to=("ops@aizu.example",), tls="none", lang="en"
)


def lost(k: int, level: Level = Level.WARNING) -> Trouble:
    facts = {"site": "kitakata", "asset": f"car-{k}", "since": "11-23 11:50"}
    return Trouble(kind=Kind.DEVICE_LOST, subject=f"kitakata/car-{k}", level=level, facts=facts)


class Box:
    """What arrives; refuses while it is told to."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.closed = False

    def __call__(self, _settings: MailSettings, message: EmailMessage) -> None:
        if self.closed:
            raise ConnectionRefusedError
        self.got.append(message)

    async def handle_DATA(self, _server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        message = BytesParser(policy=default).parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        return "250 taken"


@pytest.fixture
def store() -> SqlStore:
    return open_store("sqlite://")


def test_a_hundred_devices_that_fail_together_make_one_message(store: SqlStore) -> None:
    book, box = AlertBook(store), Box()
    for k in range(20):
        book.review([lost(n) for n in range(100)], NOON + k * MINUTE)
        tell_by_mail(store, BASE, NOON + k * MINUTE, post=box)
    (message,) = box.got
    assert message["Subject"] == "[Aizu VPP] 0 alarms, 100 warnings, 0 over"
    body = message.get_content()
    assert body.count("has not answered") == 50
    assert "50 more are on the page" in body


def test_between_two_messages_lies_a_pause_and_an_alarm_shortens_it(store: SqlStore) -> None:
    book, box, sent = AlertBook(store), Box(), []
    for k in range(60):
        troubles = [lost(n) for n in range(3) if k >= 5 * n]  # a new one at 2, 7 and 12
        if k >= 30:
            troubles.append(Trouble(kind=Kind.LEDGER_BROKEN, level=Level.ALARM, facts={"fault": "entry 7"}))
        if k >= 31:
            troubles.append(lost(9))
        book.review(troubles, NOON + k * MINUTE)
        if tell_by_mail(store, BASE, NOON + k * MINUTE, post=box):
            sent.append(k)
    assert sent == [2, 17, 30, 45]
    assert "1 alarms" in box.got[2]["Subject"]


def test_a_message_that_is_not_taken_comes_later_with_everything_since(store: SqlStore) -> None:
    book, box, tried = AlertBook(store), Box(), []
    box.closed = True
    for k in range(40):
        book.review([lost(1)] + [lost(2)] * (k >= 4), NOON + k * MINUTE)
        box.closed = k < 20
        before = store.as_of(NOON + k * MINUTE).document("alert-mail", "digest")
        tell_by_mail(store, BASE, NOON + k * MINUTE, post=box)
        after = store.as_of(NOON + k * MINUTE).document("alert-mail", "digest")
        if after != before:
            tried.append(k)
    assert tried == [2, 3, 8, 23]  # again after 1, 5 and 15 minutes
    assert [one["Subject"] for one in box.got] == ["[Aizu VPP] 0 alarms, 2 warnings, 0 over"]


def test_what_is_over_is_told_and_what_is_silent_is_not(store: SqlStore) -> None:
    book, box = AlertBook(store), Box()
    for k in range(3):
        book.review([lost(1), lost(2)], NOON + k * MINUTE)
    book.silence("device_lost", "kitakata/car-2", by="hana", until=NOON + timedelta(days=1), at=NOON)
    tell_by_mail(store, BASE, NOON + 3 * MINUTE, post=box)
    for k in range(4, 40):
        book.review([lost(2)], NOON + k * MINUTE)
        tell_by_mail(store, BASE, NOON + k * MINUTE, post=box)
    texts = [one.get_content() for one in box.got]
    assert ["car-1" in one for one in texts] == [True, True]
    assert not any("car-2" in one for one in texts)
    assert "[Over]" in texts[1]


def test_who_wants_alarms_only_gets_no_warnings(store: SqlStore) -> None:
    book, box = AlertBook(store), Box()
    for k in range(5):
        book.review([lost(1)], NOON + k * MINUTE)
        tell_by_mail(store, replace(BASE, least=Level.ALARM), NOON + k * MINUTE, post=box)
    assert box.got == []


def test_a_clock_that_was_put_back_silences_nobody(store: SqlStore) -> None:
    book, box = AlertBook(store), Box()
    for k in range(4):
        book.review([lost(1)], NOON + timedelta(days=3) + k * MINUTE)
        tell_by_mail(store, BASE, NOON + timedelta(days=3) + k * MINUTE, post=box)
    for k in range(4):
        book.review([lost(1), lost(2)], NOON + k * MINUTE)
        tell_by_mail(store, BASE, NOON + k * MINUTE, post=box)
    assert len(box.got) == 2


# ---- a real server ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("papers")
    words = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(["openssl", *words, *names], cwd=folder, check=True, capture_output=True)
    return folder


def _known(_server: object, _session: object, _envelope: object, _kind: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    # Not handled: the server itself answers who is refused.
    return AuthResult(success=(data.login, data.password) == (b"vpp", b"right"), handled=False)


@pytest.fixture
def server(papers: Path) -> Iterator[tuple[Box, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Box()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(papers / "cert.pem", papers / "key.pem")
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=_known,
    )
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def by_tls(port: int, secret: str = "env:VPP_TEST_MAIL") -> MailSettings:
    return replace(BASE, port=port, tls="starttls", user="vpp", secret=secret)


def test_a_real_server_takes_it_over_tls_with_a_password_from_elsewhere(
    server: tuple[Box, int], papers: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    box, port = server
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "cert.pem"))
    monkeypatch.setenv("VPP_TEST_MAIL", "right")
    (tmp_path / "secret").write_text("right\n", encoding="utf-8")
    for secret in ("env:VPP_TEST_MAIL", f"file:{tmp_path / 'secret'}"):
        trial_mail(replace(by_tls(port, secret), lang="ja"), NOON, post=smtp_post)
    assert [one["Subject"] for one in box.got] == ["[会津VPP] テスト"] * 2
    assert box.got[0]["Date"] == "Mon, 23 Nov 2026 12:00:00 +0900"


def test_a_server_with_a_strange_certificate_never_hears_the_password(
    server: tuple[Box, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = server
    monkeypatch.setenv("VPP_TEST_MAIL", "right")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(ConfigError, match="did not take") as caught:
        trial_mail(by_tls(port), NOON, post=smtp_post)
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.where
    assert box.got == []


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_or_missing_password_is_said(
    server: tuple[Box, int], papers: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "cert.pem"))
    monkeypatch.setenv("VPP_TEST_MAIL", password)
    with pytest.raises(ConfigError, match="did not take" if password else "no mail password") as caught:
        trial_mail(by_tls(server[1]), NOON, post=smtp_post)
    assert ("535" in caught.value.where) == bool(password)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret": "hunter2", "user": "vpp"}, "env:NAME"),
        ({"user": "vpp"}, "belong together"),
        ({"host": "mail.example", "tls": "none"}, "only for a mail server on this machine"),
        ({"to": ("a@b, c@d",)}, "pattern"),
        ({"sender": "x\r\nBcc: all@b"}, "pattern"),
    ],
)
def test_settings_that_would_leak_or_go_astray_are_refused(changes: dict[str, object], said: str) -> None:
    fields = {"host": "127.0.0.1", "sender": "vpp@aizu.example", "to": ("ops@aizu.example",), **changes}
    with pytest.raises(ValidationError, match=said):
        MailSettings(**fields)  # type: ignore[arg-type]
