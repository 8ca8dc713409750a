"""What all commands share: language, errors in three lines, exit statuses, progress, state folders."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from energy.core.errors import ConfigError, ExitStatus, VppError

if TYPE_CHECKING:
    from energy.store import SqlStore

__all__ = ["Console", "default_lang", "newest_database", "open_database", "print_error", "save_traceback"]

Lang = Literal["ja", "en"]
DEFAULT_STATE = Path("out")


def default_lang() -> Lang:
    """Language of the environment: Japanese if it says so, else English."""
    said = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return "ja" if said.startswith("ja") else "en"


@dataclass(slots=True)
class Console:
    """Language and debug flag of one call."""

    lang: Lang
    debug: bool = False

    def text(self, key: str, **values: object) -> str:
        """A text in the language of the call."""
        from vpp.i18n import Messages

        return Messages(self.lang).text(key, **values)

    def say(self, line: str) -> None:
        """One line for a person, on stderr: stdout is for data."""
        print(line, file=sys.stderr)

    def progress(self) -> Progress:
        """A progress line, if a person is watching."""
        return Progress(sys.stderr.isatty())


@dataclass(slots=True)
class Progress:
    """One line that shows how far each run is; silent without a terminal and in the first half second."""

    visible: bool
    _began: float = 0.0
    _shares: dict[str, float] | None = None
    _shown: bool = False

    def __call__(self, name: str, done: int, total: int) -> None:
        """Take note of one run's progress."""
        if self._shares is None:
            self._shares, self._began = {}, time.perf_counter()
        self._shares[name] = done / total
        if self.visible and time.perf_counter() - self._began > 0.5:
            bars = "  ".join(f"{name} {_bar(share)} {share:4.0%}" for name, share in self._shares.items())
            sys.stderr.write(f"\r\x1b[K{bars}")
            sys.stderr.flush()
            self._shown = True

    def close(self) -> None:
        """Leave the line."""
        if self._shown:
            sys.stderr.write("\n")


def _bar(share: float, width: int = 16) -> str:
    full = round(share * width)
    return "█" * full + "░" * (width - full)


def print_error(error: VppError, lang: Lang) -> None:
    """Three lines: what, where and why, what to do."""
    what, where, hint = error.lines()
    print(f"{'エラー' if lang == 'ja' else 'error'}: {what}", file=sys.stderr)
    if where:
        print(f"  {where}", file=sys.stderr)
    if hint:
        print(f"  {'対処' if lang == 'ja' else 'try'}: {hint}", file=sys.stderr)


def save_traceback(error: BaseException) -> str:
    """Write a bug's traceback to a file of its own and give its path."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", prefix="vpp-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
        return file.name


def newest_database(state: Path, controller: str) -> Path:
    """The newest database of a controller in a state folder or one level below it.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found = [*state.glob(f"{controller}.db"), *state.glob(f"*/{controller}.db")]
    if not found:
        raise ConfigError(
            "no simulation is stored here",
            where=f"{state}: no {controller}.db",
            hint="run vpp demo first, or name its folder with --state",
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def open_database(path: Path) -> SqlStore:
    """Open a stored run for reading."""
    from energy.store import open_store

    return open_store(f"sqlite:///{path}", read_only=True)


def guarded(call: Callable[[], object], console: Callable[[], Console]) -> int:
    """Run a command and turn whatever it raises into an exit status."""
    from typer import Abort, Exit
    from typer.exceptions import TyperException

    try:
        result = call()
    except VppError as error:
        print_error(error, console().lang)
        if console().debug:
            traceback.print_exc()
        return int(error.exit_status)
    except Exit as end:
        return end.exit_code
    except Abort:
        return int(ExitStatus.INTERRUPTED)
    except TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "vpp")
        what = error.format_message().rstrip(".")
        print_error(ConfigError(what, where=command, hint=f"{command} --help"), console().lang)
        return int(ExitStatus.USAGE)
    except KeyboardInterrupt:
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitStatus.OK)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is saved and named
        if console().debug:
            traceback.print_exc()
        path = save_traceback(error)
        print_error(
            VppError(
                f"this is a bug: {type(error).__name__}: {error}",
                where=f"the details are in {path}",
                hint="report it with that file",
            ),
            console().lang,
        )
        return int(ExitStatus.BUG)
    return result if isinstance(result, int) else int(ExitStatus.OK)
