"""One site file with Modbus devices, OCPP stations, ECHONET Lite nodes and a broker, served on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")
pytest.importorskip("aiomqtt", reason="the extra mqtt is not installed")

from devices.assembly import assemble
from devices.echonet.twin import EchonetTwin, charger_properties, meter_properties
from devices.mqtt import Publisher
from devices.ocpp.twin import StationTwin
from devices.service import GatewayService, Paces
from devices.site_file import load_site
from devices.transport import Access
from energy.core.clock import SystemClock
from energy.core.errors import ConfigError, ExitStatus
from energy.core.outcome import Applied, ChargerPower, Command, CommandSource, Outcome
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId
from tests.unit.devices.test_echonet_devices import OURS, THEIRS, free_port
from tests.unit.devices.test_mqtt_publishing import broker, needs_mosquitto
from tests.unit.vpp.cli.test_device_command import Running, call, running

EXAMPLE = Path(__file__).parents[3] / "examples" / "site-equipment.yaml"
PASSWORD = "a-long-password-of-cp-1"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What paho has left is collected here, not in somebody else's test."""
    yield
    gc.collect()


def free_tcp() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def example(**changes: str) -> str:
    text = EXAMPLE.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def site_of(charger: Running, *, ocpp: int, udp: int, mqtt: int, secret: str) -> str:
    return f"""\
devices:
  - id: charger-1
    profile: wallbox-quasar1
    address: "{charger.host}"
    assets: [car-1]
    commissioned: {{ by: Tanaka, date: 2026-11-20, seen: "3 kW both ways" }}
ocpp:
  port: {ocpp}
  stations:
    - id: cp-1
      password: {secret}
      connectors: {{ 1: {{ asset: leaf, max_charge_kw: 6, max_discharge_kw: 6 }} }}
echonet:
  interface: {OURS}
  port: {udp}
  nodes:
    - host: {THEIRS}
      objects:
        - id: v2h-1
          kind: v2h
          asset: sakura
          commissioned: {{ by: Tanaka, date: 2026-11-20, seen: "3 kW both ways, standby" }}
        - {{ id: b-route, kind: meter, asset: office }}
mqtt: {{ site: works, assets: [office], port: {mqtt} }}
"""


async def until(seen: Callable[[], bool]) -> None:
    """Wait for something that the other side does in its own time."""
    async with asyncio.timeout(20.0):
        while not seen():
            await asyncio.sleep(0.01)


async def ordered(service: GatewayService, asset: str, power_kw: float) -> Outcome:
    now = SystemClock().now()
    return await service.apply(
        Command(
            asset=AssetId(asset),
            order=ChargerPower(power_kw),
            source=CommandSource.PLAN,
            reason=Reason(ReasonCode.PRICE),
            issued_at=now,
            expires_at=now + timedelta(minutes=30),
        )
    )


@asynccontextmanager
async def node(udp: int) -> AsyncIterator[EchonetTwin]:
    twin = EchonetTwin({"027e01": charger_properties(), "028801": meter_properties()})
    await twin.start(THEIRS, udp)
    try:
        yield twin
    finally:
        twin.stop()


@needs_mosquitto
async def test_sigterm_leaves_the_safe_state_on_equipment_of_every_kind(tmp_path: Path) -> None:
    udp, ocpp = free_port(), free_tcp()
    path, kept = tmp_path / "site.yaml", tmp_path / "cp-1.secret"
    kept.write_text(PASSWORD + "\n", encoding="utf-8")
    kept.chmod(0o600)
    with running("wallbox-quasar1") as charger:
        async with broker(tmp_path) as mosquitto, node(udp) as v2h:
            path.write_text(
                site_of(charger, ocpp=ocpp, udp=udp, mqtt=mosquitto.port, secret="{ file: cp-1.secret }"),
                encoding="utf-8",
            )
            site, clock = load_site(path), SystemClock()
            assert site.mqtt is not None
            gateway = assemble(site, clock=clock, access=Access.CONTROL)
            service = GatewayService(
                gateway, clock=clock, paces=Paces(0.05, 0.05, 0.05), notify=lambda _: None
            )
            publisher = Publisher(site.mqtt, clock=clock)
            following = asyncio.create_task(publisher.follow(service, every_s=0.05))
            serving = asyncio.create_task(service.run())
            service.stop_on_signals()
            await service.ready()
            station = StationTwin(
                f"ws://127.0.0.1:{ocpp}", "cp-1", version="2.1", clock=clock, password=PASSWORD
            )
            await station.dial()
            await station.plug(modes=("DC_BPT",))
            await station.start()
            await until(lambda: {one.value for one in gateway.connections.values()} == {"online"})

            assert isinstance(await ordered(service, "car-1", 3.0), Applied)
            assert isinstance(await ordered(service, "leaf", -3.0), Applied)
            assert isinstance(await ordered(service, "sakura", -2.0), Applied)
            told = charger.twin.wanted_kw  # type: ignore[attr-defined]
            assert (told(), station.power_w, v2h.objects["027e01"][0xDA]) == (3.0, -3000.0, b"\x43")
            count = 1 + 3 + 1  # status, points of a meter, connection
            await until(lambda: len(publisher._known) == count - 1 and not publisher._waiting)
            await until(lambda: publisher.sent >= count - 1)
            published = await mosquitto.kept(count)

            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, 20.0)
            assert told() == 0.0
            assert station.power_w == 0.0
            assert v2h.objects["027e01"][0xDA] == b"\x44"
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            assert (await mosquitto.kept(count))["vpp/works/status"] == "offline"
            await station.hang_up()
    assert published["vpp/works/status"] == "online"
    assert published["vpp/works/office/connection"] == {"state": "online"}
    assert published["vpp/works/office/power_kw"]["value"] == -1.5
    assert not [topic for topic in published if "leaf" in topic or "sakura" in topic]


def test_the_command_serves_all_kinds_and_says_who_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CP_1_PASSWORD", PASSWORD)
    path = tmp_path / "site.yaml"
    with running("wallbox-quasar1") as charger:
        path.write_text(
            site_of(
                charger, ocpp=free_tcp(), udp=free_port(), mqtt=free_tcp(), secret="{ env: CP_1_PASSWORD }"
            ),
            encoding="utf-8",
        )
        served = call("serve", path, "--seconds", 0.5, "--json")
    assert served.return_value == ExitStatus.OK, served.exception
    line = json.loads(served.stdout.splitlines()[-1])
    assert line["devices"]["charger-1"] == "online"
    assert set(line["devices"]) == {"charger-1", "cp-1", "v2h-1", "b-route"}
    assert set(line["readings"]) == {"car-1", "leaf", "sakura", "office"}
    assert PASSWORD not in served.output


def test_the_example_is_understood_and_its_secret_stays_out_of_sight() -> None:
    site = load_site(EXAMPLE, environment={"CP_1_PASSWORD": PASSWORD})
    assert site.ocpp is not None
    assert site.echonet is not None
    assert site.mqtt is not None
    assert [one.id for one in site.devices] == ["main-meter", "charger-1"]
    assert [one.id for one in site.ocpp.stations] == ["cp-1"]
    assert site.ocpp.stations[0].password == PASSWORD
    assert [(one.kind, one.config.commissioned) for one in site.echonet.objects] == [
        ("v2h", False),
        ("meter", False),
    ]
    assert site.mqtt.assets == {"meter", "office-meter"}
    assert PASSWORD not in repr(site)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{ env: CP_1_PASSWORD }", PASSWORD, "ocpp.stations.0.password: a secret is not written here"),
        (
            "{ env: CP_1_PASSWORD }",
            "{ env: A, file: b }",
            "ocpp.stations.0.password: a secret is in one place",
        ),
        ("{ env: CP_1_PASSWORD }", "{ file: nowhere }", "nowhere: No such file"),
        ("{ env: CP_1_PASSWORD }", "{ env: UNSET }", "password of station cp-1"),
        ("max_charge_kw: 6", "max_charge_kw: -6", "ocpp.stations.0.connectors.1.max_charge_kw"),
        ("safe_kw: 1.5", "safe_kw: 9", "cp-1 connector 1"),
        ("port: 9000", "port: 90000", "ocpp.port"),
        ("host: 127.0.0.1\n  port", "host: 0.0.0.0\n  port", "port 9000"),
        ("id: cp-1", "id: charger-1", "devices and ocpp"),
        ("asset: sakura", "asset: leaf", "ocpp cp-1 and echonet v2h-1"),
        ("kind: v2h", "kind: v2g", "echonet.nodes.0.objects.0.kind"),
        ("asset: sakura", "asset: sakura, commissioned: true", "echonet.nodes.0.objects.0.commissioned"),
        ("rated_kw: 40", "outdoor: 1", "outdoor is for package-ac, not for meter"),
        ("interface: 127.0.0.3", "interfaze: 127.0.0.3", "echonet.interfaze: Extra"),
        (
            "[meter, office-meter]",
            "[meter, porch]",
            "mqtt.assets; known: car-1, leaf, meter, office-meter, sakura",
        ),
        ("site: kitakata", "site: kita/kata", "mqtt"),
        ("site: kitakata", "site: kitakata\n  host: broker.example", "mqtt, port 1883"),
        ("mqtt: #", "mqqt: #", "mqqt: Extra"),
        ("site: kitakata", f"site: [{PASSWORD}", "while parsing"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key_without_the_secret(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(example(**{old: new}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path, environment={"CP_1_PASSWORD": PASSWORD})
    assert said in caught.value.where
    assert caught.value.hint
    assert PASSWORD not in str(caught.value) + caught.value.where + caught.value.hint


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (PASSWORD, 0o644, "has mode 0644"),
        (PASSWORD, 0o640, "has mode 0640"),
        ("", 0o600, "cp-1.secret"),
        (f"{PASSWORD}\nmore\n", 0o600, "cp-1.secret"),
    ],
)
def test_a_secret_that_others_may_read_or_that_is_none_is_refused(
    tmp_path: Path, content: str, mode: int, said: str
) -> None:
    path, kept = tmp_path / "site.yaml", tmp_path / "cp-1.secret"
    kept.write_text(content, encoding="utf-8")
    kept.chmod(mode)
    path.write_text(example(**{"{ env: CP_1_PASSWORD }": "{ file: cp-1.secret }"}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path, environment={})
    assert said in caught.value.where
    assert PASSWORD not in str(caught.value)


def test_a_site_without_equipment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("mqtt: { site: works, assets: [a] }", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert "no equipment: give devices, ocpp or echonet" in caught.value.where
