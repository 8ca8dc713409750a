"""The command ``vpp`` called in this process, at an instant of one's choice."""

from __future__ import annotations

import contextlib
import io
from datetime import UTC, datetime
from unittest.mock import patch

from energy.core.clock import SystemClock
from vpp.cli.main import app
from vpp.console import Console, guarded

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # 12:00 in Japan


def vpp(*words: str, lang: str = "en", at: datetime = NOON) -> tuple[int, str, str]:
    """Status, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    console = Console("ja" if lang == "ja" else "en")
    with (
        patch.object(SystemClock, "now", lambda _self: at),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = guarded(
            lambda: app(args=["--lang", lang, *words], prog_name="vpp", standalone_mode=False),
            lambda: console,
        )
    return status, out.getvalue(), err.getvalue()
