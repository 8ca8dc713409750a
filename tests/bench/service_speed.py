"""How fast the service answers with many sites and a year of half hours, alone and while much is written.

    python -m tests.bench.service_speed --sites 1000 --days 365 --readers 200 --rate 1000 --seconds 60
    python -m tests.bench.service_speed --db postgresql+psycopg://vpp@127.0.0.1/speed   # an empty database

fills a database (SQLite in a temporary folder unless named), starts ``vpp serve`` on it, and prints medians
over HTTP on the loopback: the day of one series, the operator's page; then the day again while many readers
ask at the same time and so many values a second are written through the API. At the end every value that was
acknowledged is looked up: none may be missing. Status 1 if one is, or if a reader saw an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx2

from energy.core.clock import SystemClock
from energy.core.slots import SLOT_LENGTH, Slot
from energy.core.units import SeriesId, series_id
from energy.store import Point, open_store
from vpp.explain import ASSETS
from vpp.people.accounts import People
from vpp.people.passwords import Passwords
from vpp.people.rights import SCOPES
from vpp.people.roles import Objects, Role
from vpp.people.tokens import Tokens

PASSWORD = "quiet machine, many sites"  # of accounts that live as long as the measurement
_CHUNK = 50  # values of one write
_SLOTS_A_DAY = 48


@dataclass
class Load:
    """What readers and the writer saw."""

    read_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    acknowledged: dict[SeriesId, list[tuple[datetime, float]]] = field(default_factory=dict)
    behind_s: float = 0.0

    @property
    def written(self) -> int:
        """Values that were acknowledged."""
        return sum(len(values) for values in self.acknowledged.values())


def name_of(number: int) -> str:
    """Id of a site."""
    return f"site-{number:04}"


def fill(address: str, sites: int, days: int, now: datetime) -> int:
    """Half hours of every site up to now, and the names of their assets; how many values."""
    last = Slot.containing(now).start
    starts = [last - (k + 1) * SLOT_LENGTH for k in range(days * _SLOTS_A_DAY)][::-1]
    shape = [20.0 + 10.0 * math.sin(2 * math.pi * (at.hour * 60 + at.minute) / 1440) for at in starts]
    count = 0
    with open_store(address, durability="process") as store:
        for number in range(sites):
            site = name_of(number)
            names = {"meter": ["受電点", "Meter", "other"], "car": ["社用車", "Car", "car"]}
            store.put_document(ASSETS, site, known_at=starts[0], body=json.dumps(names))
            series = series_id(site, "meter", "import_kwh")
            report = store.append(
                Point(
                    series=series,
                    at=at,
                    known_at=at + SLOT_LENGTH,
                    value=value + number % 7,
                    source="counter",
                )
                for at, value in zip(starts, shape, strict=True)
            )
            count += report.written
            if (number + 1) % 100 == 0:
                print(f"filled {number + 1} sites", file=sys.stderr)
    return count


def let_in(address: str) -> tuple[str, str]:
    """An operator with a password, and a token; name and token."""
    with open_store(address) as store:
        people = People(store, SystemClock(), Passwords())
        secret = people.invite(
            "speed", name="Speed", role=Role.OPERATOR, objects=Objects(), lang="ja", actor="bench"
        )
        account = people.accept(secret, PASSWORD)
        tokens = Tokens(store, SystemClock(), SCOPES)
        wanted = ["read:measurements", "write:measurements", "read:sites"]
        return account.id, tokens.make(account, name="bench", scopes=wanted, lasts=timedelta(days=1))


@contextmanager
def served(address: str, folder: Path) -> Iterator[str]:
    """``vpp serve`` in a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "service.yaml"
    web = {
        "port": port,
        "second_factor_for": [],
        "requests_per_minute": 10_000_000,
        "logins_per_minute": 1_000,
    }
    config.write_text(json.dumps({"store": {"url": address}, "web": web}), encoding="utf-8")  # JSON is YAML
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "vpp.cli.main", "--lang", "en", "serve", "--config", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stderr=log, stdout=log, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise SystemExit((folder / "log").read_text(encoding="utf-8")[-2000:])
            try:
                if httpx2.get(f"{url}/health/ready").status_code == 200:
                    break
            except httpx2.HTTPError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def logged_in(url: str, name: str) -> Iterator[httpx2.Client]:
    """A browser in which the operator logged in."""
    headers = {"Accept": "text/html"}
    with httpx2.Client(base_url=url, follow_redirects=False, headers=headers, timeout=60) as browser:
        key = re.search(r'name="form_key" value="([^"]+)"', browser.get("/login").text)
        assert key is not None
        data = {"form_key": key[1], "name": name, "password": PASSWORD, "next": "/"}
        entered = browser.post("/login", data=data, headers={"Origin": url})
        assert entered.status_code == 303, entered.text[:300]
        yield browser


def took_ms(client: httpx2.Client, paths: Sequence[str]) -> list[float]:
    """Time of each request. [ms]"""
    found = []
    for path in paths:
        begun = time.perf_counter()
        answer = client.get(path)
        found.append((time.perf_counter() - begun) * 1000.0)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:200]}"
    return found


def day_path(rng: random.Random, sites: int, days: int, now: datetime) -> str:
    """The day of one series of a site, both drawn by lot."""
    start = Slot.containing(now).start - timedelta(days=rng.randint(1, max(1, days - 1)))
    site = name_of(rng.randrange(sites))
    begin, end = (at.isoformat().replace("+00:00", "Z") for at in (start, start + timedelta(days=1)))
    return f"/api/v1/measurements/{site}/meter/import_kwh?from={begin}&to={end}"


async def _read(
    client: httpx2.AsyncClient, load: Load, said: argparse.Namespace, now: datetime, seed: int, until: float
) -> None:
    rng = random.Random(seed)
    while time.monotonic() < until:
        begun = time.perf_counter()
        try:
            answer = await client.get(day_path(rng, said.sites, said.days, now))
        except httpx2.HTTPError as error:
            load.errors.append(type(error).__name__)
            continue
        load.read_ms.append((time.perf_counter() - begun) * 1000.0)
        if answer.status_code != 200:
            load.errors.append(str(answer.status_code))


async def _write(client: httpx2.AsyncClient, load: Load, said: argparse.Namespace, begun: float) -> None:
    """Chunks at a steady pace; a late one is not left out, it comes late."""
    pause = _CHUNK / said.rate
    base = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    gate = asyncio.Semaphore(8)
    chunks = int(said.seconds * said.rate / _CHUNK)

    async def one(k: int) -> None:
        site = name_of(k % said.sites)
        series = series_id(site, "meter", "power_kw")
        first = base + timedelta(seconds=k // said.sites * _CHUNK)
        items = [((first + timedelta(seconds=s)), float(k % 97) + s / 100) for s in range(_CHUNK)]
        body = {"items": [{"at": at.isoformat(), "value": value} for at, value in items]}
        async with gate:
            answer = await client.post(
                f"/api/v1/measurements/{site}/meter/power_kw",
                json=body,
                headers={"Idempotency-Key": f"speed-{k:08}"},
            )
        if answer.status_code in {200, 201}:
            load.acknowledged.setdefault(series, []).extend(items)
        else:
            load.errors.append(f"write {answer.status_code} {answer.text[:120]}")

    tasks = []
    for k in range(chunks):
        wait = begun + k * pause - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(k)))
    await asyncio.gather(*tasks)
    load.behind_s = max(0.0, time.monotonic() - begun - chunks * pause)


async def under_load(url: str, token: str, said: argparse.Namespace, now: datetime) -> Load:
    """Readers and a writer at the same time."""
    load, begun = Load(), time.monotonic()
    limits = httpx2.Limits(max_connections=said.readers + 16, max_keepalive_connections=said.readers + 16)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=120) as client:
        readers = [_read(client, load, said, now, seed, begun + said.seconds) for seed in range(said.readers)]
        await asyncio.gather(*readers, _write(client, load, said, begun))
    return load


def missing(address: str, load: Load) -> int:
    """Acknowledged values that are not in the store, or stand there with another value."""
    lost = 0
    with open_store(address, read_only=True) as store:
        known = store.as_of(datetime.max.replace(tzinfo=UTC) - timedelta(days=366))
        for series, values in load.acknowledged.items():
            instants = [at for at, _ in values]
            kept = known.values(series, min(instants), max(instants) + timedelta(seconds=1))
            stored = {one.at: one.value for one in kept}
            lost += sum(stored.get(at) != value for at, value in values)
    return lost


def measure(said: argparse.Namespace, address: str, folder: Path) -> dict[str, object]:
    """Everything, as one document."""
    now = SystemClock().now()
    begun = time.perf_counter()
    values = fill(address, said.sites, said.days, now)
    filled_s = time.perf_counter() - begun
    name, token = let_in(address)
    rng = random.Random(said.seed)
    with served(address, folder) as url:
        headers = {"Authorization": f"Bearer {token}"}
        with (
            httpx2.Client(base_url=url, headers=headers, timeout=60) as program,
            logged_in(url, name) as browser,
        ):
            days = [day_path(rng, said.sites, said.days, now) for _ in range(said.repeats)]
            took_ms(program, days[:3])  # first touches of caches and connections
            day_ms = took_ms(program, days)
            page_ms = None
            if browser.get("/operator").status_code == 200:
                page_ms = took_ms(browser, ["/operator"] * max(3, said.repeats // 10))
            load = asyncio.run(under_load(url, token, said, now))
    lost = missing(address, load)
    busy = load.read_ms or [math.nan]
    return {
        "sites": said.sites,
        "values": values,
        "filled_values_per_s": round(values / filled_s),
        "day_of_a_series_ms": round(median(day_ms), 1),
        "operator_page_ms": None if page_ms is None else round(median(page_ms), 1),
        "readers": said.readers,
        "reads": len(load.read_ms),
        "reads_per_s": round(len(load.read_ms) / said.seconds, 1),
        "busy_day_ms": round(median(busy), 1),
        "busy_day_p95_ms": round(quantiles(busy, n=20)[-1], 1) if len(busy) > 1 else None,
        "busy_over_alone": round(median(busy) / median(day_ms), 1),
        "written": load.written,
        "written_per_s": round(load.written / (said.seconds + load.behind_s), 1),
        "behind_s": round(load.behind_s, 1),
        "lost": lost,
        "errors": len(load.errors),
        "first_errors": sorted(set(load.errors))[:3],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; status 1 if something was lost or went wrong."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sites", type=int, default=1000)
    asked.add_argument("--days", type=int, default=365)
    asked.add_argument("--readers", type=int, default=200)
    asked.add_argument("--rate", type=float, default=1000.0, help="values written a second")
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--repeats", type=int, default=100)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--db", default="", help="an empty database; SQLite in a temporary folder if none")
    said = asked.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="vpp-speed-") as folder:
        address = said.db or f"sqlite:///{folder}/speed.db"
        told = measure(said, address, Path(folder))
    print(json.dumps(told, indent=1))
    return int(bool(told["lost"] or told["errors"]))


if __name__ == "__main__":
    sys.exit(main())
