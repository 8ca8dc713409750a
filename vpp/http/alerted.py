"""Which alerts somebody may see: for their page, the API, and the count on every page."""

from __future__ import annotations

from energy.store import Store
from vpp.ops.alerts import Alert, AlertBook
from vpp.people.rights import RULES, Reach, reach_of
from vpp.people.roles import Account

__all__ = ["open_alerts", "sees"]


def sees(account: Account, alert: Alert) -> bool:
    """Whether an alert belongs into the list of a caller: everything, or what is about one's own site."""
    reach = reach_of(RULES["alert"], account)
    return reach is Reach.ALL or (reach is Reach.OWN and alert.site in account.objects.sites)


def open_alerts(store: Store, account: Account) -> list[Alert]:
    """Open alerts that somebody may see, the most urgent first."""
    return [one for one in AlertBook(store).alerts() if sees(account, one)]
