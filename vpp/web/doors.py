"""Pages at the door: log in, code, welcome by one-time link, leave, language."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import ConfigError
from vpp.http.access import access_of, service_of, session_cookie
from vpp.http.languages import LANG_COOKIE
from vpp.http.problems import Problem
from vpp.http.service import Service
from vpp.i18n import LANGUAGES
from vpp.people.logins import Session
from vpp.people.passwords import SHORTEST
from vpp.web.pages import Page, back_to, go, render, site_path

__all__ = ["PAGES", "fields_of", "file_of", "with_session"]

_A_YEAR_S: Final = 365 * 86_400


def with_session(response: Response, service: Service, cookie: str) -> Response:
    """The answer with the cookie of a session; it ends with the browser or by the rules of sessions."""
    secure = service.settings.secure
    response.set_cookie(
        session_cookie(service), cookie, httponly=True, samesite="lax", secure=secure, path="/"
    )
    return response


async def fields_of(request: Request) -> dict[str, str]:
    """Text fields of a form; files are refused."""
    form = await request.form(max_files=0, max_fields=50, max_part_size=100_000)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    await request.close()
    if len(fields) < len(form) or any("\0" in value for value in fields.values()):
        raise Problem("bad_request")
    return fields


async def file_of(request: Request, name: str, *, largest: int) -> tuple[str, bytes] | None:
    """Name and content of a file in a form; None if none was chosen.

    Parameters
    ----------
    largest : int
        What is read at most. [bytes]

    Raises
    ------
    Problem
        If it is larger.
    """
    form = await request.form(max_files=1, max_fields=50, max_part_size=100_000)
    sent = form.get(name)
    try:
        if sent is None or isinstance(sent, str) or not sent.filename:
            return None
        if sent.size is None or sent.size > largest:
            raise Problem("too_large")
        return Path(sent.filename).name[:120], await sent.read()
    finally:
        await request.close()


def _attempt(request: Request) -> None:
    """One attempt of this address, counted before any password is looked at."""
    address = request.client.host if request.client else ""
    wait = service_of(request).attempts.take(address)
    if wait:
        raise Problem("rate_limited", headers={"Retry-After": str(wait)}, seconds=wait)


async def login(request: Request) -> Response:
    """The log-in page."""
    access = access_of(request)
    if access.session is not None:
        return go("/login/code" if access.session.stage == "code" else "/")
    back = site_path(request.query_params.get("next", "/"))
    return render(request, "login.html", wrong=False, back=back, typed="")


async def log_in(request: Request) -> Response:
    """Name and password."""
    _attempt(request)
    service, fields = service_of(request), await fields_of(request)
    name, back = fields.get("name", "").strip().lower(), site_path(fields.get("next", "/"))
    cookie = await run_in_threadpool(service.logins.by_password, name, fields.get("password", ""))
    if cookie is None:
        return render(request, "login.html", status=401, wrong=True, back=back, typed=name[:64])
    session = await run_in_threadpool(service.logins.session, cookie)
    waiting = session is not None and session.stage == "code"
    return with_session(go("/login/code" if waiting else back), service, cookie)


def _waiting(request: Request) -> Session | None:
    session = access_of(request).session
    return session if session is not None and session.stage == "code" else None


async def code(request: Request) -> Response:
    """The page for the code of the second factor."""
    if _waiting(request) is None:
        return go("/login")
    return render(request, "code.html", wrong=False)


async def check_code(request: Request) -> Response:
    """The code, or a recovery code."""
    _attempt(request)
    session, service = _waiting(request), service_of(request)
    if session is None:
        return go("/login")
    typed = (await fields_of(request)).get("code", "")
    cookie = await run_in_threadpool(service.logins.by_code, session, typed)
    if cookie is None:
        return render(request, "code.html", status=401, wrong=True)
    return with_session(go("/"), service, cookie)


async def welcome(request: Request) -> Response:
    """The page behind a one-time link. Looking at it uses nothing up."""
    secret = str(request.path_params["secret"])
    account = await run_in_threadpool(service_of(request).people.invited, secret)
    status = 200 if account is not None else 404
    return render(request, "welcome.html", status=status, invited=account, fault="", shortest=SHORTEST)


async def choose_password(request: Request) -> Response:
    """The password behind a one-time link; then straight in, or to the second factor."""
    _attempt(request)
    service, secret, fields = (
        service_of(request),
        str(request.path_params["secret"]),
        await fields_of(request),
    )
    account = await run_in_threadpool(service.people.invited, secret)
    password = fields.get("password", "")
    fault = "again" if password != fields.get("again", "") else ""
    if account is not None and not fault:
        try:
            await run_in_threadpool(service.people.accept, secret, password)
        except ConfigError:
            fault = "weak"
        else:
            cookie = await run_in_threadpool(service.logins.by_password, account.id, password)
            return go("/login") if cookie is None else with_session(go("/"), service, cookie)
    status = 404 if account is None else 422
    return render(request, "welcome.html", status=status, invited=account, fault=fault, shortest=SHORTEST)


async def leave(request: Request) -> Response:
    """Log out; the browser forgets everything of this service."""
    access = access_of(request)
    if access.session is not None:
        await run_in_threadpool(access.service.logins.leave, access.session)
    response = go("/login")
    response.delete_cookie(session_cookie(access.service), path="/", secure=access.service.settings.secure)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


async def language(request: Request) -> Response:
    """Change the language of the screens."""
    wanted = (await fields_of(request)).get("lang", "")
    response = go(back_to(request))
    if wanted in LANGUAGES:
        secure = service_of(request).settings.secure
        response.set_cookie(
            LANG_COOKIE, wanted, max_age=_A_YEAR_S, httponly=True, samesite="lax", secure=secure, path="/"
        )
    return response


PAGES: Final = (
    Page(path="/login", endpoint=login, rule="public"),
    Page(path="/login", endpoint=log_in, rule="public", method="POST"),
    Page(path="/login/code", endpoint=code, rule="public"),
    Page(path="/login/code", endpoint=check_code, rule="public", method="POST"),
    Page(path="/welcome/{secret}", endpoint=welcome, rule="public"),
    Page(path="/welcome/{secret}", endpoint=choose_password, rule="public", method="POST"),
    Page(path="/leave", endpoint=leave, rule="public", method="POST"),
    Page(path="/language", endpoint=language, rule="public", method="POST"),
)
