"""Power purchase agreements on screen: delivered beside contracted, matched by half hours, CO2, invoices.

What stands here was settled and kept by ``vpp market ppa settle --keep``; nothing is computed anew but
differences, so a figure on the page is the figure of the invoice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import yaml
from starlette.requests import Request
from starlette.responses import Response

from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from energy.store import Store
from vpp.http.access import access_of
from vpp.i18n import Messages
from vpp.report.chart import Bars, ChartSpec, Line
from vpp.report.html import figure_of
from vpp.settlement.record import SETTLEMENT, SettlementBook
from vpp.web.pages import Page, render

__all__ = ["PAGES"]

_Told = Mapping[str, Any]  # Any: figures as JSON reads them back


def agreements(request: Request) -> Response:
    """The month that was asked for, the newest unless one was."""
    access = access_of(request)
    words, now = Messages(access.lang), access.service.clock.now()
    kept = _kept(access.service.store, now)
    asked = request.query_params.get("month", "")
    key = asked if asked in kept else next(iter(kept), "")
    return render(
        request,
        "operator_ppa.html",
        m=words,
        months=[(one, one == key, label) for one, label in _labels(access.service.store, kept, words)],
        gone=bool(asked) and asked not in kept,
        told=None if not key else _shown(kept[key], _names(access.service.store, kept[key], words), words),
    )


def _kept(store: Store, now: datetime) -> dict[str, _Told]:
    """Newest version of every month by ``PLACE/MONTH``, the newest month first."""
    newest: dict[str, _Told] = {}
    for document in store.as_of(now).documents(SETTLEMENT, prefix="ppa/"):
        told = json.loads(document.body)
        key = "/".join(str(told["id"]).split("/")[1:3])
        if key not in newest or newest[key]["version"] < told["version"]:
            newest[key] = told
    return dict(sorted(newest.items(), key=lambda one: (-_month_number(one[0]), one[0])))


def _month_number(key: str) -> int:
    return int(key.split("/")[1].replace("-", ""))


def _labels(store: Store, kept: Mapping[str, _Told], words: Messages) -> Iterator[tuple[str, str]]:
    """Each month with what it is called; the newest month of a place says what the place is called."""
    called: dict[str, str] = {}
    for key, told in kept.items():
        place, month = key.split("/")
        if place not in called:
            called[place] = _names(store, told, words).get(place, place)
        yield key, f"{called[place]} {words.month(month)}"


def _names(store: Store, kept: _Told, words: Messages) -> dict[str, str]:
    """What the place and its agreements are called, from the file they were settled with.

    Empty if that file was not kept or can no longer be read: then ids stand on the page.
    """
    digest = next((one["sha256"] for one in kept["evidence"] if one["role"] == "supply"), "")
    text = SettlementBook(store).evidence(digest)
    try:
        told = yaml.safe_load(text or "") or {}
        named = [(told["place"], told), *((one["id"], one) for one in told["contracts"])]
        return {str(key): str(one[f"name_{words.lang}"]) for key, one in named}
    except (yaml.YAMLError, KeyError, TypeError):
        return {}


def _shown(kept: _Told, names: Mapping[str, str], words: Messages) -> dict[str, Any]:
    figures: _Told = kept["figures"]
    share, year = figures["renewable"], figures["renewable_year"]
    notes = [one["source"] for one in kept["rules"] if one["status"] == "unverified"]
    return {
        "id": kept["id"],
        "headline": words.text(
            "operator_ppa.headline",
            place=names.get(figures["place"], figures["place"]),
            month=words.month(figures["month"]),
            matched=_percent(share["matched"], words),
            annual=_percent(share["annual"], words),
        ),
        "lead": words.text(
            "operator_ppa.lead",
            load=_kwh(share["load_kwh"], words),
            matched=_kwh(share["matched_kwh"], words),
            residual=_kwh(figures["residual_kwh"], words),
        ),
        "contracts": [_contract(one, names.get(one["id"], one["id"]), words) for one in figures["contracts"]],
        "total": words.yen(sum(one["total_yen"] for one in figures["contracts"])),
        "shares": [
            (words.text("operator_ppa.this_month"), *_shares(share, words)),
            (
                words.text("operator_ppa.year", **_ends(year["months"], words)),
                *_shares(year, words),
            ),
        ],
        "figure": None if "half_hours" not in figures else figure_of(_chart(figures, words), words),
        "co2": [_emission(one, words) for one in figures["co2"]],
        "co2_total": None if figures["co2_kg"] is None else words.quantity(figures["co2_kg"], "kg", 0),
        "files": [(one["role"], one["name"], one["rows"]) for one in kept["evidence"]],
        "rules": [_rule(one, words) for one in kept["rules"]],
        "unverified": len(dict.fromkeys(notes)),
        "because": kept["because"],
    }


def _ends(months: Sequence[str], words: Messages) -> dict[str, str]:
    return {"first": words.month(months[0]), "last": words.month(months[-1])}


def _rule(one: _Told, words: Messages) -> tuple[str, str, str, str, str]:
    """Name, value with its unit, days, source and whether somebody has seen it."""
    last = one["valid_to"]
    days = f"{_day(one['valid_from'], words)} - {_day(last, words) if last else ''}"
    seen = words.text(f"operator_ppa.{one['status']}")
    value = f"{one['value']} {one['unit']}".strip()
    return str(one["rule"]), value, days, str(one["source"]), seen


def _contract(one: _Told, name: str, words: Messages) -> dict[str, Any]:
    more = one["difference_kwh"]
    return {
        "id": name,
        "kind": words.text(f"operator_ppa.kind_{one['kind']}"),
        "contracted": "-" if one["contracted_kwh"] is None else _kwh(one["contracted_kwh"], words),
        "delivered": _kwh(one["delivered_kwh"], words),
        "difference": "-"
        if more is None
        else words.text(
            "operator_ppa.more" if more >= 0 else "operator_ppa.less", kwh=_kwh(abs(more), words)
        ),
        "short": more is not None and more < 0,
        "surplus": _kwh(one["surplus_kwh"], words),
        "value": words.text(f"operator_ppa.value_{one['value_claimed_by']}"),
        "total": words.yen(one["total_yen"]),
        "subtotal": words.yen(one["subtotal_yen"]),
        "tax": words.yen(one["tax_yen"]),
        "tax_rate": words.percent(float(one["tax_rate"]), 0),
        "lines": [
            {
                "what": words.text(f"operator_ppa.line_{line['what']}"),
                "days": f"{_day(line['first'], words)} - {_day(line['last'], words)}",
                "kwh": _kwh(line["kwh"], words),
                "price": words.number(line["yen_per_kwh"], 2),
                "yen": words.number(line["yen"], 2),
            }
            for line in one["lines"]
        ],
    }


def _shares(share: _Told, words: Messages) -> tuple[str, str, str, str]:
    return (
        _percent(share["matched"], words),
        _percent(share["annual"], words),
        _kwh(share["load_kwh"], words),
        _kwh(share["renewable_kwh"], words),
    )


def _emission(one: _Told, words: Messages) -> dict[str, str]:
    return {
        "supplier": one["supplier"],
        "menu": one["menu"],
        "year": words.text("operator_ppa.fiscal", year=one["reporting_year"]),
        "kwh": _kwh(one["kwh"], words),
        "factor": f"{one['kg_per_kwh']:.3f}",
        "kg": words.quantity(one["kg"], "kg", 0),
        "status": words.text(f"operator_ppa.{one['status']}"),
    }


def _chart(figures: _Told, words: Messages) -> ChartSpec:
    """The month as one day: what was used, what was generated, and what of both met. [kWh]"""
    told, t = figures["half_hours"], words.text
    first = jst_midnight(date.fromisoformat(f"{figures['month']}-01"))
    return ChartSpec(
        id="matching",
        title=t("operator_ppa.chart"),
        description=t("operator_ppa.chart_about"),
        starts=tuple(first + k * SLOT_LENGTH for k in range(SLOTS_PER_DAY)),
        unit="kWh",
        series=(
            Bars(label=t("operator_ppa.matched"), values=tuple(told["matched_kwh"]), tone=3),
            Line(label=t("operator_ppa.load"), values=tuple(told["load_kwh"]), tone=5),
            Line(
                label=t("operator_ppa.renewable"), values=tuple(told["renewable_kwh"]), tone=2, dash="dashed"
            ),
        ),
    )


def _day(text: str, words: Messages) -> str:
    return words.day(date.fromisoformat(text))


def _kwh(value: float, words: Messages) -> str:
    return words.quantity(float(value), "kWh", 0)


def _percent(value: float | None, words: Messages) -> str:
    return "-" if value is None else words.percent(float(value), 1)


PAGES: Final = (Page(path="/operator/ppa", endpoint=agreements, rule="region"),)
