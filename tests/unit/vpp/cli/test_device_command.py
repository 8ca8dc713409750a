"""``vpp device``: what a person with a new device on the desk does and sees."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from typer.testing import CliRunner, Result

from devices.profile import profile_names
from devices.protocols import PROTOCOL_MODELS
from devices.sessions import Session
from devices.twins.replay import Replay
from devices.twins.server import Twin
from devices.twins.stands import stand_for
from energy.core.errors import ConfigError, DataError, ExitStatus, RegisterError, UnreachableError, VppError
from vpp.cli.device import app
from vpp.console import Console


class Running:
    """A twin in a thread of its own: commands bring their own event loop."""

    def __init__(self, profile: str) -> None:
        self.stand = stand_for(profile)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    @property
    def twin(self) -> Twin:
        return self.stand.twin

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.twin.port}"

    def do(self, what: Callable[[], Coroutine[Any, Any, object]]) -> None:
        waiting: Future[object] = asyncio.run_coroutine_threadsafe(what(), self.loop)
        waiting.result(10.0)


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)
        loop.close()


@contextmanager
def running(profile: str) -> Iterator[Running]:
    made = Running(profile)
    made.thread.start()
    made.do(made.twin.start)
    made.stand.step(60.0)
    try:
        yield made
    finally:
        made.do(made.twin.stop)
        made.loop.call_soon_threadsafe(made.loop.stop)
        made.thread.join(10.0)
        made.loop.close()


def call(*arguments: object, lang: Literal["ja", "en"] = "en", answer: str | None = None) -> Result:
    return CliRunner().invoke(
        app, [str(one) for one in arguments], obj=Console(lang), standalone_mode=False, input=answer
    )


def trouble(*arguments: object, kind: type[VppError]) -> VppError:
    error = call(*arguments).exception
    assert isinstance(error, kind), error
    return error


# Models


def test_the_list_names_every_model_with_its_quality_in_the_promised_form() -> None:
    listed = json.loads(call("list", "--json").stdout)["profiles"]
    protocols = [model.id for model in PROTOCOL_MODELS]
    assert [one["id"] for one in listed] == [*profile_names(), *protocols]
    stations = {one["id"]: (one["kind"], one["quality"], one["control"]) for one in listed}
    assert stations["ocpp-21"] == ("charger", "gold", "released")
    assert stations["echonet-v2h"] == ("charger", "silver", "experimental")
    assert {tuple(one) for one in listed} == {("id", "kind", "maker", "models", "quality", "control")}
    eastron = next(one for one in listed if one["id"] == "eastron-sdm630")
    assert eastron == {
        "id": "eastron-sdm630",
        "kind": "meter",
        "maker": "Eastron",
        "models": ["SDM630-Modbus V2"],
        "quality": "silver",
        "control": "none",
    }


def test_the_list_is_readable_in_both_languages() -> None:
    assert "charger, silver, orders once commissioned: Wallbox Quasar" in call("list").stdout
    assert "充放電器、silver、試運転の後に制御可：Wallbox Quasar" in call("list", lang="ja").stdout


def test_a_profile_of_ones_own_is_checked_and_its_fault_named(tmp_path: Path) -> None:
    text = (Path("devices/profiles") / "eastron-sdm630.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("id: eastron-sdm630", "id: mine"), encoding="utf-8")
    assert "mine: 14 points, read only; no contradiction" in call("profile", "check", mine).stdout
    mine.write_text(text.replace('"input:74"', '"input:73"'), encoding="utf-8")
    error = trouble("profile", "check", mine, kind=ConfigError)
    assert "points import_kwh and export_kwh overlap at input register 73" in error.where


def test_all_shipped_profiles_pass_their_own_check() -> None:
    assert json.loads(call("profile", "check", "--json").stdout)["checked"] == list(profile_names())


def test_two_models_with_other_serial_settings_do_not_share_a_line() -> None:
    assert call("profile", "check", "eastron-sdm630", "daikin-ekmbpp1", "--one-line").exit_code == 0
    error = trouble("profile", "check", "eastron-sdm630", "schneider-iem3155", "--one-line", kind=ConfigError)
    assert "cannot share a serial line" in error.what


def test_a_profile_shows_where_each_point_is_and_how_far_it_is_trusted() -> None:
    shown = call("profile", "show", "keba-p30").stdout
    assert "set_current_a: holding:5004 uint16 [A] w, confidence A" in shown
    assert "If nobody speaks to it for 60 s: it falls back to its fail-safe current" in shown
    document = json.loads(call("profile", "show", "keba-p30", "--json").stdout)
    assert document["wire"]["unit_id"] == 255
    assert document["points"][0] == {
        "name": "power_kw",
        "at": "holding:1020",
        "type": "uint32",
        "unit": "kW",
        "access": "r",
        "confidence": "A",
    }


# Looking


def test_a_probe_reads_every_point_and_says_how_long_it_took() -> None:
    with running("sunspec-der-inverter") as made:
        seen = json.loads(call("probe", "sunspec-der-inverter", made.host, "--json").stdout)
    assert seen["sunspec_models"] == [1, 701, 702, 704]
    points = {point["point"]: point for point in seen["points"]}
    assert points["model"]["text"] == "Loopback DER inverter"
    assert points["generation_kw"]["value"] == pytest.approx(40.0)
    assert {point["quality"] for point in points.values()} == {"good"}
    assert seen["found"] == []
    assert seen["latency_ms"] > 0.0


def test_all_points_of_a_meter_take_one_request_where_the_device_allows_it() -> None:
    with running("eastron-sdm630") as made:
        seen = json.loads(call("probe", "eastron-sdm630", made.host, "--json").stdout)
    assert len(seen["points"]) == 14
    assert seen["requests"] == 1
    powers = {point["point"]: point["value"] for point in seen["points"]}
    assert sum(powers[f"power_l{phase}_kw"] for phase in (1, 2, 3)) == pytest.approx(powers["power_kw"])


def test_a_probe_with_the_wrong_word_order_names_the_right_one(tmp_path: Path) -> None:
    text = (Path("devices/profiles") / "carlo-gavazzi-em24.yaml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        text.replace("id: carlo-gavazzi-em24", "id: mine").replace("order: cdab", "order: abcd"),
        encoding="utf-8",
    )
    with running("carlo-gavazzi-em24") as made:
        result = call("probe", mine, made.host)
        assert call("probe", "carlo-gavazzi-em24", made.host).return_value == ExitStatus.OK
    assert result.return_value == ExitStatus.PARTIAL
    assert "voltage_l1_v cannot be true with the byte order abcd" in result.stdout
    assert "order: cdab" in result.stdout


def test_a_wrong_unit_number_is_answered_with_the_right_one() -> None:
    with running("keba-p30") as made:
        error = trouble("read", "keba-p30", made.host, "power_kw", "--unit", "3", kind=UnreachableError)
    assert error.hint == "unit 255 does answer: --unit 255"


def test_another_device_than_the_profile_says_is_refused() -> None:
    with running("sunspec-inverter") as made:
        error = trouble("probe", "sunspec-der-inverter", made.host, kind=RegisterError)
    assert "lacks SunSpec models [701, 702, 704]" in error.what


def test_reading_names_unknown_points_and_gives_values() -> None:
    with running("janitza-umg") as made:
        rows = json.loads(call("read", "janitza-umg", made.host, "frequency_hz", "--json").stdout)["points"]
        error = trouble("read", "janitza-umg", made.host, "frequency", kind=ConfigError)
    assert rows[0]["value"] == 50.0
    assert rows[0]["raw"] == [0x4248, 0]
    assert error.hint == "did you mean frequency_hz?"


def test_watching_prints_what_changed_and_names_a_device_that_is_gone() -> None:
    with running("eastron-sdm630") as made:
        result = call("watch", "eastron-sdm630", made.host, "frequency_hz", "--every", 0.05, "--count", 3)
        assert result.stdout == "frequency_hz: 50 Hz (good) 4248 0000\n"
        assert result.return_value == ExitStatus.OK
        host = made.host
    gone = call("watch", "eastron-sdm630", host, "--every", 0.05, "--count", 2)
    assert gone.return_value == ExitStatus.DEVICE
    assert gone.stderr.count("The device is gone") == 1


# Writing


def test_a_dry_run_shows_registers_clamp_and_what_control_takes_and_writes_nothing() -> None:
    with running("wallbox-quasar1") as made:
        shown = call("write", "wallbox-quasar1", made.host, "set_power_kw=-9", "--dry-run").stdout
        assert made.twin.writes == 0
    assert "set_power_kw: 0 -> -6 kW" in shown
    assert "held at a limit: max_power_kw -6" in shown
    assert "register 260 becomes e890" in shown
    assert "control=1, autostart=0, setpoint_type=1, idle_timeout_s=60" in shown
    assert "nothing was written" in shown


def test_nobody_to_ask_means_nothing_is_written() -> None:
    with running("wallbox-quasar1") as made:
        error = trouble("write", "wallbox-quasar1", made.host, "set_power_kw=3", kind=ConfigError)
        assert made.twin.writes == 0
    assert "--yes" in error.hint


def test_a_write_is_read_back() -> None:
    with running("wallbox-quasar1") as made:
        result = call("write", "wallbox-quasar1", made.host, "set_power_kw=3", "--yes", "--json")
        made.twin.faults.ignore_writes = True
        lost = call("write", "wallbox-quasar1", made.host, "set_power_kw=4", "--yes", "--json")
    assert json.loads(result.stdout)["outcome"] == "applied"
    assert json.loads(lost.stdout)["outcome"] == "unconfirmed"
    assert (result.return_value, lost.return_value) == (ExitStatus.OK, ExitStatus.DEVICE)


def test_an_indoor_unit_is_written_as_a_whole() -> None:
    with running("daikin-dta116a51") as made:
        asked = ("write", "daikin-dta116a51", made.host, "set_setpoint_c=24", "--nth", 2, "--yes", "--json")
        written = json.loads(call(*asked).stdout)
    assert (written["register"], written["words"]) == (2003, [0x3160, 2, 240])


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ("keba-p30", ["set_current_a=10", "--yes"], "nobody has tried this map on a device"),
        ("keba-p30", ["set_curent_a=10"], "no such point"),
        ("keba-p30", ["set_current_a=ten"], "not a setting"),
        ("keba-p30", ["set_current_a=nan"], "not a setting"),
        ("keba-p30", ["set_current_a=8", "set_current_a=9"], "set twice"),
        ("eastron-sdm630", ["power_kw=1"], "nothing that can be written"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(model: str, settings: list[str], said: str) -> None:
    with running(model) as made:
        error = trouble("write", model, made.host, *settings, kind=ConfigError)
        assert made.twin.writes == 0
    assert said in error.what


@contextmanager
def hurried(made: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time at the twin passes while the step test waits, and nobody else waits."""

    async def wait(seconds: float) -> None:
        await asyncio.sleep(0.0)
        made.stand.step(seconds)

    monkeypatch.setattr("vpp.cli.device_commission._wait", wait)
    yield


def test_an_untried_map_is_written_once_somebody_has_tried_it_and_signed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = tmp_path / "keba.json"
    with running("keba-p30") as made, hurried(made, monkeypatch):
        asked = ("write", "keba-p30", made.host, "set_current_a=10", "--yes", "--json", "--record", record)
        assert "cannot be read" in trouble(*asked, kind=ConfigError).what
        trying = ("commission", "keba-p30", made.host, "--signed-by", "佐藤", "--record", record)
        tried = call(*trying, "--yes", "--no-watchdog")
        assert tried.return_value == ExitStatus.OK, tried.stdout
        assert "ok      charges: asked 6.9 kW, seen 6.9 kW" in tried.stdout
        assert f"Signed by 佐藤: {record}" in tried.stdout
        assert json.loads(call(*asked).stdout)["outcome"] == "applied"
        assert "not overwritten" in trouble(*trying, "--yes", kind=ConfigError).what
    with running("keba-p30") as other:
        error = trouble(*asked[:2], other.host, *asked[3:], kind=ConfigError)
        assert "does not unlock" in error.what
        assert other.twin.writes == 0


def test_a_step_that_fails_signs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = tmp_path / "keba.json"
    with running("keba-p30") as made, hurried(made, monkeypatch):
        made.twin.faults.ignore_writes = True
        asked = ("commission", "keba-p30", made.host, "--signed-by", "Sato", "--record", record, "--yes")
        tried = call(*asked, "--json", lang="ja")
    assert tried.return_value == ExitStatus.DEVICE
    assert json.loads(tried.stdout)["passed"] is False
    assert not record.exists()


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("eastron-sdm630", ["--yes"], "takes no orders"),
        ("keba-p30", [], "nobody can be asked"),
        ("keba-p30", ["--yes", "--meter", "nowhere"], "not a meter"),
        ("keba-p30", ["--yes", "--record", "/nowhere/at/all.json"], "cannot be written"),
    ],
)
def test_a_step_test_that_makes_no_sense_is_refused(
    model: str, options: list[str], said: str, tmp_path: Path
) -> None:
    with running(model) as made:
        common = ("--signed-by", "Sato", "--record", tmp_path / "record.json")
        error = trouble("commission", model, made.host, *common, *options, kind=ConfigError)
        assert said in error.what
        assert made.twin.writes == 0
    blank = trouble("commission", "keba-p30", "h", "--signed-by", " ", "--record", "x", kind=ConfigError)
    assert "needs a name" in blank.what


# Addresses


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("http://x", "not an address"),
        ("a:99999", "not an address"),
        ("tls://127.0.0.1", "needs certificates"),
    ],
)
def test_an_address_that_is_none_is_refused(host: str, said: str) -> None:
    assert said in trouble("read", "eastron-sdm630", host, kind=ConfigError).what


def test_options_out_of_range_are_refused() -> None:
    assert "at most 1" in trouble("read", "eastron-sdm630", "h", "--nth", 2, kind=ConfigError).what
    assert "out of range" in trouble("read", "eastron-sdm630", "h", "--timeout", 90, kind=ConfigError).what


# Twins


def test_a_twin_serves_and_ends_by_itself() -> None:
    shown = call("twin", "keba-p30", "--seconds", 0.3, "--json")
    facts = json.loads(shown.stdout)
    assert (facts["profile"], facts["unit_id"]) == ("keba-p30", 255)
    assert facts["port"] > 0


def test_a_twin_of_nothing_and_a_taken_port_are_refused() -> None:
    assert trouble("twin", "keba-p31", kind=ConfigError).hint == "did you mean keba-p30?"
    with running("keba-p30") as made:
        error = trouble("twin", "keba-p30", "--port", made.twin.port, kind=ConfigError)
    assert "cannot listen" in error.what


# Who is there


def test_a_scan_names_sunspec_models_maker_and_the_profile_that_fits() -> None:
    with running("sunspec-der-storage") as made:
        found = json.loads(call("scan", made.host, "--units", "1-2", "--json").stdout)["units"]
    assert [unit["unit"] for unit in found] == [1]
    assert found[0]["sunspec_models"] == [1, 701, 702, 704, 713]
    assert found[0]["common"]["maker"] == "Twin"
    assert [fit["profile"] for fit in found[0]["fits"]] == ["sunspec-der-storage"]


def test_a_relay_block_has_nothing_that_tells_it_from_others() -> None:
    with running("relay-demand") as made:
        found = json.loads(call("scan", made.host, "--units", 1, "--json").stdout)["units"]
    assert found[0]["fits"] == []


@pytest.mark.parametrize("name", [name for name in profile_names() if name != "relay-demand"])
def test_a_scan_finds_every_model_and_puts_it_first(name: str) -> None:
    with running(name) as made:
        found = json.loads(call("scan", made.host, "--units", made.twin.unit_id, "--json").stdout)["units"]
    fits = [fit["profile"] for fit in found[0]["fits"]]
    assert fits[0] == name, fits


def test_a_scan_of_an_address_without_units_says_so() -> None:
    with running("keba-p30") as made:
        nobody = call("scan", made.host, "--units", "7,8")
        assert made.twin.writes == 0
    assert "No unit answers" in nobody.stdout
    assert nobody.return_value == ExitStatus.PARTIAL
    assert "not unit numbers" in trouble("scan", "h", "--units", "1-x", kind=ConfigError).what


# Sessions


def test_what_is_recorded_is_played_again_as_the_same_device(tmp_path: Path) -> None:
    file = tmp_path / "meter.txt"
    with running("schneider-iem3155") as made:
        taken = call("record", "schneider-iem3155", made.host, "--out", file, "--count", 2, "--every", 0.05)
        assert taken.return_value == ExitStatus.OK
        real = json.loads(call("read", "schneider-iem3155", made.host, "--json").stdout)["points"]
        again = trouble("record", "schneider-iem3155", made.host, "--out", file, kind=ConfigError)
    assert "exists already" in again.what
    played = Replay(Session.parse(file.read_text(encoding="utf-8")))
    with looping() as loop:
        asyncio.run_coroutine_threadsafe(played.start(), loop).result(10.0)
        seen = json.loads(call("read", "schneider-iem3155", f"127.0.0.1:{played.port}", "--json").stdout)[
            "points"
        ]
        other = call("read", "janitza-umg", f"127.0.0.1:{played.port}", "power_kw", "--json")
        asyncio.run_coroutine_threadsafe(played.stop(), loop).result(10.0)
    assert [point["value"] for point in seen] == [point["value"] for point in real]
    assert json.loads(other.stdout)["points"][0]["quality"] == "invalid"
    assert played.unknown >= 1


def test_a_recording_of_a_silent_device_fails_and_leaves_no_file(tmp_path: Path) -> None:
    with running("keba-p30") as made:
        host = made.host
    trouble("record", "keba-p30", host, "--out", tmp_path / "x.txt", kind=UnreachableError)
    assert not (tmp_path / "x.txt").exists()
    line = ("record", "keba-p30", "rtu:/dev/ttyUSB0", "--out", tmp_path / "x.txt")
    assert "only Modbus TCP" in trouble(*line, kind=ConfigError).what


def test_a_file_that_is_no_session_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.txt"
    file.write_text("# good\nnonsense\n", encoding="utf-8")
    assert f"{file}:2" in trouble("replay", file, kind=DataError).where
    file.write_text("# empty\n", encoding="utf-8")
    assert "holds no exchange" in trouble("replay", file, kind=DataError).what
    assert "cannot be read" in trouble("replay", tmp_path / "none.txt", kind=ConfigError).what


def test_a_replay_serves_and_ends_by_itself(tmp_path: Path) -> None:
    facts = call("replay", "tests/sessions/keba-p30.txt", "--seconds", 0.2, "--json")
    assert json.loads(facts.stdout)["questions"] == 9
