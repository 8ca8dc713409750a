"""The second factor: codes by time (RFC 6238) [1]_, and recovery codes for a lost phone.

A step of 30 seconds is accepted once; the one before and the one after count too, for clocks that differ.

References
----------
.. [1] RFC 6238, TOTP; section 5.2 asks that a code be accepted only once.
"""

from __future__ import annotations

import io
import json
import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno

from vpp.people.keys import digest_of

__all__ = ["RECOVERY_CODES", "matching_step", "new_recovery_codes", "new_seed", "qr_svg", "spent", "uri"]

RECOVERY_CODES: Final = 8
_STEP_S: Final = 30
_DIGITS: Final = 6
_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that look alike


def new_seed() -> str:
    """160 random bits in base 32, as RFC 4226 recommends."""
    return pyotp.random_base32(32)


def uri(seed: str, account_id: str, *, issuer: str) -> str:
    """Address that an authenticator app reads from the picture."""
    return pyotp.TOTP(seed).provisioning_uri(name=account_id, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """The picture, as SVG text without style or script."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out,
        kind="svg",
        scale=5,
        border=4,
        dark="#000",
        light="#fff",
        xmldecl=False,
        svgclass="qr",
        lineclass=None,
    )
    return out.getvalue().decode()


def matching_step(seed: str, code: str, *, at: datetime, last: int | None) -> int | None:
    """Number of the 30-second step that the code belongs to; None if it is wrong or was used."""
    written = "".join(code.split())
    if len(written) != _DIGITS or not (written.isascii() and written.isdecimal()):
        return None
    now = int(at.timestamp()) // _STEP_S
    totp = pyotp.TOTP(seed)
    fitting = [
        step
        for step in (now - 1, now, now + 1)
        if pyotp.utils.strings_equal(totp.generate_otp(step), written)
    ]
    return next((step for step in fitting if last is None or step > last), None)


def new_recovery_codes() -> tuple[list[str], str]:
    """Codes to show once, and what is kept of them (JSON)."""
    codes = [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))
        for _ in range(RECOVERY_CODES)
    ]
    return codes, json.dumps([digest_of(code) for code in codes])


def spent(kept: str, code: str) -> str | None:
    """What is kept once this recovery code is used; None if it is none of them."""
    digest, digests = digest_of(code.strip().lower()), json.loads(kept)
    if digest not in digests:
        return None
    return json.dumps([one for one in digests if one != digest])
