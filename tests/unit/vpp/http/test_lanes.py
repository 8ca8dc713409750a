"""Few read at once; what is written, and whoever asks how the service does, does not wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2

from tests.unit.vpp.web.browser import ORIGIN, Town
from vpp.http.lanes import AT_ONCE, Lanes
from vpp.people.roles import Role


@asynccontextmanager
async def taken(lanes: Lanes, lane: str) -> AsyncIterator[AsyncExitStack]:
    """All places of a lane, until the stack is left."""
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE[lane]):
            await stack.enter_async_context(lanes.of(lane))
        yield stack


def test_a_full_lane_lets_in_who_came_first_when_one_leaves() -> None:
    came: list[int] = []

    async def reader(lanes: Lanes, number: int) -> None:
        async with lanes.of("programs"):
            came.append(number)

    async def run() -> None:
        lanes = Lanes()
        async with taken(lanes, "programs") as stack:
            waiting = [asyncio.create_task(reader(lanes, k)) for k in range(3)]
            for _ in range(5):
                await asyncio.sleep(0)
            assert came == []
            async with lanes.of("pages"), lanes.of(""):
                pass  # neither waits for programs
            await stack.aclose()
            await asyncio.gather(*waiting)
        assert came == [0, 1, 2]

    asyncio.run(run())


def test_writing_and_health_go_past_readers_that_wait() -> None:
    town = Town()
    known = town.program(Role.OPERATOR).headers["Authorization"]
    headers = {"Authorization": known, "Idempotency-Key": "lane-0001"}
    path = "/api/v1/measurements/kitakata/meter/import_kwh"
    body = {"items": [{"at": "2026-11-22T01:00:00Z", "value": 1.0}]}

    async def run() -> None:
        transport = httpx2.ASGITransport(app=town.app)
        async with (
            httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client,
            taken(town.service.lanes, "programs") as stack,
        ):
            reading = asyncio.create_task(client.get(path))
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.post(path, json=body)).status_code == 201
            assert not reading.done()
            await stack.aclose()
            assert [one["value"] for one in (await reading).json()["items"]] == [1.0]

    asyncio.run(run())
