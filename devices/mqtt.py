"""Measurements and states for other programs, over MQTT 3.1.1. Orders do not come this way: nobody listens.

Needs the extra ``mqtt``. What is published where: docs/how-to/publish-over-mqtt.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, assert_never

import aiomqtt

from devices.backoff import BackOff, Connection
from energy.core.clock import Clock
from energy.core.errors import ConfigError, UnreachableError
from energy.core.measurement import Measurement
from energy.core.outcome import (
    ChargerPower,
    Command,
    DemandStep,
    GenerationLimit,
    Order,
    Outcome,
    RoomClimate,
)
from energy.core.units import AssetId

__all__ = ["MqttConfig", "MqttTls", "PublishedEquipment", "Publisher", "check_mqtt"]

log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_AT_LEAST_ONCE: Final = 1
_ACKNOWLEDGED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class MqttTls:
    """Certificates.

    Parameters
    ----------
    ca : Path or None
        Authority of the broker's certificate; that of the system if None.
    certificate, key : Path or None
        What we show to a broker that asks for one.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """A broker, and what it may know.

    Parameters
    ----------
    site : str
        Name of the site in the topics.
    assets : frozenset of AssetId
        What may be published. Nothing else leaves: whether a certain person's car is there, and how full it
        is, is a personal datum, and leaving it out must not depend on somebody remembering to.
    host, port
        Where the broker is.
    prefix : str
        First level of all topics.
    user, password : str or None
        For brokers that want them.
    tls : MqttTls or None
        TLS; needed for any broker that is not on this machine.
    keepalive_s : int
        After one and a half of these without a word the broker publishes our last will. [s]
    queue : int
        Most messages that wait while the broker is away; the oldest make room.
    repeat_s : float
        A value that does not change is published again after this. [s]
    """

    site: str
    assets: frozenset[AssetId]
    host: str = "127.0.0.1"
    port: int = 1883
    prefix: str = "vpp"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: MqttTls | None = None
    keepalive_s: int = 30
    queue: int = 1000
    repeat_s: float = 60.0


class Publisher:
    """Publishes the newest of everything; takes what is given at once, and sends it when it can.

    All messages are retained and of quality of service 1. A topic holds one value: what waits is replaced by
    what is newer, so after an hour without broker the present is sent, not the hour.

    Parameters
    ----------
    config : MqttConfig
        Where to, and what.
    clock : Clock
        Time of back-off and repetition.

    Raises
    ------
    ConfigError
        If a name cannot be part of a topic, or data would travel in the clear.
    """

    def __init__(self, config: MqttConfig, *, clock: Clock) -> None:
        check_mqtt(config)
        self.config = config
        self.connection = Connection.NEVER
        self.sent = 0
        self.dropped = 0
        self._clock = clock
        self._root = f"{config.prefix}/{config.site}"
        self._waiting: OrderedDict[str, str] = OrderedDict()
        self._known: dict[str, tuple[object, str, datetime]] = {}
        self._news = asyncio.Event()
        self._back_off = BackOff(f"mqtt-{config.site}")

    # What is given

    def readings(self, readings: Mapping[AssetId, Mapping[str, Measurement]]) -> None:
        """Take what was read: what is new, and what was not told for a while."""
        for asset in self.config.assets & readings.keys():
            for name, measured in readings[asset].items():
                said = (measured.value, measured.quality)
                document = {
                    "value": measured.value,
                    "unit": measured.unit.value,
                    "quality": measured.quality.value,
                    "at": _stamp(measured.read_at),
                }
                self._offer(f"{self._root}/{asset}/{name}", said, document)

    def outcome(self, outcome: Outcome) -> None:
        """Take what became of an order; by whom it was given stays here."""
        command = outcome.command
        if command.asset not in self.config.assets:
            return
        words = _words(command.order)
        document = {
            "order": words,
            "source": command.source.value,
            "reason": command.reason.code.value,
            "outcome": type(outcome).__name__.lower(),
            "at": _stamp(command.issued_at),
            "until": _stamp(command.expires_at),
        }
        said = (document["outcome"], *words.items(), command.expires_at)
        self._offer(f"{self._root}/{command.asset}/order", said, document)

    def devices(self, connections: Mapping[str, Connection], assets: Mapping[AssetId, str]) -> None:
        """Take how things stand with the devices behind the assets that may be known."""
        for asset in self.config.assets & assets.keys():
            state = connections[assets[asset]]
            self._offer(f"{self._root}/{asset}/connection", state, {"state": state.value})

    def _offer(self, topic: str, said: object, document: Mapping[str, object]) -> None:
        now = self._clock.now()
        known = self._known.get(topic)
        again = timedelta(seconds=self.config.repeat_s)
        if known is not None and known[0] == said and now - known[2] < again:
            return
        text = json.dumps(document, ensure_ascii=False)
        self._known[topic] = (said, text, now)
        self._wait(topic, text)

    def _wait(self, topic: str, text: str) -> None:
        self._waiting.pop(topic, None)
        self._waiting[topic] = text
        while len(self._waiting) > self.config.queue:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._news.set()

    # What is sent

    async def run(self) -> None:
        """Connect, send, and connect again, until this is cancelled; then say goodbye.

        Raises
        ------
        ConfigError
            If the certificates cannot be used.
        """
        context = None if self.config.tls is None else _context(self.config.tls)
        while True:
            try:
                await self._connected(context)
            except aiomqtt.MqttError as error:
                self._failed(error)
            now = self._clock.now()
            if self._back_off.retry_at is not None:
                await asyncio.sleep(max(0.0, (self._back_off.retry_at - now).total_seconds()))

    async def follow(self, served: _Served, *, every_s: float = 1.0) -> None:
        """Publish what a served gateway reads, until this is cancelled.

        Parameters
        ----------
        served : GatewayService
            Its readings are taken from memory: nothing more goes to the devices.
        every_s : float
            How often they are looked at. [s]

        Raises
        ------
        ConfigError
            If the certificates cannot be used.
        """
        sending = asyncio.create_task(self.run())
        try:
            while not sending.done():
                self.readings(await served.read())
                self.devices(served.gateway.connections, served.gateway.assets)
                await asyncio.wait((sending,), timeout=every_s)
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _failed(self, error: aiomqtt.MqttError) -> None:
        if self.connection is not Connection.OFFLINE:
            log.warning("mqtt.offline broker=%s:%d why=%s", self.config.host, self.config.port, error)
        self.connection = Connection.OFFLINE
        self._back_off.failed(self._clock.now(), UnreachableError("the broker does not answer"))

    async def _connected(self, context: ssl.SSLContext | None) -> None:
        config, status = self.config, f"{self._root}/status"
        client = aiomqtt.Client(
            config.host,
            config.port,
            username=config.user,
            password=config.password,
            identifier=f"{config.prefix}-{config.site}",
            will=aiomqtt.Will(status, "offline", qos=_AT_LEAST_ONCE, retain=True),
            keepalive=config.keepalive_s,
            timeout=_ACKNOWLEDGED_S,
            tls_context=context,
            logger=logging.getLogger(f"{__name__}.aiomqtt"),
        )
        async with client:
            await client.publish(status, "online", qos=_AT_LEAST_ONCE, retain=True)
            log.info("mqtt.online broker=%s:%d", config.host, config.port)
            self.connection = Connection.ONLINE
            self._back_off.succeeded()
            for topic, (_, text, _) in self._known.items():  # a broker that has restarted knows nothing
                if topic not in self._waiting:
                    self._wait(topic, text)
            sender = asyncio.ensure_future(self._send(client))
            watcher = asyncio.ensure_future(_until_lost(client))
            try:
                await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
            finally:
                cancelled = asyncio.current_task()
                if cancelled is not None and cancelled.cancelling():
                    with suppress(aiomqtt.MqttError):
                        await client.publish(status, "offline", qos=_AT_LEAST_ONCE, retain=True)
                for task in (sender, watcher):
                    task.cancel()
                ends = await asyncio.gather(sender, watcher, return_exceptions=True)
            for end in ends:
                if isinstance(end, Exception):
                    raise end

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            while self._waiting:
                topic, text = next(iter(self._waiting.items()))
                await client.publish(topic, text, qos=_AT_LEAST_ONCE, retain=True)
                self.sent += 1
                if self._waiting.get(topic) == text:  # else something newer has come while it was sent
                    del self._waiting[topic]
            self._news.clear()
            await self._news.wait()


class _Gateway(Protocol):
    @property
    def connections(self) -> dict[str, Connection]: ...

    @property
    def assets(self) -> dict[AssetId, str]: ...


class _Served(Protocol):
    """What is followed: a gateway that is served."""

    @property
    def gateway(self) -> _Gateway:
        """The devices."""
        ...

    async def read(self, ids: Collection[str] | None = None) -> dict[AssetId, dict[str, Measurement]]:
        """Newest readings."""
        ...


class _Equipment(Protocol):
    """What is published: a gateway."""

    async def read(self, ids: Collection[str] | None = None) -> dict[AssetId, dict[str, Measurement]]:
        """Newest readings."""
        ...

    async def apply(self, command: Command) -> Outcome:
        """Carry out a command."""
        ...

    @property
    def connections(self) -> dict[str, Connection]:
        """How things stand with each device."""
        ...

    @property
    def assets(self) -> dict[AssetId, str]:
        """Assets and the devices that speak for them."""
        ...


class PublishedEquipment:
    """A gateway whose readings and outcomes are published on their way up; it is slowed by nothing."""

    def __init__(self, equipment: _Equipment, publisher: Publisher) -> None:
        self.equipment = equipment
        self.publisher = publisher

    async def read(self, ids: Collection[str] | None = None) -> dict[AssetId, dict[str, Measurement]]:
        """Newest readings."""
        readings = await self.equipment.read(ids)
        self.publisher.readings(readings)
        self.publisher.devices(self.equipment.connections, self.equipment.assets)
        return readings

    async def apply(self, command: Command) -> Outcome:
        """Carry out a command."""
        outcome = await self.equipment.apply(command)
        self.publisher.outcome(outcome)
        return outcome


async def _until_lost(client: aiomqtt.Client) -> None:
    """Nothing is subscribed to; this ends with the connection."""
    async for _ in client.messages:
        pass


def _words(order: Order) -> dict[str, Any]:
    match order:
        case ChargerPower(power_kw):
            return {"power_kw": power_kw}
        case RoomClimate(mode, setpoint_c):
            return {"mode": mode.value, "setpoint_c": setpoint_c}
        case GenerationLimit(limit_kw):
            return {"limit_kw": limit_kw}
        case DemandStep(ratio):
            return {"ratio": ratio}
    assert_never(order)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def check_mqtt(config: MqttConfig) -> None:
    """Refuse a configuration that makes no topics, or that would send data in the clear.

    Raises
    ------
    ConfigError
        If a name cannot be part of a topic, or a broker elsewhere has no TLS.
    """
    for what, name in (
        ("site", config.site),
        ("prefix", config.prefix),
        *(("asset", a) for a in config.assets),
    ):
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{what} {name!r} cannot be part of a topic", where="mqtt", hint="letters, digits, - _ ."
            )
    if config.host not in _LOOPBACK and config.tls is None:
        raise ConfigError(
            f"measurements would travel to {config.host} in the clear",
            where=f"mqtt, port {config.port}",
            hint="give tls, or use a broker on this machine as a bridge",
        )
    if config.queue < 1 or config.keepalive_s < 1:
        raise ConfigError(
            "an mqtt limit is below 1", where=f"queue {config.queue}, keepalive {config.keepalive_s}"
        )


def _context(tls: MqttTls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the certificates for mqtt cannot be used", where=f"{tls.ca}: {error}", hint="PEM files, readable"
        ) from None
    return context
