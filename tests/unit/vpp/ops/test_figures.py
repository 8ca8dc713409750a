"""Figures of a service for Prometheus, read back by Prometheus's own parser; and log lines without people."""

from __future__ import annotations

import ast
import json
import logging
import math
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from energy.core.units import series_id
from energy.store import Point, open_store
from tests.arch.rules import ROOT
from tests.contract.store_backends import NOON
from tests.unit.vpp.web.browser import PASSWORD, Town, form_key
from vpp.http.metrics import Metrics
from vpp.ops.alerts import AlertBook, Kind, Level, Trouble
from vpp.ops.figures import read_figures
from vpp.people.roles import Role
from vpp.site.sitebook import ASSETS
from vpp.web.middleware import JsonLines


def figures(text: str) -> dict[tuple[str, ...], float]:
    return {
        (one.name, *one.labels.values()): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_ages_and_troubles_are_told_by_site_and_kind() -> None:
    metrics = Metrics()
    with open_store("sqlite://") as store:
        store.put_document(ASSETS, "kitakata", known_at=NOON, body="{}")
        name = series_id("kitakata", "meter", "power_kw")
        store.append([Point(series=name, at=NOON, known_at=NOON, value=1.0, source="meter")])
        lost = [Trouble(kind=Kind.JOB_FAILED, subject=f"plan/{k}") for k in range(2)]
        AlertBook(store).review([*lost, Trouble(kind=Kind.LEDGER_BROKEN, level=Level.ALARM)], NOON)
        read_figures(store, NOON + timedelta(seconds=90), metrics, disk=lambda: (7, 10))
        told = figures(metrics.text().decode())
        AlertBook(store).review([], NOON + timedelta(hours=1))
        read_figures(store, NOON + timedelta(hours=2), metrics)
        after = figures(metrics.text().decode())
    assert told["vpp_data_age_seconds", "kitakata"] == 90.0
    assert told["vpp_alerts_open", "job_failed", "warning"] == 2.0
    assert told["vpp_alerts_open", "ledger_broken", "alarm"] == 1.0
    assert (told["vpp_alerts_unseen",], told["vpp_store_free_bytes",]) == (3.0, 7.0)
    assert math.isnan(told["vpp_backup_age_seconds",])
    assert ("vpp_alerts_open", "job_failed", "warning") not in after
    assert math.isnan(after["vpp_store_free_bytes",])


def test_prometheus_is_shown_them_by_the_service() -> None:
    town = Town()
    answer = town.program(Role.OPERATOR).get("/metrics")
    assert answer.status_code == 200
    assert figures(answer.text)["vpp_journal_entries",] == 0.0


def test_every_figure_carries_its_unit_and_is_described() -> None:
    for name, kind, _, what in Metrics().described():
        assert name.startswith("vpp_")
        assert what.endswith((".", "]"))
        if "[s]" in what:
            assert name.endswith("seconds") or name == "vpp_http_seconds"
        if "[B]" in what:
            assert name.endswith("_bytes")
        assert kind in {"counter", "gauge", "histogram"}


# ---- what is logged ----------------------------------------------------------------------------------------


def test_the_log_of_a_busy_day_holds_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Everybody logs in, fails, looks at cars, acknowledges: no line holds a name, an address or a secret."""
    town = Town()
    with caplog.at_level(logging.DEBUG):
        for role in Role:
            browser = town.logged_in(role, f"{role.value}-hanako")
            for path in ("/", "/account", "/alerts", "/car/kitakata/commuter", "/factory/kitakata"):
                browser.get(path)
            town.enter(town.browser(), f"{role.value}-hanako", "a wrong password")
            town.program(role, f"{role.value}-hanako").get("/api/v1/measurements/kitakata/commuter/soc")
        lost = Trouble(kind=Kind.DATA_STALE, subject="kitakata")
        AlertBook(town.house.store).review([lost], NOON)
        operator = town.logged_in(Role.OPERATOR, "operator-hanako")
        data = {
            "form_key": form_key(operator.get("/alerts").text),
            "kind": "data_stale",
            "subject": "kitakata",
        }
        operator.post("/alerts/acknowledge", data={**data, "note": "090-1234-5678"})
    form = JsonLines()
    lines = [form.format(record) for record in caplog.records if record.name.startswith(("vpp", "energy"))]
    assert len(lines) > 50
    for line in lines:
        json.loads(line)
        for secret in ("hanako", "Hanako", PASSWORD, "wrong password", "commuter", "090-1234", "Bearer"):
            assert secret not in line, line


_PERSONAL = frozenset(
    {"name", "contact", "mail", "email", "password", "secret", "token", "account", "who", "person", "address"}
)


def _facts_logged(path: Path) -> list[tuple[int, str]]:
    """Names of the facts in ``extra={"facts": {...}}`` of every log call."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "log"):
                continue
            for inner in ast.walk(node):
                if isinstance(inner, ast.Dict):
                    found += [(node.lineno, k.value) for k in inner.keys if isinstance(k, ast.Constant)]
    return found


def test_no_log_call_names_a_personal_fact() -> None:
    files = [path for floor in ("vpp", "energy", "devices") for path in (ROOT / floor).rglob("*.py")]
    named = {(path.name, line, str(fact)) for path in files for line, fact in _facts_logged(path)}
    assert len(named) > 20, "the test still finds the calls"
    assert not {one for one in named if one[2] in _PERSONAL}


def test_a_planted_personal_fact_would_be_noticed(tmp_path: Path) -> None:
    planted = tmp_path / "x.py"
    planted.write_text('log.info("a.b", extra={"facts": {"name": hana}})\n', encoding="utf-8")
    assert _facts_logged(planted) == [(1, "facts"), (1, "name")]
