"""``vpp device commission``: try orders at a device, step by step, and sign what was seen."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.device_link import (
    Certificates,
    Host,
    Json,
    ProfileName,
    Target,
    Timeout,
    UnitId,
    config_of,
    held,
    print_json,
    target_of,
)
from vpp.console import Console

if TYPE_CHECKING:
    from devices.commissioning import Finding

__all__ = ["commission"]

_wait = asyncio.sleep


def commission(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    signed_by: Annotated[str, typer.Option("--signed-by", help="Who watches the device during the test.")],
    record: Annotated[Path, typer.Option("--record", help="Where the signed record is written.")],
    unit: UnitId = None,
    timeout: Timeout = None,
    certificates: Certificates = None,
    meter: Annotated[
        str | None,
        typer.Option("--meter", help="PROFILE@HOST of the site's meter, which must see what a charger does."),
    ] = None,
    watchdog: Annotated[
        bool, typer.Option(help="Also wait until the device's own timer ends an order.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Begin without asking.")] = False,
    json: Json = False,
) -> int:
    """Try orders at a device and write a signed record, which unlocks an untried map for this device.

    Power will flow: a charger charges and gives back, an inverter is limited to half, contacts close. Each
    step looks at what really happens. Stop the controller first. Ends with status 5 if a step fails; then
    nothing is signed.
    """
    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, timeout_s=timeout, certificates=certificates)
    _must_be_possible(target, signed_by, record)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                "nobody can be asked here, and --yes was not given",
                where="vpp device commission",
                hint="--yes begins without asking",
            )
        typer.confirm(console.text("device.ask_commission", title=target.profile.title), abort=True, err=True)
    from devices.commissioning import passed

    with held(target):
        findings = asyncio.run(_run(target, meter, watchdog=watchdog))
    good = passed(findings)
    if good:
        _sign(target, findings, signed_by, record)
    if json:
        rows = [
            {name: getattr(one, name) for name in ("step", "passed", "wanted", "seen", "unit", "why")}
            for one in findings
        ]
        print_json({"profile": target.profile.id, "passed": good, "findings": rows})
    else:
        for one in findings:
            print(_line(console, one))
        print(console.text("device.signed" if good else "device.unsigned", file=record, by=signed_by))
    return int(ExitStatus.OK if good else ExitStatus.DEVICE)


def _must_be_possible(target: Target, signed_by: str, record: Path) -> None:
    if target.profile.control == "none":
        raise ConfigError(
            f"{target.profile.title} takes no orders",
            where=f"control of {target.profile.id} is none",
            hint="there is nothing to commission; vpp device probe looks at its readings",
        )
    if not signed_by.strip():
        raise ConfigError("a record needs a name", where="--signed-by", hint="who watches the device")
    if record.exists():
        raise ConfigError(
            "a record is not overwritten", where=str(record), hint="name another file, or delete this one"
        )
    if not record.parent.is_dir():
        raise ConfigError(
            "the record cannot be written", where=f"no folder {record.parent}", hint="make it first"
        )


async def _run(target: Target, meter: str | None, *, watchdog: bool) -> tuple[Finding, ...]:
    from devices.commissioning import StepTest
    from devices.gateway import Gateway
    from energy.core.clock import SystemClock
    from energy.core.units import AssetId

    logging.getLogger("devices").addHandler(logging.NullHandler())  # trouble is told once, by the command
    clock = SystemClock()
    own = replace(config_of(target, commissioned=True), timeout_s=target.timeout_s)
    configs = [own]
    if meter is not None:
        name, at, where = meter.partition("@")
        if not at:
            raise ConfigError(f"not a meter: {meter!r}", where="--meter", hint="PROFILE@HOST")
        other = config_of(target_of(name, where, unit_id=None))
        configs.append(replace(other, id=f"meter {other.id}", assets=(AssetId("meter"),)))
    gateway = Gateway(configs, clock=clock)
    try:
        await gateway.connect()
        test = StepTest(gateway, own.assets[-1], target.profile, clock=clock, wait=_wait)
        test.meter = AssetId("meter") if meter is not None else None
        return await test.run(watchdog=watchdog)
    finally:
        await gateway.close()


def _sign(target: Target, findings: tuple[Finding, ...], signed_by: str, path: Path) -> None:
    from devices.commissioning import Record, map_digest, signed
    from energy.core.clock import SystemClock

    made = Record(
        profile=target.profile.id,
        map=map_digest(target.profile),
        device=str(target.address),
        unit_id=target.unit_id,
        signed_by=signed_by.strip(),
        signed_at=SystemClock().now(),
        findings=findings,
    )
    path.write_text(signed(made), encoding="utf-8")


def _line(console: Console, one: Finding) -> str:
    mark = {True: "device.step_passed", False: "device.step_failed", None: "device.step_open"}[one.passed]
    step = console.text(f"device.step_{one.step.replace(' ', '_')}")
    facts = []
    if one.wanted is not None:
        facts.append(
            console.text(
                "device.step_wanted",
                value=f"{one.wanted:g}",
                unit="s" if one.step == "watchdog" else one.unit,
            )
        )
    if one.seen is not None:
        facts.append(console.text("device.step_seen", value=f"{one.seen:.4g}", unit=one.unit))
    if one.why:
        facts.append(one.why)
    return console.text(mark, step=step, facts=", ".join(facts))
