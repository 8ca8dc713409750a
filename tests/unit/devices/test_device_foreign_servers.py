"""Our client against programs that nobody here wrote: libmodbus servers, serial lines and TLS by socat."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from devices.modbus import ModbusTransport
from devices.schema import SerialLine, Wire
from devices.transport import Access, Framing, Space, Tls
from devices.twins.meter import MeterTwin
from energy.core.errors import ConfigError, RefusedError, RegisterError, UnreachableError

SOURCE = Path(__file__).parents[2] / "counterparts" / "modbus_server.c"
WIRE = Wire(
    functions=(3, 4, 6, 16), max_read=125, max_write=30, timeout_s=2.0, serial=SerialLine(baudrate=19200)
)
needs_socat = pytest.mark.skipif(
    shutil.which("socat") is None, reason="socat is not installed (Debian: socat)"
)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def server_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C server, compiled against the system's libmodbus."""
    made = tmp_path_factory.mktemp("libmodbus") / "modbus_server"
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    build = subprocess.run(
        ["gcc", "-Wall", "-Werror", "-I/usr/include/modbus", str(SOURCE), "-lmodbus", "-o", str(made)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "modbus.h" in build.stderr and "No such file" in build.stderr:
        pytest.skip("libmodbus is not installed (Debian: libmodbus-dev)")
    assert build.returncode == 0, build.stderr
    return made


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


@asynccontextmanager
async def program(*words: str, says: bytes | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs while it is needed; ``says`` is what it prints when it is up."""
    running = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if says is not None:
            assert running.stdout is not None
            async with asyncio.timeout(10.0):
                assert says in await running.stdout.readline()
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.communicate()


async def tried(transport: ModbusTransport) -> None:
    """Read, write one, write many, and be refused, through whatever carries the registers."""
    assert await transport.read(1, Space.HOLDING, 10, 5) == (30, 33, 36, 39, 42)
    assert await transport.read(1, Space.INPUT, 0, 125) == tuple(range(0, 375, 3))
    assert await transport.write(1, 20, [0xF448], function=6) is False
    assert await transport.write(1, 21, [1, 2, 3], function=16) is False
    assert await transport.read(1, Space.HOLDING, 20, 4) == (0xF448, 1, 2, 3)
    with pytest.raises(RegisterError, match="illegal address"):
        await transport.read(1, Space.HOLDING, 199, 2)
    with pytest.raises(RefusedError, match="illegal address"):
        await transport.write(1, 500, [1], function=6)
    assert transport.generation == 1


# libmodbus


async def test_a_libmodbus_server_is_read_and_written(server_program: Path) -> None:
    port = free_port()
    async with program(str(server_program), "tcp", str(port), says=b"ready"):
        transport = ModbusTransport("127.0.0.1", port, wire=WIRE, access=Access.CONTROL)
        await tried(transport)
        await transport.close()


async def test_twenty_links_share_a_libmodbus_server_and_get_their_own_answers(server_program: Path) -> None:
    port = free_port()
    async with program(str(server_program), "tcp", str(port), says=b"ready"):
        links = [ModbusTransport("127.0.0.1", port, wire=WIRE, access=Access.READ_ONLY) for _ in range(15)]
        for _ in range(5):
            answers = await asyncio.gather(
                *(link.read(1, Space.HOLDING, 40 + number, 3) for number, link in enumerate(links))
            )
            for number, answer in enumerate(answers):
                assert answer == tuple(3 * (40 + number + offset) for offset in range(3))
        for link in links:
            await link.close()


@needs_socat
async def test_a_libmodbus_device_on_a_serial_line_is_read_and_written(
    server_program: Path, tmp_path: Path
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    async with program("socat", f"pty,raw,echo=0,link={theirs}", f"pty,raw,echo=0,link={ours}"):
        async with asyncio.timeout(10.0):
            while not (theirs.exists() and ours.exists()):
                await asyncio.sleep(0.01)
        async with program(str(server_program), "rtu", str(theirs), "19200", says=b"ready"):
            transport = ModbusTransport(str(ours), 0, wire=WIRE, access=Access.CONTROL, framing=Framing.RTU)
            await tried(transport)
            await transport.close()


@needs_socat
async def test_a_serial_line_behind_a_plain_converter_is_read_and_written(
    server_program: Path, tmp_path: Path
) -> None:
    line, port = tmp_path / "line", free_port()
    converter = (f"tcp-listen:{port},bind=127.0.0.1,reuseaddr", f"pty,raw,echo=0,link={line},wait-slave")
    async with program("socat", *converter):
        transport = ModbusTransport(
            "127.0.0.1", port, wire=WIRE, access=Access.CONTROL, framing=Framing.RTU_TCP
        )
        async with asyncio.timeout(10.0):
            while not transport.connected:
                try:
                    await transport.connect()
                except UnreachableError:
                    await asyncio.sleep(0.01)
            while not line.exists():
                await asyncio.sleep(0.01)
        async with program(str(server_program), "rtu", str(line), "19200", says=b"ready"):
            await tried(transport)
            await transport.close()


async def test_a_serial_port_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    missing = str(tmp_path / "ttyUSB9")
    transport = ModbusTransport(missing, 0, wire=WIRE, access=Access.CONTROL, framing=Framing.RTU)
    with pytest.raises(UnreachableError, match="nobody answers"):
        await transport.read(1, Space.HOLDING, 0, 1)


# TLS with certificates on both sides


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, the device's certificate for 127.0.0.1, ours, and one that nobody signed."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other"):
        made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}")
        openssl("req", "-x509", *curve, *made)
    for name, wish in (("device", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        (folder / f"{name}.ext").write_text(f"{wish}\n", encoding="ascii")
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        signed = ("-in", f"{name}.csr", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        openssl("x509", "-req", *signer, *signed)
    both = (folder / "device.pem").read_bytes() + (folder / "device.key").read_bytes()
    (folder / "device-both.pem").write_bytes(both)
    return folder


@asynccontextmanager
async def behind_tls(folder: Path, port: int) -> AsyncIterator[int]:
    """socat ends TLS, insists on a certificate that our authority signed, and passes bytes on."""
    outside = free_port()
    listen = f"openssl-listen:{outside},bind=127.0.0.1,reuseaddr,fork,verify=1"
    keys = f"cert={folder / 'device-both.pem'},cafile={folder / 'ca.pem'}"
    async with program("socat", f"{listen},{keys}", f"tcp:127.0.0.1:{port}"):
        async with asyncio.timeout(10.0):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", outside)
                    break
                except OSError:
                    await asyncio.sleep(0.01)
        writer.close()
        yield outside


@needs_socat
@needs_openssl
async def test_registers_travel_through_mutual_tls(server_program: Path, certificates: Path) -> None:
    port = free_port()
    async with (
        program(str(server_program), "tcp", str(port), says=b"ready"),
        behind_tls(certificates, port) as at,
    ):
        tls = Tls(certificates / "ca.pem", certificates / "client.pem", certificates / "client.key")
        transport = ModbusTransport(
            "127.0.0.1", at, wire=WIRE, access=Access.CONTROL, framing=Framing.TLS, tls=tls
        )
        await tried(transport)
        await transport.close()


@needs_socat
@needs_openssl
async def test_a_client_that_the_device_does_not_know_reads_nothing(
    server_program: Path, certificates: Path
) -> None:
    port = free_port()
    async with (
        program(str(server_program), "tcp", str(port), says=b"ready"),
        behind_tls(certificates, port) as at,
    ):
        stranger = Tls(certificates / "ca.pem", certificates / "other.pem", certificates / "other.key")
        transport = ModbusTransport(
            "127.0.0.1", at, wire=WIRE, access=Access.CONTROL, framing=Framing.TLS, tls=stranger
        )
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.HOLDING, 10, 5)
        await transport.close()


@needs_socat
@needs_openssl
async def test_a_device_that_we_do_not_know_is_not_spoken_to(certificates: Path) -> None:
    meter = MeterTwin("meter")
    port = await meter.start()
    async with behind_tls(certificates, port) as at:
        suspicious = Tls(certificates / "other.pem", certificates / "client.pem", certificates / "client.key")
        transport = ModbusTransport(
            "127.0.0.1", at, wire=WIRE, access=Access.CONTROL, framing=Framing.TLS, tls=suspicious
        )
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.INPUT, 52, 2)
        assert meter.requests == 0
        await transport.close()
    await meter.stop()


def test_tls_without_usable_certificates_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs certificates"):
        ModbusTransport("h", 802, wire=WIRE, access=Access.CONTROL, framing=Framing.TLS)
    nothing = Tls(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "client.key")
    with pytest.raises(ConfigError, match="cannot be used"):
        ModbusTransport("h", 802, wire=WIRE, access=Access.CONTROL, framing=Framing.TLS, tls=nothing)
