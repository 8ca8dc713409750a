"""The OpenAPI document, and requests made from it by schemathesis: no 5xx, documented answers only."""

from __future__ import annotations

import itertools

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.vpp.api.filled import OWN_SITE, filled_town
from tests.unit.vpp.web.browser import ORIGIN
from vpp.people.roles import Role

TOWN = filled_town()
SCHEMA = schemathesis.openapi.from_dict(TOWN.app.openapi())
SCHEMA.app = TOWN.app
PROGRAMS = {role: TOWN.program(role) for role in (Role.OPERATOR, Role.RETAILER, Role.DRIVER)}
NUMBERS = itertools.count()
THERE = {
    "site": OWN_SITE,
    "asset": "commuter",
    "quantity": "soc",
    "target": "load",
    "horizon": "day-ahead",
    "party": "retailer-a",
    "event": "e-1",
    "what": "bill",
    "subject": OWN_SITE,
    "period": "2026-10",
    "consent": "c-commuter",
    "entity": f"urn:ngsi-ld:Site:{OWN_SITE}",
}
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@SCHEMA.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_service_and_every_answer_is_documented(case: schemathesis.Case) -> None:
    if next(NUMBERS) % 2:  # every other time about something that is there, else nearly all would be 404
        case.path_parameters = {**case.path_parameters, **_known(case.path_parameters)}
    for role, program in PROGRAMS.items():
        headers = {"Authorization": program.headers["Authorization"]}
        if case.method not in {"GET", "DELETE"} or "Idempotency-Key" in (case.headers or {}):
            headers["Idempotency-Key"] = f"{role.value}-{next(NUMBERS):08d}"
        answer = case.call(base_url=ORIGIN, headers=headers)
        case.validate_response(answer, checks=list(CHECKS))


def _known(named: dict[str, object]) -> dict[str, str]:
    return {name: THERE[name] for name in named if name in THERE}


def test_every_operation_says_what_it_does_and_how_it_refuses() -> None:
    document = TOWN.app.openapi()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            for status in ("401", "403", "404", "422", "429"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], (method, path, status)
            if method != "get":
                assert "Idempotency-Key" in {one["name"] for one in operation["parameters"]}


def test_the_checks_find_an_answer_that_is_not_documented() -> None:
    case = SCHEMA["/api/v1/sites"]["GET"].Case()
    answer = case.call(base_url=ORIGIN, headers={"Accept-Language": "en"})
    case.validate_response(answer, checks=[status_code_conformance])
    answer.status_code = 418
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        case.validate_response(answer, checks=[status_code_conformance])
