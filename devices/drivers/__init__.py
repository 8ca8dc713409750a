"""How each nature is read and commanded, whatever the model; addresses and codings come from the profile.

A command goes: clamp -> already so? -> write in one group -> read back -> outcome. What an asset already does
is not written again (some devices keep such registers in flash, some count commands); whether it still does
it is looked up once in a while, and at once after the device was silent.
"""

from __future__ import annotations

from typing import assert_never

from devices.device import Device
from devices.drivers.base import Driver, MeterDriver
from devices.drivers.charger import ChargerDriver
from devices.drivers.climate import ClimateDriver
from devices.drivers.contacts import ContactsDriver
from devices.drivers.inverter import InverterDriver
from devices.drivers.storage import StorageDriver
from devices.natures import Nature

__all__ = ["Driver", "driver_for"]


def driver_for(device: Device) -> Driver:
    """The driver of a device's nature."""
    match device.profile.nature:
        case Nature.METER:
            return MeterDriver(device)
        case Nature.STORAGE:
            return StorageDriver(device)
        case Nature.INVERTER:
            return InverterDriver(device)
        case Nature.CONTACTS:
            return ContactsDriver(device)
        case Nature.CHARGER:
            return ChargerDriver(device)
        case Nature.CLIMATE:
            return ClimateDriver(device)
    assert_never(device.profile.nature)
