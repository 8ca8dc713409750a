"""Programs on npm packages that nobody here wrote, run by node and spoken to in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "counterparts" / "npm"

needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="node (Debian: nodejs npm) or its packages are missing: npm ci --prefix tests/counterparts/npm",
)


class NodeProgram:
    """A running program."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[dict[str, Any]] = []

    async def until(self, key: str) -> Any:
        """The next line that says something about ``key``; the lines before it are kept."""
        assert self._process.stdout is not None
        async with asyncio.timeout(15.0):
            while True:
                raw = await self._process.stdout.readline()
                if not raw:
                    assert self._process.stderr is not None
                    raise AssertionError((await self._process.stderr.read()).decode()[-2000:])
                line = json.loads(raw)
                self.lines.append(line)
                if key in line:
                    return line[key]

    async def tell(self, order: dict[str, Any]) -> None:
        """Write a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    def heard(self, method: str) -> list[dict[str, Any]]:
        """What it heard of one kind."""
        return [line["params"] for line in self.lines if line.get("heard") == method]


@asynccontextmanager
async def node(script: str, *words: str) -> AsyncIterator[NodeProgram]:
    """Run a script of the folder while it is needed."""
    process = await asyncio.create_subprocess_exec(
        "node", str(FOLDER / script), *words, cwd=FOLDER,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield NodeProgram(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
