"""Files of a small service: a works with a meter, a car and a roof, on twins that a test has started."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from devices.config import DeviceConfig
from devices.twins.site import TwinSite
from energy.core.site import Site
from tests.unit.vpp.loop.test_control import site

SITE = replace(site(), zones=())
TRIED = {"commissioned": {"by": "a test", "date": "2026-11-20", "seen": "a twin that obeys"}}


def twins() -> TwinSite:
    """Meter, inverter and a charger with a car."""
    made = TwinSite(
        pv=SITE.pv, zones=(), vehicles=SITE.vehicles, chargers=SITE.chargers, submeters=True, no_export=False
    )
    made.step(1.0, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True)
    return made


def write_service(
    folder: Path, devices: Sequence[DeviceConfig], *, access: str = "control", planning: str = "rules"
) -> Path:
    """The service's file, the site's and that of its devices."""
    written = TypeAdapter(Site).dump_python(SITE, mode="json")
    (folder / "site.yaml").write_text(json.dumps({"site": written}), encoding="utf-8")
    rows = [
        {
            "id": one.id,
            "profile": one.profile,
            "address": f"{one.host}:{one.port}",
            "unit": one.unit_id,
            "assets": list(one.assets),
            "pace": "fast",
        }
        | (TRIED if one.profile != "eastron-sdm630" else {})
        for one in devices
    ]
    (folder / "devices.yaml").write_text(json.dumps({"devices": rows}), encoding="utf-8")
    path = folder / "vpp.yaml"
    told = {
        "store": {"url": str(folder / "vpp.db")},
        "web": {"port": 0},
        "sites": [
            {
                "site": "site.yaml",
                "devices": "devices.yaml",
                "access": access,
                "planning": planning,
                "control_seconds": 1,
            }
        ],
    }
    path.write_text(json.dumps(told), encoding="utf-8")
    return path
