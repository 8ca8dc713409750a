"""Outcomes at a device are told in the reader's language; what the device said itself stands beside it."""

from __future__ import annotations

import re

import pytest

from devices.commissioning import Finding
from energy.core.errors import ConfigError, RefusedError, RegisterError, UnreachableError
from vpp.i18n import Lang, Messages
from vpp.web.setup_words import steps_of, what_to_do

_FINDINGS = (
    Finding("stop", True, 0.0, 0.0, "kW"),
    Finding("give back", False, -3.0, 0.1, "kW", "not within 60 s"),
    Finding("charge", False, 3.0, None, "kW", "another program commands it"),
    Finding("sun", False, None, 0.2, "kW", "too little is generated to see a limit"),
    Finding("mode", False, None, 4.0, "", "it is in a mode that is not commanded"),
    Finding("reach", False, why="no answer"),
    Finding("watchdog", None, why="no timer of its own is known: the last order would stand"),
    Finding("watchdog", False, 30.0, 3.0, "kW", "stops"),
)


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_every_step_has_a_name_and_a_reason_in_the_language_of_the_reader(lang: Lang) -> None:
    made = steps_of(_FINDINGS, Messages(lang))
    assert [bool(one.why) for one in made] == [False, *[True] * 7]
    assert len({one.why for one in made}) == len(made)
    if lang == "ja":
        assert not [one for one in made if re.search("[a-z]", one.name + one.why)]
    assert made[1].detail == "not within 60 s"
    assert made[5].detail == "no answer"


def test_what_one_does_depends_on_the_kind_of_trouble() -> None:
    kinds = (UnreachableError("x"), RegisterError("x"), RefusedError("x"), ConfigError("x"), OSError("x"))
    told = [Messages(lang).text(what_to_do(one)) for lang in ("ja", "en") for one in kinds]
    assert len(set(told)) == 2 * len(kinds)
