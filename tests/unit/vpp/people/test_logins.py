"""Sessions end, waits grow, a code is good once."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from tests.unit.vpp.people.somebody import NOON, PASSWORD, House
from vpp.people.logins import FREE_FAILURES, LONGEST_WAIT, SessionRules, waiting_time
from vpp.people.second_factor import qr_svg, uri

SECOND = timedelta(seconds=1)


@pytest.fixture
def house() -> House:
    made = House()
    made.somebody()
    return made


def enter(house: House) -> str:
    cookie = house.logins.by_password("hana", PASSWORD)
    assert cookie is not None
    return cookie


def enrol(house: House) -> tuple[str, list[str]]:
    seed = house.logins.begin_second_factor("hana")
    codes = house.logins.confirm_second_factor("hana", pyotp.TOTP(seed).at(house.clock.now()))
    assert codes is not None
    return seed, codes


def test_a_session_ends_when_it_is_not_used(house: House) -> None:
    cookie = enter(house)
    for _ in range(3):
        house.clock.advance(SessionRules().idle - SECOND)
        assert house.logins.session(cookie)
    house.clock.advance(SessionRules().idle)
    assert house.logins.session(cookie) is None


def test_a_session_ends_even_if_it_is_used_all_the_time(house: House) -> None:
    cookie = enter(house)
    alive = 0
    while house.logins.session(cookie):
        house.clock.advance(timedelta(minutes=30))
        alive += 1
    assert alive * timedelta(minutes=30) == SessionRules().longest


def test_a_session_from_the_future_ends(house: House) -> None:
    house.clock.advance(timedelta(hours=2))
    cookie = enter(house)
    house.clock._now = NOON
    assert house.logins.session(cookie) is None


def test_a_clock_that_runs_back_a_little_throws_nobody_out(house: House) -> None:
    house.clock.advance(timedelta(minutes=2))
    cookie = enter(house)
    house.clock._now = NOON
    assert house.logins.session(cookie)


def test_leaving_ends_the_session(house: House) -> None:
    cookie = enter(house)
    session = house.logins.session(cookie)
    assert session
    house.logins.leave(session)
    assert house.logins.session(cookie) is None


def test_the_cookie_is_not_kept(house: House) -> None:
    assert enter(house) not in repr(house.store.rows.sessions.find())


def test_waits_double_up_to_an_hour() -> None:
    waits = [int(waiting_time(n).total_seconds()) for n in range(16)]
    assert waits[: FREE_FAILURES + 1] == [0] * (FREE_FAILURES + 1)
    assert waits[5:12] == [30, 60, 120, 240, 480, 960, 1920]
    assert waits[12:] == [3600] * 4
    assert waiting_time(10**9) == LONGEST_WAIT


def test_after_five_wrong_passwords_even_the_right_one_waits(house: House) -> None:
    for _ in range(5):
        assert house.logins.by_password("hana", "wrong") is None
    assert house.logins.by_password("hana", PASSWORD) is None
    house.clock.advance(timedelta(seconds=30))
    assert house.logins.by_password("hana", PASSWORD)
    assert house.acts().count("login.failed") == 5
    assert "login.waiting" in house.acts()


def test_coming_in_forgets_the_failures(house: House) -> None:
    for _ in range(4):
        house.logins.by_password("hana", "wrong")
    enter(house)
    house.logins.by_password("hana", "wrong")
    assert house.logins.by_password("hana", PASSWORD)


def test_a_wait_that_the_clock_left_far_ahead_is_not_believed(house: House) -> None:
    house.clock.advance(timedelta(days=30))
    for _ in range(5):
        house.logins.by_password("hana", "wrong")
    house.clock._now = NOON
    assert house.logins.by_password("hana", PASSWORD)


def test_somebody_unknown_leaves_no_trace_and_gets_no_session(house: House) -> None:
    before = house.acts()
    assert house.logins.by_password("my password typed in the wrong field", "x") is None
    assert house.acts() == before


def test_with_a_second_factor_the_password_alone_opens_nothing(house: House) -> None:
    seed, _ = enrol(house)
    house.clock.advance(timedelta(minutes=1))
    waiting = house.logins.session(enter(house))
    assert waiting is not None
    assert waiting.stage == "code"
    assert house.logins.by_code(waiting, "000000") is None
    cookie = house.logins.by_code(waiting, pyotp.TOTP(seed).at(house.clock.now()))
    assert cookie is not None
    session = house.logins.session(cookie)
    assert session is not None
    assert session.stage == "full"
    assert session.digest != waiting.digest
    assert session.form_key != waiting.form_key


def test_a_code_is_good_once(house: House) -> None:
    seed, _ = enrol(house)
    code = pyotp.TOTP(seed).at(house.clock.now())
    waiting = house.logins.session(enter(house))
    assert waiting
    assert house.logins.by_code(waiting, code) is None
    house.clock.advance(timedelta(seconds=30))
    assert house.logins.by_code(waiting, pyotp.TOTP(seed).at(house.clock.now()))


@pytest.mark.parametrize("seconds", [-30, 30])
def test_a_phone_that_goes_half_a_minute_wrong_still_works(house: House, seconds: int) -> None:
    seed, _ = enrol(house)
    house.clock.advance(timedelta(minutes=2))
    waiting = house.logins.session(enter(house))
    assert waiting
    assert house.logins.by_code(waiting, pyotp.TOTP(seed).at(house.clock.now() + seconds * SECOND))


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "abcdef", "' OR 1=1"])
def test_what_is_no_code_is_refused(house: House, code: str) -> None:
    enrol(house)
    waiting = house.logins.session(enter(house))
    assert waiting
    assert house.logins.by_code(waiting, code) is None


def test_wrong_codes_make_one_wait_too(house: House) -> None:
    seed, _ = enrol(house)
    house.clock.advance(timedelta(minutes=1))
    waiting = house.logins.session(enter(house))
    assert waiting
    for _ in range(5):
        house.logins.by_code(waiting, "000000")
    assert house.logins.by_code(waiting, pyotp.TOTP(seed).at(house.clock.now())) is None


def test_a_recovery_code_works_once(house: House) -> None:
    _, codes = enrol(house)
    assert len(codes) == 8
    for good in (True, False):
        waiting = house.logins.session(enter(house))
        assert waiting
        assert bool(house.logins.by_code(waiting, f" {codes[3].upper()} ")) is good
    assert codes[0] not in repr(house.store.rows.accounts.find())


def test_waiting_for_a_code_lasts_ten_minutes(house: House) -> None:
    enrol(house)
    cookie = enter(house)
    house.clock.advance(timedelta(minutes=10))
    assert house.logins.session(cookie) is None


def test_a_second_factor_in_use_is_not_replaced_by_looking_at_the_page(house: House) -> None:
    seed, _ = enrol(house)
    house.logins.begin_second_factor("hana")
    row = house.store.rows.accounts.one(id="hana")
    assert row is not None
    assert row.totp_seed == seed


def test_an_app_reads_the_address_in_the_picture() -> None:
    address = uri("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "hana@example.jp", issuer="Aizu VPP")
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query)["secret"] == ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"]
    picture = qr_svg(address)
    assert picture.startswith("<svg")
    assert "style" not in picture
    assert "script" not in picture


def test_ended_sessions_are_taken_away(house: House) -> None:
    enter(house)
    house.clock.advance(timedelta(hours=13))
    cookie = enter(house)
    assert house.logins.remove_ended() == 1
    assert house.logins.session(cookie)
