"""Rights and figures as rows: for the reference pages, and for whoever audits them."""

from __future__ import annotations

from vpp.api.routers import ROUTERS
from vpp.http.access import GuardedRoute, guard_of
from vpp.http.metrics import Metrics
from vpp.people.rights import RULES
from vpp.people.roles import Role
from vpp.web.app import PAGES

__all__ = ["figures_text", "page_rows", "route_rows", "rule_header", "rule_rows"]


def rule_header() -> tuple[str, ...]:
    """Names of the columns of :func:`rule_rows`."""
    return ("rule", *(role.value for role in Role), "scope of a token")


def rule_rows() -> list[tuple[str, ...]]:
    """Every rule, and how far each role reaches."""
    return [
        (f"`{rule.name}`", *(str(rule.reach.get(role, "")) for role in Role), rule.scope)
        for rule in RULES.values()
        if not rule.public
    ]


def route_rows() -> list[tuple[str, ...]]:
    """Every route of the API, and the rule that it asks."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, GuardedRoute)]
    return [
        (", ".join(sorted(route.methods or ())), f"`{route.path}`", f"`{guard_of(route.endpoint).rule.name}`")
        for route in routes
    ]


def page_rows() -> list[tuple[str, ...]]:
    """Every page, and the rule that it asks."""
    return [(page.method, f"`{page.path}`", f"`{page.rule}`") for page in PAGES]


def figures_text() -> str:
    """Every figure for Prometheus, as a table in Markdown."""
    lines = ["| Name | Type | Labels | What |", "| --- | --- | --- | --- |"]
    for name, kind, labels, what in Metrics().described():
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {what} |")
    return "\n".join(
        [
            "What `/metrics` gives in Prometheus's own form; units stand in the names. A figure that is not",
            "known is NaN, never zero. Labels name routes, sites and kinds, never people. Figures of data,",
            "alerts, backups, jobs, journal and store are read from the store when they are asked for.",
            "",
            *lines,
        ]
    )
