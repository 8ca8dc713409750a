"""Secrets of a site: named in its file, kept outside of it, and never repeated in a message."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Final

from pydantic import Field, model_validator

from devices.schema import Strict
from energy.core.errors import ConfigError

__all__ = ["SecretRef", "must_be_private", "resolve"]

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST: Final = 4096


class SecretRef(Strict):
    """Where a secret is kept: in a variable of the environment or in a file that only its owner may read.

    Parameters
    ----------
    env : str or None
        Name of the variable.
    file : str or None
        Path, relative to the site file.
    """

    env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    file: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _is_named(cls, said: object) -> object:
        if not isinstance(said, Mapping):  # what stands there may be the secret: it is not repeated
            msg = "a secret is not written here but named: {env: VARIABLE} or {file: PATH}"
            raise ValueError(msg)  # pydantic reports it with its key
        return said

    @model_validator(mode="after")
    def _is_one(self) -> SecretRef:
        if (self.env is None) == (self.file is None):
            msg = "a secret is in one place: {env: VARIABLE} or {file: PATH}"
            raise ValueError(msg)
        return self


def resolve(secret: SecretRef, *, key: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The secret itself.

    Parameters
    ----------
    secret : SecretRef
        Where it is kept.
    key : str
        For what it is, for messages.
    folder : Path
        Where relative paths begin.
    environment : mapping
        Variables of the process.

    Raises
    ------
    ConfigError
        If it is not there, is empty or longer than one line, or others may read its file.
    """
    if secret.env is not None:
        value = environment.get(secret.env, "")
        if not value:
            raise ConfigError(
                f"the environment has no {secret.env}",
                where=key,
                hint=f"set it where the service is started: {secret.env}=...",
            )
        return value
    path = folder / str(secret.file)
    with _opened(path, key) as door:
        text = door.read(_LONGEST + 1)
    try:
        value = text.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        value = ""
    if not value or len(text) > _LONGEST or "\n" in value:
        raise ConfigError(
            "a file of a secret holds no secret", where=f"{key}: {path}", hint="one line of text, not empty"
        )
    return value


def must_be_private(path: Path, *, key: str) -> None:
    """Refuse a private file, such as a key, that others may read.

    Raises
    ------
    ConfigError
        If it cannot be read, or others may.
    """
    _opened(path, key).close()


def _opened(path: Path, key: str) -> BufferedReader:
    try:
        door = path.open("rb")
    except OSError as error:
        raise ConfigError(
            "a file of a secret cannot be read",
            where=f"{key}: {path}: {error.strerror or error}",
            hint="check the path; the user of this program must be allowed to read it",
        ) from None
    mode = os.fstat(door.fileno()).st_mode
    if not stat.S_ISREG(mode) or mode & _OTHERS:
        door.close()
        raise ConfigError(
            "a secret is readable for others",
            where=f"{key}: {path} has mode {stat.S_IMODE(mode):04o}",
            hint=f"chmod 600 {path}, and change the secret if others have been there",
        )
    return door
