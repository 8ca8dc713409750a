"""One HTML file per language that says what a simulation saved and why; needs no network and no script."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from energy.core.slots import SLOT_LENGTH
from vpp.i18n import LANGUAGES, Lang, Messages
from vpp.report import charts
from vpp.report.calls import call_parts, call_sentences
from vpp.report.chart import ChartSpec, ChartTable, chart_csv, chart_table
from vpp.report.figures import Comparison, compare, hardest_day, peak_number, tight_stretch
from vpp.report.svg import NARROW_PX, chart_css, render_svg
from vpp.report.tables import controllers_table, forecast_table, reasons_table
from vpp.report.words import cautions, lead, period, promises, title
from vpp.simulation.results import SimulationDocument
from vpp.table import Table

__all__ = [
    "Figure",
    "figure_of",
    "file_name",
    "page_css",
    "page_environment",
    "render_report",
    "write_report",
]

_UTF8_MARK = "\ufeff"  # spreadsheets read CSV as UTF-8 only with it


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart as the page shows it: drawn wide and narrow, its table, its CSV inside a link."""

    id: str
    title: str
    wide: Markup | None
    narrow: Markup
    table: ChartTable
    csv: str


@dataclass(frozen=True, slots=True)
class _Fact:
    """One of the numbers under the first sentence."""

    label: str
    value: str
    detail: str


def file_name(lang: Lang) -> str:
    """Name of the report in one language; both files link to each other by it."""
    return f"report.{lang}.html"


def render_report(document: SimulationDocument, lang: Lang) -> str:
    """The whole report as one HTML document.

    Raises
    ------
    DataError
        If the document has no run.
    """
    messages = Messages(lang)
    comparison = compare(document)
    day = hardest_day(comparison)
    coins = charts.coin_chart(comparison, messages)
    demand = charts.demand_chart(document, comparison, messages)
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            t=messages.text,
            lang=lang,
            other=messages.other,
            other_file=file_name(messages.other),
            styles=Markup(page_css() + chart_css()),  # noqa: S704 - our own files
            title=title(document, messages),
            period=period(document, messages),
            lead=lead(document, messages),
            promises=(
                *promises(messages, comparison.product.summary),
                *call_sentences(messages, comparison.product),
            ),
            cautions=cautions(messages, comparison.product.summary),
            facts=_facts(comparison, messages),
            controllers=controllers_table(document, messages),
            about=[_controller_about(messages, run.summary.controller) for run in document.runs],
            demand=figure_of(demand, messages),
            day=messages.day(day),
            day_figures=[
                figure_of(chart, messages) for chart in charts.day_charts(document, comparison, messages, day)
            ],
            reasons=_reasons(document, comparison, messages),
            rooms=[_small(chart, messages) for chart in charts.room_charts(document, comparison, messages)],
            cars=[_small(chart, messages) for chart in charts.car_charts(document, comparison, messages)],
            coins=figure_of(coins, messages) if coins is not None else None,
            calls=[(part, figure_of(part.chart, messages)) for part in call_parts(comparison, messages)],
            batteries=[
                _small(chart, messages) for chart in charts.battery_charts(document, comparison, messages)
            ],
            forecasts=forecast_table(comparison, messages),
            notes=_notes(document, comparison, lang),
            command=_command(document),
        )
    )


def write_report(document: SimulationDocument, directory: Path) -> tuple[Path, ...]:
    """Write the report in every language; each file appears whole or not at all.

    Returns
    -------
    tuple of Path
        The files, Japanese first.

    Raises
    ------
    DataError
        If the document has no run.
    OSError
        If the directory cannot be written.
    """
    pages = {directory / file_name(lang): render_report(document, lang) for lang in LANGUAGES}
    directory.mkdir(parents=True, exist_ok=True)
    for path, page in pages.items():
        _replace(path, page)
    return tuple(pages)


def _replace(path: Path, page: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@lru_cache(maxsize=1)
def page_environment() -> Environment:
    """Templates of the reports."""
    return Environment(
        loader=PackageLoader("vpp.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_css() -> str:
    """Style sheet of the pages; that of the charts comes on top."""
    return resources.files("vpp.report").joinpath("report.css").read_text(encoding="utf-8")


def figure_of(spec: ChartSpec, messages: Messages) -> Figure:
    """A chart across the page, with a narrow drawing for phones."""
    wide = Markup(render_svg(spec, messages))  # noqa: S704 - every text in it is escaped by render_svg
    small = _small(spec, messages)
    return Figure(spec.id, spec.title, wide, small.narrow, small.table, small.csv)


def _small(spec: ChartSpec, messages: Messages) -> Figure:
    """One of several charts side by side."""
    svg = render_svg(spec, messages, width=NARROW_PX, plot_height=190)
    csv = base64.b64encode((_UTF8_MARK + chart_csv(spec, messages)).encode()).decode()
    narrow = Markup(svg)  # noqa: S704 - every text in it is escaped by render_svg
    return Figure(spec.id, spec.title, None, narrow, chart_table(spec, messages), csv)


def _facts(comparison: Comparison, messages: Messages) -> list[_Fact]:
    product, base = comparison.product.summary, comparison.base.summary if comparison.base else None

    def before(value: str) -> str:
        if base is None:
            return ""
        return messages.text("facts.before", base=messages.text(f"controller.{base.controller}"), value=value)

    return [
        _Fact(
            messages.text("facts.peak"),
            messages.kw(product.peak_kw),
            before(messages.kw(base.peak_kw)) if base else "",
        ),
        _Fact(
            messages.text("facts.bill"),
            messages.yen(product.bill_yen),
            before(messages.yen(base.bill_yen)) if base else "",
        ),
        _Fact(
            messages.text("facts.departures"),
            f"{product.departures - product.departures_missed} / {product.departures}",
            messages.text("facts.departures_detail"),
        ),
        _Fact(
            messages.text("facts.comfort"),
            messages.celsius(product.comfort_worst_degc),
            messages.text("facts.comfort_detail"),
        ),
        _Fact(
            messages.text("facts.coins"),
            messages.number(product.coins, 0),
            messages.text("facts.coins_detail", energy=messages.kwh(product.discharge_kwh)),
        ),
    ]


def _controller_about(messages: Messages, controller: str) -> tuple[str, str]:
    return messages.text(f"controller.{controller}"), messages.text(f"controller_about.{controller}")


def _reasons(document: SimulationDocument, comparison: Comparison, messages: Messages) -> list[Table]:
    """Why, in the slot that would have been the peak and while supply was tight; empty without reasons."""
    trace = comparison.product.trace
    number = peak_number((comparison.base or comparison.product).trace)
    stretches = [("report.why_peak", range(number, number + 1))]
    if (tight := tight_stretch(trace)) is not None:
        stretches.append(("report.why_tight", tight))
    found = []
    for key, stretch in stretches:
        length = len(stretch) * SLOT_LENGTH
        caption = messages.text(key, when=messages.day_slot(trace.slots[stretch.start], length))
        found.append(reasons_table(document, comparison, messages, stretch, caption))
    return [table for table in found if table.rows]


def _notes(document: SimulationDocument, comparison: Comparison, lang: Lang) -> list[str]:
    return [getattr(note, lang) for note in (*document.assumptions, *comparison.product.notes)]


def _command(document: SimulationDocument) -> str:
    names = ",".join(run.summary.controller for run in document.runs)
    return document.command or f"vpp simulate {document.scenario} --days {document.days} --compare {names}"
