"""The summary of a simulation for the terminal: the sentence first, then a table in aligned columns."""

from __future__ import annotations

from collections.abc import Callable

from vpp.i18n import Lang, Messages
from vpp.report.axes import display_width
from vpp.report.calls import call_sentences
from vpp.report.figures import compare
from vpp.report.tables import controllers_table
from vpp.report.words import cautions, lead, period, promises, title
from vpp.simulation.results import Controller, SimulationDocument
from vpp.simulation.standings import Estimate, Standings
from vpp.table import Table

__all__ = ["aligned", "render_standings", "render_summary"]


def render_summary(document: SimulationDocument, lang: Lang) -> str:
    """What came of a simulation, for people at a terminal.

    Raises
    ------
    DataError
        If the document has no run.
    """
    messages = Messages(lang)
    product = compare(document).product
    summary = product.summary
    notes = [messages.text("report.caution_item", text=text) for text in cautions(messages, summary)]
    parts = [
        f"{title(document, messages)}  {period(document, messages)}",
        "",
        *lead(document, messages),
        *promises(messages, summary),
        *call_sentences(messages, product),
        "",
        aligned(controllers_table(document, messages)),
        *(["", messages.text("report.cautions"), *notes] if notes else []),
    ]
    return "\n".join(parts) + "\n"


def render_standings(board: Standings, lang: Lang) -> str:
    """A scoreboard for people at a terminal: what is compared, the figures, and the gap that is closed."""
    messages = Messages(lang)
    names = tuple(board.figures)
    rows = [
        (
            messages.text(f"board.{figure}"),
            *(_with_error(messages, board.figures[name][figure], digits) for name in names),
        )
        for figure, digits in _BOARD_DIGITS.items()
    ]
    totals: dict[str, Callable[[Controller], str]] = {
        "missed": lambda name: "{departures_missed_total} / {departures_total}".format(**board.totals[name]),
        "limits": lambda name: str(board.totals[name]["limits_broken_total"]),
    }
    rows += [
        (messages.text(f"board.{key}"), *(write(name) for name in names)) for key, write in totals.items()
    ]
    header = ("", *(messages.text(f"controller.{name}") for name in names))
    first = messages.text(
        "board.lead",
        weeks=", ".join(week.isoformat() for week in board.weeks),
        seeds=len(board.seeds),
        n=board.n,
    )
    parts = [first, "", aligned(Table(first, header, tuple(rows)))]
    if board.gap is not None and board.gap.share is not None:
        error = "" if board.gap.se is None else f" ± {100 * board.gap.se:.0f}"
        parts += ["", messages.text("board.gap", share=f"{100 * board.gap.share:.0f}{error}")]
    return "\n".join(parts) + "\n"


_BOARD_DIGITS = {
    "cost_yen": 0,
    "energy_yen": 0,
    "peak_yen": 0,
    "bill_yen": 0,
    "peak_kw": 1,
    "comfort_degc_h": 2,
}


def _with_error(messages: Messages, value: Estimate, digits: int) -> str:
    mean = messages.number(value.mean, digits)
    return mean if value.se is None else f"{mean} ± {messages.number(value.se, digits)}"


def aligned(table: Table, *, gap: int = 2) -> str:
    """Columns padded to the widest cell, numbers to the right; wide characters count as two columns."""
    lines = [table.header, *table.rows]
    widths = [max(display_width(line[n]) for line in lines) for n in range(len(table.header))]

    def pad(cell: str, number: int) -> str:
        space = " " * (widths[number] - display_width(cell))
        return cell + space if number == 0 else space + cell

    rows = [(" " * gap).join(pad(cell, n) for n, cell in enumerate(line)).rstrip() for line in lines]
    rule = "-" * (sum(widths) + gap * (len(widths) - 1))
    return "\n".join([rows[0], rule, *rows[1:]])
