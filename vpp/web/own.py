"""One's own account: start page, password, second factor, tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import ConfigError
from energy.core.slots import JST
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.people.passwords import SHORTEST
from vpp.people.rights import RULES, reach_of
from vpp.people.second_factor import qr_svg, uri
from vpp.site.sitebook import car_names, site_names
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render, service_name

__all__ = ["PAGES"]

_TOKEN_DAYS: Final = (30, 90, 365)


def home(request: Request) -> Response:
    """Where everybody arrives."""
    access = access_of(request)
    store, now, own = access.service.store, access.service.clock.now(), access.who.objects
    sites = site_names(store, now, own.sites, access.lang)
    cars = car_names(store, now, own.cars, access.lang)
    return render(request, "home.html", sites=list(sites.values()), cars=list(cars.values()))


def _account(request: Request, *, status: int = 200, said: str = "", secret: str = "") -> Response:
    access = access_of(request)
    scopes = sorted({rule.scope for rule in RULES.values() if rule.scope and reach_of(rule, access.who)})
    return render(
        request,
        "account.html",
        status=status,
        me=access.who,
        said=said,
        secret=secret,
        scopes=scopes,
        days=_TOKEN_DAYS,
        shortest=SHORTEST,
        ends=lambda token: f"{token.ends_at.astimezone(JST):%Y-%m-%d %H:%M}",
        tokens=access.service.tokens.of(access.who),
    )


def account(request: Request) -> Response:
    """What the service knows about the account, and what its owner may change."""
    return _account(request)


async def change_password(request: Request) -> Response:
    """Another password."""
    access, fields = access_of(request), await fields_of(request)
    if fields.get("password", "") != fields.get("again", ""):
        return await run_in_threadpool(lambda: _account(request, status=422, said="account.not_the_same"))
    assert access.session is not None
    try:
        await run_in_threadpool(
            lambda: access.service.people.change_password(
                access.who.id,
                fields.get("old", ""),
                fields.get("password", ""),
                keep_session="" if access.session is None else access.session.digest,
            )
        )
    except ConfigError:
        return await run_in_threadpool(lambda: _account(request, status=422, said="account.password_refused"))
    return await run_in_threadpool(lambda: _account(request, said="account.password_changed"))


def _second_factor(request: Request, access: Access, *, status: int = 200, wrong: bool = False) -> Response:
    if access.who.second_factor:
        return go("/account")
    seed = access.service.logins.begin_second_factor(access.who.id)
    address = uri(seed, access.who.id, issuer=service_name(access.service))
    spaced = " ".join(seed[k : k + 4] for k in range(0, len(seed), 4))
    picture = Markup(qr_svg(address))  # noqa: S704 - made here from our own text, holds no markup of others
    return render(
        request, "second_factor.html", status=status, picture=picture, seed=spaced, wrong=wrong, codes=()
    )


def second_factor(request: Request) -> Response:
    """The picture for the authenticator app."""
    return _second_factor(request, access_of(request))


async def confirm_second_factor(request: Request) -> Response:
    """The first code; then the recovery codes, once."""
    access, fields = access_of(request), await fields_of(request)
    confirm = access.service.logins.confirm_second_factor
    codes = await run_in_threadpool(confirm, access.who.id, fields.get("code", ""))
    if codes is None:
        return await run_in_threadpool(lambda: _second_factor(request, access, status=422, wrong=True))
    return render(request, "second_factor.html", picture="", seed="", wrong=False, codes=codes)


async def make_token(request: Request) -> Response:
    """A token, shown once."""
    access = access_of(request)
    form = await request.form(max_files=0, max_fields=50, max_part_size=100_000)
    scopes = [one for one in form.getlist("scope") if isinstance(one, str)]
    try:
        days = int(str(form.get("days", "")))
        secret = await run_in_threadpool(
            lambda: access.service.tokens.make(
                access.who, name=str(form.get("name", "")), scopes=scopes, lasts=timedelta(days=days)
            )
        )
    except (ConfigError, ValueError, OverflowError):
        return await run_in_threadpool(lambda: _account(request, status=422, said="account.token_refused"))
    return await run_in_threadpool(lambda: _account(request, said="account.token_made", secret=secret))


async def revoke_token(request: Request) -> Response:
    """End a token of one's own."""
    access = access_of(request)
    revoked = await run_in_threadpool(
        access.service.tokens.revoke, access.who, str(request.path_params["token"])
    )
    if not revoked:
        raise Problem("not_found")
    return go("/account")


PAGES: Final = (
    Page(path="/", endpoint=home, rule="home", nav="nav.home"),
    Page(path="/account", endpoint=account, rule="own-account", nav="nav.account"),
    Page(path="/account/password", endpoint=change_password, rule="own-account", method="POST"),
    Page(path="/account/second-factor", endpoint=second_factor, rule="own-account"),
    Page(path="/account/second-factor", endpoint=confirm_second_factor, rule="own-account", method="POST"),
    Page(path="/account/tokens", endpoint=make_token, rule="home", method="POST"),
    Page(path="/account/tokens/{token}/revoke", endpoint=revoke_token, rule="home", method="POST"),
)
