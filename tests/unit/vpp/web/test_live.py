"""Fragments come when they change, say nothing while they do not, and stop when they should."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from vpp.web import live


class Listener:
    """A browser that listens for so many looks and then goes away."""

    def __init__(self, looks: int, accept: str = "text/event-stream") -> None:
        self.left = looks
        self.headers = {"accept": accept}
        self.app = SimpleNamespace(state=SimpleNamespace(service=SimpleNamespace(stopping=False)))

    async def is_disconnected(self) -> bool:
        self.left -= 1
        return self.left < 0


def heard(listener: Listener, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(live, "_LOOK_S", 0.0)
    told = iter(keys)
    last = [""]

    def key() -> str:
        last[0] = next(told, last[0])
        return last[0]

    async def collect() -> list[str]:
        answer = live.streamed(cast("Request", listener), key, lambda: f"<p>\n{last[0]}</p>")
        return [cast("Any", part) async for part in answer.body_iterator]

    return asyncio.run(collect())


def test_a_fragment_comes_only_when_its_key_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = heard(Listener(5), ["a", "a", "b", "b", "b"], monkeypatch)
    assert parts == [
        "retry: 3000\n\n",
        "event: fragment\ndata: <p>\ndata: a</p>\n\n",
        "event: fragment\ndata: <p>\ndata: b</p>\n\n",
    ]


def test_a_service_that_stops_ends_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(1000)
    listener.app.state.service.stopping = True
    assert heard(listener, ["a"], monkeypatch) == ["retry: 3000\n\n"]


def test_who_does_not_listen_for_events_gets_the_fragment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = heard(Listener(1000, accept="text/html"), ["a"], monkeypatch)
    assert len(parts) == 2
