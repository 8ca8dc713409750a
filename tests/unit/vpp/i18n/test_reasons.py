"""Reasons become sentences: every code, kind and direction, with or without numbers."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from energy.core.plan import Reason, ReasonCode
from vpp.i18n import LANGUAGES, AssetKind, Lang, Messages, reason_sentence

KINDS: tuple[AssetKind, ...] = get_args(AssetKind)
AT = "2026-11-23T22:30:00+00:00"
FULL: dict[ReasonCode, dict[str, float | str]] = {
    ReasonCode.PRICE: {"now": 18.2, "later": 22.0, "at": AT},
    ReasonCode.PEAK: {"demand_kw": 98.0, "limit_kw": 100.0},
    ReasonCode.PRE_CONDITION: {"room_c": 20.5, "limit_c": 18.0, "at": AT, "because": "peak"},
    ReasonCode.PROMISE: {"soc_percent": 80.0, "at": AT, "price": 18.2},
    ReasonCode.COMFORT: {"room_c": 18.2, "limit_c": 18.0},
    ReasonCode.EVENT: {"coins_per_kwh": 15.0},
    ReasonCode.EXPORT: {"margin_kw": 2.0},
    ReasonCode.READY: {"soc_percent": 90.0},
    ReasonCode.SURPLUS: {"surplus_kw": 6.5},
    ReasonCode.GUARD: {"demand_kw": 104.0, "limit_kw": 100.0},
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", list(ReasonCode))
def test_every_reason_of_every_asset_is_a_sentence(code: ReasonCode, kind: AssetKind, lang: Lang) -> None:
    messages = Messages(lang)
    for power_kw in (None, -3.0, 0.0, 3.0):
        for facts in ({}, FULL.get(code, {})):
            text = reason_sentence(
                messages, Reason(code, dict(facts)), kind=kind, name="X", power_kw=power_kw
            )
            assert text.startswith("X")
            assert text.endswith("。" if lang == "ja" else ".")
            assert "{" not in text
            assert "None" not in text


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("code", list(ReasonCode))
def test_the_direction_is_a_word_and_never_a_minus(code: ReasonCode, lang: Lang) -> None:
    for kind in KINDS:
        text = reason_sentence(Messages(lang), Reason(code), kind=kind, power_kw=-4.5)
        assert not re.search(r"[-\u2212]\s*\d", text)


@pytest.mark.parametrize(
    ("code", "kind", "power_kw", "numbers"),
    [
        (ReasonCode.PROMISE, "car", 3.0, ("80 %", "11月24日(火) 07:30", "18.2円/kWh", "3.0 kWで充電")),
        (ReasonCode.PEAK, "car", -4.5, ("100.0 kW", "98.0 kW", "4.5 kWを放電")),
        (ReasonCode.PRICE, "car", 6.0, ("今18.2円/kWh", "22.0円/kWh", "安い")),
        (ReasonCode.EVENT, "car", -3.0, ("15コイン", "ひっ迫")),
        (ReasonCode.COMFORT, "zone", 2.0, ("18.2 ℃", "18.0 ℃", "2.0 kWで運転")),
        (ReasonCode.PRE_CONDITION, "zone", 5.0, ("11月24日(火) 07:30", "20.5 ℃", "ピーク")),
        (ReasonCode.EXPORT, "pv", -30.0, ("2.0 kW", "発電を30.0 kWに抑制", "逆潮流")),
        (ReasonCode.SURPLUS, "car", 6.0, ("6.5 kW", "太陽光")),
        (ReasonCode.GUARD, "zone", 0.0, ("104.0 kW", "100.0 kW", "停止")),
    ],
)
def test_the_numbers_of_a_reason_are_in_its_sentence(
    code: ReasonCode, kind: AssetKind, power_kw: float, numbers: tuple[str, ...]
) -> None:
    text = reason_sentence(Messages("ja"), Reason(code, FULL[code]), kind=kind, power_kw=power_kw)
    for number in numbers:
        assert number in text


def test_a_dearer_now_is_never_called_cheap() -> None:
    for lang, cheap, dear in (("ja", "安い", "高い"), ("en", "cheap", "dear")):
        messages = Messages(lang)  # type: ignore[arg-type]
        now_dear = Reason(ReasonCode.PRICE, {"now": 22.0, "later": 18.2})
        now_cheap = Reason(ReasonCode.PRICE, {"now": 18.2, "later": 22.0})
        assert dear in reason_sentence(messages, now_dear, kind="car", power_kw=-3.0)
        assert cheap in reason_sentence(messages, now_cheap, kind="car", power_kw=3.0)
        same = reason_sentence(messages, Reason(ReasonCode.PRICE, {"now": 20.0, "later": 20.0}), kind="car")
        assert cheap not in same
        assert dear not in same


def test_what_comes_later_is_told_as_preparation() -> None:
    messages = Messages("en")
    peak = Reason(ReasonCode.PEAK, {"demand_kw": 98.0, "limit_kw": 100.0, "at": AT})
    event = Reason(ReasonCode.EVENT, {"coins_per_kwh": 15.0, "at": AT})
    assert "peak on Tue 24 Nov 07:30" in reason_sentence(messages, peak, kind="car", power_kw=3.0)
    assert "ahead of tight supply on Tue 24 Nov" in reason_sentence(messages, event, kind="car", power_kw=3.0)


def test_a_floor_is_not_told_as_a_departure() -> None:
    floor = Reason(ReasonCode.PROMISE, {"floor_percent": 30.0, "soc_percent": 28.0})
    text = reason_sentence(Messages("en"), floor, kind="car", power_kw=3.0)
    assert "floor of 30 %" in text
    assert "departure" not in text


def test_the_price_explains_charging_only() -> None:
    promise = Reason(ReasonCode.PROMISE, FULL[ReasonCode.PROMISE])
    assert "18.2" not in reason_sentence(Messages("en"), promise, kind="car", power_kw=0.0)


def test_a_demand_that_is_near_its_limit_is_not_told_to_pass_it() -> None:
    near = Reason(ReasonCode.GUARD, {"near_kw": 228.0, "limit_kw": 230.0})
    assert "heading for 228.0 kW and has to keep clear of the limit of 230.0 kW" in reason_sentence(
        Messages("en"), near, kind="zone"
    )
    assert "228.0 kWとなる見込みで" in reason_sentence(Messages("ja"), near, kind="zone")


def test_a_company_car_is_not_promised_zero_coins() -> None:
    event = Reason(ReasonCode.EVENT, {"coins_per_kwh": 0.0})
    assert "コイン" not in reason_sentence(Messages("ja"), event, kind="car", power_kw=-3.0)


def test_pv_at_night_has_no_sun_rather_than_no_limit() -> None:
    text = reason_sentence(
        Messages("en"), Reason(ReasonCode.IDLE, {"available_kw": 0.0}), kind="pv", power_kw=0.0
    )
    assert text == "Generates nothing because there is no sun."


@pytest.mark.parametrize(
    "facts",
    [
        {"soc_percent": "many", "at": "tomorrow"},
        {"soc_percent": float("nan"), "at": ""},
        {"soc_percent": float("inf"), "at": "2026-11-24T07:30:00"},
        {"at": 3.0, "unheard_of": 1.0},
    ],
)
def test_unreadable_facts_give_a_plainer_sentence(facts: dict[str, float | str]) -> None:
    plain = reason_sentence(Messages("ja"), Reason(ReasonCode.PROMISE), kind="car", power_kw=3.0)
    assert (
        reason_sentence(Messages("ja"), Reason(ReasonCode.PROMISE, facts), kind="car", power_kw=3.0) == plain
    )


def test_a_setpoint_is_told_only_while_the_unit_runs() -> None:
    comfort = Reason(ReasonCode.COMFORT)
    on = reason_sentence(Messages("ja"), comfort, kind="zone", power_kw=2.0, setpoint_c=20.0)
    off = reason_sentence(Messages("ja"), comfort, kind="zone", power_kw=0.0, setpoint_c=20.0)
    assert "設定20.0 ℃" in on
    assert "設定" not in off
