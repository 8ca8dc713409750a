"""One program commands a link at a time: a lock that ends with its process, however that ends.

Two controllers would each be right in their own arbiter, and the equipment would obey both in turn. The lock
is advisory (flock(2)) and of this machine: who writes from another machine is not seen.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from energy.core.errors import RefusedError

__all__ = ["hold", "place_of"]

_USUAL: Final = Path("/run/lock")  # open to all users, and empty after a boot


def place_of(host: str, port: int) -> str:
    """Name of a link: the address behind a host name, or the device file of a serial line."""
    if not port:
        return os.path.realpath(host)
    try:
        found = sorted(str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError:
        found = []
    return f"{found[0] if found else host}:{port}"


@contextmanager
def hold(places: Iterable[str], *, folder: Path | None = None) -> Iterator[None]:
    """Be the only one on this machine who commands these links.

    Parameters
    ----------
    places : iterable of str
        Names of links, see :func:`place_of`.
    folder : Path or None
        Where the locks are, the same for all programs; that of the system if None.

    Raises
    ------
    RefusedError
        If another program commands one of them.
    """
    home = folder or _folder()
    with ExitStack() as doors:
        for place in sorted(set(places)):
            door = _open(home / _name(place), place)
            doors.callback(os.close, door)
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(
                    f"another program commands {place}",
                    where=_holder(door),
                    hint="give the order through that program, or stop it first; reading is free",
                ) from None
        yield


def _folder() -> Path:
    named = os.environ.get("VPP_LOCK_DIR")
    if named:
        return Path(named)
    return _USUAL if os.access(_USUAL, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def _name(place: str) -> str:
    digest = hashlib.sha256(place.encode()).hexdigest()[:8]  # two names that read alike stay apart
    return f"aizu-vpp-{re.sub(r'[^A-Za-z0-9.-]', '_', place)[-80:]}-{digest}.lock"


def _open(path: Path, place: str) -> int:
    """The lock's file, made if it is not there; never written, so that another user's will do."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            return os.open(path, flags | os.O_CREAT, 0o644)
    except OSError as error:
        raise RefusedError(
            f"nobody can say whether another program commands {place}",
            where=f"{path}: {error.strerror or error}",
            hint="name a folder that all users of this program may write: VPP_LOCK_DIR",
        ) from None


def _holder(door: int) -> str:
    """Who holds a lock, by the kernel's list."""
    held = os.fstat(door)
    wanted = f"{os.major(held.st_dev):02x}:{os.minor(held.st_dev):02x}:{held.st_ino}"
    try:
        rows = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        rows = []
    for row in rows:
        words = row.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted:
            return f"process {words[4]}"
    return "a process of this machine"
