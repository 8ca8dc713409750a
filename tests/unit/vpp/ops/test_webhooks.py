"""Signed, tried again, written down; never into the own network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from energy.core.errors import ConfigError
from tests.unit.vpp.api.filled import filled_town
from tests.unit.vpp.web.browser import Town
from vpp.forecasts.delivery import DELIVERY
from vpp.ops.webhooks import RETRY_AFTER, check_url, tell_all
from vpp.people.roles import Role
from vpp.settlement.record import KeptSettlement, SettlementBook
from vpp.setup.service import WebSettings

HERE = ("hook.test",)


class Receiver:
    """A listener that answers what it is told to."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.got: list[tuple[bytes, dict[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.got.append((body, headers))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, str):
            raise OSError(answer)
        return answer


@pytest.fixture
def town() -> Town:
    made = filled_town()
    made.service.settings = WebSettings(second_factor_for=(), webhook_hosts=HERE)
    return made


def make(town: Town, *kinds: str) -> dict[str, str]:
    answer = town.program(Role.RETAILER).post(
        "/api/v1/webhooks",
        json={"url": "http://hook.test/in", "kinds": list(kinds) or ["settlement.kept"]},
        headers={"Idempotency-Key": f"make-{len(town.house.store.rows.hooks.find())}-hook"},
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, str] = answer.json()
    return made


def settle(town: Town, subject: str = "retailer-a", yen: str = "2") -> None:
    town.house.clock.advance(timedelta(minutes=1))
    kept = KeptSettlement(what="bill", subject=subject, period="2026-11", figures={"yen": yen}, trace={})
    SettlementBook(town.house.store).keep(kept, at=town.house.clock.now(), actor="test")


def tell(town: Town, receiver: Receiver) -> tuple[int, int]:
    return tell_all(town.house.store, town.house.clock, send=receiver, allowed=HERE)


def log(town: Town, hook: str) -> list[dict[str, object]]:
    items: list[dict[str, object]] = (
        town.program(Role.RETAILER).get(f"/api/v1/webhooks/{hook}/messages").json()["items"]
    )
    return items


def test_news_is_told_once_with_a_signature_that_others_can_check(town: Town) -> None:
    hook, receiver = make(town), Receiver()
    settle(town)
    assert tell(town, receiver) == (1, 0)
    assert tell(town, receiver) == (0, 0)
    body, headers = receiver.got[0]
    assert json.loads(body)["data"] == {"what": "bill", "period": "2026-11", "version": "1"}
    key = base64.b64decode(hook["signing_key"].removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert log(town, hook["id"])[0]["status"] == 200


def test_what_was_there_before_and_what_is_others_is_not_told(town: Town) -> None:
    make(town)
    receiver = Receiver()
    settle(town, "retailer-b")
    assert tell(town, receiver) == (0, 0)
    assert receiver.got == []


def test_only_the_kinds_asked_for_are_told(town: Town) -> None:
    make(town, "forecast.delivered")
    receiver = Receiver()
    settle(town)
    town.house.store.put_document(
        DELIVERY, "retailer-a/demand/2026-11-23/000001", known_at=town.house.clock.now(), body="{}"
    )
    tell(town, receiver)
    assert [json.loads(body)["type"] for body, _ in receiver.got] == ["forecast.delivered"]


def test_a_message_is_tried_again_later_and_later_and_then_given_up(town: Town) -> None:
    hook = make(town)
    receiver = Receiver(*(["connection refused", 500, 302] * 5))
    settle(town)
    waits = []
    for wait in RETRY_AFTER:
        assert tell(town, receiver) == (0, 1)
        town.house.clock.advance(wait - timedelta(seconds=1))
        assert tell(town, receiver) == (0, 0)
        town.house.clock.advance(timedelta(seconds=1))
        waits.append(wait)
    assert tell(town, receiver) == (0, 1)
    (told,) = log(town, hook["id"])
    assert told["tries"] == len(RETRY_AFTER) + 1
    assert told["due_at"] is None
    assert str(told["fault"]).startswith("given up")
    assert len({headers["webhook-id"] for _, headers in receiver.got}) == 1


def test_an_ended_webhook_is_told_nothing_more(town: Town) -> None:
    hook = make(town)
    settle(town)
    tell(town, Receiver("down"))
    ended = town.program(Role.RETAILER).delete(
        f"/api/v1/webhooks/{hook['id']}", headers={"Idempotency-Key": "end-the-hook"}
    )
    assert ended.status_code == 200
    town.house.clock.advance(timedelta(hours=1))
    receiver = Receiver()
    tell(town, receiver)
    assert receiver.got == []


def test_the_key_is_shown_once(town: Town) -> None:
    make(town)
    (listed,) = town.program(Role.RETAILER).get("/api/v1/webhooks").json()["items"]
    assert listed["signing_key"] is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.0.0.7/x",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/x",
        "https://user:secret@example.com/x",
        "ftp://example.com/x",
        "https://",
        "https://[broken",
        "https://\u0000/x",
        "javascript:alert(1)",
        "https://example.com/\u0000",
        "https://a" + "b" * 600,
    ],
)
def test_an_address_inside_or_without_tls_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_url(url, ())
