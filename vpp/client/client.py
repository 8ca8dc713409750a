"""The client: one method per thing that programs do; pages and keys of writes are its business.

>>> client = Client("https://vpp.example", token="vpp_...")  # doctest: +SKIP
>>> for one in client.measurements("kitakata", "meter", "import_kwh"):  # doctest: +SKIP
...     print(one.at, one.value)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx2

__all__ = ["Client", "Forecast", "Measurement", "ProblemError"]

_TIMEOUT_S: Final = 30.0
Json = dict[str, Any]  # a document of the API; its fields are described in /openapi.json


class ProblemError(Exception):
    """The service said no.

    Parameters
    ----------
    code : str
        Stable name of the problem, such as ``not_found``.
    request_id : str
        Number to give when asking for help.
    """

    def __init__(self, *, status: int, code: str, title: str, detail: str, request_id: str) -> None:
        super().__init__(f"{status} {title}: {detail} (request {request_id})")
        self.status = status
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of a series, in the unit that its quantity ends with."""

    at: datetime
    known_at: datetime
    value: float | None
    quality: str
    source: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """One forecast; quantiles are None where a sum would show a single site. [kW]"""

    issued_at: datetime
    start: tuple[datetime, ...]
    p10_kw: tuple[float | None, ...]
    p50_kw: tuple[float | None, ...]
    p90_kw: tuple[float | None, ...]


class Client:
    """A connection to one service.

    Parameters
    ----------
    url : str
        Address of the service.
    token : str
        API token; made on the account page.
    lang : str
        Language of problems and reasons.
    http : httpx2.Client, optional
        Another client, for tests and proxies.
    """

    def __init__(self, url: str, *, token: str, lang: str = "en", http: httpx2.Client | None = None) -> None:
        self._http = http or httpx2.Client(timeout=_TIMEOUT_S)
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Accept-Language": lang}
        self._kept: dict[str, tuple[str, Json]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def sites(self) -> list[str]:
        """Ids of the sites that the token may see."""
        return [str(one["id"]) for one in self._pages("/sites", {})]

    def assets(self, site: str) -> list[Json]:
        """Assets of a site."""
        return list(self._pages(f"/assets/{site}", {}))

    def measurements(
        self,
        site: str,
        asset: str,
        quantity: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        as_of: datetime | None = None,
    ) -> Iterator[Measurement]:
        """Values of a series in order; the last day if no stretch is given.

        Parameters
        ----------
        as_of : datetime, optional
            What was known at that instant, instead of now.
        """
        for one in self._pages(
            f"/measurements/{site}/{asset}/{quantity}",
            _instants(**{"from": start, "to": end, "as_of": as_of}),
        ):
            yield Measurement(
                at=_instant(one["at"]),
                known_at=_instant(one["known_at"]),
                value=one["value"],
                quality=one["quality"],
                source=one["source"],
            )

    def write_measurements(
        self,
        site: str,
        asset: str,
        quantity: str,
        values: Sequence[tuple[datetime, float | None]],
        *,
        key: str | None = None,
    ) -> int:
        """Keep values; how many were new.

        Parameters
        ----------
        key : str, optional
            Name of this write. Give one of your own to send it again safely after a crash.
        """
        items = [{"at": at.isoformat(), "value": value} for at, value in values]
        told = self._write(f"/measurements/{site}/{asset}/{quantity}", {"items": items}, key)
        return int(told["written"])

    def forecast(self, site: str, target: str = "load", horizon: str = "day-ahead") -> Forecast:
        """The newest forecast of a site."""
        return _forecast(self._get(f"/forecasts/{site}/{target}/{horizon}", {}))

    def forecast_sum(self, party: str, day: date, *, target: str = "demand") -> Forecast:
        """The sum over the sites that consent to a company, for a day in Japan."""
        return _forecast(self._get(f"/forecast-sums/{party}/{target}", {"day": day.isoformat()}))

    def events(self) -> list[Json]:
        """Events of demand response that concern the caller."""
        return list(self._pages("/events", {}))

    def answer_event(self, event: str, site: str, *, takes_part: bool, key: str | None = None) -> Json:
        """Say that a site takes part, or that it does not."""
        return self._write(f"/events/{event}/answers/{site}", {"takes_part": takes_part}, key)

    def consents(self) -> list[Json]:
        """Consents that are the caller's, or name the caller."""
        return list(self._pages("/consents", {}))

    def settlements(self) -> list[Json]:
        """Names of the caller's settlements."""
        return list(self._pages("/settlements", {}))

    def make_webhook(self, url: str, kinds: Sequence[str], *, key: str | None = None) -> Json:
        """Be told of new things; keep ``signing_key`` of the answer, it is shown once."""
        return self._write("/webhooks", {"url": url, "kinds": list(kinds)}, key)

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self._get(path, {**query, **({} if cursor is None else {"cursor": cursor})})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def _get(self, path: str, query: Mapping[str, str]) -> Json:
        url = f"{self._base}/api/v1{path}"
        name = f"{path}?{sorted(query.items())}"
        etag, body = self._kept.get(name, ("", {}))
        headers = {**self._headers, **({"If-None-Match": etag} if etag else {})}
        answer = self._http.get(url, params=dict(query), headers=headers)
        if answer.status_code == 304:
            return body
        told = _checked(answer)
        if len(self._kept) < 1_000 and "etag" in answer.headers:
            self._kept[name] = (answer.headers["etag"], told)
        return told

    def _write(self, path: str, body: Json, key: str | None) -> Json:
        headers = {**self._headers, "Idempotency-Key": key or uuid.uuid4().hex}
        return _checked(self._http.post(f"{self._base}/api/v1{path}", json=body, headers=headers))


def _checked(answer: httpx2.Response) -> Json:
    """The document of an answer.

    Raises
    ------
    ProblemError
        If the service said no, or something that is none of its documents came back.
    """
    try:
        told = answer.json()
    except ValueError:
        told = None
    if answer.is_success and isinstance(told, dict):
        return told
    facts = told if isinstance(told, dict) else {}
    raise ProblemError(
        status=answer.status_code,
        code=str(facts.get("code", "not_the_service")),
        title=str(facts.get("title", "This is not an answer of the service")),
        detail=str(facts.get("said") or facts.get("detail", "check the address")),
        request_id=str(facts.get("request_id", "")),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _instants(**named: datetime | None) -> dict[str, str]:
    return {name: at.isoformat() for name, at in named.items() if at is not None}


def _forecast(told: Json) -> Forecast:
    slots = told["slots"]
    return Forecast(
        issued_at=_instant(told["issued_at"]),
        start=tuple(_instant(one["start"]) for one in slots),
        p10_kw=tuple(one["p10_kw"] for one in slots),
        p50_kw=tuple(one["p50_kw"] for one in slots),
        p90_kw=tuple(one["p90_kw"] for one in slots),
    )
