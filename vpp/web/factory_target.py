"""What another target demand would mean for a factory."""

from __future__ import annotations

import math
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from vpp.api.common import known_now
from vpp.http.access import access_of
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.views.targets import DAYS, target_table
from vpp.web.factory import site_or_404
from vpp.web.pages import Page, render

__all__ = ["PAGES"]


def target(request: Request) -> Response:
    """Targets around the one that is set, and one that somebody asks about."""
    access = access_of(request)
    known, messages = known_now(access), Messages(access.lang)
    site = site_or_404(known, str(request.path_params["site"]))
    written = request.query_params.get("kw", "").strip()[:20]
    asked = _kw(written)
    fits = asked is not None and 0.0 < asked <= site.contract_kw
    told = target_table(known, site, access.service.clock.now(), asked_kw=asked if fits else None)
    return render(
        request,
        "factory_target.html",
        status=200 if fits or not written else 422,
        site=site.id,
        name=site.name_ja if messages.lang == "ja" else site.name_en,
        told=told,
        written=written,
        asked=asked if fits else None,
        wrong=bool(written) and not fits,
        contract=messages.kw(site.contract_kw),
        days=DAYS,
        m=messages,
    )


def _kw(written: str) -> float | None:
    """A power as a person types it; None if it is none."""
    try:
        kw = float(written.replace(",", ""))
    except ValueError:
        return None
    return round(kw, 1) if math.isfinite(kw) else None


PAGES: Final = (Page(path="/factory/{site}/target", endpoint=target, rule="plan-site", about=About.SITE),)
