"""``vpp device write``: a few points of one device, shown before, written on consent, read back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DeviceError, ExitStatus
from vpp.cli.device_link import (
    Certificates,
    Host,
    Json,
    Nth,
    ProfileName,
    Target,
    Timeout,
    UnitId,
    ask_first,
    held,
    opened,
    target_of,
)
from vpp.cli.device_wire import known_points
from vpp.console import Console

if TYPE_CHECKING:
    from devices.device import Device

__all__ = ["write"]


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a write would do: all points of the request, what was clamped, registers, what is there now."""

    values: dict[str, float]
    clamped: dict[str, str]
    first: int
    words: list[int]
    before: dict[str, float | None]


def write(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    settings: Annotated[list[str], typer.Argument(metavar="POINT=VALUE...", help="What to write, at once.")],
    unit: UnitId = None,
    nth: Nth = 1,
    timeout: Timeout = None,
    certificates: Certificates = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the effect, write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Record of `vpp device commission`: unlocks an untried map."),
    ] = None,
    json: Json = False,
) -> int:
    """Write points of a device in one request and read them back, after showing what will happen.

    Values are clamped to the limits of the profile. Refused while a controller of this machine commands the
    link: two who write would undo each other's orders.
    """
    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, nth=nth, timeout_s=timeout, certificates=certificates)
    wanted = _parsed(target, settings)
    # Whoever types the value is shown its effect; a map that nobody has tried needs a record all the same.
    commissioned = _unlocked(target, record) or target.profile.control == "released"
    effect = asyncio.run(_effect(target, wanted, commissioned=commissioned))
    say = console.say if json else print
    for line in _story(console, target, effect):
        say(line)
    outcome, why = "dry_run", None
    if not dry_run:
        if target.profile.control == "experimental" and not commissioned:
            raise ConfigError(
                f"{target.profile.title}: nobody has tried this map on a device",
                where=f"control of {target.profile.id} is experimental",
                hint="try it there with vpp device commission, and name its record with --record",
            )
        ask_first(console, yes=yes, where="vpp device write")
        with held(target):
            outcome, why = asyncio.run(_carry_out(target, effect, commissioned=commissioned))
    if json:
        from json import dumps

        document = {
            "device": str(target.address),
            "unit": target.unit_id,
            "profile": target.profile.id,
            "values": effect.values,
            "clamped": effect.clamped,
            "before": effect.before,
            "register": effect.first,
            "words": effect.words,
            "outcome": outcome,
            "why": why,
        }
        print(dumps(document, ensure_ascii=False, indent=1))
    else:
        print(console.text(f"device.outcome_{outcome}", why=why or ""))
    return int(ExitStatus.OK if outcome in ("applied", "dry_run") else ExitStatus.DEVICE)


def _unlocked(target: Target, record: Path | None) -> bool:
    if record is None:
        return False
    from devices.commissioning import load_record

    load_record(record, target.profile, device=str(target.address), unit_id=target.unit_id)
    return True


def _parsed(target: Target, settings: list[str]) -> dict[str, float]:
    writable = [name for name, point in target.profile.points.items() if point.write is not None]
    if not writable:
        raise ConfigError(
            f"{target.profile.title} has nothing that can be written",
            where=target.profile.id,
            hint="choose another model, or only read it",
        )
    wanted: dict[str, float] = {}
    for setting in settings:
        name, sign, number = setting.partition("=")
        known_points(target.profile, [name], among=writable)
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not sign or value != value or value in (float("inf"), float("-inf")):
            raise ConfigError(f"not a setting: {setting!r}", where=name, hint=f"{name}=NUMBER")
        if name in wanted:
            raise ConfigError(f"{name} is set twice", where=" ".join(settings), hint="name it once")
        wanted[name] = value
    return wanted


async def _effect(target: Target, wanted: dict[str, float], *, commissioned: bool) -> _Effect:
    """What would be written; the device is only read."""
    from devices.drivers.base import MeterDriver
    from devices.transport import Access

    async with opened(target, Access.DRY_RUN, commissioned=commissioned) as link:
        device, profile, unit = link.device, target.profile, target.index
        await device.ensure_online()
        await device.look(unit, also=[by for name in wanted if (by := profile.shown_by(name)) is not None])
        driver = MeterDriver(device)
        values, clamped = device.image(unit), {}
        for name, value in wanted.items():
            values[name], limit = driver.clamped(name, value, unit)
            if limit is not None:
                clamped[name] = limit
        await _know_scales(device, values, unit)
        first, words = device.registers_of(values, unit)
        before = {}
        for name in wanted:
            shown = profile.shown_by(name)
            reading = device.reading(shown, unit) if shown is not None else None
            before[name] = None if reading is None else reading.value
        return _Effect(values, clamped, first, words, before)


async def _know_scales(device: Device, values: dict[str, float], unit: int) -> None:
    scaled = [name for name in values if device.profile.points[name].scale_point is not None]
    if scaled:
        await device.read_points(scaled, unit)


def _story(console: Console, target: Target, effect: _Effect) -> list[str]:
    """The effect in words."""
    lines = []
    for name, value in effect.values.items():
        unit = target.profile.points[name].unit
        old = effect.before.get(name)
        lines.append(
            console.text(
                "device.will_write",
                point=name,
                before="-" if old is None else f"{old:g}",
                value=f"{value:g}",
                unit="" if unit == "1" else unit,
            )
        )
        if name in effect.clamped:
            lines.append(console.text("device.will_clamp", point=name, limit=effect.clamped[name]))
    words = " ".join(f"{word:04x}" for word in effect.words)
    lines.append(
        console.text(
            "device.will_send", where=target.address, unit=target.unit_id, register=effect.first, words=words
        )
    )
    steps = list(target.profile.sequences.get("take_control", ()))
    failsafe = target.profile.failsafe
    if failsafe is not None and failsafe.point is not None and failsafe.asserted == "connect":
        steps.append({failsafe.point: failsafe.value_s})
    if steps:
        said = ", ".join(f"{name}={value:g}" for step in steps for name, value in step.items())
        lines.append(console.text("device.will_take_control", steps=said))
    return lines


async def _carry_out(target: Target, effect: _Effect, *, commissioned: bool) -> tuple[str, str | None]:
    """Take control, write, read back; what became of it."""
    from devices.transport import Access
    from energy.core.errors import RefusedError, RegisterError

    async with opened(target, Access.CONTROL, commissioned=commissioned) as link:
        device = link.device
        try:
            await device.ensure_control()
            await _know_scales(device, effect.values, target.index)
            await device.write(effect.values, target.index)
            wrong = await device.confirm(effect.values, target.index)
        except (RefusedError, RegisterError) as error:
            return "refused", str(error)
        except DeviceError as error:
            return "unreachable", str(error)
    return ("applied", None) if wrong is None else ("unconfirmed", wrong)
