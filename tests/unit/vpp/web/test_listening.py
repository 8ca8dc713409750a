"""The server's own socket: what is answered goes out at once."""

from __future__ import annotations

import asyncio
import socket

import pytest

from energy.core.errors import ConfigError
from vpp.setup.service import WebSettings
from vpp.web.serving import listening


def test_the_body_of_an_answer_does_not_wait_for_its_head_to_be_acknowledged() -> None:
    async def of_an_accepted_connection() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def met(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken = writer.get_extra_info("socket")
            found.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listening(WebSettings(port=0)) as listener:
            async with await asyncio.start_server(met, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                no_delay = await found
                writer.close()
                return no_delay

    assert asyncio.run(of_an_accepted_connection()) != 0


def test_an_address_that_is_taken_is_named() -> None:
    with listening(WebSettings(port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match="cannot listen there") as caught:
            listening(WebSettings(port=port))
        assert str(port) in caught.value.where
