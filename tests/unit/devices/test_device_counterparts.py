"""Programs that we did not write speak to the twins, and see what our driver did."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sunspec2.modbus.client as sunspec

from devices.gateway import Access
from devices.profile import Profile, load_profile, profile_names
from devices.transport import Space
from energy.core.outcome import Applied, ChargerPower, GenerationLimit
from tests.unit.devices.bench import bench

# Profiles whose map a program that nobody here wrote knows, and agrees about.
KNOWN_BY_OTHERS = {
    "sunspec-inverter": "pysunspec2",
    "sunspec-der-inverter": "pysunspec2",
    "sunspec-der-storage": "pysunspec2",
    "sunspec-hybrid-storage": "pysunspec2",
}

needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian package mbpoll)"
)


async def mbpoll(port: int, *arguments: str, unit: int = 1) -> str:
    """Run the libmodbus client once against a port of this process."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-m", "tcp", "-a", str(unit), "-p", str(port), "-0", "-1", "-q", *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return output.decode()


def values(output: str) -> list[float]:
    return [float(line.split(":")[1].split()[0]) for line in output.splitlines() if line.startswith("[")]


@needs_mbpoll
async def test_mbpoll_reads_the_meter_as_its_manual_says() -> None:
    async with bench(rooms=0, only=[]) as made:
        made.step(minutes=3)
        port = made.twin("main-meter").port
        power = await mbpoll(port, "-t", "3:float", "-B", "-r", "52", "-c", "1", "127.0.0.1")
        assert values(power) == [pytest.approx(60_000.0)]
        counters = await mbpoll(port, "-t", "3:float", "-B", "-r", "72", "-c", "2", "127.0.0.1")
        assert values(counters) == [pytest.approx(3.0, rel=1e-5), 0.0]


@needs_mbpoll
async def test_the_meter_refuses_half_a_value_as_the_real_one_does() -> None:
    async with bench(rooms=0, only=[]) as made:
        refused = await mbpoll(made.twin("main-meter").port, "-t", "3", "-r", "52", "-c", "1", "127.0.0.1")
        assert "Illegal data address" in refused


@needs_mbpoll
async def test_mbpoll_sees_the_setpoint_that_our_driver_wrote() -> None:
    async with bench(rooms=0) as made:
        assert isinstance(await made.apply("leaf", ChargerPower(-3.0)), Applied)
        seen = await mbpoll(made.twin("charger-leaf").port, "-t", "4", "-r", "257", "-c", "4", "127.0.0.1")
        assert values(seen) == [1.0, 0.0, 0.0, 62536.0]


@needs_mbpoll
async def test_what_mbpoll_starts_our_driver_reads() -> None:
    async with bench(rooms=0) as made:
        port = made.twin("charger-leaf").port
        await mbpoll(port, "-t", "4", "-r", "260", "127.0.0.1", "2500")
        await mbpoll(port, "-t", "4", "-r", "257", "127.0.0.1", "1")
        made.step()
        assert (await made.values("leaf"))["power_kw"] == 2.5


@contextmanager
def sunspec_client(port: int) -> Iterator[sunspec.SunSpecModbusClientDeviceTCP]:
    device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        device.scan()
        yield device
    finally:
        device.close()


async def test_pysunspec2_finds_the_models_and_reads_the_power() -> None:
    async with bench(rooms=0, only=[]) as made:
        made.step(minutes=3)
        port = made.twin("inverter").port

        def look() -> tuple[set[int], float, float, float, str]:
            with sunspec_client(port) as device:
                numbers = {name for name in device.models if isinstance(name, int)}
                measured = device.models[103][0]
                return (
                    numbers,
                    measured.W.cvalue,
                    measured.WH.cvalue,
                    device.models[121][0].WMax.cvalue,
                    device.models[1][0].Mn.cvalue,
                )

        models, watts, watt_hours, rated, maker = await asyncio.to_thread(look)
        assert models == {1, 103, 121, 123}
        assert watts == pytest.approx(40_000.0)
        assert watt_hours == pytest.approx(2_000.0, abs=1.0)
        assert rated == pytest.approx(50_000.0)
        assert maker == "Twin"


async def test_pysunspec2_sees_our_curtailment_and_we_see_its_own() -> None:
    async with bench(rooms=0) as made:
        assert isinstance(await made.apply("roof", GenerationLimit(20.0)), Applied)
        port = made.twin("inverter").port

        def look() -> tuple[float, int, int]:
            with sunspec_client(port) as device:
                controls = device.models[123][0]
                return (
                    controls.WMaxLimPct.cvalue,
                    controls.WMaxLimPct_RvrtTms.cvalue,
                    controls.WMaxLim_Ena.cvalue,
                )

        assert await asyncio.to_thread(look) == (pytest.approx(40.0), 300, 1)

        def curtail() -> None:
            with sunspec_client(port) as device:
                controls = device.models[123][0]
                controls.WMaxLimPct.cvalue = 25.0
                controls.WMaxLim_Ena.cvalue = 1
                controls.write()

        await asyncio.to_thread(curtail)
        made.step()
        assert await made.values("roof") == {
            "generation_kw": pytest.approx(12.5),
            "generation_kwh": pytest.approx(12.5 / 60.0, abs=0.001),
            "limit_ratio": pytest.approx(0.25),
        }


# Every twin


def place(profile: Profile) -> tuple[str, int, int]:
    """Table (as mbpoll numbers it), address and length of something that this model shows."""
    if profile.sunspec_models:
        return "4", 40000, 2
    point = next(point for point in profile.points.values() if point.poll == "always")
    tables = {Space.COIL: "0", Space.DISCRETE: "1", Space.INPUT: "3", Space.HOLDING: "4"}
    return tables[point.at.space], point.at.base, point.width


def hexadecimal(output: str) -> list[int]:
    return [int(line.split(":")[1].split()[0], 16) for line in output.splitlines() if line.startswith("[")]


@needs_mbpoll
@pytest.mark.parametrize("name", profile_names())
async def test_mbpoll_reads_from_every_twin_what_our_client_reads(name: str) -> None:
    profile = load_profile(name)
    async with bench(alone=name) as made:
        made.step()
        twin, (table, address, count) = made.twin("alone"), place(profile)
        kind = table if table in ("0", "1") else f"{table}:hex"
        place_ = ("-t", kind, "-r", str(address), "-c", str(count))
        theirs = hexadecimal(await mbpoll(twin.port, *place_, "127.0.0.1", unit=twin.unit_id))
        space = {"0": Space.COIL, "3": Space.INPUT, "4": Space.HOLDING}[table]
        link = made.gateway._devices["alone"]._transport
        assert theirs == list(await link.read(twin.unit_id, space, address, count))
        assert len(theirs) == count


# First register and words of a setting that this model takes; mbpoll writes several with function code 16.
TAKES = {
    "alfen-ng9xx": (1210, [0x4120, 0]),
    "daikin-dta116a51": (2002, [245]),
    "daikin-ekmbpp1": (5, [1]),
    "evtec-bidipro": (600, [0, 2500]),
    "keba-p30": (5004, [8000]),
    "phoenix-charx": (1301, [10]),
    "relay-demand": (0, [1, 0]),
    "sunspec-der-inverter": (40292, [500]),
    "sunspec-inverter": (40159, [4000]),
    "wallbox-quasar1": (260, [1500]),
}


@needs_mbpoll
@pytest.mark.parametrize("name", profile_names())
async def test_mbpoll_writes_to_every_twin_that_takes_orders_and_the_others_refuse(name: str) -> None:
    async with bench(alone=name, access=Access.READ_ONLY) as made:
        twin = made.twin("alone")
        address, words = TAKES.get(name, (place(load_profile(name))[1], [1]))
        said = await mbpoll(
            twin.port,
            *(
                "-t",
                "0" if name == "relay-demand" else "4",
                "-r",
                str(address),
                "127.0.0.1",
                *(str(word) for word in words),
            ),
            unit=twin.unit_id,
        )
        if name in TAKES:
            assert f"Written {len(words)} reference" in said
            assert twin.writes == 1
        else:
            assert "Illegal" in said
            assert twin.writes == 0


@pytest.mark.parametrize("name", [name for name in KNOWN_BY_OTHERS if name != "sunspec-inverter"])
async def test_pysunspec2_finds_in_a_twin_what_our_client_finds(name: str) -> None:
    async with bench(alone=name) as made:
        made.step(minutes=5)
        seen = await made.values("asset")
        port = made.twin("alone").port

        def look() -> dict[str, float]:
            with sunspec_client(port) as device:
                found = {f"models {number}": 1.0 for number in device.models if isinstance(number, int)}
                if 701 in device.models:
                    found["power"] = device.models[701][0].W.cvalue / 1000.0
                    found["energy"] = device.models[701][0].TotWhInj.cvalue / 1000.0
                else:
                    found["power"] = device.models[103][0].W.cvalue / 1000.0
                if 713 in device.models:
                    found["soc"] = device.models[713][0].SoC.cvalue / 100.0
                if 124 in device.models:
                    found["soc"] = device.models[124][0].ChaState.cvalue / 100.0
                return found

        theirs = await asyncio.to_thread(look)
        wanted = {f"models {number}" for number in (1, *load_profile(name).sunspec_models)}
        assert {key for key in theirs if key.startswith("models")} >= wanted
        if name == "sunspec-der-inverter":
            assert seen["generation_kw"] == pytest.approx(theirs["power"])
            assert seen["generation_kwh"] == pytest.approx(theirs["energy"])
        else:
            assert seen["power_kw"] == pytest.approx(-theirs["power"])  # they count what is given as positive
            assert seen["soc"] == pytest.approx(theirs["soc"])


async def test_pysunspec2_sees_the_limit_that_we_set_in_a_der_inverter_and_sets_its_own() -> None:
    async with bench(alone="sunspec-der-inverter") as made:
        assert isinstance(await made.apply("asset", GenerationLimit(20.0)), Applied)
        port = made.twin("alone").port

        def look() -> tuple[float, int, int, float]:
            with sunspec_client(port) as device:
                controls = device.models[704][0]
                return (
                    controls.WMaxLimPct.cvalue,
                    controls.WMaxLimPctEna.cvalue,
                    controls.WMaxLimPctRvrtTms.cvalue,
                    device.models[702][0].WMax.cvalue,
                )

        assert await asyncio.to_thread(look) == (pytest.approx(40.0), 1, 300, pytest.approx(50_000.0))

        def curtail() -> None:
            with sunspec_client(port) as device:
                controls = device.models[704][0]
                controls.WMaxLimPct.cvalue = 25.0
                controls.write()

        await asyncio.to_thread(curtail)
        made.step()
        values = await made.values("asset")
        assert values["limit_ratio"] == pytest.approx(0.25)
        assert values["generation_kw"] == pytest.approx(12.5)
