"""The app with people in it, called as a browser or a program would."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyotp
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.unit.vpp.people.somebody import CHEAP, NOON, OWN, PASSWORD, House
from vpp.http.service import Service
from vpp.people.passwords import Passwords
from vpp.people.rights import RULES, SCOPES, reach_of
from vpp.people.roles import Account, Objects, Role
from vpp.setup.service import WebSettings
from vpp.web.app import create_app

__all__ = ["NOON", "OWN", "PASSWORD", "Town", "form_key"]

ORIGIN = "http://127.0.0.1"


def form_key(html: str) -> str:
    """The key that the forms of a page carry."""
    found = re.search(r'name="form_key" value="([^"]+)"', html)
    assert found, html[:400]
    return found[1]


@dataclass
class Town:
    """A house with an app in front of it."""

    house: House = field(default_factory=House)
    settings: WebSettings = field(
        default_factory=lambda: WebSettings(
            second_factor_for=(), requests_per_minute=100_000, logins_per_minute=1000
        )
    )
    make: Callable[[Service], FastAPI] = create_app
    keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.service = Service(
            store=self.house.store,
            clock=self.house.clock,
            settings=self.settings,
            passwords=Passwords(CHEAP),
        )
        self.app = self.make(self.service)

    def browser(self, lang: str = "en", origin: str = ORIGIN) -> TestClient:
        """A browser that nobody used yet."""
        return TestClient(
            self.app,
            base_url=origin,
            follow_redirects=False,
            headers={"Accept": "text/html", "Accept-Language": lang},
        )

    def account(self, role: Role, name: str = "", objects: Objects | None = None) -> Account:
        """Somebody with a password; the one of before if there is one."""
        name = name or role.value
        known = self.house.people.find(name)
        if known is not None:
            return known
        secret = self.house.people.invite(
            name,
            name=name.title(),
            role=role,
            objects=objects or OWN.get(role, Objects()),
            lang="en",
            actor="test",
        )
        return self.house.people.accept(secret, PASSWORD)

    def logged_in(self, role: Role, name: str = "", lang: str = "en") -> TestClient:
        """A browser in which somebody logged in."""
        account, browser = self.account(role, name), self.browser(lang)
        answer = self.enter(browser, account.id)
        assert answer.status_code == 303, answer.text
        return browser

    def enter(self, browser: TestClient, name: str, password: str = PASSWORD) -> Any:
        """Fill in the log-in form."""
        page = browser.get("/login")
        return browser.post(
            "/login", data={"form_key": form_key(page.text), "name": name, "password": password, "next": "/"}
        )

    def program(
        self,
        role: Role,
        name: str = "",
        *,
        scopes: tuple[str, ...] | None = None,
        objects: Objects | None = None,
    ) -> TestClient:
        """A program with a token that may do all that its owner may."""
        account = self.account(role, name, objects)
        mine = tuple(
            scope
            for scope in SCOPES
            if any(r.scope == scope and reach_of(r, account) for r in RULES.values())
        )
        headers = {"Accept-Language": "en"}
        if scopes is None and account.id in self.keys:
            headers["Authorization"] = self.keys[account.id]
        elif mine or scopes:
            token = self.service.tokens.make(
                account, name="test", scopes=scopes or mine, lasts=timedelta(days=30)
            )
            headers["Authorization"] = f"Bearer {token}"
            if scopes is None:
                self.keys[account.id] = headers["Authorization"]
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=False, headers=headers)

    def code(self, name: str) -> str:
        """What the phone of somebody shows now."""
        row = self.house.store.rows.accounts.one(id=name)
        assert row is not None
        assert row.totp_seed is not None
        return pyotp.TOTP(row.totp_seed).at(self.house.clock.now())
