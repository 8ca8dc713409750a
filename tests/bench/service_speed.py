"""How fast the service answers with many sites and a year of half hours, alone and while much is written.

    python -m tests.bench.service_speed --sites 1000 --days 365 --readers 200 --rate 1000 --seconds 60
    python -m tests.bench.service_speed --db postgresql+psycopg://vpp@127.0.0.1/speed   # an empty database

fills a database (SQLite in a temporary folder unless named), starts ``vpp serve`` on it, and prints medians
over HTTP on the loopback: the day of one series, the operator's page and its map of errors, a retailer's
page (``..._first_ms``: their first view, which works out what the others find), 400 days of minutes on the
page that zooms, and one look for alerts; then the day again while many readers ask at the same time and so
many values a second are written through the API. At the end every value that was acknowledged is
looked up: none may be missing. Beside each figure that has one stands its limit.
``..._cpu_s`` is what the server and this program computed meanwhile: they share the machine.
Status 1 if something was lost or a reader saw an error; a limit that is passed is printed, no more.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx2

from energy.core.clock import SystemClock
from energy.core.slots import JST, Slot
from energy.core.units import SeriesId, series_id
from energy.store import open_store
from tests.bench.service_town import RETAILER, fill_minutes, fill_region, fill_year, name_of
from tests.contract.statements import asked as statements
from vpp.ops.alerts_look import look
from vpp.people.accounts import People
from vpp.people.passwords import Passwords
from vpp.people.rights import SCOPES
from vpp.people.roles import Objects, Role
from vpp.people.tokens import Tokens

PASSWORD = "quiet machine, many sites"  # of accounts that live as long as the measurement
_CHUNK = 50  # values of one write
_ENOUGH = 20  # requests of which a 95th percentile says something
_ZOOM_DAYS = 400  # the longest stretch that the page shows
LIMITS: Mapping[str, tuple[str, float]] = {  # those of the service's aims, then our own
    "day_of_a_series_ms": ("<", 30.0),
    "operator_page_ms": ("<", 300.0),
    "errors": ("<", 1.0),
    "lost": ("<", 1.0),
    "error_map_ms": ("<", 2_000.0),
    "retailer_page_ms": ("<", 2_000.0),
    "explore_page_ms": ("<", 2_000.0),
    "explore_values_ms": ("<", 2_000.0),
    "explore_zoom_ms": ("<", 300.0),
    "alert_check_ms": ("<", 10_000.0),
    "server_peak_mb": ("<", 1_500.0),
}
"""Which figures have a limit; what is written a second must reach 99 % of what is offered."""


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
def served(address: str, folder: Path) -> Iterator[tuple[str, int]]:
    """``vpp serve`` in a process of its own; its address and the number of its process."""
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
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def logged_in(url: str, name: str) -> Iterator[httpx2.Client]:
    """A browser in which the operator logged in."""
    headers = {"Accept": "text/html"}
    with httpx2.Client(base_url=url, follow_redirects=False, headers=headers, timeout=600) as browser:
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


def filled(address: str, said: argparse.Namespace, now: datetime) -> dict[str, object]:
    """Fill the database; how much and how fast."""
    with open_store(address, durability="process") as store:
        begun = time.perf_counter()
        values = fill_year(store, said.sites, said.days, now)
        year_s = time.perf_counter() - begun
        fill_minutes(store, min(said.days, _ZOOM_DAYS), now)
        fill_region(store, said.sites, now)
    return {
        "values": values,
        "filled_values_per_s": round(values / year_s),
        "filled_in_s": round(time.perf_counter() - begun),
    }


def checked(address: str) -> dict[str, object]:
    """One look for alerts over all sites: its time and how often it asks."""
    with open_store(address, read_only=True) as store, statements() as found:
        begun = time.perf_counter()
        troubles, looked = look(store, SystemClock().now())
        took = (time.perf_counter() - begun) * 1000.0
    return {
        "alert_check_ms": round(took, 1),
        "alert_check_statements": len(found),
        "alert_kinds_looked_for": len(looked),
        "troubles": len(troubles),
    }


def pages(browser: httpx2.Client, said: argparse.Namespace, now: datetime) -> dict[str, object]:
    """Medians of the pages that read much. [ms]"""
    days = min(said.days, _ZOOM_DAYS)
    first = (now - timedelta(days=days - 1)).date()
    one = f"/explore/{name_of(0)}/room/power_kw"
    whole = f"from={first.isoformat()}&days={days}"
    end = now.timestamp()
    wanted = {
        "operator_page_ms": ("/operator", said.repeats),
        "error_map_ms": ("/operator/errors", 3),
        "retailer_page_ms": (f"/retailer/{RETAILER}?day={now.astimezone(JST).date()}", 3),
        "explore_page_ms": (f"{one}?{whole}", 3),
        "explore_values_ms": (f"{one}/values?{whole}", 3),
        "explore_zoom_ms": (f"{one}/values?{whole}&start={end - 86_400}&end={end}", 5),
    }
    told: dict[str, object] = {}
    for kept in ("error_map", "retailer_page"):  # the first view makes what the others find
        told[f"{kept}_first_ms"] = round(took_ms(browser, [wanted[f"{kept}_ms"][0]])[0], 1)
    for name, (path, times) in wanted.items():
        took = took_ms(browser, [path] * times)
        told[name] = round(median(took), 1)
        if len(took) >= _ENOUGH:  # the look for alerts comes and goes meanwhile
            told[f"{name.removesuffix('_ms')}_p95_ms"] = round(quantiles(took, n=20)[-1], 1)
    return told


def peak_mb(process: int) -> float | None:
    """Most memory that a process has held, where the system says it. [MB]"""
    told = Path(f"/proc/{process}/status")
    if not told.exists():
        return None
    found = re.search(r"VmHWM:\s+(\d+) kB", told.read_text())
    return None if found is None else round(int(found[1]) / 1000.0, 1)


def cpu_s(process: int) -> float | None:
    """Time that a process has computed so far, all its threads, where the system says it. [s]"""
    told = Path(f"/proc/{process}/stat")
    if not told.exists():
        return None
    fields = told.read_text().rsplit(")", 1)[1].split()  # the name before it may hold anything
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def computing(told: dict[str, object], process: int, name: str) -> Iterator[None]:
    """How long the server computes inside the block, and we who ask: both share this machine. [s]"""
    before, ours = cpu_s(process), time.process_time()
    yield
    after = cpu_s(process)
    told[f"{name}_client_cpu_s"] = round(time.process_time() - ours, 1)
    told[f"{name}_server_cpu_s"] = None if before is None or after is None else round(after - before, 1)


def limits(told: Mapping[str, object], rate: float) -> dict[str, dict[str, object]]:
    """Every figure that has a limit, beside it."""
    wanted = {**LIMITS, "written_per_s": (">=", 0.99 * rate)}
    found: dict[str, dict[str, object]] = {}
    for name, (sign, limit) in wanted.items():
        value = told.get(name)
        if isinstance(value, int | float):
            holds = value < limit if sign == "<" else value >= limit
            found[name] = {"value": value, "limit": f"{sign} {limit:g}", "holds": holds}
    return found


def measure(said: argparse.Namespace, address: str, folder: Path) -> dict[str, object]:
    """Everything, as one document."""
    now = SystemClock().now()
    told: dict[str, object] = {"sites": said.sites, "days": said.days}
    told |= filled(address, said, now)
    told |= checked(address)
    name, token = let_in(address)
    rng = random.Random(said.seed)
    with served(address, folder) as (url, process):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as program:
            days = [day_path(rng, said.sites, said.days, now) for _ in range(said.repeats)]
            took_ms(program, days[:3])  # first touches of caches and connections
            with computing(told, process, "alone"):
                alone = median(took_ms(program, days))
        told["day_of_a_series_ms"] = round(alone, 1)
        with logged_in(url, name) as browser:
            told |= pages(browser, said, now)
        with computing(told, process, "busy"):
            load = asyncio.run(under_load(url, token, said, now))
        told["server_peak_mb"] = peak_mb(process)
    busy = load.read_ms or [math.nan]
    told |= {
        "readers": said.readers,
        "reads": len(load.read_ms),
        "reads_per_s": round(len(load.read_ms) / said.seconds, 1),
        "busy_day_ms": round(median(busy), 1),
        "busy_day_p95_ms": round(quantiles(busy, n=20)[-1], 1) if len(busy) > 1 else None,
        "busy_over_alone": round(median(busy) / alone, 1),
        "written": load.written,
        "written_per_s": round(load.written / (said.seconds + load.behind_s), 1),
        "behind_s": round(load.behind_s, 1),
        "lost": missing(address, load),
        "errors": len(load.errors),
        "first_errors": sorted(set(load.errors))[:3],
    }
    return told | {"limits": limits(told, said.rate)}


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
