"""Optional packages: refused in words where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from energy.core.errors import ConfigError

__all__ = ["require_extra"]


def require_extra(name: str, module: str) -> None:
    """Refuse in words where an optional package is missing.

    Raises
    ------
    ConfigError
        If it is.
    """
    if find_spec(module) is None:
        raise ConfigError(
            f"the package {module} is not installed",
            where=f"it comes with the extra {name}",
            hint=f"pip install 'aizu-vpp[{name}]'",
        )
