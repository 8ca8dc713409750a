"""``vpp echonet write`` and the search by multicast: what a person at the device does and sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner, Result

from devices.echonet.device import echonet_place
from devices.echonet.twin import EchonetTwin, ac_properties, charger_properties
from devices.hold import hold
from energy.core.errors import ConfigError, ExitStatus, RefusedError, UnreachableError
from tests.unit.devices.test_echonet_devices import OURS, THEIRS, free_port
from tests.unit.vpp.cli.test_protocol_commands import let_go
from vpp.cli import echonet
from vpp.console import Console


@dataclass
class Node:
    twin: EchonetTwin
    port: int

    def write(self, *words: object, lang: str = "en") -> Result:
        arguments = [str(word) for word in ("write", *words, "--interface", OURS, "--port", self.port)]
        console = Console("ja" if lang == "ja" else "en")
        return CliRunner().invoke(echonet.app, arguments, obj=console, standalone_mode=False)

    def set_of(self, target: str) -> list[dict[int, bytes]]:
        return [said for name, said in self.twin.writes if name == target]


@contextmanager
def listening(*, group: bool = False, setpoints: bool = True) -> Iterator[Node]:
    """A node in a thread of its own: commands bring their own event loop."""
    loop, port = asyncio.new_event_loop(), free_port()
    twin = EchonetTwin({"027e01": charger_properties(setpoints=setpoints), "014501": ac_properties()})
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        try:
            asyncio.run_coroutine_threadsafe(twin.start(THEIRS, port, group=group), loop).result(10.0)
        except OSError as error:
            pytest.skip(f"this kernel lets nobody join a group on loopback: {error}")
        yield Node(twin, port)
    finally:
        asyncio.run_coroutine_threadsafe(let_go(twin), loop).result(10.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)
        loop.close()


def test_a_dry_run_shows_the_properties_and_sets_none() -> None:
    with listening() as node:
        shown = node.write("v2h", THEIRS, "power_kw=-9", "--dry-run")
        assert shown.return_value == ExitStatus.OK, shown.exception
        assert shown.stdout.splitlines() == [
            "0xEC: 00000000 -> 00001770",
            "0xDA: 44 -> 43",
            "Held at a limit: 0xC9 6",
            "Nothing ends this order by itself: somebody has to stay at the device",
            "Dry run: nothing was written",
        ]
        assert node.twin.writes == []
        assert (
            "制限値に抑えられます" in node.write("v2h", THEIRS, "power_kw=-9", "--dry-run", lang="ja").stdout
        )


def test_an_order_is_set_read_back_and_stands_when_the_command_is_over() -> None:
    with listening() as node:
        done = node.write("v2h", THEIRS, "power_kw=-2.5", "--yes", "--json")
        assert done.return_value == ExitStatus.OK, done.exception
        assert json.loads(done.stdout) == {
            "host": THEIRS,
            "kind": "v2h",
            "instance": 1,
            "limit": None,
            "properties": [
                {"code": "0xEC", "before": "00000000", "after": "000009c4"},
                {"code": "0xDA", "before": "44", "after": "43"},
            ],
            "outcome": "applied",
            "why": None,
        }
        assert node.twin.objects["027e01"][0xDA] == b"\x43"
        node.write("v2h", THEIRS, "power_kw=0", "--yes")
        assert node.set_of("027e01")[-1] == {0xDA: b"\x44"}


def test_an_air_conditioner_is_told_mode_and_setpoint_or_off() -> None:
    with listening() as node:
        node.write("package-ac", THEIRS, "mode=heat", "setpoint_c=21.4", "--yes")
        assert node.set_of("014501") == [{0xB0: b"\x43", 0xB3: b"\x15", 0x80: b"\x30"}]
        node.write("package-ac", THEIRS, "mode=off", "--yes")
        assert node.set_of("014501")[-1] == {0x80: b"\x31"}


def test_nothing_is_set_without_consent_or_while_a_controller_commands_the_node() -> None:
    with listening() as node:
        asked = ("v2h", THEIRS, "power_kw=1")
        assert isinstance(error := node.write(*asked).exception, ConfigError)
        assert "--yes was not given" in str(error)
        with hold([echonet_place(THEIRS)]):
            assert isinstance(error := node.write(*asked, "--yes").exception, RefusedError)
            assert f"another program commands echonet {THEIRS}" in str(error)
        assert node.twin.writes == []


def test_a_node_that_does_not_obey_or_refuses_is_said_so() -> None:
    with listening() as node:
        node.twin.forgets = True
        lied = node.write("v2h", THEIRS, "power_kw=1", "--yes")
        assert lied.return_value == ExitStatus.DEVICE
        assert "Written, but it reads back otherwise: 0xEB reads 00000000 instead of 000003e8" in lied.stdout
        node.twin.forgets, node.twin.refuses = False, {0xDA}
        refused = node.write("v2h", THEIRS, "power_kw=2", "--yes")
        assert (refused.return_value, "Refused: " in refused.stdout) == (ExitStatus.DEVICE, True)
        node.twin.settable["027e01"] = set()
        assert isinstance(error := node.write("v2h", THEIRS, "power_kw=2", "--yes").exception, RefusedError)
        assert "its property map (0x9E)" in error.where
        node.twin.silent = True
        assert isinstance(node.write("v2h", THEIRS, "power_kw=2", "--dry-run").exception, UnreachableError)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("v2h", ["power_kw=much"], "power_kw is no number: 'much'"),
        ("v2h", ["power_kw=nan"], "power_kw is no number"),
        ("v2h", ["power_kw"], "'power_kw' is no setting"),
        ("v2h", ["mode=cool"], "'mode=cool' is no setting"),
        ("v2h", ["power_kw=1", "power_kw=2"], "'power_kw=2' is set twice"),
        ("package-ac", ["setpoint_c=20"], "no mode ''"),
        ("package-ac", ["mode=dry"], "no mode 'dry'"),
        ("package-ac", ["mode=cool"], "setpoint_c is no number: ''"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anybody_is_asked(
    kind: str, settings: list[str], said: str
) -> None:
    words = ["write", kind, "127.0.0.9", *settings, "--yes", "--port", "1"]
    error = CliRunner().invoke(echonet.app, words, obj=Console("en"), standalone_mode=False).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)
    assert "=" in error.hint


def test_everybody_is_found_by_multicast() -> None:
    with listening(group=True) as node:
        found = CliRunner().invoke(
            echonet.app,
            ["find", "--interface", OURS, "--port", str(node.port), "--seconds", "1", "--json"],
            obj=Console("en"),
            standalone_mode=False,
        )
        assert [one["host"] for one in json.loads(found.stdout)["nodes"]] == [THEIRS]
        assert found.return_value == ExitStatus.OK
