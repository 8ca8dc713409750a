"""OCPP 1.6, 2.0.1 and 2.1: a central system whose charging stations look like every other charger.

Needs the extra ``ocpp``. A :class:`devices.ocpp.central.CentralSystem` is attached to a gateway; each of its
connectors is one asset of the nature ``charger``.
"""
