#!/usr/bin/env python3
"""Write the reference pages from the code: ``make docs``. A test fails when a page and the code differ."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperGroup

from devices.profile import Location, Profile, load_profile, profile_names, profile_schema
from devices.protocols import PROTOCOL_MODELS
from devices.quality import quality
from devices.site_file import site_schema
from energy.core import errors
from energy.core.errors import ExitStatus, VppError
from vpp.cli.main import app
from vpp.forecasts.handover import CSV_COLUMNS, FORMAT, Delivery, json_schema
from vpp.problemfile import problem_schema
from vpp.setup.service import ServiceConfig
from vpp.simulation.scenario import Scenario
from vpp.web import overview

REFERENCE = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Made by docs/generate.py (make docs). Change the code, not this page. -->"

EXIT_MEANING = {
    ExitStatus.OK: "done",
    ExitStatus.BUG: "a bug; the traceback is saved and its path printed",
    ExitStatus.USAGE: "usage or configuration",
    ExitStatus.DATA: "data missing, unreadable or too old; no honest forecast",
    ExitStatus.INFEASIBLE: "no usable plan",
    ExitStatus.DEVICE: "a device is unreachable or refused",
    ExitStatus.PARTIAL: "partly done; what was left out is listed",
    ExitStatus.CONSENT: "no consent or no permission",
    ExitStatus.UNHEALTHY: "a check failed (`vpp doctor`, `vpp ledger verify`)",
    ExitStatus.INTERRUPTED: "interrupted, after the safe state was reached",
}
ERRORS_INTRO = """\
Every error is three lines on stderr: what failed; where and why, with values; what to do. `--debug` adds the
traceback. Expected trouble of equipment is not an error but an outcome of a command: `Applied`, `Clipped`,
`Refused`, `Unreachable`, `Unconfirmed`."""
ERROR_EXAMPLE = """\
```
error: no scenario 'kitkata'
  known: city-hall, kitakata
  give one of these names, a folder or a scenario.yaml
```"""
SCENARIO_INTRO = """\
One YAML document. `site` is what a real site would configure; `world` is what stands for reality in a
simulation. An unknown key is an error that names the nearest known one. Units are in the names; times of day
are Japan's.

Complete examples: [kitakata](../../scenarios/kitakata/scenario.yaml),
[city-hall](../../scenarios/city-hall/scenario.yaml)."""
COMMANDS_INTRO = """\
Data go to stdout, progress and messages to stderr. `--json` prints one document, its keys English in every
language. Exit statuses: [errors and exit codes](errors-and-exit-codes.md)."""
PROFILES_INTRO = """\
A device model is one YAML file in `devices/profiles/`. Confidence says where its facts come from: A the
maker or an official definition, B two independent drivers agree, C one driver, D memory. Control is
`released` where the sources are good enough to write, `experimental` where they are not. Orders are refused
until the device is commissioned: by the record of a step test, for a `released` map also by a statement in
the site's file. None has been tried on hardware yet.
Quality is computed from what the tests prove (`devices/profiles/evidence.json`): bronze has golden bytes and
a twin; silver also survives silence, garbled answers and reconnection, and reaches its safe state; gold
agrees with a program that nobody here wrote and that knows the map, or was recorded at the device; platinum
also stood a soak.
How to write a profile: [add a device](../how-to/add-a-device.md). JSON Schema for editors:
[file](device-profile.schema.json)."""

PROTOCOLS_INTRO = """\
Equipment that speaks a standard with its own vocabulary has no register map. How to connect it:
[charging stations](../how-to/connect-charging-stations.md),
[ECHONET Lite](../how-to/connect-echonet-lite.md)."""
DELIVERY_INTRO = """\
What `vpp forecast export` writes for a retailer or a generator: the sum of the consenting sites' forecasts
for one day. Both files are made from one document, named `RECIPIENT-TARGET-DAY-vN.csv` and `.json`; the same
version is always the same bytes. How to make them: [deliver forecasts](../how-to/deliver-forecasts.md). How
they are made: [why a forecast is what it is, and who may have
it](../explanation/forecast-reasons-and-delivery.md)."""
DELIVERY_CSV = """\
UTF-8 with byte-order mark, comma, CRLF, a point for decimals, one row per half hour. Energy of a half hour is
half its mean power."""
DELIVERY_JSON = f"`format` is `{FORMAT}`; JSON Schema: [file](forecast-delivery.schema.json)."
PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    datetime: "instant with offset",
    time: "time of day",
    Location: "text like `input:52`, `coil:0`, `holding:2000+3n` or `sunspec:103/14`",
    Decimal: "decimal number",
}


def summary(thing: object) -> str:
    """First line of a docstring, for a table cell."""
    return as_markdown((inspect.getdoc(thing) or "").split("\n", 1)[0])


def as_markdown(text: str) -> str:
    """Docstring markup as Markdown that stands in a table cell."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---- errors ----


def error_classes(kind: type[VppError] = VppError) -> Iterator[type[VppError]]:
    """The tree of errors, parents first, in the order of their definition."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from error_classes(child)


def errors_page() -> str:
    """Errors, their codes and what the command exits with."""
    tree = inspect.getdoc(errors) or ""
    drawn = textwrap.dedent(tree.split("::", 1)[1].split("Every error", 1)[0].strip("\n"))
    statuses = [(str(int(status)), f"`{status.name}`", EXIT_MEANING[status]) for status in ExitStatus]
    kinds = [
        (f"`{kind.__name__}`", f"`{kind.code}`", str(int(kind.exit_status)), summary(kind))
        for kind in error_classes()
        if kind is not VppError
    ]
    return "\n\n".join(
        [
            MADE,
            "# Errors and exit codes",
            ERRORS_INTRO,
            ERROR_EXAMPLE,
            "## Exit status of `vpp`",
            table(("status", "name", "meaning"), statuses),
            "## Errors",
            f"```\n{drawn}\n```",
            table(("class", "code", "status", "meaning"), kinds),
        ]
    )


# ---- scenario file ----


def described(kind: type) -> dict[str, str]:
    """What a class's docstring says about each of its parameters."""
    text = inspect.getdoc(kind) or ""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}\n|\Z)", text, re.DOTALL | re.MULTILINE)
    result: dict[str, str] = {}
    names: list[str] = []
    for line in (found.group(1) if found else "").splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(" : ")[0].split(",")]
        elif line.strip():
            for name in names:
                result[name] = f"{result.get(name, '')} {line.strip()}".strip()
    return result


def is_structure(kind: object) -> bool:
    """Whether a type is one of our checked structures with named keys."""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel))


def keys_of(kind: type) -> list[tuple[str, Any, str]]:  # Any: a type hint may be nearly anything
    """Keys of a structure as (name, type hint, default in words)."""
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, BaseModel):
        return [
            (name, hints[name], in_words(field.default, field.default_factory))
            for name, field in kind.model_fields.items()
        ]
    return [(field.name, hints[field.name], default_of(field)) for field in dataclasses.fields(kind)]


def structures(kind: type, seen: list[type] | None = None) -> list[type]:
    """A structure and all structures below it, in the order in which a reader meets them."""
    seen = [] if seen is None else seen
    if kind not in seen:
        seen.append(kind)
        for _, hint, _ in keys_of(kind):
            for inner in below(hint):
                structures(inner, seen)
    return seen


def below(hint: Any) -> Iterator[type]:  # Any: a type hint may be nearly anything
    """Structures inside a type hint."""
    if is_structure(hint):
        yield hint
    for inner in get_args(hint):
        yield from below(inner)


def shown(hint: Any) -> str:  # Any: as above
    """A type hint in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return " ".join(part for part in (shown(inner[0]), limits(inner[1:])) if part)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if one is type(None) else shown(one) for one in inner)
    if origin is typing.Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin is tuple:
        same = len(inner) == 2 and inner[1] is Ellipsis
        return f"list of {shown(inner[0])}" if same else f"[{', '.join(shown(one) for one in inner)}]"
    if origin is dict:
        return f"{shown(inner[0])} → {shown(inner[1])}"
    if is_structure(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{one.value}`" for one in hint)
    return PLAIN.get(hint, getattr(hint, "__name__", str(hint)))


PATTERNS = {r"^[a-z][a-z0-9-]*$": "a-z, digits and hyphens"}
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def limits(metadata: tuple[object, ...]) -> str:
    """Bounds of an annotated type, such as ``> 0, ≤ 1``."""
    bounds = []
    for one in metadata:
        for part in one.metadata if isinstance(one, FieldInfo) else (one,):
            bounds += [
                f"{sign} {getattr(part, name):g}"
                for name, sign in SIGNS.items()
                if isinstance(getattr(part, name, None), int | float)
            ]
            pattern = getattr(part, "pattern", None)
            if isinstance(pattern, str):
                bounds.append(PATTERNS.get(pattern, f"like `{pattern}`"))
    return f"({', '.join(bounds)})" if bounds else ""


def default_of(field: dataclasses.Field[Any]) -> str:  # Any: whatever type the field has
    """What a key of a dataclass means when it is left out."""
    if isinstance(field.default, FieldInfo):
        return in_words(field.default.default, field.default.default_factory)
    factory = None if field.default_factory is dataclasses.MISSING else field.default_factory
    return in_words(field.default, factory)


def in_words(default: object, factory: Callable[[], object] | Any | None) -> str:  # Any: pydantic's own kinds
    """A default value or its factory, as it stands in the table."""
    if factory is not None:
        default = factory()
    if default in (dataclasses.MISSING, PydanticUndefined):
        return "**required**"
    return "nothing" if default in (None, (), {}) else f"`{written(default)}`"


def written(value: object) -> str:
    """A default as one writes it in YAML."""
    match value:
        case bool():
            return str(value).lower()
        case StrEnum():
            return value.value
        case tuple():
            return f"[{', '.join(written(one) for one in value)}]"
        case time():
            return f"{value:%H:%M}"
        case _ if dataclasses.is_dataclass(value):
            keys = [f for f in dataclasses.fields(value) if default_of(f) == "**required**"]
            inside = ", ".join(f"{f.name}: {written(getattr(value, f.name))}" for f in keys)
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return str(value)


def structure_section(kind: type) -> str:
    """One structure: its sentence and a table of its keys."""
    notes = described(kind)
    rows = [
        (f"`{name}`", shown(hint).replace("|", "\\|"), default, as_markdown(notes.get(name, "")))
        for name, hint, default in keys_of(kind)
    ]
    return f"## {kind.__name__}\n\n{summary(kind)}\n\n{table(('key', 'value', 'default', 'meaning'), rows)}"


def scenario_page() -> str:
    """Every key of a scenario file."""
    return "\n\n".join(
        [
            MADE,
            "# Scenario file",
            SCENARIO_INTRO,
            *(structure_section(kind) for kind in structures(Scenario)),
        ]
    )


# ---- device profiles ----


def profiles_page() -> str:
    """The shipped device profiles, and every key of one."""
    shipped = [load_profile(name) for name in profile_names()]
    rows = [
        (
            f"`{profile.id}`",
            profile.title,
            str(profile.nature.value),
            quality(profile.id),
            profile.control,
            ", ".join(sorted({source.confidence for source in profile.sources})),
            f"{profile.failsafe.behaviour} after {profile.failsafe.value_s:g} s"
            if profile.failsafe
            else "none",
        )
        for profile in shipped
    ]
    header = ("profile", "model", "nature", "quality", "control", "confidence", "fail-safe of its own")
    return "\n\n".join(
        [
            MADE,
            "# Device profiles",
            PROFILES_INTRO,
            "## Shipped profiles",
            table(header, rows),
            "## By protocol, without a profile",
            PROTOCOLS_INTRO,
            table(
                ("id", "equipment", "nature", "quality", "control", "fail-safe of its own"),
                [
                    (
                        f"`{model.id}`",
                        model.title,
                        model.nature.value,
                        f"{model.quality} ({', '.join(sorted(model.evidence))})",
                        model.control,
                        model.failsafe or "none",
                    )
                    for model in PROTOCOL_MODELS
                ],
            ),
            *(structure_section(kind) for kind in structures(Profile)),
        ]
    )


def device_profile_schema() -> str:
    """JSON Schema of a device profile."""
    return json.dumps(profile_schema(), ensure_ascii=False, indent=1)


def site_equipment_schema() -> str:
    """JSON Schema of the equipment of a site."""
    return json.dumps(site_schema(), ensure_ascii=False, indent=1)


# ---- what is handed over ----


def delivery_page() -> str:
    """Columns and keys of a delivered forecast."""
    columns = [(f"`{name}`", meaning) for name, meaning in CSV_COLUMNS.items()]
    return "\n\n".join(
        [
            MADE,
            "# Delivered forecasts",
            DELIVERY_INTRO,
            "## CSV",
            DELIVERY_CSV,
            table(("column", "meaning"), columns),
            "## JSON",
            DELIVERY_JSON,
            *(structure_section(kind).replace("## ", "### ", 1) for kind in structures(Delivery)),
        ]
    )


def delivery_schema() -> str:
    """JSON Schema of a delivered forecast."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=1)


def plan_problem_schema() -> str:
    """JSON Schema of a problem file."""
    return json.dumps(problem_schema(), ensure_ascii=False, indent=1)


# ---- command line ----


def commands_of(
    command: Any, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:  # typer's own kinds
    """A command and all commands below it, in the order in which they were defined."""
    yield path, command
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands_of(inner, (*path, name))


def command_section(path: tuple[str, ...], command: Any) -> str:  # Any: as above
    """One command: its sentence, its usage and its parameters, as its help says them."""
    context = typer.Context(command, info_name=" ".join(path))
    records = [
        record
        for parameter in command.params
        if "completion" not in parameter.name and (record := parameter.get_help_record(context))
    ]
    usage = " ".join((*path, *command.collect_usage_pieces(context)))
    parts = [
        f"## {' '.join(path)}",
        as_markdown(" ".join((command.help or "").split("\n\n")[0].split())),
        f"```\n{usage}\n```",
    ]
    if records:
        rows = [
            (as_markdown(f"`{names}`"), as_markdown(" ".join(meaning.split()))) for names, meaning in records
        ]
        parts.append(table(("parameter", "meaning"), rows))
    return "\n\n".join(parts)


def command_line_page() -> str:
    """Every command with its options."""
    root = typer.main.get_command(app)
    sections = [command_section(path, command) for path, command in commands_of(root, ("vpp",))]
    return "\n\n".join([MADE, "# The command line", COMMANDS_INTRO, *sections])


# ---- the service ----


def service_page() -> str:
    """Every key of the service's file."""
    intro = (
        "What `vpp serve --config FILE` reads: YAML; an unknown key is an error. Everything has a default."
    )
    sections = (structure_section(kind) for kind in structures(ServiceConfig))
    return "\n\n".join([MADE, "# Service file", intro, *sections])


RIGHTS_INTRO = """A route names a rule; the rule says how far each role reaches. `own`: the account's sites,
cars or company. `consented`: what others agreed to share with the company. Empty: refused."""


def rights_page() -> str:
    """The table of rights, and which route asks which line of it."""
    rules = table(overview.rule_header(), overview.rule_rows())
    routes = table(("method", "route", "rule"), overview.route_rows())
    pages = table(("method", "page", "rule"), overview.page_rows())
    sections = (f"## Rules\n\n{rules}", f"## Routes of the API\n\n{routes}", f"## Pages\n\n{pages}")
    return "\n\n".join([MADE, "# Rights", RIGHTS_INTRO, *sections])


PAGES: dict[str, Callable[[], str]] = {
    "errors-and-exit-codes.md": errors_page,
    "scenario-yaml.md": scenario_page,
    "device-profiles.md": profiles_page,
    "device-profile.schema.json": device_profile_schema,
    "site-equipment.schema.json": site_equipment_schema,
    "forecast-delivery.md": delivery_page,
    "forecast-delivery.schema.json": delivery_schema,
    "plan-problem.schema.json": plan_problem_schema,
    "cli.md": command_line_page,
    "service-yaml.md": service_page,
    "rights.md": rights_page,
    "metrics.md": lambda: f"# Metrics\n\n{MADE}\n\n{overview.figures_text()}",
}


def main() -> None:
    """Write all pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
