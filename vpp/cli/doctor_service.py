"""What ``vpp doctor`` looks at in a running service: through its address, and in its store."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from energy.core.clock import Clock
from energy.core.errors import ConfigError, VppError
from vpp.cli.doctor import Finding, Fix, Status
from vpp.i18n import Messages
from vpp.ops.alerts import Kind, Level, Trouble

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig

__all__ = ["Answer", "Fetch", "examine_address", "examine_config", "fetch"]

_TIMEOUT_S: Final = 10.0
_CLOCK_WARN, _CLOCK_FAIL = timedelta(seconds=3), timedelta(seconds=30)
_TLS_WARN, _TLS_FAIL = timedelta(days=21), timedelta(days=3)
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers by small letters, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Fetch = Callable[[str], Answer]
"""Gets an address; raises OSError if nothing came back."""
CertificateEnd = Callable[[str, int], datetime]
"""When the certificate of a host and port ends; raises OSError if it does not convince."""


def fetch(address: str) -> Answer:
    """Get an address, following nothing."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(kind(parts.netloc, timeout=_TIMEOUT_S)) as connection:
        try:
            connection.request("GET", parts.path, headers={"User-Agent": "aizu-vpp doctor"})
            got = connection.getresponse()
            body = got.read(1_000_000)
        except http.client.HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
    return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, body)


def certificate_end(host: str, port: int) -> datetime:
    """When the certificate that a server shows ends; a certificate that is not believed raises."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)


def examine_address(
    url: str, *, clock: Clock, get: Fetch = fetch, ends: CertificateEnd = certificate_end
) -> list[Finding]:
    """Look at a running service through its address, as its users reach it.

    Raises
    ------
    ConfigError
        If this is no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            "this is no address of a service", where=url, hint="write https://host or http://host:port"
        )
    base = f"{parts.scheme}://{parts.netloc}"
    findings = list(_reached(base, clock, get))
    findings.append(_secured(parts.hostname, parts.port, parts.scheme, clock, ends))
    return findings


def _reached(base: str, clock: Clock, get: Fetch) -> Iterator[Finding]:
    before = clock.now()
    try:
        alive = get(f"{base}/health/live")
    except OSError as error:
        fix = Fix(
            "サービスを起動し、アドレスとポートを確かめてください",
            "start the service; check address and port",
        )
        yield Finding("service", Status.FAIL, f"{base}: {error}", fix)
        return
    after = clock.now()
    if alive.status != 200:
        fix = Fix(
            "別のプログラムのアドレスでないか確かめてください", "see whether another program has this address"
        )
        yield Finding("service", Status.FAIL, f"{base} answers {alive.status}", fix)
        return
    ms = (after - before) / timedelta(milliseconds=1)
    yield Finding("service", Status.OK, f"{base} answers in {ms:.0f} ms")
    yield _offset(alive, before + (after - before) / 2)
    yield _ready(base, get)
    yield from _parts(base, get)


def _offset(answer: Answer, here: datetime) -> Finding:
    written = answer.headers.get("date")
    if written is None:
        return Finding("clock offset", Status.WARN, "the answer carries no date", None)
    # A date has whole seconds: on average it is half a second behind.
    there = parsedate_to_datetime(written) + timedelta(seconds=0.5)
    off = abs(there - here)
    detail = f"{off.total_seconds():.1f} s between this machine and the service"
    fix = Fix(
        "両方の時刻同期（NTP）を確かめてください。コマは料金です", "set both clocks (NTP): slots are money"
    )
    if off > _CLOCK_WARN:
        return Finding("clock offset", Status.FAIL if off > _CLOCK_FAIL else Status.WARN, detail, fix)
    return Finding("clock offset", Status.OK, detail)


def _ready(base: str, get: Fetch) -> Finding:
    fix = Fix("サービスのログとデータベースを見てください", "see the log of the service, and its database")
    try:
        status = get(f"{base}/health/ready").status
    except OSError as error:
        return Finding("ready", Status.FAIL, str(error), fix)
    if status == 200:
        return Finding("ready", Status.OK, "takes requests")
    return Finding("ready", Status.FAIL, f"answers {status}: does not take requests", fix)


def _parts(base: str, get: Fetch) -> Iterator[Finding]:
    """Each part as the service itself tells it."""
    try:
        told = json.loads(get(f"{base}/health").body)["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        yield Finding("parts", Status.WARN, "the service does not tell how its parts do", None)
        return
    fix = Fix("警報のページ /alerts を見てください", "see the page /alerts")
    grades = {"ok": Status.OK, "starting": Status.WARN, "degraded": Status.WARN}
    for part in told:
        status = grades.get(str(part["status"]), Status.FAIL)
        why = ", ".join(str(one) for one in part["why"])
        detail = f"{part['status']}{f': {why}' if why else ''}"
        yield Finding(str(part["name"]), status, detail, None if status is Status.OK else fix)


def _secured(host: str, port: int | None, scheme: str, clock: Clock, ends: CertificateEnd) -> Finding:
    if scheme == "http":
        if host in {"127.0.0.1", "localhost", "::1"}:
            return Finding("tls", Status.OK, "on this machine only: TLS belongs into the proxy in front")
        fix = Fix(
            "TLS を終端するリバースプロキシを置いてください",
            "put a reverse proxy with TLS in front (examples/service)",
        )
        return Finding("tls", Status.FAIL, f"passwords go to {host} unencrypted", fix)
    fix = Fix("証明書を更新してください", "renew the certificate")
    try:
        end = ends(host, port or 443)
    except (OSError, ValueError, KeyError) as error:
        return Finding("tls", Status.FAIL, f"{host}: {error}", fix)
    left = end - clock.now()
    detail = f"certificate ends {end:%Y-%m-%d}, in {left.days} days"
    if left < _TLS_WARN:
        return Finding("tls", Status.FAIL if left < _TLS_FAIL else Status.WARN, detail, fix)
    return Finding("tls", Status.OK, detail)


_FIXES: Final[Mapping[Kind, Fix]] = MappingProxyType(
    {
        Kind.DATA_STALE: Fix(
            "ゲートウェイと回線を確かめてください: vpp device probe", "see gateway and line: vpp device probe"
        ),
        Kind.DEVICE_LOST: Fix(
            "機器の電源と通信を確かめてください: vpp device probe", "see its power and line: vpp device probe"
        ),
        Kind.TARGET_AT_RISK: Fix(
            "工場の画面で負荷を下げてください", "shed load, see the page of the factory"
        ),
        Kind.PLAN_LATE: Fix(
            "計画を提出してください: vpp market plan list", "hand the plan in: vpp market plan list"
        ),
        Kind.FORECAST_DEMOTED: Fix(
            "データの変化を確かめてください: vpp forecast score", "see what changed: vpp forecast score"
        ),
        Kind.LEDGER_BROKEN: Fix(
            "支払いを止め、バックアップと比べてください: vpp ledger verify",
            "stop paying out, compare with a backup: vpp ledger verify",
        ),
        Kind.JOB_FAILED: Fix("失敗の理由を見てください: vpp jobs history", "see why: vpp jobs history"),
        Kind.JOBS_STOPPED: Fix(
            "サービスを再起動してください: systemctl restart vpp",
            "restart the service: systemctl restart vpp",
        ),
        Kind.BACKUP_OLD: Fix(
            "バックアップを取ってください: vpp db backup FOLDER --rotate",
            "make one: vpp db backup FOLDER --rotate",
        ),
        Kind.DISK_LOW: Fix("空きを増やしてください: vpp retention show", "make room: vpp retention show"),
    }
)


def examine_config(config: ServiceConfig, *, clock: Clock, lang: str) -> list[Finding]:
    """Look at a service from inside: its store, what is wrong in it, the space beside it."""
    from energy.store import open_store
    from vpp.ops.alerts_look import look
    from vpp.ops.jobs import disk_of, limits_of

    address = config.store.address
    try:
        with open_store(address, read_only=True) as store:
            troubles, looked = look(
                store, clock.now(), limits=limits_of(config.ops.alerts), disk=disk_of(address)
            )
            people = len(store.rows.accounts.find())
    except VppError as error:
        fix = Fix("store.url を確かめてください", error.hint or "check store.url")
        return [Finding("store", Status.FAIL, f"{error.what}: {error.where}", fix)]
    words = Messages("ja" if lang == "ja" else "en")
    findings = [Finding("store", Status.OK, f"opens, {people} accounts")]
    findings += [_of_kind(words, kind, troubles, looked) for kind in Kind if kind in looked or kind in _FIXES]
    findings.append(_told(config))
    return findings


def _of_kind(words: Messages, kind: Kind, troubles: Sequence[Trouble], looked: frozenset[Kind]) -> Finding:
    name = kind.value.replace("_", " ")
    if kind not in looked:
        return Finding(name, Status.WARN, "could not be looked at, or is on another machine", None)
    mine = [one for one in troubles if one.kind is kind]
    if not mine:
        return Finding(name, Status.OK, "no")
    worst = Status.FAIL if any(one.level is Level.ALARM for one in mine) else Status.WARN
    said = [_sentence(words, one) for one in mine[:_SHOWN]]
    more = f" (+{len(mine) - _SHOWN})" if len(mine) > _SHOWN else ""
    return Finding(name, worst, "; ".join(said) + more, _FIXES[kind])


def _sentence(words: Messages, trouble: Trouble) -> str:
    from vpp.ops.alerts import Act, AlertEvent
    from vpp.ops.alerts_tell import alert_sentence

    at = datetime.min.replace(tzinfo=UTC)
    return alert_sentence(
        words, AlertEvent(at, trouble.kind, trouble.subject, Act.OPENED, trouble.level, trouble.facts)
    )


def _told(config: ServiceConfig) -> Finding:
    if config.ops.alerts.mail is not None:
        return Finding("mail", Status.OK, f"alerts go to {len(config.ops.alerts.mail.to)} addresses")
    fix = Fix(
        "ops.alerts.mail を設定し、vpp alert test で試してください", "set ops.alerts.mail, try vpp alert test"
    )
    return Finding("mail", Status.WARN, "nobody gets alerts by mail", fix)
