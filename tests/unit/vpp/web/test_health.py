"""What machines are told of the parts of a service, and what people are told of a demonstration."""

from __future__ import annotations

from datetime import timedelta

from energy.core.clock import ManualClock
from tests.unit.vpp.people.somebody import CHEAP
from tests.unit.vpp.web.browser import NOON, Town
from vpp.http.service import Service
from vpp.live.pace import AcceleratedClock
from vpp.ops.status import Part, PartState, worst
from vpp.people.passwords import Passwords
from vpp.people.roles import Objects, Role

ILL = Part(name="site:works", state=PartState.DEGRADED, why=("meter_silent",), since=NOON)
GONE = Part(name="site:works", state=PartState.FAILED, why=("ended",))
WELL = Part(name="jobs", state=PartState.OK)


def test_a_service_without_parts_is_well() -> None:
    answer = Town().browser().get("/health")
    assert answer.json() == {"status": "ok", "parts": []}


def test_a_degraded_part_is_named_and_the_service_stays_ready() -> None:
    town = Town()
    town.service.parts = lambda: (WELL, ILL)
    found = town.browser().get("/health").json()
    assert found["status"] == "degraded"
    assert found["parts"][1] == {
        "name": "site:works",
        "status": "degraded",
        "why": ["meter_silent"],
        "since": NOON.isoformat(),
        "told": [],
    }
    assert town.browser().get("/health/ready").status_code == 200


def test_a_failed_part_makes_the_service_unready() -> None:
    town = Town()
    town.service.parts = lambda: (WELL, GONE)
    assert town.browser().get("/health").json()["status"] == "failed"
    assert town.browser().get("/health/ready").status_code == 503


def test_the_whole_is_as_its_worst_part() -> None:
    assert worst((WELL, ILL, GONE)) is PartState.FAILED
    assert worst((WELL, ILL)) is PartState.DEGRADED
    assert worst(()) is PartState.OK


def test_every_page_of_a_demonstration_says_so_with_its_time_and_speed_in_both_languages() -> None:
    town = Town()
    assert "demonstration" not in town.browser().get("/login").text.lower()
    town.service.demo_speed = 60.0
    english, japanese = (town.browser(lang=lang).get("/login").text for lang in ("en", "ja"))
    assert 'class="demo"' in english
    assert "60 times as fast" in english
    assert "実時間の 60 倍" in japanese


def test_an_accelerated_clock_runs_and_stands_still_at_its_end() -> None:
    seconds = [100.0]
    clock = AcceleratedClock(NOON, 60.0, until=NOON + timedelta(hours=1), monotonic=lambda: seconds[0])
    assert clock.now() == NOON
    seconds[0] += 10.0
    assert clock.now() == NOON + timedelta(minutes=10)
    seconds[0] += 1000.0
    assert clock.now() == NOON + timedelta(hours=1)


def test_log_ins_keep_the_time_of_people() -> None:
    town = Town()
    fast, doors = ManualClock(NOON), town.house.clock
    made = Service(store=town.house.store, clock=fast, door_clock=doors, passwords=Passwords(CHEAP))
    link = made.people.invite(
        "aya", name="Aya", role=Role.AUDITOR, objects=Objects(), lang="ja", actor="test"
    )
    made.people.accept(link, "three unrelated words")
    cookie = made.logins.by_password("aya", "three unrelated words")
    assert cookie is not None
    fast.advance(timedelta(days=300))
    assert made.logins.session(cookie) is not None
    doors.advance(timedelta(days=2))
    assert made.logins.session(cookie) is None
