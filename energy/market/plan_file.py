"""Plans as files: XML named "draft for OCCTO input" and CSV that spreadsheets open; both read back exactly.

No public code writes the official XML, and no conformity is claimed: ``plan_format.yaml`` maps our fields to
the tag names that are public and to names of our own, and is the schema that a file is checked against.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from importlib import resources
from typing import Annotated, Final
from xml.etree import ElementTree as ET

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from energy.core.errors import DataError
from energy.core.slots import JST, SLOTS_PER_DAY, Slot
from energy.market.plans import BalancingPlan, PlanKind, read_plan

__all__ = [
    "CSV_COLUMNS",
    "PLAN_FORMAT",
    "PlanFormat",
    "csv_of_plan",
    "plan_of_csv",
    "plan_of_xml",
    "xml_of_plan",
]

CSV_COLUMNS: Final = ("day", "slot", "start", "item", "code", "kwh")
_ITEMS: Final = ("members", "baseline", "buy", "sell", "totals")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HeaderField(_Part):
    """One field of the header: our key, its tag, what it must look like, and who says so."""

    key: str
    tag: str
    pattern: str
    source: str


class BlockField(_Part):
    """A block that repeats."""

    key: str
    tag: str


class CodeField(_Part):
    """Code of a block."""

    tag: str
    pattern: str


class SlotField(_Part):
    """Energy of one slot; its number is an attribute."""

    tag: str
    number: str
    pattern: str


class Information(_Part):
    """Code and name of a kind of plan."""

    code: Annotated[str, Field(pattern=r"^[0-9]{4}$")]
    name: str


class PlanFormat(_Part):
    """The mapping between a plan and its XML; also the schema of the file."""

    format: str
    root: str
    header: tuple[HeaderField, ...]
    blocks: tuple[BlockField, ...]
    code: CodeField
    slot: SlotField
    information: Mapping[PlanKind, Information]


@lru_cache(maxsize=1)
def _format() -> PlanFormat:
    text = resources.files("energy").joinpath("market", "plan_format.yaml").read_text(encoding="utf-8")
    return TypeAdapter(PlanFormat).validate_python(yaml.safe_load(text))


PLAN_FORMAT: Final = _format()


def _blocks(plan: BalancingPlan) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Item, code and energies of everything a plan holds, in the order of the file."""
    yield from (("members", member.code, member.kwh) for member in plan.members)
    yield from (("baseline", member.code, member.kwh) for member in plan.baseline)
    for side in ("buy", "sell"):
        yield from ((side, trade.party, trade.kwh) for trade in plan.trades if trade.side == side)
    yield "totals", plan.group, plan.totals_kwh


def xml_of_plan(plan: BalancingPlan, *, version: int) -> str:
    """A plan as XML.

    Parameters
    ----------
    version : int
        Number of the version, >= 1.
    """
    told = {
        "information_code": PLAN_FORMAT.information[plan.kind].code,
        "information_name": PLAN_FORMAT.information[plan.kind].name,
        "sender": plan.sender,
        "recipient": plan.recipient,
        "day": f"{plan.day:%Y%m%d}",
        "group": plan.group,
        "area": plan.area.value,
        "on_behalf_of": plan.on_behalf_of,
        "version": str(version),
    }
    root = ET.Element(PLAN_FORMAT.root, {"format": PLAN_FORMAT.format})
    for field in PLAN_FORMAT.header:
        ET.SubElement(root, field.tag).text = told[field.key]
    tags = {block.key: block.tag for block in PLAN_FORMAT.blocks}
    for item, code, energies in _blocks(plan):
        block = ET.SubElement(root, tags[item])
        ET.SubElement(block, PLAN_FORMAT.code.tag).text = code
        for number, kwh in enumerate(energies, start=1):
            slot = ET.SubElement(block, PLAN_FORMAT.slot.tag, {PLAN_FORMAT.slot.number: str(number)})
            slot.text = str(kwh)
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def plan_of_xml(text: str, *, name: str = "plan.xml") -> tuple[BalancingPlan, int]:
    """A plan and its version from XML, checked against the mapping.

    Raises
    ------
    DataError
        If it is no XML, declares a document type, or holds an element that the mapping does not allow.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DataError(f"{name} declares a document type", where=name, hint="plans hold elements only")
    try:
        root = ET.fromstring(text)  # noqa: S314 - no document type, so no entity can expand
    except ET.ParseError as error:
        raise DataError(f"{name} is not XML", where=str(error), hint="export the plan again") from None
    if root.tag != PLAN_FORMAT.root or root.get("format") != PLAN_FORMAT.format:
        raise _fault(name, root.tag, f"expected {PLAN_FORMAT.root} of format {PLAN_FORMAT.format!r}")
    elements = list(root)
    told: dict[str, str] = {}
    for position, field in enumerate(PLAN_FORMAT.header):
        element = elements[position] if position < len(elements) else None
        if element is None or element.tag != field.tag:
            raise _fault(name, field.tag, "missing, or not in its place")
        told[field.key] = _text(name, element, field.pattern)
    keys = {block.tag: block.key for block in PLAN_FORMAT.blocks}
    found: list[tuple[str, str, tuple[int, ...]]] = []
    for element in elements[len(PLAN_FORMAT.header) :]:
        if element.tag not in keys:
            raise _fault(name, element.tag, "not allowed here")
        found.append((keys[element.tag], *_block(name, element)))
    kinds = {(one.code, one.name): kind for kind, one in PLAN_FORMAT.information.items()}
    kind = kinds.get((told.pop("information_code"), told.pop("information_name")))
    if kind is None:
        raise _fault(name, PLAN_FORMAT.header[0].tag, "no known kind of plan")
    version = int(told.pop("version"))
    told["day"] = _day(name, told["day"])
    return _plan(name, {**told, "kind": kind}, found), version


def _day(name: str, text: str) -> str:
    try:
        return date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:]}").isoformat()
    except ValueError:
        raise _fault(name, "X-DAY", f"{text} is no day") from None


def _fault(name: str, where: str, why: str) -> DataError:
    return DataError(
        f"{name} is not a plan of our format", where=f"{where}: {why}", hint="export the plan again"
    )


def _text(name: str, element: ET.Element, pattern: str) -> str:
    text = element.text or ""
    if len(element) or not re.fullmatch(pattern, text):
        raise _fault(name, element.tag, f"{text[:60]!r} is not like {pattern}")
    return text


def _block(name: str, element: ET.Element) -> tuple[str, tuple[int, ...]]:
    parts = list(element)
    if not parts or parts[0].tag != PLAN_FORMAT.code.tag:
        raise _fault(name, element.tag, f"begins without {PLAN_FORMAT.code.tag}")
    code = _text(name, parts[0], PLAN_FORMAT.code.pattern)
    numbers = [part.get(PLAN_FORMAT.slot.number) for part in parts[1:]]
    wrong = [part.tag for part in parts[1:] if part.tag != PLAN_FORMAT.slot.tag]
    if wrong or numbers != [str(number) for number in range(1, SLOTS_PER_DAY + 1)]:
        raise _fault(name, f"{element.tag} {code}", "its slots are not 1 to 48 in order")
    return code, tuple(int(_text(name, part, PLAN_FORMAT.slot.pattern)) for part in parts[1:])


def _plan(
    name: str, header: Mapping[str, object], found: list[tuple[str, str, tuple[int, ...]]]
) -> BalancingPlan:
    """A plan from its header and its blocks."""
    totals = [kwh for item, _, kwh in found if item == "totals"]
    if len(totals) != 1:
        raise _fault(name, "totals", f"they come {len(totals)} times")
    told: dict[str, object] = dict(header)
    for item in ("members", "baseline"):
        told[item] = [{"code": code, "kwh": kwh} for key, code, kwh in found if key == item]
    told["trades"] = [
        {"party": code, "side": key, "kwh": kwh} for key, code, kwh in found if key in ("buy", "sell")
    ]
    told["totals_kwh"] = totals[0]
    return read_plan(told, name=name)


def csv_of_plan(plan: BalancingPlan) -> str:
    """A plan as CSV: one row per item, code and slot. The byte-order mark is the file's.

    The codes of sender, recipient and principal stand in the first rows as items of their own.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for key in ("kind", "group", "area", "sender", "recipient", "on_behalf_of"):
        writer.writerow((plan.day.isoformat(), "", "", key, str(getattr(plan, key)), ""))
    for item, code, energies in _blocks(plan):
        for number, kwh in enumerate(energies, start=1):
            start = Slot.of(plan.day, number).start.astimezone(JST)
            writer.writerow((plan.day.isoformat(), number, start.isoformat(), item, code, kwh))
    return text.getvalue()


def plan_of_csv(text: str, *, name: str = "plan.csv") -> BalancingPlan:
    """A plan from its CSV.

    Raises
    ------
    DataError
        If a column, a slot or a field of the header is missing, comes twice, or cannot be read.
    """
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    if not rows or tuple(rows[0]) != CSV_COLUMNS:
        raise _fault(name, "header", f"expected {','.join(CSV_COLUMNS)}")
    header: dict[str, object] = {}
    energies: dict[tuple[str, str], dict[int, int]] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(CSV_COLUMNS):
            raise _fault(name, f"line {line}", f"{len(row)} cells")
        day, slot, start, item, code, kwh = row
        if header.setdefault("day", day) != day:
            raise _fault(name, f"line {line}", f"{day} is another day than {header['day']}")
        if item not in _ITEMS:
            if item in header:
                raise _fault(name, f"line {line}", f"{item} comes twice")
            header[item] = code
            continue
        number = _slot_number(name, line, day, slot, start)
        slots = energies.setdefault((item, code), {})
        if number in slots or not re.fullmatch(PLAN_FORMAT.slot.pattern, kwh):
            raise _fault(name, f"line {line}", "the slot comes twice, or its energy is no whole number >= 0")
        slots[number] = int(kwh)
    found = []
    for (item, code), slots in energies.items():
        if sorted(slots) != list(range(1, SLOTS_PER_DAY + 1)):
            raise _fault(name, f"{item} {code}", f"{len(slots)} of 48 slots")
        found.append((item, code, tuple(slots[number] for number in range(1, SLOTS_PER_DAY + 1))))
    return _plan(name, header, found)


def _slot_number(name: str, line: int, day: str, slot: str, start: str) -> int:
    """Number of a slot, which must be that of its start."""
    try:
        number = int(slot)
        if Slot.of(date.fromisoformat(day), number).start == datetime.fromisoformat(start):
            return number
    except (ValueError, TypeError):
        pass
    raise _fault(name, f"line {line}", f"slot {slot!r} of {day} does not begin at {start!r}")
