"""The sentences of a report: what was saved and why, what was kept, and what went wrong."""

from __future__ import annotations

from datetime import timedelta

from vpp.i18n import Messages
from vpp.report.figures import Comparison, compare, relief_at_peak, year_yen
from vpp.simulation.results import RunSummary, SimulationDocument

__all__ = ["asset_name", "cautions", "lead", "period", "promises", "title"]

_SAME_KW = 0.05
_SAME_YEN = 0.5
_METER_KWH = 0.001  # a watt-hour, the finest step of the meters; less is rounding


def title(document: SimulationDocument, messages: Messages) -> str:
    """Title of the scenario in the reader's language."""
    return document.title_ja if messages.lang == "ja" else document.title_en


def period(document: SimulationDocument, messages: Messages) -> str:
    """First and last day, with the year."""
    last = document.start + timedelta(days=document.days - 1)
    return messages.text(
        "report.period",
        year=document.start.year,
        first=messages.day(document.start),
        last=messages.day(last),
        days=document.days,
    )


def asset_name(document: SimulationDocument, messages: Messages, asset: str) -> str:
    """Name of an asset in the reader's language; its id if the document names it nowhere."""
    names = document.names.get(asset)
    return asset if names is None else names[0 if messages.lang == "ja" else 1]


def lead(document: SimulationDocument, messages: Messages) -> tuple[str, ...]:
    """What came of it and why, in two to five sentences; the first can stand alone."""
    comparison = compare(document)
    if comparison.base is None:
        return (_alone(document, messages, comparison.product.summary),)
    found = [
        _saved(document, messages, comparison),
        _score(messages, comparison),
        _why(messages, comparison),
        _year(document, messages, comparison),
    ]
    return tuple(sentence for sentence in (*found, _left(messages, comparison)) if sentence)


def _alone(document: SimulationDocument, messages: Messages, summary: RunSummary) -> str:
    return messages.text(
        "lead.alone",
        days=document.days,
        controller=messages.text(f"controller.{summary.controller}"),
        peak=messages.kw(summary.peak_kw),
        bill=messages.yen(summary.bill_yen),
    )


def _saved(document: SimulationDocument, messages: Messages, comparison: Comparison) -> str:
    """Peak and bill beside the base, each lower, higher or the same."""
    base = comparison.base
    if base is None:
        return ""
    cut, saved = comparison.peak_cut_kw, comparison.saved_yen
    peak = messages.text(
        f"lead.peak_{_direction(cut, _SAME_KW)}",
        before=messages.kw(base.summary.peak_kw),
        after=messages.kw(comparison.product.summary.peak_kw),
        change=messages.kw(abs(cut)),
    )
    share = abs(saved) / base.summary.bill_yen if base.summary.bill_yen else 0.0
    bill = messages.text(
        f"lead.bill_{_direction(saved, _SAME_YEN)}",
        change=messages.yen(abs(saved)),
        percent=messages.percent(share, 1),
    )
    return messages.text(
        "lead.saved",
        days=document.days,
        base=messages.text(f"controller.{base.summary.controller}"),
        product=messages.text(f"controller.{comparison.product.summary.controller}"),
        peak=peak,
        bill=bill,
    )


def _score(messages: Messages, comparison: Comparison) -> str:
    """What is left of the saving with emptied batteries and broken promises; empty if all of it."""
    if comparison.base is None:
        return ""
    saved = comparison.base.summary.score_yen - comparison.product.summary.score_yen
    if abs(saved - comparison.saved_yen) < 1:
        return ""
    called = comparison.base.calls or comparison.product.calls
    words = "report_calls.score" if called else "lead.score"
    return messages.text(f"{words}_{_direction(saved, _SAME_YEN)}", yen=messages.yen(abs(saved)))


def _direction(cut: float, same: float) -> str:
    return "same" if abs(cut) < same else "lower" if cut > 0 else "higher"


def _why(messages: Messages, comparison: Comparison) -> str:
    """Who took what off the demand where it was highest without control."""
    relief = relief_at_peak(comparison)
    if relief is None or comparison.base is None:
        return ""
    shares = (("hvac", relief.hvac_kw), ("cars", relief.cars_kw), ("pv", relief.pv_kw))
    parts = [
        messages.text(f"lead.relief_{name}", power=messages.kw(power))
        for name, power in shares
        if power >= _SAME_KW
    ]
    if not parts:
        return ""
    return messages.text(
        "lead.why",
        slot=messages.day_slot(comparison.base.trace.slots[relief.number]),
        base=messages.text(f"controller.{comparison.base.summary.controller}"),
        parts=messages.text("format.list_joint").join(parts),
    )


def _year(document: SimulationDocument, messages: Messages, comparison: Comparison) -> str:
    """What the difference is worth in the basic charge of twelve months."""
    cut_kw, yen = year_yen(document, comparison)
    direction = _direction(cut_kw, _SAME_KW)
    return messages.text(
        f"lead.year_{direction}",
        power=messages.kw(abs(cut_kw)),
        yen=messages.about_yen(abs(yen)),
        memory=messages.kw(document.peak_memory_kw),
        per_kw=messages.yen(document.basic_yen_per_kw_month * document.basic_factor * 12),
    )


def _left(messages: Messages, comparison: Comparison) -> str:
    """How much of the possible is reached, and what is left."""
    if comparison.captured is None or comparison.bound is None:
        return ""
    left = comparison.product.summary.score_yen - comparison.bound.summary.score_yen
    return messages.text(
        "lead.left" if left > _SAME_YEN else "lead.nothing_left",
        percent=messages.percent(comparison.captured),
        yen=messages.yen(max(0, left)),
    )


def promises(messages: Messages, summary: RunSummary) -> tuple[str, ...]:
    """Comfort, departures and coins of a run, one sentence each."""
    kept = summary.departures - summary.departures_missed
    if summary.comfort_degc_h < _SAME_KW and summary.comfort_worst_degc < _SAME_KW:
        comfort = messages.text("promise.comfort_kept")
    else:
        comfort = messages.text(
            "promise.comfort_left",
            degree_hours=messages.number(summary.comfort_degc_h),
            worst=messages.celsius(summary.comfort_worst_degc),
        )
    if summary.departures == 0:
        departures = messages.text("promise.no_departures")
    else:
        key = "promise.departures_kept" if kept == summary.departures else "promise.departures_missed"
        departures = messages.text(
            key, kept=kept, departures=summary.departures, missed=summary.departures_missed
        )
    coins = messages.text("promise.coins", coins=messages.number(summary.coins, 0)) if summary.coins else ""
    return tuple(sentence for sentence in (comfort, departures, coins) if sentence)


def cautions(messages: Messages, summary: RunSummary) -> tuple[str, ...]:
    """Everything that a careful reader must be told about a run; empty if there is nothing."""
    counts: dict[str, int] = {
        "contract": summary.contract_exceeded_slots,
        "floor": summary.soc_floor_violations,
        "fallback": summary.fallback_plans,
        "unconfirmed": summary.unconfirmed_commands,
        "shortfalls": summary.shortfalls,
        "guard": summary.guard_actions,
    }
    found = [
        messages.text(f"caution.{name}", count=count, plans=summary.plans)
        for name, count in counts.items()
        if count
    ]
    if summary.export_kwh >= _SAME_KW:
        found.append(messages.text("caution.export", energy=messages.kwh(summary.export_kwh)))
    if summary.energy_balance_error_kwh > _METER_KWH:
        found.append(
            messages.text(
                "caution.balance", energy=messages.quantity(summary.energy_balance_error_kwh, "kWh", 6)
            )
        )
    return tuple(found)
