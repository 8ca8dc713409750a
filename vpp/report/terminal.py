"""The summary of a simulation for the terminal: the sentence first, then a table in aligned columns."""

from __future__ import annotations

from vpp.i18n import Lang, Messages
from vpp.report.axes import display_width
from vpp.report.figures import compare
from vpp.report.tables import Table, controllers_table
from vpp.report.words import cautions, lead, period, promises, title
from vpp.results import SimulationDocument

__all__ = ["aligned", "render_summary"]


def render_summary(document: SimulationDocument, lang: Lang) -> str:
    """What came of a simulation, for people at a terminal.

    Raises
    ------
    DataError
        If the document has no run.
    """
    messages = Messages(lang)
    summary = compare(document).product.summary
    notes = [messages.text("report.caution_item", text=text) for text in cautions(messages, summary)]
    parts = [
        f"{title(document, messages)}  {period(document, messages)}",
        "",
        *lead(document, messages),
        *promises(messages, summary),
        "",
        aligned(controllers_table(document, messages)),
        *(["", messages.text("report.cautions"), *notes] if notes else []),
    ]
    return "\n".join(parts) + "\n"


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
