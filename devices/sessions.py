"""Sessions on the wire: what was said between us and a device, byte by byte, and what we made of it.

A session is text, one line each: ``>`` what we send, ``<`` what the device answers (Modbus TCP frames in
hexadecimal), ``*`` a pause, ``=`` what was seen (JSON), ``#`` a remark. It is the form of golden bytes in
tests, and what ``vpp device record`` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from energy.core.errors import DataError

__all__ = ["Session"]

_HEAD = 6  # transaction, protocol and length of a Modbus TCP frame; the length counts what follows


@dataclass
class Session:
    """Bytes in both directions, in order, and what was seen."""

    said: list[tuple[str, bytes]] = field(default_factory=list)
    seen: list[object] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def hear(self, sending: bool, data: bytes) -> None:
        """Take note of bytes, from our side: sent or received."""
        self.said.append((">" if sending else "<", data))

    def exchanges(self) -> Iterator[tuple[bytes, bytes]]:
        """Requests with their answers; a request that was not answered is left out."""
        asked, answer = b"", b""
        for side, data in (*self.said, (">", b"")):
            if side == "<":
                answer += data  # an answer may have come in pieces
            elif side == ">":
                if asked and len(answer) >= _HEAD:
                    yield asked, answer[: _HEAD + int.from_bytes(answer[_HEAD - 2 : _HEAD], "big")]
                asked, answer = data, b""

    def text(self) -> str:
        """The session as a file."""
        lines = [f"# {remark}" for remark in self.remarks]
        lines += ["*" if side == "*" else f"{side} {data.hex(' ', -2)}" for side, data in self.said]
        lines += [f"= {json.dumps(seen, ensure_ascii=False)}" for seen in self.seen]
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str, *, source: str = "session") -> Session:
        """A session from its file.

        Raises
        ------
        DataError
            If a line is none of a session; ``where`` names it.
        """
        session = cls()
        for number, line in enumerate(text.splitlines(), start=1):
            side, _, rest = line.partition(" ")
            try:
                match side:
                    case "#":
                        session.remarks.append(rest)
                    case "<" | ">" | "*":
                        session.said.append((side, bytes.fromhex(rest)))
                    case "=":
                        session.seen.append(json.loads(rest))
                    case "":
                        pass
                    case _:
                        raise ValueError(line)
            except ValueError:
                raise DataError(
                    "not a line of a session",
                    where=f"{source}:{number}: {line[:60]!r}",
                    hint="a file of vpp device record begins its lines with > < * = or #",
                ) from None
        return session
