"""Connections of a node are gone when it says so, however slowly the upstream says goodbye."""

from __future__ import annotations

import asyncio
import ssl

import pytest

pytest.importorskip("aiohttp", reason="the extra openadr is not installed")

from tests.unit.vpp.openadr.papers import Papers
from vpp.openadr import session as rooms
from vpp.openadr.session import Session

BUSY = b"HTTP/1.1 500 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def posted(papers: Papers, *, goodbye_s: float) -> tuple[int, list[int]]:
    """One request to an upstream that is out of order; what it answered, and our sockets after the close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # or asyncio answers our goodbye at once
        writer.write(BUSY)
        await writer.drain()
        await asyncio.sleep(goodbye_s)
        writer.close()

    upstream = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    upstream.load_cert_chain(papers.path("vtn.pem"), papers.path("vtn.key"))
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=upstream) as server:
        port = server.sockets[0].getsockname()[1]
        ours = Session(cert=papers.path("ven.pem"), key=papers.path("ven.key"), ca=papers.path("ca.pem"))
        async with ours.client.post(f"https://127.0.0.1:{port}/") as got:
            status = got.status
        kept = list(ours._sockets)
        assert [one.fileno() >= 0 for one in kept] == [True]
        await ours.close()
        left = [one.fileno() for one in kept]
        while any(one.fileno() >= 0 for one in kept):
            await asyncio.sleep(0.01)
    return status, left


async def test_a_goodbye_that_takes_its_time_is_waited_for(papers: Papers) -> None:
    assert await posted(papers, goodbye_s=0.1) == (500, [-1])


async def test_a_goodbye_that_does_not_come_keeps_nobody(
    papers: Papers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rooms, "_GOODBYE_S", 0.05)
    status, left = await posted(papers, goodbye_s=0.5)
    assert (status, left != [-1]) == (500, True)
    assert "goodbye not answered" in caplog.text


async def test_without_papers_it_speaks_plainly() -> None:
    ours = Session(cert=None, key=None, ca=None)
    await ours.close()
    assert ours.client.closed
