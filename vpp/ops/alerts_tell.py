"""Telling people by e-mail: over TLS, in one language, many alerts in one message, tried until it arrives.

Between two messages lies a pause, shorter if an alarm is among the news; whatever happens meanwhile comes in
the next one. So a hundred devices that fail together make one message. A message that the server does not
take is tried again after 1, 5, 15, 60 and then every 60 minutes, with everything that happened since.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import smtplib
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.errors import ConfigError
from energy.core.slots import JST
from energy.store import Store
from vpp.i18n import Lang, Messages
from vpp.ops.alerts import Act, Alert, AlertBook, AlertEvent, Kind, Level, events_since

__all__ = ["ALERT_MAIL", "MailSettings", "Post", "alert_sentence", "smtp_post", "tell_by_mail", "trial_mail"]

log = logging.getLogger(__name__)

ALERT_MAIL: Final = "alert-mail"
"""Kind of the document that says up to when people were told by mail; key ``digest``."""
_AGAIN: Final = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60))
_TIMEOUT_S: Final = 20.0
_MOST_LINES: Final = 50
_FIRST: Final = timedelta(days=1)  # what is still news when mail is sent for the first time
_NEVER: Final[dict[str, Any]] = {"until": "", "sent_at": "", "tries": 0, "again_at": "", "fault": ""}
Post = Callable[["MailSettings", EmailMessage], None]
"""Hands a message to a server; raises OSError (SMTPException is one) if it does not take it."""


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class MailSettings:
    """Alerts by e-mail.

    Parameters
    ----------
    host, port : str, int
        Server that takes messages. Port 587 speaks STARTTLS, 465 TLS from the first byte.
    tls : {"starttls", "implicit", "none"}
        ``none`` only for a server on this machine.
    user, secret : str
        Name, and where its password stands: ``env:NAME`` or ``file:PATH``; never the password itself.
    sender, to : str, tuple of str
        Addresses.
    lang : {"ja", "en"}
        Language of the messages.
    least : {"warning", "alarm"}
        What is told at all.
    pause_minutes, alarm_minutes : int
        Least time between two messages, and that if an alarm is among the news. [min]
    """

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    user: str = ""
    secret: str = ""
    sender: Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]
    to: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")], ...], Field(min_length=1)
    ]
    lang: Lang = "ja"
    least: Level = Level.WARNING
    pause_minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    alarm_minutes: Annotated[int, Field(ge=1, le=1440)] = 2

    @field_validator("secret")
    @classmethod
    def _is_a_reference(cls, written: str) -> str:
        if written and not written.startswith(("env:", "file:")):
            msg = "a secret stands elsewhere: write env:NAME or file:PATH"
            raise ValueError(msg)
        return written

    @model_validator(mode="after")
    def _is_safe(self) -> MailSettings:
        if bool(self.user) != bool(self.secret):
            msg = "user and secret belong together"
            raise ValueError(msg)
        if self.tls == "none" and not _is_here(self.host):
            msg = "tls: none is only for a mail server on this machine"
            raise ValueError(msg)
        return self


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password(settings: MailSettings) -> str:
    """The password, read when it is needed.

    Raises
    ------
    ConfigError
        If there is none where it should be.
    """
    kind, _, name = settings.secret.partition(":")
    try:
        found = os.environ.get(name, "") if kind == "env" else Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the mail password cannot be read", where=f"{settings.secret}: {type(error).__name__}"
        ) from None
    if not found:
        raise ConfigError("there is no mail password", where=settings.secret, hint="set it before the start")
    return found


def smtp_post(settings: MailSettings, message: EmailMessage) -> None:
    """Hand a message to the server; the password is only said after TLS with a proven certificate.

    Raises
    ------
    OSError
        If the server cannot be reached, is not who it should be, or refuses.
    """
    context = ssl.create_default_context()
    if settings.tls == "implicit":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.host, settings.port, timeout=_TIMEOUT_S, context=context
        )
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=_TIMEOUT_S)
    with server:
        if settings.tls == "starttls":
            server.starttls(context=context)
        if settings.user:
            server.login(settings.user, _password(settings))
        server.send_message(message)


def alert_sentence(words: Messages, one: Alert | AlertEvent) -> str:
    """What is wrong, in one sentence; a value that is not known is said to be."""
    facts = {key: str(value) for key, value in one.facts.items()}
    if one.kind is Kind.PLAN_LATE and "state" in facts:
        facts["state"] = words.text(f"alert.plan_state.{facts['state']}")
    key = f"alert.said.{one.kind.value}"
    needed = words.placeholders(key)
    return words.text(key, **{name: facts.get(name, "-") for name in needed})


def tell_by_mail(store: Store, settings: MailSettings, now: datetime, *, post: Post = smtp_post) -> int:
    """Send what is new, if there is anything and the pause is over; how many news were sent."""
    document = store.as_of(now).document(ALERT_MAIL, "digest")
    told = _NEVER if document is None else json.loads(document.body)
    if not told["until"]:
        told = {**told, "until": (now - _FIRST).isoformat()}
    until = min(datetime.fromisoformat(told["until"]), now)
    if told["again_at"] and now < datetime.fromisoformat(told["again_at"]):
        return 0
    news = _news(store, settings, until, now)
    if not news or not _pause_is_over(told["sent_at"], news, settings, now):
        return 0
    message = _digest(settings, news, now)
    try:
        post(settings, message)
    except (OSError, ConfigError) as error:
        tries = told["tries"] + 1
        again = now + _AGAIN[min(tries, len(_AGAIN)) - 1]
        fault = error.what if isinstance(error, ConfigError) else type(error).__name__
        _keep(store, {**told, "tries": tries, "again_at": again.isoformat(), "fault": fault}, now)
        log.warning("alert.mail_failed", extra={"facts": {"tries": tries, "why": fault}})
        return 0
    newest = max(one.at for one in news)
    fresh = {"until": newest.isoformat(), "sent_at": now.isoformat(), "tries": 0, "again_at": "", "fault": ""}
    _keep(store, fresh, now)
    log.info("alert.mail_sent", extra={"facts": {"news": len(news), "recipients": len(settings.to)}})
    return len(news)


def trial_mail(settings: MailSettings, now: datetime, *, post: Post = smtp_post) -> None:
    """Send a message that says it is only a test.

    Raises
    ------
    ConfigError
        If it was not taken, with what the server said.
    """
    words = Messages(settings.lang)
    message = _message(
        settings, words.text("alert.mail.test_subject"), words.text("alert.mail.test_body"), now
    )
    try:
        post(settings, message)
    except OSError as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(
            "the mail server did not take the message",
            where=f"{settings.host}:{settings.port}: {type(error).__name__}: {said}",
            hint="check host, port, tls, user and where the secret stands",
        ) from error


def _news(store: Store, settings: MailSettings, until: datetime, now: datetime) -> list[AlertEvent]:
    silent = {(one.kind, one.subject) for one in AlertBook(store).alerts() if one.silent(now)}
    return [
        one
        for one in events_since(store.as_of(now), until)
        if one.act in {Act.OPENED, Act.RAISED, Act.CLEARED}
        and (one.kind, one.subject) not in silent
        and (settings.least is Level.WARNING or one.level is Level.ALARM)
    ]


def _pause_is_over(sent_at: str, news: Sequence[AlertEvent], settings: MailSettings, now: datetime) -> bool:
    if not sent_at:
        return True
    urgent = any(one.level is Level.ALARM and one.act is not Act.CLEARED for one in news)
    pause = timedelta(minutes=settings.alarm_minutes if urgent else settings.pause_minutes)
    last = datetime.fromisoformat(sent_at)
    return last > now or now - last >= pause  # a clock that was put back makes nobody wait for days


def _digest(settings: MailSettings, news: Sequence[AlertEvent], now: datetime) -> EmailMessage:
    words = Messages(settings.lang)
    began = [one for one in news if one.act is not Act.CLEARED]
    alarms = sum(one.level is Level.ALARM for one in began)
    over = len(news) - len(began)
    subject = words.text("alert.mail.subject", alarms=alarms, warnings=len(began) - alarms, over=over)
    lines = [
        words.text(
            "alert.mail.line",
            at=f"{one.at.astimezone(JST):%m-%d %H:%M}",
            what=words.text(f"alert.{'over' if one.act is Act.CLEARED else f'level_{one.level.value}'}"),
            sentence=alert_sentence(words, one),
        )
        for one in sorted(
            news, key=lambda one: (one.act is Act.CLEARED, one.level is not Level.ALARM, one.at)
        )
    ]
    if len(lines) > _MOST_LINES:
        rest = words.text("alert.mail.more", count=len(lines) - _MOST_LINES)
        lines = [*lines[:_MOST_LINES], rest]
    return _message(settings, subject, "\n".join([*lines, "", words.text("alert.mail.foot")]), now)


def _message(settings: MailSettings, subject: str, body: str, now: datetime) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Date"] = format_datetime(now.astimezone(JST))
    message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    message.set_content(body + "\n")
    return message


def _keep(store: Store, told: dict[str, object], now: datetime) -> None:
    store.put_document(ALERT_MAIL, "digest", known_at=now, body=json.dumps(told))
