"""While a call runs: what is above the plan is asked back, and what is not is left alone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from dispatch.region.coordinate import Coordinator
from energy.core.series import FloatArray
from vpp.region.week.blocks import Followed
from vpp.region.week.correct import NOTICED, correct_window
from vpp.region.week.horizon import FORGOTTEN

COUNT = 8


class Region:
    """Three sites that use so much more than 10 kW each, and can do with so much less; one is not moved."""

    def __init__(self, beyond_kw: float, room_kw: float) -> None:
        self.cards = [SimpleNamespace(flexible=flexible) for flexible in (True, True, False)]
        self._beyond, self._room = beyond_kw, room_kw
        self.told: list[FloatArray] = []

    def hand_out(
        self, function: Callable[..., Any], share: FloatArray, asked: FloatArray
    ) -> list[tuple[np.ndarray, Followed]]:
        self.told.append(asked.copy())
        power = 10.0 + self._beyond / 3.0 - asked
        return [(np.arange(3), Followed(power, np.full(3, self._room)))]


def asked_of(region: Region, call: range) -> FloatArray:
    planned = np.full((3, 48), 10.0)
    return correct_window(cast("Coordinator", region), np.ones((3, 1)), planned, call=call, count=COUNT)


@pytest.mark.parametrize(
    ("beyond_kw", "room_kw", "expected"),
    [
        (3.0, 10.0, FORGOTTEN * 3.0),  # it finds room
        (3.0, 1.0, 2.0),  # as far as there is room
        (3.0, 0.0, 0.0),
        (-3.0, 10.0, 0.0),  # less than planned is nobody's loss in a tight evening
        (0.5 * NOTICED * 30.0, 10.0, 0.0),  # not worth a message
    ],
)
def test_what_is_above_the_plan_is_asked_of_those_who_can_be_moved(
    beyond_kw: float, room_kw: float, expected: float
) -> None:
    asked = asked_of(Region(beyond_kw, room_kw), range(2, 6))
    assert asked[:, 2:6].sum(axis=0) == pytest.approx([expected] * 4)
    assert (asked[2] == 0.0).all()
    assert (asked[:, [0, 1, 6, 7]] == 0.0).all()


def test_nobody_is_asked_for_anything_outside_the_call() -> None:
    for call in (range(-6, -2), range(8, 12)):
        region = Region(3.0, 10.0)
        assert not asked_of(region, call).any()
        assert not region.told


def test_a_call_that_began_before_the_window_is_followed_from_its_first_meter() -> None:
    asked = asked_of(Region(3.0, 10.0), range(-2, 2))
    assert asked[:, 1].sum() == pytest.approx(FORGOTTEN * 3.0)
    assert not asked[:, 0].any()
