"""The week of a region as one page per language: sentences, figures, curves, ranked bars; no script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from markupsafe import Markup

from energy.core.slots import SLOT_LENGTH, jst_midnight
from vpp.i18n import LANGUAGES, Lang, Messages
from vpp.region.week.words import party, sentences, share_words
from vpp.report.chart import Bars, ChartSpec, Line, Shade
from vpp.report.html import Figure, figure_of, file_name, page_css, page_environment
from vpp.report.ranked import Ranked, RankedRow, ranked_svg, ranked_table
from vpp.report.svg import NARROW_PX, WIDE_PX, chart_css
from vpp.table import Table
from vpp.wholefile import whole_file

__all__ = ["render_region_report", "write_region_report"]

_MOST_FEEDERS = 20
_FIGURES = (
    ("energy_yen", "yen"), ("basic_yen", "yen"), ("peak_yen", "yen"), ("wear_yen", "yen"), ("peak_kw", "kw"),
    ("off_plan_rms_kw", "kw"), ("used_kwh", "kwh"), ("sun_kwh", "kwh"),
    ("matched_share", "share"), ("local_share", "share"), ("co2_kg", "kg"),
    ("gave_kwh", "kwh"), ("discomfort_kh", "kh"), ("unheld_kh", "kh"),
    ("departures", "count"), ("departures_missed", "count"), ("departures_hopeless", "count"),
    ("feeder_slots_over", "count"), ("feeder_slots_short", "count"), ("feeder_slots_blind", "count"),
    ("over_contract_kw", "kw"), ("exporting_slots", "count"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Bars:
    """A ranked chart as the page shows it."""

    id: str
    title: str
    wide: Markup
    narrow: Markup
    table: Table


def write_region_report(document: dict[str, Any], directory: Path) -> tuple[Path, ...]:
    """Write the page in every language, Japanese first; each appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for lang in LANGUAGES:
        path = directory / file_name(lang)
        with whole_file(path) as file:
            file.write(render_region_report(document, lang))
        paths.append(path)
    return tuple(paths)


def render_region_report(document: dict[str, Any], lang: Lang) -> str:
    """The page as one HTML document."""
    messages = Messages(lang)
    first = date.fromisoformat(document["first_day"])
    told = sentences(document, messages)
    return (
        page_environment()
        .get_template("region.html.j2")
        .render(
            t=messages.text,
            lang=lang,
            other=messages.other,
            other_file=file_name(messages.other),
            styles=Markup(page_css() + chart_css()),  # noqa: S704 - our own files
            title=messages.text("region_week.title", sites=document["sites"]),
            period=messages.text(
                "report.period",
                year=first.year,
                first=messages.day(first),
                last=messages.day(first + timedelta(days=document["days"] - 1)),
                days=document["days"],
            ),
            lead=told[0],
            sentences=told[1:],
            figures=_figures(document, messages),
            bills=_bills(document, messages),
            curves=[_power(document, messages), _off_plan(document, messages)],
            ranked=[_feeders(document, messages), _parties(document, messages)],
            assumptions=[
                messages.text(f"region_week.assumed_{name}")
                for name in (
                    "sites",
                    "weather",
                    "prices",
                    "basic",
                    "tight",
                    "consent",
                    "points",
                    "co2",
                    "feeders",
                )
            ],
            command=_command(document),
        )
    )


def _command(document: dict[str, Any]) -> str:
    return (
        f"vpp region simulate --sites {document['sites']} --days {document['days']} "
        f"--seed {document['seed']} --start {document['first_day']} --warm-days {document['warm_days']}"
    )


def _figures(document: dict[str, Any], messages: Messages) -> Table:
    """Both parts side by side."""
    parts = document["parts"]
    write: dict[str, Callable[[Any], str]] = {
        "yen": messages.yen,
        "kw": messages.kw,
        "kwh": messages.kwh,
        "share": lambda value: share_words(value, messages),
        "kg": lambda value: messages.quantity(value, "kg", 0),
        "kh": lambda value: messages.quantity(value, messages.text("format.degree_hours")),
        "count": lambda value: messages.number(value, 0),
    }
    rows = [
        (messages.text(f"region_week.figure_{name}"), *(write[kind](part[name]) for part in parts.values()))
        for name, kind in _FIGURES
    ]
    for name in ("beyond_spot_yen", "yen"):
        told = [messages.yen(part["imbalance"][name]) for part in parts.values()]
        rows.append((messages.text(f"region_week.figure_imbalance_{name}"), *told))
    header = ("", *(messages.text(f"region_week.part_{mode}") for mode in parts))
    return Table(messages.text("region_week.figures"), header, tuple(rows))


def _bills(document: dict[str, Any], messages: Messages) -> Table:
    """What the bills of these days say, and what the tight evening gave, party by party."""
    modes = tuple(document["parts"])
    named = [(part, messages.text(f"region_week.part_{part}")) for part in modes]
    header = (
        "",
        messages.text("region_week.bill_sites"),
        *(messages.text("region_week.bill_energy", part=name) for _, name in named),
        *(messages.text("region_week.bill_basic", part=name) for _, name in named),
        messages.text("region_week.dr_paid"),
        messages.text("region_week.bill_points"),
    )
    rows = [
        (
            party(one["party"], messages),
            messages.number(one["sites"], 0),
            *(messages.yen(one[f"{mode}_energy_yen"]) for mode in modes),
            *(messages.yen(one[f"{mode}_basic_yen"]) for mode in modes),
            messages.yen(one["dr_yen"]),
            messages.number(one["points"], 0),
        )
        for one in document["parties"]
        if one["sites"]
    ]
    return Table(messages.text("region_week.bills"), header, tuple(rows))


def _starts(document: dict[str, Any]) -> tuple[Any, ...]:
    begin = jst_midnight(date.fromisoformat(document["first_day"]))
    return tuple(begin + k * SLOT_LENGTH for k in range(len(document["series"]["alone"]["power_kw"])))


def _shades(document: dict[str, Any], messages: Messages) -> tuple[Shade, ...]:
    starts = _starts(document)
    spans = {"derated": document["derated"]["slots"], "silent": document["silent_in"]}
    if document["dr"] is not None:
        first = document["dr"]["first_slot"]
        spans["tight"] = [first, first + document["dr"]["slots"]]
    return tuple(
        Shade(
            label=messages.text(f"region_week.shade_{name}"), start=starts[a], end=starts[b - 1] + SLOT_LENGTH
        )
        for name, (a, b) in spans.items()
        if a < b <= len(starts)
    )


def _power(document: dict[str, Any], messages: Messages) -> Figure:
    series = document["series"]
    spec = ChartSpec(
        id="region-power",
        title=messages.text("region_week.power_title"),
        description=messages.text("region_week.power_text"),
        starts=_starts(document),
        unit="kW",
        series=(
            Line(
                label=messages.text("region_week.part_alone"), values=tuple(series["alone"]["power_kw"]),
                tone=2, dash="dashed",
            ),
            Line(
                label=messages.text("region_week.part_together"), values=tuple(series["together"]["power_kw"])
            ),
            Line(
                label=messages.text("region_week.sun"), values=tuple(series["together"]["sun_kw"]),
                tone=3, dash="dotted",
            ),
        ),
        shades=_shades(document, messages),
    )  # fmt: skip
    return figure_of(spec, messages)


def _off_plan(document: dict[str, Any], messages: Messages) -> Figure:
    """What was used beyond the plan, part by part."""
    lines: list[Bars | Line] = []
    for mode, tone in (("alone", 2), ("together", 1)):
        one = document["series"][mode]
        off = tuple(round(a - b, 2) for a, b in zip(one["power_kw"], one["plan_kw"], strict=True))
        label = messages.text(f"region_week.part_{mode}")
        lines.append(
            Bars(label=label, values=off, tone=1)
            if tone == 1
            else Line(label=label, values=off, tone=2, dash="dashed")
        )
    spec = ChartSpec(
        id="region-off-plan",
        title=messages.text("region_week.off_title"),
        description=messages.text("region_week.off_text"),
        starts=_starts(document),
        unit="kW",
        series=tuple(lines),
        shades=_shades(document, messages),
        lower=None,
        signed=(messages.text("region_week.above"), messages.text("region_week.below")),
    )
    return figure_of(spec, messages)


def _bars(chart: Ranked, messages: Messages) -> _Bars:
    wide, narrow = (ranked_svg(chart, messages, width=width) for width in (WIDE_PX, NARROW_PX))
    table = ranked_table(chart, messages)
    return _Bars(chart.id, chart.title, Markup(wide), Markup(narrow), table)  # noqa: S704 - escaped there


def _feeders(document: dict[str, Any], messages: Messages) -> _Bars:
    """The fullest feeders."""
    rows = [
        RankedRow(label=one["feeder"], values=(one["alone_kw"], one["together_kw"]), mark=one["carries_kw"])
        for one in document["feeders"]
    ]
    rows.sort(key=lambda row: -max(row.values) / max(row.mark or 0.0, 1e-9))
    chart = Ranked(
        id="region-feeders",
        title=messages.text("region_week.feeders_title"),
        description=messages.text("region_week.feeders_text"),
        unit="kW",
        series=(messages.text("region_week.part_alone"), messages.text("region_week.part_together")),
        rows=tuple(rows[:_MOST_FEEDERS]),
        mark=messages.text("region_week.carries"),
    )
    return _bars(chart, messages)


def _parties(document: dict[str, Any], messages: Messages) -> _Bars:
    """Who pays less and who pays more, what the evening paid counted in."""
    rows = []
    for one in document["parties"]:
        saved = one["alone_yen"] - one["together_yen"]
        rows.append(
            RankedRow(label=party(one["party"], messages), values=(round(saved), round(one["dr_yen"])))
        )
    rows.sort(key=lambda row: -sum(row.values))
    chart = Ranked(
        id="region-parties",
        title=messages.text("region_week.parties_title"),
        description=messages.text("region_week.parties_text"),
        unit=messages.text("region_week.yen"),
        series=(messages.text("region_week.saved"), messages.text("region_week.dr_paid")),
        rows=tuple(rows),
    )
    return _bars(chart, messages)
