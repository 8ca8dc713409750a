"""How a service is kept well, as its YAML says it: alerts, backups, retention."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from vpp.ops.alerts_tell import MailSettings

__all__ = ["AlertSettings", "BackupSettings", "OpsSettings", "RetentionSettings"]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class AlertSettings:
    """Who is told what is wrong. Webhooks are made by their owners (docs/how-to/use-the-api.md).

    Parameters
    ----------
    mail : MailSettings or None
        Alerts by e-mail; nobody gets any if none.
    stale_minutes, silent_minutes : int
        Age of a site's newest minute that is a warning, and an alarm. [min]
    device_minutes : int
        Age of a device's newest minute that is a warning. [min]
    plan_minutes : int
        A plan that is not handed in so long before our own deadline is late. [min]
    backup_hours : int
        Age of the newest backup that is a warning. [h]
    disk_percent : int
        Free space below which there is a warning; below a third of it an alarm. [%]
    """

    mail: MailSettings | None = None
    stale_minutes: Annotated[int, Field(ge=2, le=1440)] = 5
    silent_minutes: Annotated[int, Field(ge=2, le=1440)] = 30
    device_minutes: Annotated[int, Field(ge=2, le=1440)] = 10
    plan_minutes: Annotated[int, Field(ge=5, le=600)] = 60
    backup_hours: Annotated[int, Field(ge=1, le=720)] = 26
    disk_percent: Annotated[int, Field(ge=1, le=50)] = 10


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class BackupSettings:
    """Backups that the service makes by itself.

    Parameters
    ----------
    folder : str
        Where they go; best another disk. No backups are made if empty.
    at : time
        When, Japan.
    daily, weekly, monthly : int
        How many days, weeks and months keep their last backup.
    scratch : str
        PostgreSQL on which a database may be made, to prove its dumps.
    """

    folder: str = ""
    at: time = time(3, 0)
    daily: Annotated[int, Field(ge=1, le=366)] = 7
    weekly: Annotated[int, Field(ge=0, le=530)] = 5
    monthly: Annotated[int, Field(ge=0, le=120)] = 12
    scratch: str = ""


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RetentionSettings:
    """What is kept how long.

    Parameters
    ----------
    rules : str
        File of rules in place of the shipped ones (docs/how-to/keep-it-running.md).
    apply : bool
        Whether the service applies them by itself; else ``vpp retention apply`` does.
    at : time
        When, Japan.
    """

    rules: str = ""
    apply: bool = False
    at: time = time(4, 20)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class OpsSettings:
    """How a service is kept well.

    Parameters
    ----------
    alerts : AlertSettings
        Who is told what is wrong.
    backup : BackupSettings
        Copies of the database.
    retention : RetentionSettings
        What is kept how long.
    """

    alerts: AlertSettings = Field(default_factory=AlertSettings)
    backup: BackupSettings = Field(default_factory=BackupSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
