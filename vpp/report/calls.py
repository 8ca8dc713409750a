"""The events that a site was called for: one part of the report each."""

from __future__ import annotations

from dataclasses import dataclass

from energy.core.slots import SLOT_LENGTH
from vpp.i18n import Messages
from vpp.report.chart import ChartSpec, Dash, Line, Shade, Tone
from vpp.report.figures import Comparison
from vpp.simulation.results import CallResult, RunResult
from vpp.table import Table

__all__ = ["CallPart", "call_parts", "call_sentences"]


@dataclass(frozen=True, slots=True)
class CallPart:
    """One event: its heading, what was agreed and what came of it, the demand around it, its half hours."""

    title: str
    facts: Table
    chart: ChartSpec
    slots: Table


def call_sentences(messages: Messages, run: RunResult) -> tuple[str, ...]:
    """One sentence for each event of a run."""
    return tuple(_sentence(messages, call) for call in run.calls)


def call_parts(comparison: Comparison, messages: Messages) -> tuple[CallPart, ...]:
    """The events of the run that the report is about; empty if nobody called."""
    return tuple(
        CallPart(
            title=_title(messages, call),
            facts=_facts(messages, call),
            chart=_chart(comparison, messages, call),
            slots=_slots(messages, call),
        )
        for call in comparison.product.calls
    )


def _when(messages: Messages, call: CallResult) -> str:
    return messages.day_slot(call.start, call.end - call.start)


def _title(messages: Messages, call: CallResult) -> str:
    return messages.text("report_calls.title", when=_when(messages, call), id=call.id)


def _sentence(messages: Messages, call: CallResult) -> str:
    if call.delivered_kwh is None:
        return messages.text(
            "report_calls.not_measured", when=_when(messages, call), why=_why(messages, call)
        )
    if call.yen < 0:
        return messages.text(
            "report_calls.sentence_owed",
            when=_when(messages, call),
            asked=messages.kwh(call.asked_kwh),
            paid=messages.yen(-call.yen),
        )
    return messages.text(
        "report_calls.sentence",
        when=_when(messages, call),
        asked=messages.kwh(call.asked_kwh),
        delivered=messages.kwh(call.delivered_kwh),
        paid=messages.yen(call.yen),
    )


def _why(messages: Messages, call: CallResult) -> str:
    """Why nothing could be measured; what the settlement says where there is no text of its own."""
    key = f"report_calls.why_{call.why.replace(' ', '_')}"
    return messages.text(key) if messages.has(key) else call.why


def _facts(messages: Messages, call: CallResult) -> Table:
    """Announcement, window, baseline, what was asked and delivered, reward, points, rebound."""
    t = messages.text
    nothing = t("table.nothing")
    window = (
        messages.slot(call.window_start, call.window_end - call.window_start)
        if call.window_end > call.window_start
        else nothing
    )
    method = t(f"report_calls.method_{call.method.replace('-', '_')}") if call.method else nothing
    if call.method.startswith("high"):
        method = t("report_calls.adjusted", method=method, adjustment=t(f"report_calls.{call.adjustment}"))
    delivered = call.delivered_kwh
    rebound = call.rebound_kwh
    after = len(call.after_baseline_kw) * SLOT_LENGTH
    rows = {
        "announced": messages.moment(call.announced),
        "event": _when(messages, call),
        "window": window,
        "baseline": method,
        "asked": t("report_calls.power", kw=messages.kw(call.asked_kw), kwh=messages.kwh(call.asked_kwh)),
        "delivered": _why(messages, call) if delivered is None else messages.kwh(delivered),
        "rate": t("report_calls.per_kwh", yen=messages.yen(call.reward_yen_per_kwh)),
        "paid": messages.yen(call.yen),
        "points": messages.number(call.points, 0),
        "rebound": nothing
        if rebound is None
        else t(
            "report_calls.above" if rebound > 0.05 else "report_calls.below",
            when=messages.slot(call.end, after),
            kwh=messages.kwh(abs(rebound)),
            peak=messages.kw(max(call.after_import_kw)),
        ),
    }
    cells = tuple((t(f"report_calls.{name}"), value) for name, value in rows.items())
    return Table(t("report_calls.facts"), (t("report_calls.what"), t("report_calls.value")), cells)


def _slots(messages: Messages, call: CallResult) -> Table:
    """Baseline, demand and what lies between them, half hour by half hour, and after the event."""
    t = messages.text
    columns = ("baseline_kw", "drawn_kw", "below_kw", "below_kwh")
    pairs = [
        *zip(call.baseline_kw, call.import_kw, strict=True),
        *zip(call.after_baseline_kw, call.after_import_kw, strict=True),
    ]
    first = call.start if call.baseline_kw else call.end
    rows = []
    for number, (usual, drawn) in enumerate(pairs):
        start = first + number * SLOT_LENGTH
        written = messages.slot(start)
        rows.append(
            (
                written if start < call.end else t("report_calls.after", when=written),
                messages.number(usual),
                messages.number(drawn),
                messages.number(usual - drawn),
                messages.number((usual - drawn) / 2.0),
            )
        )
    header = (t("table.when"), *(t(f"report_calls.{name}") for name in columns))
    return Table(t("report_calls.slots"), header, tuple(rows))


def _chart(comparison: Comparison, messages: Messages, call: CallResult) -> ChartSpec:
    """Demand from the adjustment window to the end of the hours after the event."""
    trace, t = comparison.product.trace, messages.text
    end = call.end + len(call.after_baseline_kw) * SLOT_LENGTH
    begin = min(call.window_start, call.start)
    span = [number for number, at in enumerate(trace.slots) if begin <= at < end]
    usual = dict(enumerate((*call.baseline_kw, *call.after_baseline_kw)))

    def drawn(run: RunResult, tone: Tone, dash: Dash) -> Line:
        label = t("report_calls.drawn", controller=t(f"controller.{run.summary.controller}"))
        return Line(
            label=label, values=tuple(run.trace.import_kw[number] for number in span), tone=tone, dash=dash
        )

    base = comparison.base
    lines = [drawn(base, 2, "dotted")] if base is not None else []
    lines.append(drawn(comparison.product, 1, "solid"))
    baseline = tuple(usual.get((trace.slots[number] - call.start) // SLOT_LENGTH) for number in span)
    lines.append(Line(label=t("report_calls.baseline"), values=baseline, tone=3, dash="dashed"))
    return ChartSpec(
        id=f"call-{call.id}",
        title=_title(messages, call),
        description=_sentence(messages, call),
        starts=tuple(trace.slots[number] for number in span),
        unit="kW",
        series=tuple(lines),
        shades=(Shade(label=t("report_calls.event"), start=call.start, end=call.end),),
    )
