"""The tables of a report, as written cells: controllers side by side, reasons, forecast scores."""

from __future__ import annotations

from collections.abc import Callable

from vpp.i18n import Messages, reason_sentence
from vpp.report.figures import Comparison, actions
from vpp.report.words import asset_name
from vpp.simulation.results import RunSummary, SimulationDocument
from vpp.table import Table

__all__ = ["controllers_table", "forecast_table", "reasons_table"]


def controllers_table(document: SimulationDocument, messages: Messages) -> Table:
    """One column per controller, one row per figure."""
    summaries = [run.summary for run in document.runs]
    base = next((summary for summary in summaries if summary.controller == "none"), None)
    writers: dict[str, Callable[[RunSummary], str]] = {
        "bill": lambda run: messages.yen(run.bill_yen),
        "energy": lambda run: messages.yen(run.energy_yen),
        "demand": lambda run: messages.yen(run.demand_yen),
        "against_none": lambda run: _against(messages, run, base),
        "peak": lambda run: messages.kw(run.peak_kw),
        "comfort": lambda run: messages.quantity(run.comfort_degc_h, messages.text("format.degree_hours")),
        "worst": lambda run: messages.celsius(run.comfort_worst_degc),
        "departures": lambda run: f"{run.departures - run.departures_missed} / {run.departures}",
        "discharge": lambda run: messages.kwh(run.discharge_kwh),
        "stored": lambda run: _stored(messages, run.stored_kwh_change),
        "coins": lambda run: messages.number(run.coins, 0),
        "score": lambda run: messages.yen(run.score_yen),
    }
    rows = tuple(
        (messages.text(f"table.{name}"), *(write(summary) for summary in summaries))
        for name, write in writers.items()
    )
    if any(run.calls for run in document.runs):
        paid = (messages.yen(summary.events_yen) for summary in summaries)
        rows = (*rows[:-1], (messages.text("report_calls.events"), *paid), rows[-1])
    header = ("", *(messages.text(f"controller.{summary.controller}") for summary in summaries))
    return Table(messages.text("table.controllers"), header, rows)


def _against(messages: Messages, run: RunSummary, base: RunSummary | None) -> str:
    """Difference of the bill to no control, in words."""
    if base is None or run is base:
        return messages.text("table.nothing")
    saved = base.bill_yen - run.bill_yen
    key = "table.same" if saved == 0 else "table.less" if saved > 0 else "table.more"
    return messages.text(key, amount=messages.yen(abs(saved)))


def _stored(messages: Messages, change_kwh: float) -> str:
    if abs(change_kwh) < 0.05:
        return messages.text("table.same")
    return messages.text(
        "table.more" if change_kwh > 0 else "table.less", amount=messages.kwh(abs(change_kwh))
    )


def reasons_table(
    document: SimulationDocument, comparison: Comparison, messages: Messages, stretch: range, caption: str
) -> Table:
    """What every asset did in some slots, and why."""
    rows = tuple(
        (
            asset_name(document, messages, action.asset),
            messages.slot(action.start, action.end - action.start),
            reason_sentence(messages, action.reason, kind=action.kind, power_kw=action.power_kw),
        )
        for action in actions(comparison.product.trace, stretch)
    )
    header = tuple(messages.text(f"table.{name}") for name in ("asset", "when", "why"))
    return Table(caption, header, rows)


def forecast_table(comparison: Comparison, messages: Messages) -> Table | None:
    """Errors of the forecasts beside those of simple methods, or None if nobody forecast."""
    scores = comparison.product.forecast_scores
    if not scores:
        return None

    def share(value: float | None) -> str:
        return messages.text("table.nothing") if value is None else messages.percent(value, 1)

    rows = tuple(
        (
            messages.text(f"target.{score.target}")
            if messages.has(f"target.{score.target}")
            else score.target,
            share(score.nmae),
            share(score.persistence_nmae),
            share(score.weekday_nmae),
            f"{score.pinball:.2f} / {score.persistence_pinball:.2f}",
            messages.percent(score.cover80),
            score.model,
        )
        for score in scores
    )
    names = ("target", "error", "persistence", "weekday", "pinball", "coverage", "model")
    return Table(
        messages.text("table.forecasts"), tuple(messages.text(f"table.{name}") for name in names), rows
    )
