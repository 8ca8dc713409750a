"""Setup on screen: a site and its devices, looked at, only read, tried; faults leave the files alone."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from devices.commissioning import passed
from devices.site_file import load_site
from devices.transport import Framing
from energy.core.errors import ConfigError
from tests.unit.devices.bench import bench
from tests.unit.vpp.cli.test_device_command import running
from tests.unit.vpp.web.browser import Town, form_key
from vpp.ops.status import Part, PartState
from vpp.people.roles import Role
from vpp.setup.devicetrial import try_orders
from vpp.setup.service import WebSettings
from vpp.setup.sitefolder import KeptDevice, SiteFolder
from vpp.setup.sites import SiteAccess, load_site_file
from vpp.site.sitebook import site_of
from vpp.web.setup_forms import site_of_form

FORM = {
    "id": "kitakata",
    "name_ja": "喜多方工場",
    "name_en": "Kitakata works",
    "latitude": "37.65",
    "longitude": "139.87",
    "contract_kw": "300",
    "target_demand_kw": "250",
    "basic_yen": "2000",
    "summer_yen": "19.5",
    "other_yen": "18",
    "cars": "leaf, リーフ, 40, 6, 6\n\n",
}
DEVICE = {"id": "main-meter", "profile": "eastron-sdm630", "unit": "", "assets": "meter"}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    settings = WebSettings(
        second_factor_for=(),
        requests_per_minute=100_000,
        logins_per_minute=1000,
        setup_folder=str(tmp_path),
    )
    return Town(settings=settings)


def send(browser: TestClient, path: str, fields: dict[str, str]) -> tuple[int, str]:
    key = form_key(browser.get("/setup").text)
    answer = browser.post(path, data={"form_key": key, **fields})
    return answer.status_code, answer.text


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_site_is_written_as_a_file_that_the_service_reads(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    assert send(installer, "/setup", FORM)[0] == 303
    site = load_site_file("site.yaml", tmp_path / "kitakata").site
    assert site == site_of_form(FORM, date(2026, 11, 22))
    assert (site.contract_kw, site.vehicles[0].id, site.charger_of(site.vehicles[0]).max_charge_kw) == (
        300,
        "leaf",
        6,
    )
    assert site_of(town.house.store.as_of(town.house.clock.now()), "kitakata") == site
    status, page = send(installer, "/setup", FORM)
    assert (status, "is there already" in page) == (422, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "../etc"}, "id"),
        ({"id": "other-works"}, "not yours"),
        ({"contract_kw": "viel"}, "contract_kw"),
        ({"contract_kw": "nan"}, "contract_kw"),
        ({"contract_kw": "100"}, "above contract_kw"),
        ({"latitude": "137"}, "latitude"),
        ({"basic_yen": "1,2"}, "basic_yen"),
        ({"cars": "leaf"}, "write id, name"),
        ({"cars": "leaf, x, -1, 6, 6"}, "capacity_kwh"),
        ({"cars": "leaf, x, 40, 6, 6\nleaf, y, 40, 6, 6"}, "used 2 times"),
        ({"name_en": "<script>alert(1)</script>", "id": ""}, "id"),
    ],
)
def test_a_site_that_cannot_be_is_refused_and_nothing_is_written(
    town: Town, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    status, page = send(town.logged_in(Role.INSTALLER), "/setup", FORM | changes)
    assert status == 422
    assert said in words(page)
    assert "<script>alert" not in page
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_looked_at_then_only_read(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    with running("eastron-sdm630") as made:
        fields = DEVICE | {"address": made.host}
        status, page = send(installer, "/setup/kitakata/look", fields)
        assert status == 200
        assert "It answers" in page
        assert "import_kwh" in page
        assert not (tmp_path / "kitakata" / "devices.yaml").exists()
        assert send(installer, "/setup/kitakata/devices", fields)[0] == 303
    [kept] = load_site(tmp_path / "kitakata" / "devices.yaml").devices
    assert (kept.id, kept.profile, kept.commissioned) == ("main-meter", "eastron-sdm630", False)
    page = installer.get("/setup/kitakata").text
    assert "nothing heard yet" in page
    assert "a meter" in page
    acts = [one.act for one in town.house.store.audit_trail("asset/kitakata/main-meter")]
    assert acts == ["device.looked_at", "device.kept"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"address": "127.0.0.1:1"}, "could not be looked at"),
        ({"address": "no address at all"}, "could not be looked at"),
        ({"profile": "/etc/passwd.yaml"}, "no profile"),
        ({"assets": "moon"}, "not on this site"),
        ({"assets": ""}, "speaks for nobody"),
        ({"unit": "999"}, "unit"),
        ({"id": "Ä"}, "no id"),
    ],
)
def test_a_device_that_cannot_be_is_refused_in_words(town: Town, changes: dict[str, str], said: str) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    fields = DEVICE | {"address": "127.0.0.1:1"} | changes
    status, page = send(installer, "/setup/kitakata/look", fields)
    assert (status, said in words(page)) == (422, True)


def test_a_file_that_would_contradict_itself_stays_as_it_was(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    send(installer, "/setup/kitakata/devices", DEVICE | {"address": "192.0.2.7"})
    before = (tmp_path / "kitakata" / "devices.yaml").read_text(encoding="utf-8")
    second = DEVICE | {"id": "second", "address": "192.0.2.8"}
    status, page = send(installer, "/setup/kitakata/devices", second)  # two speak for the meter
    assert (status, 'role="alert"' in page) == (422, True)
    assert (tmp_path / "kitakata" / "devices.yaml").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in (tmp_path / "kitakata").iterdir()) == ["devices.yaml", "site.yaml"]


async def test_a_test_that_is_passed_unlocks_the_device_with_a_signed_record(tmp_path: Path) -> None:
    folder = SiteFolder(str(tmp_path))
    site = site_of_form(FORM, date(2026, 11, 22))
    folder.add(site)
    async with bench(alone="keba-p30", connect=False) as made:
        lonely = made.lonely
        assert lonely is not None

        async def wait(seconds: float) -> None:
            while seconds > 0.0:
                step_s = min(seconds, 5.0)
                made.clock.advance(timedelta(seconds=step_s))
                lonely.step(step_s)
                seconds -= step_s

        await wait(10.0)
        device = KeptDevice(
            id="charger",
            profile="keba-p30",
            address=f"127.0.0.1:{made.twin('alone').port}",
            unit=None,
            assets=("leaf",),
        )
        device.check(site, tmp_path / "kitakata")
        folder.keep("kitakata", device)
        assert not load_site(tmp_path / "kitakata" / "devices.yaml").devices[0].commissioned
        findings = await try_orders(device, tmp_path / "kitakata", clock=made.clock, wait=wait)
        assert passed(findings)
        unlocked = folder.sign("kitakata", device, findings, by="花子", clock=made.clock)
    assert load_site(tmp_path / "kitakata" / "devices.yaml").devices[0].commissioned
    record = tmp_path / "kitakata" / unlocked.record
    record.write_text(record.read_text(encoding="utf-8").replace("花子", "太郎"), encoding="utf-8")
    with pytest.raises(ConfigError, match="does not unlock"):
        load_site(tmp_path / "kitakata" / "devices.yaml")


def test_nothing_is_tried_before_somebody_says_that_they_watch(town: Town) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    charger = DEVICE | {"id": "cp", "profile": "keba-p30", "assets": "leaf", "address": "127.0.0.1:1"}
    assert send(installer, "/setup/kitakata/devices", charger)[0] == 303
    path = "/setup/kitakata/devices/cp/test"
    assert "name of who watches" in send(installer, path, {"by": "花子"})[1]
    assert "name of who watches" in send(installer, path, {"sure": "yes"})[1]
    status, page = send(installer, path, {"by": "花子", "sure": "yes"})
    assert "Not passed" in page or "did not begin" in page
    assert status in {200, 422}
    assert send(installer, "/setup/kitakata/devices/nobody/test", {})[0] == 404


def test_a_device_is_taken_out_again_but_not_the_meter_that_others_need(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    charger = DEVICE | {"id": "cp", "profile": "keba-p30", "assets": "leaf", "address": "192.0.2.8"}
    for fields in (DEVICE | {"address": "192.0.2.7"}, charger):
        assert send(installer, "/setup/kitakata/devices", fields)[0] == 303
    meter, cp = (f"/setup/kitakata/devices/{one}/drop" for one in ("main-meter", "cp"))
    status, page = send(installer, cp, {})
    assert (status, "Taking out needs the tick" in page) == (422, True)
    status, page = send(installer, meter, {"sure": "yes"})
    assert (status, "cp would be without one" in words(page)) == (422, True)
    with pytest.raises(ConfigError, match="speaks for the meter"):
        SiteFolder(str(tmp_path)).drop("kitakata", "main-meter")
    assert len(load_site(tmp_path / "kitakata" / "devices.yaml").devices) == 2
    for path in (cp, meter, meter):  # twice is once
        assert send(installer, path, {"sure": "yes"})[0] == 303
    assert not (tmp_path / "kitakata" / "devices.yaml").exists()
    acts = [one.act for one in town.house.store.audit_trail("asset/kitakata/main-meter")]
    assert acts == ["device.kept", "device.dropped"]


def test_without_a_folder_the_page_says_what_to_do() -> None:
    page = Town().logged_in(Role.ADMINISTRATOR).get("/setup")
    assert page.status_code == 200
    assert "setup_folder" in page.text


def test_a_site_of_others_is_not_there(town: Town) -> None:
    boss = town.logged_in(Role.ADMINISTRATOR)
    assert send(boss, "/setup", FORM | {"id": "other-works"})[0] == 303
    assert town.logged_in(Role.INSTALLER).get("/setup/other-works").status_code == 404
    assert boss.get("/setup/nothing").status_code == 404


@pytest.mark.parametrize("name", ["..", "a/b", "A", "", "x" * 99])
def test_a_name_that_is_no_id_leads_to_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no id of a site"):
        SiteFolder(str(tmp_path)).site(name)


PARTS = {
    "pv": {"id": "pv", "capacity_kw": "20", "inverter_kw": "18", "tilt_deg": "20", "azimuth_deg": "180"},
    "battery": {
        "id": "store-1",
        "capacity_kwh": "30",
        "max_charge_kw": "10",
        "max_discharge_kw": "10",
        "reserve_percent": "60",
    },
    "room": {"id": "hall", "max_electric_kw": "8", "capacitance_kwh_per_k": "6", "loss_kw_per_k": "0.8"},
}


@pytest.mark.parametrize("kind", sorted(PARTS))
def test_a_roof_a_battery_and_a_room_are_added_and_a_device_may_speak_for_them(
    town: Town, tmp_path: Path, kind: str
) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    part = {"kind": kind, **PARTS[kind]}
    for _ in range(2):  # the same id again replaces it
        town.house.clock.advance(timedelta(minutes=1))
        status, page = send(installer, "/setup/kitakata/equipment", part)
        assert status == 303, words(page)[:900]
    site = load_site_file("site.yaml", tmp_path / "kitakata").site
    made = [one.id for one in site.batteries] + [one.id for one in site.zones]
    assert made + ([site.pv.id] if site.pv is not None else []) == [part["id"]]
    assert site_of(town.house.store.as_of(town.house.clock.now()), "kitakata") == site
    profile = {"pv": "sunspec-inverter", "battery": "sunspec-der-storage", "room": "daikin-dta116a51"}[kind]
    device = {"id": "d-1", "profile": profile, "address": "192.0.2.9", "unit": "", "assets": part["id"]}
    assert send(installer, "/setup/kitakata/devices", device)[0] == 303
    assert [one.profile for one in load_site(tmp_path / "kitakata" / "devices.yaml").devices] == [profile]
    drop, before = f"/setup/kitakata/equipment/{part['id']}/drop", site
    status, page = send(installer, drop, {"sure": "yes"})
    assert (status, "d-1 would name something that is not there" in words(page)) == (422, True)
    assert load_site_file("site.yaml", tmp_path / "kitakata").site == before
    assert send(installer, "/setup/kitakata/devices/d-1/drop", {"sure": "yes"})[0] == 303
    assert send(installer, drop, {})[0] == 422
    town.house.clock.advance(timedelta(minutes=1))
    for _ in range(2):  # twice is once
        assert send(installer, drop, {"sure": "yes"})[0] == 303
    site = load_site_file("site.yaml", tmp_path / "kitakata").site
    assert site == site_of_form(FORM, date(2026, 11, 22))
    assert site_of(town.house.store.as_of(town.house.clock.now()), "kitakata") == site
    acts = [one.act for one in town.house.store.audit_trail(f"asset/kitakata/{part['id']}")]
    assert (acts[0], acts[-1], acts.count("site.unequipped")) == ("site.equipped", "site.unequipped", 1)


def test_a_car_takes_its_charger_with_it_and_what_a_cable_names_stays(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    path, drop = tmp_path / "kitakata" / "site.yaml", "/setup/kitakata/equipment/leaf/drop"
    told = yaml.safe_load(path.read_text(encoding="utf-8"))
    cable = [{"id": "cable", "members": ["leaf"], "limit_kw": 6}]
    path.write_text(yaml.safe_dump({"site": told["site"] | {"feeders": cable}}), encoding="utf-8")
    status, page = send(installer, drop, {"sure": "yes"})
    assert (status, "leaf stays: cable" in words(page)) == (422, True)
    [car] = told["site"]["vehicles"]
    driven = {
        "drivers": [{"id": "abe", "name_ja": "阿部", "name_en": "Abe"}],
        "vehicles": [car | {"driver": "abe"}],
    }
    path.write_text(yaml.safe_dump({"site": told["site"] | driven}), encoding="utf-8")
    town.house.clock.advance(timedelta(minutes=1))
    assert send(installer, drop, {"sure": "yes"})[0] == 303
    site = load_site_file("site.yaml", tmp_path / "kitakata").site
    assert (site.vehicles, site.chargers, site.drivers) == ((), (), ())
    [gone] = [
        one for one in town.house.store.audit_trail("asset/kitakata/leaf") if one.act == "site.unequipped"
    ]
    assert gone.facts["drivers"] == ["abe"]
    assert site == site_of_form(FORM | {"cars": ""}, date(2026, 11, 22))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "volcano"}, "is none of pv, battery, room"),
        ({"capacity_kw": "-1"}, "greater than 0"),
        ({"capacity_kw": "viel"}, "is no number"),
        ({"tilt_deg": "200"}, "less than or equal to 90"),
        ({"id": "Ä"}, "id"),
        ({"id": "leaf"}, "used 2 times"),
    ],
)
def test_equipment_that_cannot_be_is_refused_and_the_file_stays(
    town: Town, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    before = (tmp_path / "kitakata" / "site.yaml").read_bytes()
    fields = {"kind": "pv", **PARTS["pv"], **changes}
    status, page = send(installer, "/setup/kitakata/equipment", fields)
    assert (status, said in words(page)) == (422, True), words(page)[:600]
    assert (tmp_path / "kitakata" / "site.yaml").read_bytes() == before


def test_rtu_behind_a_converter_is_kept_as_its_address(town: Town, tmp_path: Path) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    fields = DEVICE | {"address": "192.0.2.9:4001", "link": "rtu+tcp", "unit": "3"}
    assert send(installer, "/setup/kitakata/devices", fields)[0] == 303
    [kept] = load_site(tmp_path / "kitakata" / "devices.yaml").devices
    assert (kept.framing, kept.host, kept.port, kept.unit_id) == (Framing.RTU_TCP, "192.0.2.9", 4001, 3)
    assert send(installer, "/setup/kitakata/devices", fields | {"link": "pigeon"})[0] == 422


def test_a_tls_link_needs_certificates_that_fit_and_a_key_that_nobody_else_reads(
    town: Town, tmp_path: Path
) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    fields = DEVICE | {"address": "192.0.2.9", "link": "tls"}

    def said(**changes: str) -> str:
        status, page = send(installer, "/setup/kitakata/devices", fields | changes)
        return "" if status == 303 else words(page)

    assert "needs certificates" in said()
    assert "needs certificates" in said(certificates="../../etc")
    assert "certificates belong to a TLS link" in said(link="tcp", certificates="meter-tls")
    folder = tmp_path / "kitakata" / "meter-tls"
    folder.mkdir()
    assert "no ca.pem" in said(certificates="meter-tls")
    for name in ("ca.pem", "client.pem", "client.key"):
        (folder / name).write_text("no certificate", encoding="utf-8")
    (folder / "client.key").chmod(0o644)
    assert "client.key" in said(certificates="meter-tls")
    (folder / "client.key").chmod(0o600)
    assert "the certificates cannot be used" in said(certificates="meter-tls")
    assert not (tmp_path / "kitakata" / "devices.yaml").exists()
    make_certificates(folder)
    assert said(certificates="meter-tls") == ""
    [kept] = load_site(tmp_path / "kitakata" / "devices.yaml").devices
    assert (kept.framing, kept.port) == (Framing.TLS, 802)
    assert kept.tls is not None
    assert kept.tls.key == folder / "client.key"


def make_certificates(folder: Path) -> None:
    """A self-signed certificate that is its own authority."""
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2")
    files = ("-keyout", str(folder / "client.key"), "-out", str(folder / "client.pem"))
    subprocess.run([*made, *files], check=True, capture_output=True, timeout=60)
    (folder / "client.key").chmod(0o600)
    (folder / "ca.pem").write_bytes((folder / "client.pem").read_bytes())


def test_control_is_allowed_only_after_a_test_and_a_site_is_taken_out_on_purpose(
    town: Town, tmp_path: Path
) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    charger = DEVICE | {"id": "cp", "profile": "wallbox-quasar1", "assets": "leaf", "address": "192.0.2.8"}
    send(installer, "/setup/kitakata/devices", charger)
    path = "/setup/kitakata/access"
    assert "nothing was changed" in words(send(installer, path, {"access": "dry-run"})[1]).lower()
    status, page = send(installer, path, {"access": "control", "sure": "yes"})
    assert (status, "no device of kitakata may be commanded" in page) == (422, True)
    assert send(installer, path, {"access": "dry-run", "sure": "yes"})[0] == 303
    folder = SiteFolder(str(tmp_path))
    assert folder.access("kitakata") is SiteAccess.DRY_RUN
    stated = yaml.safe_load((tmp_path / "kitakata" / "devices.yaml").read_text(encoding="utf-8"))
    stated["devices"][0]["commissioned"] = {"by": "花子", "date": "2026-11-20", "seen": "3 kW"}
    (tmp_path / "kitakata" / "devices.yaml").write_text(json.dumps(stated), encoding="utf-8")
    assert "as its file says" in installer.get("/setup/kitakata").text
    assert send(installer, path, {"access": "control", "sure": "yes"})[0] == 303
    assert folder.access("kitakata") is SiteAccess.CONTROL
    assert send(installer, "/setup/kitakata/remove", {})[0] == 422
    assert send(installer, "/setup/kitakata/remove", {"sure": "yes"})[0] == 303
    assert folder.sites() == []
    [aside] = (tmp_path / ".removed").iterdir()
    assert (aside / "site.yaml").is_file()
    acts = [one.act for one in town.house.store.audit_trail("site/kitakata")]
    assert acts == ["site.added", "site.allowed", "site.allowed", "site.removed"]
    assert send(installer, "/setup", FORM)[0] == 303  # the id is free again


def test_the_page_says_how_the_site_runs_in_this_process(town: Town) -> None:
    installer = town.logged_in(Role.INSTALLER)
    send(installer, "/setup", FORM)
    assert "This process runs no sites" in installer.get("/setup/kitakata").text
    told = ("read_only", "not_commissioned:cp")
    town.service.parts = lambda: (Part(name="site:kitakata", state=PartState.OK, told=told),)
    page = words(installer.get("/setup/kitakata").text)
    assert "Read only until commissioned" in page
    assert "cp is only read: nobody has tried orders there." in page
    town.service.parts = lambda: (Part(name="site:kitakata", state=PartState.STARTING, why=("no_meter",)),)
    assert "waits for a device that speaks for the meter" in installer.get("/setup/kitakata").text
