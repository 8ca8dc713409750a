"""The wire: an OpenADR 2.0b end node (VEN) that asks its upstream (VTN) and answers.

Only this file knows the vendor library. The node dials out; nothing listens here. Whatever happens to the
link, events that were taken go on to their end by our own clock, and what was missed is asked for when it is
back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from energy.core.clock import Clock
from energy.core.errors import ConfigError
from energy.store import Store
from vpp.openadr.inbox import ACTOR, Answer, Inbox, Terms
from vpp.openadr.reports import Reports
from vpp.openadr.session import Session

__all__ = ["Heard", "Link", "Lost", "Ven"]

log = logging.getLogger(__name__)

_MOST_MESSAGES: Final = 20  # of one step: an upstream that never stops talking must not keep us from the rest
_SHOWN: Final = 160  # characters of the vendor's words that are kept; a log line may hold a whole message


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How the upstream is reached.

    Parameters
    ----------
    url : str
        Base address of its simple-HTTP services, ending in ``/OpenADR2/Simple/2.0b``.
    ven_name : str
        Name under which this node registers.
    cert, key : Path or None
        Our certificate and key, PEM: for mutual TLS, and to sign messages.
    passphrase : str or None
        Of the key.
    ca : Path or None
        Certificate of the authority that signed the upstream's, PEM.
    fingerprint : str or None
        Of the certificate with which the upstream signs; with it every message must be signed.
    sign : bool
        Whether our messages are signed.

    Raises
    ------
    ConfigError
        If the parts do not go together, or messages would leave the machine unprotected.
    """

    url: str
    ven_name: str
    cert: Path | None = None
    key: Path | None = None
    passphrase: str | None = None
    ca: Path | None = None
    fingerprint: str | None = None
    sign: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(
                f"{self.url!r} is no address", where="--vtn", hint="write https://host/OpenADR2/..."
            )
        secrets = (self.cert, self.key, self.ca)
        if any(secrets) and not all(secrets):
            raise ConfigError(
                "mutual TLS needs a certificate, its key and the upstream's authority",
                where=f"--cert {self.cert}, --key {self.key}, --ca {self.ca}",
                hint="name all three, or none",
            )
        for path in secrets:
            if path is not None and not path.is_file():
                raise ConfigError("no such file", where=str(path), hint="check --cert, --key and --ca")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise ConfigError(
                "events would leave this machine unprotected",
                where=self.url,
                hint="use https with --cert, --key and --ca; http is for the loopback only",
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The upstream answered.

    Parameters
    ----------
    messages : int
        Messages with events.
    answers : tuple of Answer
        What it was told and acknowledged.
    returned_after : timedelta or None
        How long the link had been gone, if it was.
    """

    messages: int
    answers: tuple[Answer, ...]
    returned_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The upstream cannot be reached, does not know us, or is not who it should be.

    Parameters
    ----------
    running : tuple of str
        Events that go on to their end.
    """

    why: str
    since: datetime
    running: tuple[str, ...]


class Ven:
    """One end node and its upstream.

    Parameters
    ----------
    store : Store
        Where the events are kept.
    """

    def __init__(self, store: Store, link: Link, terms: Terms, clock: Clock) -> None:
        self._store, self._link, self._terms, self._clock = store, link, terms, clock
        self._client: Any = None  # openleadr has no types
        self._session: Session | None = None
        self._ear = _Ear()
        self._inbox: Inbox | None = None
        self._reports = Reports(store, clock, self._ask)
        self._reply: tuple[str | None, Mapping[str, Any]] = (None, {})
        self._synced = False
        self._lost_since: datetime | None = None
        self.poll_every = timedelta(seconds=10)

    async def __aenter__(self) -> Ven:
        try:
            from openleadr import OpenADRClient
        except ModuleNotFoundError as error:
            raise ConfigError(
                "this installation has no OpenADR",
                where=f"missing: {error.name}",
                hint="pip install 'aizu-vpp[openadr]'",
            ) from None

        link = self._link
        self._client = OpenADRClient(
            ven_name=link.ven_name,
            vtn_url=link.url,
            cert=str(link.cert) if link.cert else None,
            key=str(link.key) if link.key else None,
            passphrase=link.passphrase,
            ca_file=str(link.ca) if link.ca else None,
            vtn_fingerprint=link.fingerprint,
            show_fingerprint=False,
            disable_signature=not link.sign,
        )
        self._client.add_hook("after_parse_xml", self._remember)
        self._session = Session(cert=link.cert, key=link.key, ca=link.ca, passphrase=link.passphrase)
        self._client.client_session = self._session.client
        logging.getLogger("openleadr").addHandler(self._ear)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("openleadr").removeHandler(self._ear)
        if self._session is not None:
            await self._session.close()

    async def step(self) -> Heard | Lost:
        """Ask once for everything that is new, take it, and answer; never raises for the link's sake."""
        self._ear.words = ""
        if self._inbox is None and not await self._register():
            return self._gone()
        assert self._inbox is not None
        messages, answers = 0, list[Answer]()
        for turn in range(_MOST_MESSAGES):
            ask = self._client.poll if self._synced or turn else self._client.request_event
            kind, message = await self._asked(ask)
            if kind is None:
                return self._gone()
            if kind == "oadrRequestReregistration" or _refused(message):
                if not await self._register():
                    return self._gone()
                continue
            if await self._reports.take(kind, message):
                continue
            if kind != "oadrDistributeEvent":
                if self._synced or turn:
                    break
                self._synced = True  # the full list was asked for and is empty: now poll for changes
                continue
            self._synced = True
            messages += 1
            due = self._inbox.take(message.get("events") or [], at=self._clock.now())
            answers += await self._tell(due, str(message.get("request_id", "")))
        answers += await self._tell(self._inbox.due(at=self._clock.now()), "")
        if self._terms.telemetry:
            await self._reports.send()
        return Heard(
            messages=messages, answers=tuple(dict.fromkeys(answers)), returned_after=self._returned()
        )

    async def run(
        self,
        tell: Callable[[Heard | Lost], None],
        *,
        steps: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Heard | Lost:
        """Step until told to stop, as often as the upstream asks for; says what each step found.

        Parameters
        ----------
        steps : int, optional
            How many times; for ever if None.
        """
        done = 0
        while True:
            found = await self.step()
            tell(found)
            done += 1
            if steps is not None and done >= steps:
                return found
            await sleep(self.poll_every.total_seconds())

    # -- the link ----------------------------------------------------------------------------------------

    async def _register(self) -> bool:
        """Introduce ourselves; the upstream's name decides whose events these are."""
        kind, message = await self._asked(self._client.create_party_registration)
        if kind is None or not self._client.registration_id or _refused(message):
            self._ear.words = self._ear.words or "the upstream did not register this node"
            return False
        self._inbox = Inbox(self._store, str(message.get("vtn_id") or "vtn"), self._terms)
        if isinstance(self._client.poll_frequency, timedelta):
            self.poll_every = max(timedelta(seconds=1), self._client.poll_frequency)
        self._synced = False
        if self._terms.telemetry:
            await self._reports.offer(self._client, self._inbox.vtn)
        return True

    async def _ask(self, service: str, message: str) -> tuple[str | None, Mapping[str, Any]]:
        """One message of ours to a service of the upstream."""
        return await self._asked(lambda: self._client._perform_request(service, message))  # noqa: SLF001

    async def _asked(self, ask: Callable[[], Awaitable[Any]]) -> tuple[str | None, Mapping[str, Any]]:
        """One request; ``(None, {})`` if it failed, and then the ear knows why."""
        self._reply = (None, {})
        try:
            await ask()
        except (TypeError, KeyError, AttributeError) as error:
            # the library unpacks an empty or incomplete answer without looking at it
            self._ear.words = f"an answer that cannot be read: {type(error).__name__}"
            return None, {}
        return self._reply

    def _remember(self, kind: str, message: Mapping[str, Any]) -> None:
        self._reply = (kind, message)

    async def _tell(self, due: list[Answer], request_id: str) -> list[Answer]:
        """Answers that arrived; one that does not is due again at the next step."""
        assert self._inbox is not None
        arrived = []
        for one in due:
            kind, message = await self._asked(
                lambda one=one: self._client.created_event(  # type: ignore[misc]
                    request_id or one.event, one.event, one.opt, one.modification
                )
            )
            if kind is not None and not _refused(message):
                self._inbox.told(one, at=self._clock.now())
                arrived.append(one)
        return arrived

    def _gone(self) -> Lost:
        """Say once that the link is gone; what runs goes on."""
        now = self._clock.now()
        running = tuple(self._inbox.running(now)) if self._inbox else ()
        why = self._ear.words or "no usable answer"
        if self._lost_since is None:
            self._lost_since = now
            self._note("openadr.lost", {"why": why, "running": list(running)})
            log.warning("openadr.lost url=%s running=%d why=%s", self._link.url, len(running), why)
        self._synced = False
        return Lost(why=why, since=self._lost_since, running=running)

    def _returned(self) -> timedelta | None:
        if self._lost_since is None:
            return None
        gone = self._clock.now() - self._lost_since
        self._lost_since = None
        self._note("openadr.returned", {"gone_s": round(gone.total_seconds())})
        log.info("openadr.returned url=%s gone_s=%.0f", self._link.url, gone.total_seconds())
        return gone

    def _note(self, act: str, facts: Mapping[str, object]) -> None:
        vtn = self._inbox.vtn if self._inbox else self._link.url
        self._store.audit(ACTOR, act, f"openadr/{vtn}", at=self._clock.now(), facts=facts)


def _refused(message: Mapping[str, Any]) -> bool:
    """Whether an answer carries another code than 200."""
    response = message.get("response")
    return isinstance(response, Mapping) and response.get("response_code") not in {200, None}


class _Ear(logging.Handler):
    """Keeps the library's last complaint: it logs why a request failed and returns nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a complaint, shortened: it may quote a whole message."""
        self.words = record.getMessage().partition(" with data ")[0][:_SHOWN]
