"""CO2 of the energy a place used: kWh times the factor of its supplier, menu and reporting year (RULES-JP 6).

Factors are data with a source. A factor that is not there is an error, never a default of another year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import Identifier, strict
from energy.core.errors import ConfigError

__all__ = ["Co2Factor", "Co2Factors", "Emission", "emissions"]

FactorKind = Literal["unadjusted", "basic", "adjusted"]  # 未調整, 基礎, 調整後


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Co2Factor:
    """One published factor.

    Parameters
    ----------
    reporting_year : int
        Fiscal year for which a user reports with it.
    kind : str
        ``unadjusted``, ``basic`` or ``adjusted``.
    kg_per_kwh : Decimal
        Emission of a delivered kWh. [kg/kWh]
    """

    supplier: Identifier
    menu: Identifier
    reporting_year: Annotated[int, Field(ge=2000, le=2100)]
    kind: FactorKind
    kg_per_kwh: Annotated[Decimal, Field(ge=0, le=5)]
    source: Annotated[str, Field(min_length=1)]
    status: Literal["verified", "unverified"]


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Co2Factors:
    """Factors by supplier, menu, year and kind; each once."""

    factors: Annotated[tuple[Co2Factor, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Co2Factors:
        keys = [(one.supplier, one.menu, one.reporting_year, one.kind) for one in self.factors]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            msg = f"the factor of {twice[0]}, menu {twice[1]}, {twice[2]}, {twice[3]} comes twice"
            raise ValueError(msg)
        return self

    def find(self, supplier: str, menu: str, year: int, kind: FactorKind) -> Co2Factor:
        """The factor of a supplier's menu in a reporting year.

        Raises
        ------
        ConfigError
            If it is not there.
        """
        for one in self.factors:
            if (one.supplier, one.menu, one.reporting_year, one.kind) == (supplier, menu, year, kind):
                return one
        known = sorted(
            {
                f"{one.menu} {one.reporting_year} {one.kind}"
                for one in self.factors
                if one.supplier == supplier
            }
        )
        raise ConfigError(
            f"no CO2 factor of {supplier}, menu {menu}, for reports of FY{year} ({kind})",
            where=f"of this supplier: {', '.join(known) or 'none'}",
            hint="add it with its source; another year's factor is not taken",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """CO2 of one supplier's menu. [kWh, kg/kWh, kg]"""

    supplier: str
    menu: str
    reporting_year: int
    kwh: Decimal
    kg_per_kwh: Decimal
    kg: Decimal
    source: str
    status: Literal["verified", "unverified"]


def emissions(
    kwh: Mapping[tuple[str, str], Decimal], factors: Co2Factors, *, year: int, kind: FactorKind = "adjusted"
) -> list[Emission]:
    """Emissions by supplier and menu, in their order; a menu without energy is left out. [kg]

    Raises
    ------
    ConfigError
        If a factor is missing.
    """
    found = []
    for (supplier, menu), energy in kwh.items():
        if not energy:
            continue
        factor = factors.find(supplier, menu, year, kind)
        found.append(
            Emission(
                supplier=supplier,
                menu=menu,
                reporting_year=year,
                kwh=energy,
                kg_per_kwh=factor.kg_per_kwh,
                kg=energy * factor.kg_per_kwh,
                source=factor.source,
                status=factor.status,
            )
        )
    return found
