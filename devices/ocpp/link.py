"""One connection to a station: frames, schemas, one question at a time. The file that speaks to ``ocpp``.

The package gives the frames and the official schemas of 1.6, 2.0.1 and 2.1. Its charge point class is not
used: it logs every message with the drivers' identifiers, does not answer an unknown message of 2.1, and
passes a refused call on as no answer at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from ocpp.exceptions import InternalError, OCPPError
from ocpp.messages import Call, CallError, CallResult, unpack, validate_payload

from devices.ocpp.words import Payload
from devices.transport import Access, require_control
from energy.core.errors import RefusedError, RegisterError, UnreachableError

__all__ = ["Link", "Socket"]

log = logging.getLogger(__name__)

_MOST_GARBAGE: Final = 10
# Questions that change nothing; everything else needs access to control.
_QUESTIONS: Final = frozenset({"GetCompositeSchedule", "TriggerMessage"})


class Socket(Protocol):
    """Text messages, one after the other."""

    async def send(self, text: str, /) -> None:
        """Send one."""
        ...

    async def recv(self) -> str | bytes:
        """Wait for one."""
        ...

    async def close(self, code: int = ..., reason: str = ..., /) -> None:
        """End the connection."""
        ...


class Link:
    """A connection.

    Parameters
    ----------
    socket : Socket
        What carries it.
    version : str
        Version of OCPP that was agreed on.
    access : Access
        What may be sent.
    station : str
        Whose it is, for errors and the log.
    answer_s : float
        How long an answer may take. [s]
    """

    def __init__(
        self, socket: Socket, *, version: str, access: Access, station: str, answer_s: float
    ) -> None:
        self.version = version
        self.closed = False
        self.writes = 0
        self._socket = socket
        self._access = access
        self._station = station
        self._answer_s = answer_s
        self._asking = asyncio.Lock()  # OCPP-J 1.6, 4.1.1: one question at a time
        self._waiting: tuple[str, asyncio.Future[CallResult | CallError]] | None = None
        self._count = 0
        self._garbage = 0

    async def run(self, heard: Callable[[str, Payload], Payload | None]) -> None:
        """Answer what comes until the connection ends; the socket's own error ends this.

        Parameters
        ----------
        heard : callable
            Gives the answer to an action and its payload; None if it is not known.
        """
        try:
            while self._garbage < _MOST_GARBAGE:
                raw = await self._socket.recv()
                await self._take(raw if isinstance(raw, str) else raw.decode("utf-8", "replace"), heard)
            log.warning("ocpp.garbage station=%s messages=%d", self._station, self._garbage)
            await self._socket.close(1007, "not OCPP")
        finally:
            self.closed = True
            if self._waiting is not None and not self._waiting[1].done():
                self._waiting[1].cancel()

    async def _take(self, raw: str, heard: Callable[[str, Payload], Payload | None]) -> None:
        try:
            message = unpack(raw)
        except (OCPPError, TypeError, KeyError, RecursionError):
            message = None
        if message is None or not isinstance(message.unique_id, str):
            self._garbage += 1
            return
        if not isinstance(message, Call):
            waiting = self._waiting
            if waiting is not None and message.unique_id == waiting[0] and not waiting[1].done():
                waiting[1].set_result(message)  # an answer to a question of the past is dropped
            return
        await self._socket.send(await self._answer(message, heard))

    async def _answer(self, message: Call, heard: Callable[[str, Payload], Payload | None]) -> str:
        """The answer as text; what is wrong with a message is said without repeating it."""
        try:
            if not isinstance(message.action, str) or not isinstance(message.payload, dict):
                return _text(CallError(message.unique_id, "ProtocolError", "no action or no payload", {}))
            await validate_payload(message, self.version)
            payload = heard(message.action, message.payload)
            if payload is None:
                return _text(CallError(message.unique_id, "NotImplemented", "not known here", {}))
            answer = message.create_call_result(payload)
            await validate_payload(answer, self.version)
        except OCPPError as error:
            log.info(
                "ocpp.bad_message station=%s action=%s code=%s", self._station, message.action, error.code
            )
            return _text(CallError(message.unique_id, error.code, error.description, {}))
        except Exception:  # a fault of ours must not end the connection
            log.exception("ocpp.fault station=%s action=%s", self._station, message.action)
            return _text(message.create_call_error(InternalError()))
        return _text(answer)

    async def call(self, action: str, payload: Payload) -> Payload:
        """Ask a station something, or tell it.

        Raises
        ------
        UnreachableError
            If no answer comes.
        RefusedError
            If the station says no, or access does not allow it.
        RegisterError
            If the answer is not what the protocol allows.
        """
        if action not in _QUESTIONS:
            require_control(self._access, where=f"{action} for {self._station}", words=())
        async with self._asking:
            if self.closed:
                raise self._gone("its connection has ended")
            self._count += 1
            message = Call(f"v{self._count}", action, payload)
            await _checked(validate_payload(message, self.version))
            future: asyncio.Future[CallResult | CallError] = asyncio.get_running_loop().create_future()
            self._waiting = (message.unique_id, future)
            try:
                async with asyncio.timeout(self._answer_s):
                    await self._send(_text(message))
                    answer = await future
            except TimeoutError:
                raise self._gone(f"no answer to {action} within {self._answer_s:g} s") from None
            except asyncio.CancelledError:
                if not self.closed:
                    raise  # somebody stopped us, not the station
                raise self._gone("its connection has ended") from None
            finally:
                self._waiting = None
        if action not in _QUESTIONS:
            self.writes += 1
        if isinstance(answer, CallError):
            raise RefusedError(
                f"{self._station} refuses {action}: {answer.error_code}",
                where=str(answer.error_description or "without a reason")[:200],
                hint="look at what this station supports",
                code=answer.error_code,
            )
        answer.action = action
        try:
            await validate_payload(answer, self.version)
        except OCPPError as error:
            raise RegisterError(
                f"{self._station} answers {action} with something else",
                where=f"{error.code}",
                hint=f"it does not keep to OCPP {self.version}",
            ) from None
        result: Payload = answer.payload
        return result

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send(text)
        except (OSError, EOFError) as error:
            raise self._gone(str(error)) from None
        except Exception as error:  # the websocket library's own closed errors are no OSErrors
            if not type(error).__name__.startswith("ConnectionClosed"):
                raise
            raise self._gone("its connection has ended") from None

    def _gone(self, why: str) -> UnreachableError:
        return UnreachableError(
            f"{self._station} does not answer", where=why, hint="check power and network of the station"
        )

    async def close(self, reason: str) -> None:
        """End the connection."""
        self.closed = True
        await self._socket.close(1001, reason)


async def _checked(check: Coroutine[Any, Any, None]) -> None:
    """What we say must be OCPP; else it is a fault of ours."""
    try:
        await check
    except OCPPError as error:
        msg = f"a message of ours is no OCPP: {error}"
        raise AssertionError(msg) from error


def _text(message: Call | CallResult | CallError) -> str:
    text: str = message.to_json()
    return text
