"""Texts: both languages say the same things, and write numbers and times as their readers do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from energy.core.errors import ConfigError
from vpp.i18n import LANGUAGES, Messages

JA, EN = Messages("ja"), Messages("en")
KEYS = sorted(JA.keys())


def test_both_languages_have_the_same_keys() -> None:
    assert JA.keys() == EN.keys()


@pytest.mark.parametrize("key", KEYS)
def test_both_languages_need_the_same_values(key: str) -> None:
    assert JA.placeholders(key) == EN.placeholders(key)


def test_no_text_is_left_untranslated() -> None:
    same = {key for key in KEYS if JA._raw(key) == EN._raw(key)}
    assert not {key for key in same if any(char.isalpha() for char in _words(key))}


def _words(key: str) -> str:
    """A text without its placeholders."""
    text = EN._raw(key)
    for name in EN.placeholders(key):
        text = text.replace("{" + name + "}", "")
    return text


def test_the_last_variant_of_every_reason_needs_no_value() -> None:
    lists = {key.rpartition(".")[0] for key in KEYS if key.startswith("reason.") and key[-1].isdigit()}
    assert len(lists) > 20
    for name in lists:
        last = max(int(key.rpartition(".")[2]) for key in KEYS if key.startswith(f"{name}."))
        assert not JA.placeholders(f"{name}.{last}"), name


def test_an_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"no text 'controller\.optimale'") as caught:
        JA.text("controller.optimale")
    assert "controller.optimal" in caught.value.hint


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="needs amount"):
        EN.text("format.yen_per_kwh")


def test_an_unknown_language_is_refused_with_the_choice() -> None:
    with pytest.raises(ConfigError) as caught:
        Messages("de")  # type: ignore[arg-type]
    assert caught.value.where == "ja, en"


def test_the_richest_variant_whose_values_are_known_is_taken() -> None:
    rich = JA.first("reason.guard.any", {"demand_kw": "1 kW", "limit_kw": "2 kW"})
    middle = JA.first("reason.guard.any", {"limit_kw": "2 kW"})
    plain = JA.first("reason.guard.any", {})
    assert "1 kW" in rich
    assert "2 kW" in middle
    assert "kW" not in plain
    assert len({rich, middle, plain}) == 3


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [
        (1234567.0, 0, "1,234,567"),
        (-3.25, 1, "\u22123.2"),
        (-0.04, 1, "0.0"),
        (0.0, 1, "0.0"),
        (-1234.5, 0, "\u22121,234"),
    ],
)
def test_numbers_have_separators_and_zero_has_no_sign(value: float, digits: int, written: str) -> None:
    assert JA.number(value, digits) == written


def test_money_power_and_temperature_carry_their_unit() -> None:
    assert (JA.yen(12345), EN.yen(12345)) == ("12,345円", "12,345 yen")
    assert (JA.kw(101.26), EN.kwh(3.0)) == ("101.3 kW", "3.0 kWh")
    assert (JA.celsius(24.5), EN.celsius(24.5)) == ("24.5 ℃", "24.5 °C")
    assert JA.percent(0.8) == "80 %"


@pytest.mark.parametrize(
    ("amount", "written"),
    [(276081, "276,000円"), (1234567, "1,230,000円"), (999, "999円"), (12, "12円"), (0, "0円")],
)
def test_an_estimate_in_yen_does_not_look_exact(amount: float, written: str) -> None:
    assert JA.about_yen(amount) == written


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (1568.5, "1,570 kWh"),
        (156.85, "157 kWh"),
        (99.96, "100 kWh"),
        (15.68, "15.7 kWh"),
        (0.04, "0.0 kWh"),
    ],
)
def test_an_estimate_in_kwh_does_not_look_exact(amount: float, written: str) -> None:
    assert EN.about_kwh(amount) == written


def test_months_are_written_out() -> None:
    assert (JA.month("2026-07"), EN.month("2026-07")) == ("2026年7月", "July 2026")


def test_days_and_slots_are_those_of_japan() -> None:
    instant = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
    assert JA.moment(instant) == "11月22日(日) 14:30"
    assert EN.moment(instant) == "Sun 22 Nov 14:30"
    assert JA.day_slot(instant) == "11月22日(日) 14:30-15:00"
    assert EN.day_slot(instant, timedelta(hours=2)) == "Sun 22 Nov 14:30-16:30"
    assert EN.day_slot(instant, timedelta(hours=24)) == "Sun 22 Nov 14:30 - Mon 23 Nov 14:30"
    assert (JA.axis_day(date(2026, 11, 22)), EN.axis_day(date(2026, 11, 22))) == ("22(日)", "Sun 22")


def test_the_last_slot_of_a_day_ends_at_24_and_the_first_begins_at_0() -> None:
    last = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
    assert JA.day_slot(last) == "11月22日(日) 23:30-24:00"
    assert JA.day_slot(last + timedelta(minutes=30)) == "11月23日(月) 00:00-00:30"


def test_the_language_switch_leads_to_the_other_language() -> None:
    assert {Messages(lang).other for lang in LANGUAGES} == set(LANGUAGES)
    assert JA.other == "en"
