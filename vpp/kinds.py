"""Kinds of assets that other distributions bring, found by their entry points."""

from __future__ import annotations

from importlib.metadata import entry_points

from dispatch.kinds import Kind, register
from energy.core.errors import ConfigError

__all__ = ["GROUP", "load_kinds"]

GROUP = "aizu_vpp.kinds"


def load_kinds() -> tuple[str, ...]:
    """Register every kind that an installed distribution names under ``aizu_vpp.kinds``; give their names.

    Raises
    ------
    ConfigError
        If one cannot be loaded or is no kind.
    """
    names = []
    for point in entry_points(group=GROUP):
        try:
            kind = point.load()()
        except Exception as error:  # whatever a stranger's module does on import
            raise ConfigError(
                f"the kind {point.name!r} cannot be loaded",
                where=f"{point.value}: {error}",
                hint="mend or uninstall the distribution that brings it",
            ) from error
        if not isinstance(kind, Kind):
            raise ConfigError(
                f"{point.name!r} is no kind of asset",
                where=point.value,
                hint="it must be a class derived from dispatch.kinds.Kind",
            )
        names.append(register(kind).name)
    return tuple(names)
