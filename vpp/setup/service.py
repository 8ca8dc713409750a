"""What a service is set up with: one YAML file, checked as a whole."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from vpp.jobs.config import JobSettings
from vpp.ops.config import OpsSettings
from vpp.people.roles import Role
from vpp.setup.sites import SiteSettings

__all__ = ["ServiceConfig", "StoreSettings", "WebSettings"]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class StoreSettings:
    """Where everything is kept.

    Parameters
    ----------
    url : str
        A file, or a URL such as ``postgresql+psycopg://user@host/database``.
    """

    url: Annotated[str, Field(min_length=1)] = "vpp.db"

    @property
    def address(self) -> str:
        """The URL."""
        return self.url if "://" in self.url else f"sqlite:///{self.url}"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class WebSettings:
    """How people and programs reach the service.

    Parameters
    ----------
    host : str
        Where it listens: the loopback, with a reverse proxy and TLS in front (docs/how-to/serve.md).
    port : int
        Port of that; 0 takes a free one.
    public_url : str
        Address that people type. With ``https`` cookies are sent over TLS only.
    proxies : tuple of str
        Addresses of reverse proxies whose ``X-Forwarded-For`` is believed.
    second_factor_for : tuple of Role
        Roles that must have a second factor before they see anything.
    idle_minutes : int
        A session that is not used ends. [min]
    session_hours : int
        A session ends in any case. [h]
    body_mb : int
        Largest request. [MB]
    requests_per_minute : int
        Most requests of one account, and of one address. [1/min]
    logins_per_minute : int
        Most attempts to log in from one address. [1/min]
    webhook_hosts : tuple of str
        Hosts inside the own network that webhooks may call; others there are refused.
    setup_folder : str
        Folder in which installers set up sites and devices on screen; an absolute path. Empty for none.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str = ""
    proxies: tuple[str, ...] = ()
    second_factor_for: tuple[Role, ...] = (Role.OPERATOR, Role.ADMINISTRATOR)
    idle_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    session_hours: Annotated[int, Field(ge=1, le=168)] = 12
    body_mb: Annotated[int, Field(ge=1, le=50)] = 10
    requests_per_minute: Annotated[int, Field(ge=10)] = 600
    logins_per_minute: Annotated[int, Field(ge=1)] = 20
    webhook_hosts: tuple[str, ...] = ()
    setup_folder: str = ""

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, written: str) -> str:
        parts = urlsplit(written)
        if written and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/")):
            msg = "not an address of a service: write https://host or http://host:port"
            raise ValueError(msg)
        return written.rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether people come over TLS."""
        return self.public_url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """Names under which the service may be called: others could be another page's trick."""
        public = urlsplit(self.public_url).hostname
        named = {"127.0.0.1", "localhost", "::1"} if self.host in {"127.0.0.1", "::1"} else set()
        return frozenset(named | ({public} if public else {self.host}))


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ServiceConfig:
    """One YAML file: what a machine runs.

    Parameters
    ----------
    store : StoreSettings
        Where everything is kept.
    web : WebSettings
        How people and programs reach the service.
    sites : tuple of SiteSettings
        The sites that it runs; none where it only shows what is in the database.
    memory : str
        Folder for what must survive a restart within a half-hour; relative to the file, like files of sites.
    jobs : JobSettings
        What it does again and again.
    ops : OpsSettings
        How it is kept well: alerts, backups, retention.
    """

    store: StoreSettings = Field(default_factory=StoreSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    sites: tuple[SiteSettings, ...] = ()
    memory: Annotated[str, Field(min_length=1)] = "memory"
    jobs: JobSettings = Field(default_factory=JobSettings)
    ops: OpsSettings = Field(default_factory=OpsSettings)
