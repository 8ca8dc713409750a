"""Faults 13 and 16 with their reaction taken out: the tests of those faults must then fail.

A test that also passes without what it is about proves nothing. The reactions of these two are no line that
one could strike out: the first is the buffer of the framing, the other that links are read at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest
from pymodbus.transport import ModbusProtocol

from devices import gateway
from devices.modbus import ModbusTransport
from energy.core.errors import UnreachableError
from tests.unit.devices import test_device_faults as faults
from tests.unit.devices.faults import TESTED


def test_the_tests_of_both_faults_are_among_those_that_are_tried_here() -> None:
    assert TESTED[13] == [
        "test_an_answer_byte_by_byte_is_put_together",
        "test_the_rest_of_a_broken_answer_is_no_answer_to_the_next_question",
    ]
    assert TESTED[16] == ["test_a_slow_device_delays_nobody_else"]


async def test_without_a_buffer_an_answer_byte_by_byte_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ModbusProtocol.datagram_received

    def forgetful(link: ModbusProtocol, data: bytes, addr: Any) -> None:
        link.recv_buffer = b""
        plain(link, data, addr)

    monkeypatch.setattr(ModbusProtocol, "datagram_received", forgetful)
    with pytest.raises(UnreachableError):
        await faults.test_an_answer_byte_by_byte_is_put_together()


async def test_without_a_new_link_the_rest_of_a_broken_answer_stays_in_the_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = ModbusTransport._exchange

    async def kept_up(link: ModbusTransport, *arguments: Any, **named: Any) -> Any:
        async def nothing() -> None:
            return None

        drop, link._drop = link._drop, nothing  # type: ignore[method-assign]
        try:
            return await plain(link, *arguments, **named)
        finally:
            link._drop = drop  # type: ignore[method-assign]

    monkeypatch.setattr(ModbusTransport, "_exchange", kept_up)
    with pytest.raises(AssertionError, match="connected"):
        await faults.test_the_rest_of_a_broken_answer_is_no_answer_to_the_next_question()


async def test_read_one_after_the_other_a_slow_device_delays_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def in_turn(*waiting: Awaitable[Any]) -> list[Any]:
        return [await one for one in waiting]

    monkeypatch.setattr(gateway, "asyncio", SimpleNamespace(**{**vars(asyncio), "gather": in_turn}))
    with pytest.raises(AssertionError, match="<= 1"):  # it was asked again before anybody else was
        await faults.test_a_slow_device_delays_nobody_else()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
