"""Sessions replayed both ways: our driver against the recorded device, the twin against that driver."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from devices.profile import load_profile, profile_names
from tests.sessions.script import FOLDER, SCENES, Scene, Session, play
from tests.unit.devices.bench import bench

every_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.profile)


def session_of(scene: Scene) -> Session:
    return Session.parse((FOLDER / f"{scene.profile}.txt").read_text(encoding="ascii"))


def test_every_profile_has_a_session_that_reads_and_where_it_can_writes() -> None:
    assert {scene.profile for scene in SCENES} == set(profile_names())
    for scene in SCENES:
        functions = {data[7] for side, data in session_of(scene).said if side == ">"}
        assert functions & {1, 2, 3, 4}
        assert bool(functions & {5, 6, 15, 16}) is (load_profile(scene.profile).control != "none")


@every_scene
async def test_our_driver_says_the_same_and_sees_the_same(scene: Scene) -> None:
    session = session_of(scene)
    left = list(session.exchanges())
    heard: list[bytes] = []

    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left and (request := await reader.read(1024)):
            heard.append(request)
            wanted, answer = left[0]
            if request != wanted:
                break
            left.pop(0)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(device, "127.0.0.1", 0)
    async with server, bench(only=[scene.device], connect=False, alone=scene.alone) as made:
        port = server.sockets[0].getsockname()[1]
        made.only = None
        made.use([replace(made.config(scene.device), port=port)])
        seen = await play(made, scene)
        assert heard == [request for request, _ in session.exchanges()]
        assert not left
    assert seen == session.seen


@every_scene
async def test_the_twin_answers_the_same(scene: Scene) -> None:
    session = session_of(scene)
    async with bench(only=[], alone=scene.alone) as made:
        reader, writer = await asyncio.open_connection("127.0.0.1", made.twin(scene.device).port)
        answers = (answer for _, answer in session.exchanges())
        for side, data in session.said:
            if side == "*":
                made.step()
            elif side == ">":
                answer = next(answers)
                writer.write(data)
                assert await reader.readexactly(len(answer)) == answer
        writer.close()
        await writer.wait_closed()
