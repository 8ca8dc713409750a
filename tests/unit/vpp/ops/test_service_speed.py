"""The measurement of the service's speed, small: it runs, loses nothing and says what it saw."""

from __future__ import annotations

import json

import pytest

from tests.bench.service_speed import LIMITS, main


def test_a_small_measurement_loses_nothing_and_sees_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--sites",
        "4",
        "--days",
        "2",
        "--readers",
        "4",
        "--seconds",
        "2",
        "--rate",
        "300",
        "--repeats",
        "5",
    ]
    status = main(words)
    told = json.loads(capsys.readouterr().out)
    assert (status, told["lost"], told["first_errors"]) == (0, 0, [])
    assert (told["values"], told["written"]) == (4 * 2 * 48, 600)
    assert told["reads"] >= told["readers"]
    assert told["day_of_a_series_ms"] > 0.0
    assert told["busy_client_cpu_s"] > 0.0
    assert told["alert_kinds_looked_for"] == 9  # all but the disk
    assert set(LIMITS) | {"written_per_s"} == set(told["limits"])
    assert told["limits"]["lost"] == {"value": 0, "limit": "< 1", "holds": True}
