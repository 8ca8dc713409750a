"""Where a device is, as a person writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from devices.transport import Framing
from energy.core.errors import ConfigError

__all__ = ["Address", "parse_address"]

_NETWORK: Final = re.compile(
    r"^(?:(?P<scheme>tcp|tls|rtu\+tcp)://)?(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?$"
)
_TLS_PORT: Final = 802  # Modbus/TCP Security Protocol Specification v21, 6


@dataclass(frozen=True, slots=True)
class Address:
    """A link: what carries the registers, and where."""

    framing: Framing
    host: str
    port: int

    def __str__(self) -> str:
        """As it can be given again."""
        if self.framing is Framing.RTU:
            return f"rtu:{self.host}"
        scheme = "" if self.framing is Framing.TCP else f"{self.framing.value}://"
        return f"{scheme}{self.host}:{self.port}"


def parse_address(text: str, *, port: int) -> Address:
    """An address: ``HOST``, ``HOST:PORT``, ``tls://HOST``, ``rtu+tcp://HOST:PORT`` or ``rtu:/dev/ttyUSB0``.

    Parameters
    ----------
    text : str
        What was written.
    port : int
        Port where none is named; 802 for TLS.

    Raises
    ------
    ConfigError
        If it is none of these.

    Examples
    --------
    >>> str(parse_address("192.0.2.7", port=502))
    '192.0.2.7:502'
    >>> str(parse_address("rtu:/dev/ttyUSB0", port=502))
    'rtu:/dev/ttyUSB0'
    """
    if text.startswith("rtu:") and len(text) > 4:
        return Address(Framing.RTU, text[4:], 0)
    match = _NETWORK.match(text)
    number = int(match["port"] or 0) if match else 0
    if match is None or number > 65535:
        raise ConfigError(
            f"not an address of a device: {text!r}",
            where="HOST, HOST:PORT, tls://HOST, rtu+tcp://HOST:PORT or rtu:/dev/ttyUSB0",
            hint="for example 192.0.2.7:502",
        )
    framing = Framing(match["scheme"] or "tcp")
    usual = _TLS_PORT if framing is Framing.TLS else port
    return Address(framing, match["host"].strip("[]"), number or usual)
