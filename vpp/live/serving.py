"""What runs in the process of the web server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from energy.store import Store
from vpp.live.assembly import running
from vpp.live.known import known_sites
from vpp.web.serving import Beside

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig

__all__ = ["beside"]


def beside(
    config: ServiceConfig, *, folder: Path, dry_run: bool = False
) -> Callable[[Store], AbstractContextManager[Beside]]:
    """Starts the sites and jobs of a service beside its web server.

    Raises
    ------
    ConfigError
        If a site cannot be used as written.
    """
    sites = known_sites(config, folder)

    @contextmanager
    def start(store: Store) -> Iterator[Beside]:
        with running(config, store, sites, folder=folder, dry_run=dry_run) as made:
            yield Beside(
                parts=made.parts, clock=made.clock, supervised=True, said=made.said, apart=made.live.apart
            )

    return start
