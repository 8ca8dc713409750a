"""Pages that keep themselves up to date: a fragment whenever what it shows has changed (server-sent events).

The first event is the fragment as it is, later ones come when its key has moved. A stream ends after some
minutes and the browser opens the next one: so that rights that were taken away end, too. A page that hears
nothing for a while says so itself (``static/live.js``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from vpp.http.access import service_of

__all__ = ["LONGEST_S", "streamed"]

LONGEST_S: Final = 600.0
_LOOK_S: Final = 2.0
_BEAT_S: Final = 14.0  # proxies close what is silent for longer, and pages call themselves lost after 40 s


def streamed(request: Request, key: Callable[[], str], fragment: Callable[[], str]) -> StreamingResponse:
    """A stream of fragments.

    Parameters
    ----------
    key : callable
        What the fragment depends on, cheaply; called every two seconds.
    fragment : callable
        The markup.
    """
    return StreamingResponse(
        _events(request, key, fragment),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(
    request: Request, key: Callable[[], str], fragment: Callable[[], str]
) -> AsyncIterator[str]:
    service, shown, silent_s, open_s = service_of(request), "", 0.0, 0.0
    yield "retry: 3000\n\n"
    if "text/event-stream" not in request.headers.get("accept", ""):  # who does not listen gets it once
        yield _event(await run_in_threadpool(fragment))
        return
    while open_s < LONGEST_S and not service.stopping and not await request.is_disconnected():
        now = await run_in_threadpool(key)
        if now != shown:
            shown, silent_s = now, 0.0
            yield _event(await run_in_threadpool(fragment))
        elif silent_s >= _BEAT_S:
            silent_s = 0.0
            yield "event: beat\ndata: .\n\n"
        await asyncio.sleep(_LOOK_S)
        silent_s += _LOOK_S
        open_s += _LOOK_S


def _event(markup: str) -> str:
    lines = "".join(f"data: {line}\n" for line in markup.splitlines())
    return f"event: fragment\n{lines}\n"
