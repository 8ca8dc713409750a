"""The client: one method per thing that programs do; pages and keys of writes are its business.

>>> client = Client("https://vpp.example", token="vpp_...")  # doctest: +SKIP
>>> for one in client.measurements("kitakata", "meter", "import_kwh"):  # doctest: +SKIP
...     print(one.at, one.value)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from types import TracebackType
from typing import Any, Final, Self

import httpx2

__all__ = ["Client", "Forecast", "Measurement", "ProblemError", "Wish"]

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


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked of a car, and what became of it.

    Parameters
    ----------
    kind : str
        ``departure``, ``charge-now``, ``no-discharge``, or one of those that other pages make.
    in_force : bool
        Whether it holds now.
    until : datetime or None
        When it ends by itself; None for a departure of every week. UTC.
    ended_why : str or None
        ``cancelled``, ``replaced`` or ``done``; None while it has not ended before its time.
    departs : datetime or None
        For a departure that was just asked for: the next one that it means. UTC.
    possible_charge : float or None
        The same: what the car can leave with, at most what was asked for. [0..1]
    ready_at : datetime or None
        The same: when what was asked for can be had, where that is later. UTC.
    """

    id: str
    site: str
    asset: str
    kind: str
    what: Mapping[str, Any]
    made_at: datetime
    made_by: str
    in_force: bool
    until: datetime | None = None
    ended_at: datetime | None = None
    ended_why: str | None = None
    departs: datetime | None = None
    possible_charge: float | None = None
    ready_at: datetime | None = None


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

    def wishes(self, site: str, car: str) -> list[Wish]:
        """Everything that was ever asked of a car, by id; ids begin with car and instant."""
        return [_wish(one) for one in self._pages(f"/wishes/{site}/{car}", {})]

    def wish_departure(
        self,
        site: str,
        car: str,
        at: time,
        *,
        charge: float,
        day: date | None = None,
        days: Sequence[str] = (),
        key: str | None = None,
    ) -> Wish:
        """Ask that a car is ready at a time with at least a charge; kept even where less is possible.

        Parameters
        ----------
        at : time
            Japanese time of departure, a full minute.
        charge : float
            State of charge at departure, at least. [0..1]
        day : date, optional
            On one day; else give ``days``.
        days : sequence of str
            Every week on these: ``mon`` to ``sun``.

        Raises
        ------
        ProblemError
            If it cannot be asked for; ``code`` and text say why.
        """
        order: Json = {"kind": "departure", "at": f"{at:%H:%M}", "charge": charge, "days": list(days)}
        if day is not None:
            order["day"] = day.isoformat()
        return self._wish(site, car, order, key)

    def wish_charge_now(
        self, site: str, car: str, *, charge: float | None = None, key: str | None = None
    ) -> Wish:
        """Ask that a car charges at once until it is full enough; to its owner's highest if not said. [0..1]

        Raises
        ------
        ProblemError
            If it cannot be asked for, such as of a car on the road.
        """
        return self._wish(site, car, {"kind": "charge-now", "charge": charge}, key)

    def wish_no_discharge(
        self, site: str, car: str, *, until: datetime | None = None, key: str | None = None
    ) -> Wish:
        """Ask that a car gives nothing back; for today if no end is given. It costs the driver nothing."""
        end = {} if until is None else {"until": until.isoformat()}
        return self._wish(site, car, {"kind": "no-discharge", **end}, key)

    def cancel_wish(self, wish: Wish, *, key: str | None = None) -> Wish:
        """End a wish; one that is over stays as it is."""
        return _wish(self._write(f"/wishes/{wish.site}/{wish.asset}/{wish.id}/cancel", {}, key))

    def _wish(self, site: str, car: str, order: Json, key: str | None) -> Wish:
        return _wish(self._write(f"/wishes/{site}/{car}", order, key))

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


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _wish(told: Json) -> Wish:
    return Wish(
        id=told["id"],
        site=told["site"],
        asset=told["asset"],
        kind=told["kind"],
        what=told["what"],
        made_at=_instant(told["made_at"]),
        made_by=told["made_by"],
        in_force=told["in_force"],
        until=_maybe(told["until"]),
        ended_at=_maybe(told["ended_at"]),
        ended_why=told["ended_why"],
        departs=_maybe(told.get("departs")),
        possible_charge=told.get("possible_charge"),
        ready_at=_maybe(told.get("ready_at")),
    )


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
