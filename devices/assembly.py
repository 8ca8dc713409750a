"""From what a site file names to one gateway: Modbus devices, and stations and nodes as its guests."""

from __future__ import annotations

from devices.echonet.device import EchonetDevice
from devices.echonet.kinds import KINDS, PackageAc, PackageAcOutdoor
from devices.echonet.node import EchonetNode
from devices.guests import MixedGateway
from devices.site_file import EchonetSite, SiteEquipment
from devices.transport import Access
from energy.core.clock import Clock

__all__ = ["assemble"]


def assemble(site: SiteEquipment, *, clock: Clock, access: Access) -> MixedGateway:
    """The gateway of a site, not yet connected.

    Parameters
    ----------
    site : SiteEquipment
        What :func:`devices.site_file.load_site` has read.
    clock : Clock
        Time of readings, back-off and expiry.
    access : Access
        What may be done, the same for all kinds of equipment.

    Raises
    ------
    ConfigError
        If two kinds of equipment speak for one asset.
    """
    gateway = MixedGateway(site.devices, clock=clock, access=access)
    if site.ocpp is not None:
        from devices.ocpp.central import CentralSystem  # needs the extra

        gateway.attach(CentralSystem(site.ocpp, clock=clock, access=access))
    if site.echonet is not None:
        gateway.attach(_node(site.echonet, clock=clock, access=access))
    return gateway


def _node(site: EchonetSite, *, clock: Clock, access: Access) -> EchonetNode:
    node = EchonetNode(site.interface, port=site.port, access=access)
    for one in site.objects:
        if one.kind == "package-ac" and one.outdoor is not None:
            PackageAc(one.config, node, clock=clock, outdoor=(*PackageAcOutdoor.object_class, one.outdoor))
        else:
            kind: type[EchonetDevice] = KINDS[one.kind]
            kind(one.config, node, clock=clock)
    return node
