"""``vpp device scan|record|replay``: who answers at an address; sessions kept and played again."""

from __future__ import annotations

import asyncio
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
    Timeout,
    UnitId,
    config_of,
    opened,
    print_json,
    target_of,
)
from vpp.console import Console

if TYPE_CHECKING:
    from devices.scan import Answer
    from devices.sessions import Session
    from vpp.cli.device_link import Target

__all__ = ["record", "replay", "scan"]


def scan(
    context: typer.Context,
    host: Host,
    units: Annotated[
        str, typer.Option(help="Unit numbers to ask, like 1-10 or 1,3,255; usual ones if not given.")
    ] = "1,2,3,126,200,247,255",
    timeout: Timeout = 0.5,
    certificates: Certificates = None,
    json: Json = False,
) -> int:
    """Ask who is there: SunSpec models, and profiles with which all that is read makes sense. Only reads.

    Ends with status 6 if no unit answers. Some equipment serves one client only: stop other programs first.
    """
    from devices.modbus import ModbusTransport
    from devices.profile import load_profile, profile_names
    from devices.scan import scan as ask
    from devices.transport import Access
    from energy.core.clock import SystemClock

    console, numbers = cast("Console", context.obj), _numbers(units)
    anybody = target_of(
        "sunspec-inverter", host, unit_id=numbers[0], timeout_s=timeout, certificates=certificates
    )
    profiles = [load_profile(name) for name in profile_names()]
    where = anybody.address
    wire = anybody.profile.wire.model_copy(
        update={"timeout_s": timeout or 0.5, "serial": None, "functions": (3, 4), "failure_wait_s": 0.0}
    )

    async def run() -> list[Answer]:
        _quiet()
        link = ModbusTransport(
            where.host,
            where.port,
            wire=wire,
            access=Access.READ_ONLY,
            framing=where.framing,
            tls=anybody.tls,
        )
        try:
            return await ask(link, profiles, units=numbers, clock=SystemClock(), host=config_of(anybody))
        finally:
            await link.close()

    answers = asyncio.run(run())
    if json:
        print_json({"device": str(where), "units": [_as_json(answer) for answer in answers]})
    else:
        _show_answers(console, str(where), answers)
    return int(ExitStatus.OK if answers else ExitStatus.PARTIAL)


def _quiet() -> None:
    """What does not fit a profile that is only tried is no trouble to tell of."""
    import logging

    logging.getLogger("devices").addHandler(logging.NullHandler())


def _numbers(text: str) -> list[int]:
    """Unit numbers from ``1-10`` or ``1,3,255``.

    Raises
    ------
    ConfigError
        If there is something else.
    """
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        numbers = []
    if not numbers or not all(0 <= number <= 255 for number in numbers):
        raise ConfigError(f"not unit numbers: {text!r}", where="--units", hint="1-10, or 1,3,255; 0 to 255")
    return list(dict.fromkeys(numbers))


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "unit": answer.unit_id,
        "sunspec_models": list(answer.sunspec),
        "common": answer.common,
        "fits": [{"profile": fit.profile, "telling": fit.telling} for fit in answer.fits],
    }


def _show_answers(console: Console, where: str, answers: list[Answer]) -> None:
    if not answers:
        print(console.text("device.nobody", where=where))
    for answer in answers:
        who = " ".join(answer.common[key] for key in ("maker", "model", "serial") if answer.common.get(key))
        if answer.sunspec:
            who = f"SunSpec {', '.join(str(model) for model in answer.sunspec)} {who}".strip()
        print(console.text("device.unit_answers", unit=answer.unit_id, who=who or "Modbus"))
        for fit in answer.fits:
            print(console.text("device.unit_fits", profile=fit.profile, telling=fit.telling))
        if not answer.fits:
            print(console.text("device.unit_unknown"))


def record(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    out: Annotated[Path, typer.Option("--out", help="File to write; must not exist yet.")],
    unit: UnitId = None,
    nth: Nth = 1,
    every: Annotated[float, typer.Option(help="Seconds between readings.", min=0.05, max=3600.0)] = 5.0,
    count: Annotated[int, typer.Option(help="Readings to take.", min=1)] = 12,
    timeout: Timeout = None,
    certificates: Certificates = None,
) -> int:
    """Read a device for a while and keep every byte, as evidence of how it behaves. It is only read.

    What was recorded until Ctrl-C or until the device fell silent is kept. It may hold a serial number.
    """
    from devices.sessions import Session
    from devices.transport import Framing

    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, nth=nth, timeout_s=timeout, certificates=certificates)
    if target.address.framing not in (Framing.TCP, Framing.TLS):
        raise ConfigError(
            "only Modbus TCP and TLS links can be recorded",
            where=str(target.address),
            hint="put a Modbus TCP gateway before the serial line",
        )
    if out.exists():
        raise ConfigError("the file exists already", where=str(out), hint="name another one")
    session = Session(remarks=[f"{target.profile.id}: read {count} times, {every:g} s apart"])
    gone: DeviceError | None = None
    try:
        asyncio.run(_record(target, session, every=every, count=count))
    except DeviceError as error:
        gone = error
    finally:
        if session.said:
            out.write_text(session.text(), encoding="utf-8")
    if gone is not None:
        raise gone
    exchanges = sum(1 for _ in session.exchanges())
    console.say(console.text("device.recorded", exchanges=exchanges, file=out))
    return int(ExitStatus.OK)


async def _record(target: Target, session: Session, *, every: float, count: int) -> None:
    from devices.probe import readable_points
    from devices.transport import Access

    names = readable_points(target.profile)
    async with opened(target, Access.READ_ONLY, listen=session.hear) as link:
        await link.device.ensure_online()
        for done in range(count):
            if done:
                session.said.append(("*", b""))
                await asyncio.sleep(every)
            await link.device.read_points(names, target.index)
            found = {name: link.device.reading(name, target.index) for name in names}
            session.seen.append(
                {name: one.text or one.value for name, one in found.items() if one is not None}
            )


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What vpp device record wrote.")],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seconds: Annotated[
        float | None, typer.Option(help="End by itself after so many seconds.", min=0.1)
    ] = None,
    json: Json = False,
) -> None:
    """Serve a recorded session over Modbus TCP until Ctrl-C: the same questions get the same answers."""
    from devices.sessions import Session
    from devices.twins.replay import Replay

    console = cast("Console", context.obj)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "the session cannot be read", where=f"{file}: {error}", hint="check the path"
        ) from None
    played = Replay(Session.parse(text, source=str(file)))

    async def serve() -> None:
        taken = await played.start(host, port)
        facts = {"file": str(file), "host": host, "port": taken, "questions": played.questions}
        if json:
            print_json(facts)
        else:
            print(console.text("device.replay_up", **facts), flush=True)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        finally:
            await played.stop()

    asyncio.run(serve())
