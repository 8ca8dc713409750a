"""Forecasts for others: consent at the moment of use, a sum that shows nobody, versions, a record of it all.

1. Consent is asked for at the instant of the export; forecasts of sites that do not consent are not read.
2. The newest issue of each consenting site that covers the whole delivery day is taken. A site without one is
   counted and left out; it is never replaced by something else.
3. The sum is made from whole past days of the sites' errors (:mod:`forecasting.region`,
   :mod:`forecasting.fleet`), so that its band knows how far the sites go wrong together. Until ten such days
   are known they are taken to go wrong together, the broadest band; ``method`` says which it was.
4. Fewer sites than the dated rule asks for (``energy/rules/minimum_group.yaml``) and nothing is delivered. A
   half hour in which one site has more than its largest share is left empty.
5. Content that was delivered before is the same version again; changed content is the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np

from energy.core.clock import Clock
from energy.core.errors import ConfigError, ConsentError, DataError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.ledger import DataUse, Denied, Journal, Permitted
from energy.market.rules import MinimumGroup, minimum_group
from energy.store import Across, Store
from forecasting.fleet import fleet_forecast
from forecasting.region import RegionHistory, region_forecast
from forecasting.scenarios import ErrorDays
from vpp.consents import decided, on_record
from vpp.derived import digest_of, kept_or_made
from vpp.forecasts.handover import (
    Delivery,
    DeliveryTarget,
    csv_text,
    json_text,
    numbered,
    slot_forecasts,
)
from vpp.forecasts.issued import LOAD, IssuedForecast
from vpp.forecasts.manysites import Parts
from vpp.wholefile import whole_file

__all__ = [
    "DELIVERY",
    "NO_FORECAST",
    "PURPOSE",
    "PURPOSE_VERSION",
    "SUM_FORECAST",
    "Delivered",
    "FileKind",
    "Order",
    "Withheld",
    "deliver",
    "preview",
    "recipients",
]

DELIVERY: Final = "forecast-delivery"
"""Kind of the document that holds one version of a delivery."""
PURPOSE: Final = "forecast-delivery"
PURPOSE_VERSION: Final = 1
"""The purpose that a site must have consented to; a new wording is a new version and asks everybody again."""

NO_FORECAST: Final = "no consenting site has a forecast of this day"
"""What the error says where there is nothing to deliver yet."""
SUM_FORECAST: Final = "sum-forecast"
"""Kind of the documents that hold the forecast of the sum over a set of sites, before anything is hidden."""
_CATEGORY: Final = {DeliveryTarget.DEMAND: "demand-forecast", DeliveryTarget.PV: "pv-forecast"}
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
ERROR_DAYS: Final = 60  # two months of noon issues tell how the sites go wrong together
_DECIMALS: Final = 3  # 1 W, as the single forecasts are kept


class FileKind(StrEnum):
    """Forms of a delivery."""

    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to deliver to whom.

    Parameters
    ----------
    recipient : str
        As named in the consents.
    controller : str
        On whose responsibility, as named in the consents.
    target : DeliveryTarget
        Demand or generation.
    day : date
        Day of delivery, Japan.
    """

    recipient: str
    controller: str
    target: DeliveryTarget
    day: date

    @property
    def key(self) -> str:
        """Key of its versions."""
        return f"{self.recipient}/{self.target.value}/{self.day.isoformat()}"

    @property
    def use(self) -> DataUse:
        """What the sites are asked for.

        Raises
        ------
        ConfigError
            If a name cannot stand in a consent.
        """
        try:
            return DataUse(
                controller=self.controller,
                purpose=PURPOSE,
                purpose_version=PURPOSE_VERSION,
                categories=(_CATEGORY[self.target],),
                recipient=self.recipient,
            )
        except ValueError:
            raise ConfigError(
                "not a name of a recipient or controller",
                where=f"recipient {self.recipient!r}, controller {self.controller!r}",
                hint="use the names of the consents: a-z, digits and hyphens",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """A delivery that was made, or made before.

    Parameters
    ----------
    is_new : bool
        Whether it is a new version.
    files : tuple of Path
        What was written.
    denied : tuple of Denied
        Sites without consent and why; for the operator only, never in the file.
    missing : tuple of str
        Consenting sites without a forecast of the day.
    """

    delivery: Delivery
    is_new: bool
    files: tuple[Path, ...]
    denied: tuple[Denied, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Nothing was delivered, because it would show single sites.

    Parameters
    ----------
    why : str
        ``too_few_sites``, or ``one_site_dominates`` if that holds in every half hour.
    sites, needed : int
        Sites that could be in the sum, and how many there must be.
    """

    why: str
    sites: int
    needed: int
    denied: tuple[Denied, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """The consenting sites' newest forecasts of the day, one per site."""

    forecasts: dict[str, list[IssuedForecast]]
    permitted: tuple[Permitted, ...]
    denied: tuple[Denied, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Total:
    """P10, P50 and P90 of a sum, shape (3, 48) [kW], how it was made and when its newest part was issued."""

    kw: FloatArray
    method: str
    issued_at: datetime


def preview(store: Store, order: Order, *, at: datetime) -> Delivered | Withheld:
    """What :func:`deliver` would do at an instant, without a file or a record.

    What was worked out is kept for the next who asks, unless the store is open for reading only.

    Raises
    ------
    DataError
        If no consenting site has a forecast of the day.
    """
    gathered = _gather(store, order, at)
    made = _make(store, order, gathered, at)
    return made if isinstance(made, Withheld) else _versioned(store, order, gathered, made)


def recipients(store: Store, at: datetime) -> list[str]:
    """Companies that any site has ever agreed to share forecasts with, sorted."""
    return sorted(
        {one for consent in on_record(store, at) if consent.purpose == PURPOSE for one in consent.recipients}
    )


def deliver(
    store: Store,
    order: Order,
    *,
    clock: Clock,
    folder: Path,
    kinds: Sequence[FileKind] = tuple(FileKind),
) -> Delivered | Withheld:
    """Make the files of an order, once per content, and record who was in them.

    Parameters
    ----------
    clock : Clock
        Says now: what is known, and whose consent holds, at the beginning; consents are looked up once more
        before anything is written.
    folder : Path
        Where the files go, as ``RECIPIENT-TARGET-DAY-vN.csv`` and ``.json``.

    Raises
    ------
    ConsentError
        If a site in the sum withdrew while it was made (nothing is written).
    DataError
        If no consenting site has a forecast of the day, or a file cannot be written (nothing is recorded).
    """
    at = clock.now()
    gathered = _gather(store, order, at)
    made = _make(store, order, gathered, at)
    if isinstance(made, Withheld):
        facts = {"why": made.why, "sites": made.sites, "needed": made.needed}
        store.audit(order.controller, "forecast.withheld", f"{DELIVERY}/{order.key}", at=at, facts=facts)
        return made
    # The files take their names after the record is safe; a crash in between is mended by doing it again.
    with ExitStack() as files, Journal(store).writing():  # one writer at a time, so that versions count
        _check_again(store, order, gathered, clock.now())
        outcome = _versioned(store, order, gathered, made)
        delivery = outcome.delivery
        written = []
        _make_folder(folder)
        for kind in dict.fromkeys(kinds):
            path = folder / f"{order.key.replace('/', '-')}-v{delivery.version}.{kind.value}"
            encoding, text = ("utf-8-sig", csv_text) if kind is FileKind.CSV else ("utf-8", json_text)
            files.enter_context(whole_file(path, encoding=encoding)).write(text(delivery))
            written.append(path)
        _record(store, order, outcome, gathered, at)
    return replace(outcome, files=tuple(written))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write to {folder.name}",
            where=f"{folder}: {error.strerror}",
            hint="choose a folder that you may write to",
        ) from error


def _check_again(store: Store, order: Order, gathered: _Gathered, now: datetime) -> None:
    """Refuse to write a sum that holds a site which withdrew in the meantime."""
    sites = [one.subject for one in gathered.permitted]
    _, gone = decided(store, sites, order.use, at=now)
    if gone:
        raise ConsentError(
            "a consent ended while the sum was made",
            where=", ".join(f"{one.subject} ({one.why.value})" for one in gone),
            hint="nothing was written: export again, without them",
        )


def _gather(store: Store, order: Order, at: datetime) -> _Gathered:
    across = store.across(at)
    sites = {str(name).split("/")[0] for name in across.ids(f"/{LOAD}/demand_kw")}
    subjects = sorted(sites | {one.subject for one in on_record(store, at)})
    permitted, denied = decided(store, subjects, order.use, at=at)
    parts = Parts.of(across, [one.subject for one in permitted], order.target)
    targets: dict[str, list[str]] = {one.subject: [] for one in permitted}
    for site, target in parts.pairs:
        targets[site].append(target)
    newest = parts.newest_issues(order.day)
    forecasts, missing = {}, []
    for subject, names in targets.items():
        found = [newest[subject, name] for name in names if (subject, name) in newest]
        if found and len(found) == len(names):
            forecasts[subject] = found
        elif names or subject not in sites:
            missing.append(subject)
    return _Gathered(
        forecasts,
        tuple(one for one in permitted if one.subject in forecasts),
        tuple(denied),
        tuple(missing),
    )


def _make(store: Store, order: Order, gathered: _Gathered, at: datetime) -> Delivery | Withheld:
    rule = minimum_group(order.day)
    per_site = list(gathered.forecasts.values())
    if len(per_site) < rule.min_sites:
        return _withheld("too_few_sites", gathered, rule)
    shown = _shown(per_site, rule)
    if not shown.any():
        return _withheld("one_site_dominates", gathered, rule)
    issues = [one for site in per_site for one in site]
    total = _kept_total(store, order, issues, at)
    values = np.maximum(np.round(total.kw, _DECIMALS), 0.0).T.tolist()
    return Delivery(
        recipient=order.recipient,
        target=order.target,
        delivery_day=order.day,
        version=1,
        made_at=at,
        issued_at=total.issued_at,
        oldest_issued_at=min(one.issued_at for one in issues),
        sites=len(per_site),
        sites_without_forecast=len(gathered.missing),
        method=total.method,
        models=tuple(sorted({one.model for one in issues})),
        purpose=PURPOSE,
        purpose_version=PURPOSE_VERSION,
        slots=slot_forecasts(
            order.day, [tuple(row) if visible else None for row, visible in zip(values, shown, strict=True)]
        ),
    )


def _kept_total(store: Store, order: Order, issues: Sequence[IssuedForecast], at: datetime) -> _Total:
    """The sum of these very issues, worked out once.

    Which sites are in it and which issue of each is the newest was looked up for this use and names the
    document; what they knew of past errors is that of the newest issue and does not change any more.
    """
    newest = max(one.issued_at for one in issues)
    key = f"{order.key}/{digest_of(sorted((one.site, one.target) for one in issues))}"
    made_of = digest_of(sorted((one.key, one.issued_at) for one in issues))

    def make(_: Sequence[str]) -> dict[str, object]:
        total = _total(store.across(newest), order.target, issues, newest)
        kw = [total.p10.tolist(), total.p50.tolist(), total.p90.tolist()]
        return {key: {"kw": kw, "method": f"{total.model}, {total.facts['dependence']}"}}

    told = kept_or_made(store, SUM_FORECAST, {key: made_of}, make, at=at)[key]
    return _Total(np.array(told["kw"], dtype=np.float64), str(told["method"]), newest)


def _total(
    across: Across, target: DeliveryTarget, issues: Sequence[IssuedForecast], newest: datetime
) -> QuantileForecast:
    """Forecast of the sum, by what was known at the newest issue in it."""
    # A sum is as young as its youngest part; the older parts knew less, which is no look-ahead.
    parts = {f"{one.site}/{one.target}": replace(one, issued_at=newest).to_forecast() for one in issues}
    errors = _errors(across, issues, newest)
    if target is DeliveryTarget.PV:
        return fleet_forecast(parts, errors=errors)
    return region_forecast(parts, history=RegionHistory(sites=errors)).total


def _errors(across: Across, issues: Sequence[IssuedForecast], newest: datetime) -> dict[str, ErrorDays]:
    """What was issued at noon for the last whole days, beside what came, by site and target."""
    today = newest.astimezone(JST).date()
    days = [today - timedelta(days=back) for back in range(ERROR_DAYS, 0, -1)]
    parts = Parts(across, tuple((one.site, one.target) for one in issues))
    actual = parts.actual_kw(Grid.between(jst_midnight(days[0]), jst_midnight(today)))
    said = parts.noon_p50_kw(days)
    found = {}
    for row, (site, target) in enumerate(parts.pairs):
        spoke = ~np.isnan(said[row]).any(axis=1)
        found[f"{site}/{target}"] = ErrorDays(
            days=tuple(day for day, is_said in zip(days, spoke, strict=True) if is_said),
            forecast_kw=said[row][spoke],
            actual_kw=actual[row].reshape(ERROR_DAYS, SLOTS_PER_DAY)[spoke],
        )
    return found


def _withheld(why: str, gathered: _Gathered, rule: MinimumGroup) -> Withheld:
    if not gathered.forecasts and gathered.missing:
        raise DataError(
            NO_FORECAST,
            where=f"{len(gathered.missing)} site(s) consent, none has an issue that covers the whole day",
            hint="make the forecasts first (vpp forecast run)",
        )
    return Withheld(
        why=why,
        sites=len(gathered.forecasts),
        needed=rule.min_sites,
        denied=gathered.denied,
        missing=gathered.missing,
    )


def _shown(
    per_site: list[list[IssuedForecast]], rule: MinimumGroup
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Half hours in which no site has more than its largest share of any quantile, shape (48,).

    Where the sum is zero (the sun at night) there is nothing to show and nothing to hide.
    """
    sites = np.array([np.sum([one.values() for one in site], axis=0) for site in per_site])
    largest, total = sites.max(axis=0), sites.sum(axis=0)
    hidden = (total > 0.0) & (largest > float(rule.max_site_share) * total)
    return np.asarray(~hidden.any(axis=0))


def _versioned(store: Store, order: Order, gathered: _Gathered, made: Delivery) -> Delivered:
    """The version that has this content, or the next one."""
    versions = store.as_of(_END_OF_TIME).documents(DELIVERY, prefix=f"{order.key}/")
    before = Delivery.from_json(versions[-1].body) if versions else None
    is_new = before is None or before.content() != made.content()
    return Delivered(
        delivery=numbered(made, before) if before is None or is_new else before,
        is_new=is_new,
        files=(),
        denied=gathered.denied,
        missing=gathered.missing,
    )


def _record(store: Store, order: Order, outcome: Delivered, gathered: _Gathered, at: datetime) -> None:
    """The version itself, and that these consents were used for it."""
    delivery = outcome.delivery
    if outcome.is_new:
        store.put_document(
            DELIVERY, f"{order.key}/{delivery.version:06d}", known_at=at, body=json_text(delivery)
        )
    store.audit(
        order.controller,
        "forecast.delivered",
        f"{DELIVERY}/{order.key}",
        at=at,
        facts={
            "version": delivery.version,
            "sha256": hashlib.sha256(json_text(delivery).encode()).hexdigest(),
            "sites": delivery.sites,
            "consents": [one.consent.id for one in gathered.permitted],
        },
    )
