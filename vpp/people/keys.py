"""Secrets: made from the system's randomness, kept as digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets

__all__ = ["digest_of", "new_id", "new_secret", "same"]


def new_secret() -> str:
    """256 random bits as 43 letters that may stand in an address or a header."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """48 random bits, hexadecimal; names something, is no secret."""
    return secrets.token_hex(6)


def digest_of(secret: str) -> str:
    """SHA-256, hexadecimal. Enough for secrets of 256 random bits; passwords go through argon2."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, without saying by time where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
