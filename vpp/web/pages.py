"""Pages: one entry says address, handler, rule and place in the navigation; nothing else is to be done.

A module with pages ends with ``PAGES = (Page(...), ...)`` and stands in :data:`vpp.web.app.PAGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from vpp.http.access import FORM_COOKIE, Access, access_of, guarded, service_of
from vpp.http.alerted import open_alerts
from vpp.http.service import Service
from vpp.i18n import Lang, Messages
from vpp.people.keys import new_secret
from vpp.people.rights import RULES, About, reach_of
from vpp.people.roles import Account

__all__ = [
    "TEMPLATES",
    "Page",
    "add_pages",
    "back_to",
    "go",
    "problem_page",
    "render",
    "service_name",
    "site_path",
]

TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, or one form that a page sends.

    Parameters
    ----------
    path : str
        Address; ``{site}``, ``{asset}`` and ``{party}`` in it are what the rule is about.
    endpoint : callable
        Takes the request, gives a response; :func:`render` makes one.
    rule : str
        Line of :data:`vpp.people.rights.RULES`.
    nav : str
        Key of the text in the navigation, for those who may see the page; empty if it stands not there.
    """

    path: str
    endpoint: Callable[..., Any]
    rule: str
    about: About = About.NOTHING
    method: str = "GET"
    nav: str = ""


def add_pages(app: Any, pages: Sequence[Page]) -> None:  # Any: the framework's app, named only in app.py
    """Make a guarded route of every page."""
    from vpp.http.access import GuardedRoute

    for page in pages:
        guarded(page.rule, page.about)(page.endpoint)
        app.router.add_api_route(
            page.path,
            page.endpoint,
            methods=[page.method],
            response_model=None,
            include_in_schema=False,
            route_class_override=GuardedRoute,
        )
    app.state.pages = tuple(pages)
    app.state.problem_page = problem_page


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(request: Request, template: str, *, status: int = 200, **values: object) -> Response:
    """A page for whoever is asking, in their language, with the keys of its forms."""
    access = access_of(request)
    form_key, fresh = _form_key(request, access)
    html = _html(request, template, access.lang, access.account if _is_in(access) else None, form_key, values)
    response = HTMLResponse(
        html, status, headers={"Cache-Control": "no-store", "Content-Language": access.lang}
    )
    if fresh:
        response.set_cookie(
            FORM_COOKIE,
            form_key,
            httponly=True,
            samesite="strict",
            secure=access.service.settings.secure,
            path="/",
        )
    return response


def _is_in(access: Access) -> bool:
    return access.session is not None and access.session.stage == "full"


def _form_key(request: Request, access: Access) -> tuple[str, bool]:
    if access.session is not None:
        return access.session.form_key, False
    known = request.cookies.get(FORM_COOKIE, "")
    return (known, False) if len(known) == len(new_secret()) else (new_secret(), True)


def _html(
    request: Request,
    template: str,
    lang: Lang,
    account: Account | None,
    form_key: str,
    values: Mapping[str, object],
) -> str:
    words = Messages(lang)
    return (
        _environment()
        .get_template(template)
        .render(
            {
                "t": words.text,
                "words": words,
                "lang": lang,
                "other_lang": "en" if lang == "ja" else "ja",
                "account": account,
                "form_key": form_key,
                "here": request.url.path,
                "nav": _navigation(request, account),
                **_demo(request, words),
                "alerted": values["alerted"] if "alerted" in values else _alerted(request, account),
                **values,
            }
        )
    )


def _demo(request: Request, words: Messages) -> dict[str, object]:
    """What every page of a demonstration must say: that it is one, its time and its speed."""
    service = service_of(request)
    if not service.demo_speed:
        return {"demo_now": ""}
    now = words.moment(service.clock.now())
    return {"demo_now": now, "demo_speed": f"{service.demo_speed:g}"}


def _navigation(request: Request, account: Account | None) -> list[dict[str, object]]:
    """Entries that this role may open and whose address needs no object."""
    pages: Sequence[Page] = getattr(request.app.state, "pages", ())
    return [
        {"path": page.path, "text": page.nav, "here": _within(request.url.path, page.path)}
        for page in pages
        if page.nav and "{" not in page.path and account is not None and reach_of(RULES[page.rule], account)
    ]


def _alerted(request: Request, account: Account | None) -> int:
    """Open alerts that are not silent, for those who may see them; only where there is a page of them."""
    pages: Sequence[Page] = getattr(request.app.state, "pages", ())
    if account is None or all(page.path != "/alerts" for page in pages):
        return 0
    service: Service = request.app.state.service
    if reach_of(RULES["alert"], account) is None:
        return 0
    now = service.clock.now()
    return sum(not one.silent(now) for one in open_alerts(service.store, account))


def _within(path: str, entry: str) -> bool:
    return path == entry or (entry != "/" and path.startswith(f"{entry}/"))


def problem_page(
    request: Request, told: Mapping[str, Any], *, lang: Lang, headers: Mapping[str, str]
) -> Response:
    """A problem as a page; also where nothing is known about who asks."""
    html = _html(request, "problem.html", lang, None, "", {"problem": told})
    return HTMLResponse(html, int(told["status"]), headers=dict(headers))


def go(path: str) -> RedirectResponse:
    """After a form: look at this page."""
    return RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})


def site_path(written: str) -> str:
    """A path of this service to go back to; the start page if it is anything else."""
    parts = urlsplit(written)
    plain = written.startswith("/") and not written.startswith(("//", "/\\")) and written.isprintable()
    return written if plain and not parts.netloc and "\\" not in written else "/"


def back_to(request: Request) -> str:
    """The page that a form stood on, if it was one of ours."""
    parts = urlsplit(request.headers.get("referer", ""))
    return site_path(parts.path) if parts.netloc == request.headers.get("host") and parts.path else "/"


def service_name(service: Service) -> str:
    """What authenticator apps call this service."""
    return f"Aizu VPP {urlsplit(service.settings.public_url).hostname or ''}".strip()
