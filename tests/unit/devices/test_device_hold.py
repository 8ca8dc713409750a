"""One program commands a link at a time: the second is refused in words; the lock ends with its holder."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.config import DeviceConfig
from devices.gateway import Gateway
from devices.hold import hold, place_of
from devices.service import GatewayService
from devices.transport import Access
from energy.core.clock import SystemClock
from energy.core.errors import ExitStatus, RefusedError
from energy.core.units import AssetId
from tests.unit.vpp.cli.test_device_command import Running, call, running, trouble

HOLDER = """
import sys
from pathlib import Path
from devices.hold import hold
with hold(["127.0.0.1:502"], folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def charger() -> Iterator[Running]:
    with running("wallbox-quasar1") as made:
        yield made


def place(made: Running) -> str:
    return place_of("127.0.0.1", made.twin.port)


def test_a_point_is_not_written_while_a_controller_commands_the_link(charger: Running) -> None:
    asked = ("write", "wallbox-quasar1", charger.host, "set_power_kw=3", "--yes")
    with hold([place(charger)]):
        error = trouble(*asked, kind=RefusedError)
        assert f"another program commands {place(charger)}" in str(error)
        assert "process " in error.where
        assert "give the order through that program" in error.hint
        assert charger.twin.writes == 0
        assert call(*asked[:-1], "--dry-run").return_value == ExitStatus.OK
        assert call("read", "wallbox-quasar1", charger.host).return_value in (
            ExitStatus.OK,
            ExitStatus.PARTIAL,
        )
    assert call(*asked).return_value == ExitStatus.OK
    assert charger.twin.writes > 0


def test_a_step_test_does_not_begin_while_a_controller_commands_the_link(
    charger: Running, tmp_path: Path
) -> None:
    asked = ("commission", "wallbox-quasar1", charger.host, "--yes", "--signed-by", "me")
    with hold([place(charger)]):
        trouble(*asked, "--record", tmp_path / "record.json", kind=RefusedError)
    assert charger.twin.writes == 0


def test_a_second_controller_does_not_start_and_writes_nothing(charger: Running) -> None:
    def service(access: Access) -> GatewayService:
        config = DeviceConfig(
            "car",
            "wallbox-quasar1",
            "127.0.0.1",
            charger.twin.port,
            assets=(AssetId("car-1"),),
            commissioned=True,
        )
        clock = SystemClock()
        return GatewayService(
            Gateway([config], clock=clock, access=access), clock=clock, notify=lambda _: None
        )

    async def run(access: Access) -> None:
        one = service(access)
        task = asyncio.create_task(one.run())
        ready = asyncio.create_task(one.ready())
        await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        one.stop()
        await task

    with hold([place(charger)]):
        with pytest.raises(RefusedError, match="another program commands"):
            asyncio.run(run(Access.CONTROL))
        assert charger.twin.writes == 0
        asyncio.run(run(Access.READ_ONLY))  # who only reads is free
    asyncio.run(run(Access.CONTROL))
    assert charger.twin.writes > 0


def test_a_lock_ends_with_its_holder_even_by_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RefusedError) as caught, hold(["127.0.0.1:502"], folder=tmp_path):
            pass
        assert caught.value.where == f"process {holder.pid}"
        with hold(["127.0.0.1:503"], folder=tmp_path):
            pass  # another link is free
        holder.kill()
        holder.wait(10.0)
    with hold(["127.0.0.1:502"], folder=tmp_path):
        pass


def test_all_links_or_none_are_held(tmp_path: Path) -> None:
    with hold(["b"], folder=tmp_path):
        with pytest.raises(RefusedError), hold(["a", "b"], folder=tmp_path):
            pass
        with hold(["a"], folder=tmp_path):
            pass


def test_a_link_has_one_name_however_it_is_written() -> None:
    assert place_of("localhost", 502).endswith(":502")
    assert place_of("127.0.0.1", 502) == "127.0.0.1:502"
    assert place_of("/dev/../dev/null", 0) == "/dev/null"


def test_a_lock_that_cannot_be_made_is_no_leave_to_write(
    charger: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPP_LOCK_DIR", str(tmp_path / "nowhere"))
    error = trouble("write", "wallbox-quasar1", charger.host, "set_power_kw=3", "--yes", kind=RefusedError)
    assert "VPP_LOCK_DIR" in error.hint
    assert charger.twin.writes == 0
