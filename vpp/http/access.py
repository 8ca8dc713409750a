"""Every route goes through here: who is it, may they, is it their own page that asks, who wrote it down.

A route without a rule cannot be made: :class:`GuardedRoute` refuses at start. The checks come before a body
is read or a parameter looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from energy.core.errors import ConfigError
from vpp.http.languages import chosen
from vpp.http.problems import Problem, wants_page
from vpp.http.service import Service
from vpp.http.writes import conditional, once
from vpp.i18n import Lang
from vpp.people.keys import same
from vpp.people.logins import Session
from vpp.people.rights import RULES, About, Personal, Reach, Rule, Target, Verdict, decide, reach_of
from vpp.people.roles import Account, Role
from vpp.people.tokens import ApiToken
from vpp.site.sitebook import ASSETS

__all__ = ["FORM_COOKIE", "Access", "Guard", "GuardedRoute", "access_of", "guard_of", "guarded", "service_of"]

FORM_COOKIE: Final = "vpp_form"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_ID: Final = 80
_GUARDS: dict[Callable[..., Any], Guard] = {}
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Which line of the table holds for a route, and what its address names."""

    rule: Rule
    about: About = About.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Somebody who may do what they asked for; without an account only on public routes."""

    service: Service
    lang: Lang
    rule: Rule
    account: Account | None = None
    session: Session | None = None
    token: ApiToken | None = None

    @property
    def who(self) -> Account:
        """The account.

        Raises
        ------
        Problem
            If nobody logged in.
        """
        if self.account is None:
            raise Problem("unauthenticated")
        return self.account

    @property
    def everything(self) -> bool:
        """Whether the rule reaches to everybody's things."""
        return self.account is not None and reach_of(self.rule, self.account) is Reach.ALL

    def sees_site(self, site: str) -> bool:
        """Whether a site belongs into a list for this caller."""
        own = self.who.objects
        return self.everything or site in own.sites or any(car.startswith(f"{site}/") for car in own.cars)

    def audit(self, act: str, subject: str, **facts: object) -> None:
        """Write down what was done or seen."""
        by = {} if self.token is None else {"token": self.token.id}
        at = self.service.clock.now()
        self.service.store.audit(self.who.id, act, subject, at=at, facts={**facts, **by})


def guarded(rule: str, about: About = About.NOTHING) -> Callable[[Endpoint], Endpoint]:
    """Say which rule of the table holds for an endpoint.

    Raises
    ------
    ConfigError
        If there is no such rule.
    """
    if rule not in RULES:
        raise ConfigError(f"no rule {rule!r}", where="vpp/people/rights.py", hint="add it to the table")

    def marked(endpoint: Endpoint) -> Endpoint:
        _GUARDS[endpoint] = Guard(RULES[rule], about)
        return endpoint

    return marked


def guard_of(endpoint: Callable[..., Any]) -> Guard:
    """What guards an endpoint.

    Raises
    ------
    ConfigError
        If nothing does.
    """
    guard = _GUARDS.get(endpoint)
    if guard is None:
        raise ConfigError(
            f"nobody says who may call {getattr(endpoint, '__name__', endpoint)}",
            where=getattr(endpoint, "__module__", ""),
            hint="put @guarded(RULE, About.…) under the route",
        )
    return guard


class GuardedRoute(APIRoute):
    """A route that asks the table before anything else."""

    def get_route_handler(self) -> Handler:
        """The handler inside its guard."""
        inner, guard = super().get_route_handler(), guard_of(self.endpoint)

        async def answered(request: Request) -> Response:
            access = await _admitted(request, guard)
            if isinstance(access, Response):
                return access
            request.state.access = access
            if access.account is None or not _of_program(request):
                return await inner(request)
            if request.method not in SAFE:
                return await once(request, inner, access.service, access.account)
            return conditional(request, await inner(request))

        async def handle(request: Request) -> Response:
            # What is open to all must answer whoever asks how the service does. What is written comes with a
            # body, for which nobody else should wait.
            waits = request.method in SAFE and not guard.rule.public
            lane = ("programs" if _of_program(request) else "pages") if waits else ""
            async with service_of(request).lanes.of(lane):
                return await answered(request)

        return handle


def _of_program(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/ngsi-ld/"))


def access_of(request: Request) -> Access:
    """Who is calling, as the guard found out."""
    access: Access = request.state.access
    return access


def service_of(request: Request) -> Service:
    """The running service."""
    service: Service = request.app.state.service
    return service


async def _admitted(request: Request, guard: Guard) -> Access | Response:
    """The caller, a way to the log-in page, or a problem."""
    # All that asks the database in one visit to a worker: where many read, each visit waits for its turn.
    access = await run_in_threadpool(_look, request, guard)
    if isinstance(access, Access) and (guard.rule.public or access.session is not None):
        await _own_page(request, access.session, access.service)
    return access


def _look(request: Request, guard: Guard) -> Access | Response:
    """Everything about a caller except whether the page that asks is ours."""
    service = service_of(request)
    token, session = _who(request, service)
    account = token.account if token is not None else session.account if session is not None else None
    lang = chosen(
        request.cookies,
        request.headers.get("accept-language", ""),
        account.lang if account is not None else None,
    )
    access = Access(
        service=service, lang=lang, rule=guard.rule, account=account, session=session, token=token
    )
    if guard.rule.public:
        return access
    waiting = session is not None and session.stage == "code"
    if account is None or waiting:
        return _to_the_door(request, waiting=waiting)
    if session is not None and _lacks_second_factor(service, account) and not guard.rule.unproven:
        if wants_page(request):
            return RedirectResponse("/account/second-factor", status_code=303)
        raise Problem("second_factor_needed")
    wait = service.requests.take(f"account {account.id}")
    if wait:
        raise Problem("rate_limited", headers={"Retry-After": str(wait)}, seconds=wait)
    target = _target(request)
    _judge(access, guard, target)
    if guard.rule.personal is not Personal.NEVER and request.method in SAFE:
        _sight(access, guard.rule, target, request)
    return access


def _who(request: Request, service: Service) -> tuple[ApiToken | None, Session | None]:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        token = service.tokens.check(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise Problem("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
        return token, None
    cookie = request.cookies.get(session_cookie(service), "")
    return None, service.logins.session(cookie) if cookie else None


def session_cookie(service: Service) -> str:
    """Name of the cookie; with TLS its prefix binds it to this host and to TLS."""
    return "__Host-vpp" if service.settings.secure else "vpp"


def _to_the_door(request: Request, *, waiting: bool) -> Response:
    if not wants_page(request):
        raise Problem("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
    if waiting:
        return RedirectResponse("/login/code", status_code=303)
    back = quote(request.url.path) if request.method == "GET" and request.url.path != "/" else ""
    return RedirectResponse(f"/login?next={back}" if back else "/login", status_code=303)


def _lacks_second_factor(service: Service, account: Account) -> bool:
    return account.role in service.settings.second_factor_for and not account.second_factor


def _target(request: Request) -> Target:
    named = {key: str(value)[:_LONGEST_ID] for key, value in request.path_params.items()}
    return Target(site=named.get("site", ""), asset=named.get("asset", ""), party=named.get("party", ""))


def _judge(access: Access, guard: Guard, target: Target) -> None:
    """Let it pass, or write down who wanted what and refuse."""
    scopes = None if access.token is None else access.token.scopes
    verdict = decide(guard.rule, guard.about, access.who, target, scopes)
    if verdict is Verdict.YES:
        return
    access.service.metrics.refused.labels(verdict.value).inc()
    access.audit("access.refused", target.subject or guard.rule.name, rule=guard.rule.name, why=verdict.value)
    match verdict:
        case Verdict.NOT_YOURS:  # as if it did not exist: whether it does is nobody else's business
            raise Problem("not_found")
        case Verdict.NOT_THIS_SCOPE:
            raise Problem("scope_missing", scope=guard.rule.scope or "-")
        case _:
            raise Problem("forbidden", role=access.who.role.value)


async def _own_page(request: Request, session: Session | None, service: Service) -> None:
    """Refuse a write that another page makes a browser send.

    A browser says from where a request comes; where it does not, the key of the form must still be right.
    """
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = {request.headers.get("host", ""), urlsplit(service.settings.public_url).netloc} - {""}
    if (site is not None and site not in {"same-origin", "none"}) or (
        origin is not None and urlsplit(origin).netloc not in own
    ):
        raise Problem("foreign_page")
    expected = request.cookies.get(FORM_COOKIE, "") if session is None else session.form_key
    given = request.headers.get("x-form-key")
    if given is None and request.headers.get("content-type", "").startswith(_FORMS):
        form = await request.form(max_files=1, max_fields=50, max_part_size=100_000)
        given = str(form.get("form_key", ""))
    if not expected or not given or not same(given, expected):
        await request.close()
        raise Problem("stale_form")


def _sight(access: Access, rule: Rule, target: Target, request: Request) -> None:
    """Write down that somebody is about to see something personal; one's own car is no sight."""
    if access.who.role is Role.DRIVER:
        return
    if rule.personal is Personal.CARS and not _is_car(access.service, target):
        return
    access.audit(
        "personal.seen", target.subject or rule.name, rule=rule.name, route=request.scope["route"].path
    )


def _is_car(service: Service, target: Target) -> bool:
    """Whether an asset is a car: named one, or measured like one."""
    known = service.store.as_of(service.clock.now())
    document = known.document(ASSETS, target.site)
    named = {} if document is None else json.loads(document.body)
    if target.asset in named:
        return bool(named[target.asset][2] == "car")
    measured = {str(name).rsplit("/", 1)[-1] for name in known.ids(f"{target.site}/{target.asset}/")}
    return bool(measured & {"soc", "plugged"})
