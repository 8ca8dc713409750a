"""Files about points: the rules by which they are earned, and who takes part in an event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from energy.core.errors import ConfigError
from energy.ledger import CoinRule, ComfortRule, Rule, SavingRule, require_no_overlap
from vpp.ingest.layout import decode, read_bytes
from vpp.ingest.times import RowFault
from vpp.settlement.files import instant_cell, row_error, table_rows

__all__ = ["Claim", "read_claims", "read_reward_rules"]

_KINDS: Final[dict[str, TypeAdapter[Any]]] = {
    "car": TypeAdapter(CoinRule),
    "saving": TypeAdapter(SavingRule),
    "comfort": TypeAdapter(ComfortRule),
}
_NAME: Final = TypeAdapter(Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody takes part in an event without a car.

    Parameters
    ----------
    asset : str
        The site whose saving counts, or the room that is let go.
    site : str
        Where the room is: its readings prove the claim. Empty for a saving.
    start, end : datetime or None
        How long comfort was given up, UTC; None for a saving, which the settlement measures.
    """

    person: str
    way: Literal["saving", "comfort"]
    asset: str
    site: str = ""
    start: datetime | None = None
    end: datetime | None = None


def read_reward_rules(path: Path) -> list[Rule]:
    """Rules of a YAML file, each with its ``way``: car, saving or comfort.

    Raises
    ------
    ConfigError
        If the file is not of that form, or two rules of a kind overlap.
    """
    try:
        told = yaml.safe_load(decode(path, read_bytes(path), "utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(
            "the rules are no YAML", where=f"{path}: {error}", hint="check the indents"
        ) from None
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise ConfigError(
            "the rules are no list",
            where=str(path),
            hint="one entry per rule, as in examples/reward-rules.yaml",
        )
    rules: list[Rule] = []
    for place, one in enumerate(told, start=1):
        way = one.get("way", "car")
        kind = _KINDS.get(way)
        if kind is None:
            raise ConfigError(
                f"no way to earn is called {way!r}",
                where=f"{path}, rule {place}",
                hint="car, saving or comfort",
            )
        fields = {name: value for name, value in one.items() if name != "way" or way != "car"}
        try:
            rules.append(kind.validate_python(fields))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise ConfigError(
                "this is no rule",
                where=f"{path}, rule {place}, {'.'.join(map(str, fault['loc']))}: {fault['msg']}",
                hint="see examples/reward-rules.yaml",
            ) from None
    require_no_overlap(rules)
    return rules


def read_claims(path: Path) -> list[Claim]:
    """Rows ``person,way,asset,from,to``; the last two only for comfort, whose asset is ``SITE/ROOM``.

    Each asset is claimed once.

    Raises
    ------
    DataError
        If the file is not of that form, or something is claimed twice.
    """
    found: dict[tuple[str, str], Claim] = {}
    for line, told in table_rows(path, ("person", "way", "asset")):
        try:
            claim = _claim(told)
            key = (claim.way, told["asset"])
            if key in found:
                raise RowFault(
                    "asset", told["asset"], f"{found[key].person} claims it already for {claim.way}"
                )
        except RowFault as fault:
            raise row_error(path, line, fault) from None
        found[key] = claim
    return list(found.values())


def _claim(told: dict[str, str]) -> Claim:
    way = told["way"]
    if way not in ("saving", "comfort"):
        raise RowFault("way", way, "saving or comfort; cars are paid by their chargers' meters")
    site, slash, asset = told["asset"].rpartition("/") if way == "comfort" else ("", "", told["asset"])
    if way == "comfort" and not slash:
        raise RowFault("asset", asset, "write SITE/ROOM: the room's readings prove the claim")
    named = [("person", told["person"]), ("asset", asset), *([("asset", site)] if slash else [])]
    for name, value in named:
        try:
            _NAME.validate_python(value)
        except ValidationError:
            raise RowFault(name, told[name], "ids are a-z, digits and hyphens") from None
    if way == "saving":
        return Claim(person=told["person"], way="saving", asset=asset)
    start, end = (instant_cell(name, told.get(name, "")) for name in ("from", "to"))
    if start >= end:
        raise RowFault("to", told["to"], "not after from")
    return Claim(person=told["person"], way="comfort", asset=asset, site=site, start=start, end=end)
