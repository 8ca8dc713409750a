"""Whatever a meter and a thermometer say, the heat need is ordered, finite and within the nameplate."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.assets import HvacZone
from energy.core.series import Grid, Series, Unit
from energy.core.site import CalendarRules
from energy.core.slots import SLOTS_PER_DAY, jst_midnight
from forecasting.heat import HeatModel

START = jst_midnight(date(2026, 5, 20))
ROOM = HvacZone(
    id="hall",
    name_ja="室",
    name_en="hall",
    max_electric_kw=10.0,
    capacitance_kwh_per_k=4.0,
    loss_kw_per_k=0.5,
)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.integers(0, 24),
    missing=st.floats(0.0, 0.5),
    middle_c=st.floats(-10.0, 30.0),
    rooms=st.booleans(),
)
def test_the_need_is_ordered_finite_and_within_the_nameplate(
    seed: int, days: int, missing: float, middle_c: float, rooms: bool
) -> None:
    rng = np.random.default_rng(seed)
    count = (days + 1) * SLOTS_PER_DAY
    issued = START + timedelta(days=days, hours=12)
    known = Grid(START, count - SLOTS_PER_DAY // 2)
    temps = middle_c + rng.normal(0.0, 4.0, count + SLOTS_PER_DAY)
    power = rng.uniform(0.0, 10.0, known.count)
    power[rng.random(known.count) < 0.01 * missing] = np.nan
    model = HeatModel(rules=CalendarRules(), max_kw=10.0, zones=(ROOM,) if rooms or days < 20 else ())
    outdoor = Series(known, temps[: known.count], Unit.CELSIUS)
    if not model.zones:
        power = np.nan_to_num(power, nan=5.0)
    fitted = model.fit(Series(known, power, Unit.KW), outdoor, issued_at=issued)
    wanted = Grid(START + timedelta(days=days + 1), SLOTS_PER_DAY)
    weather = Series(Grid(START, count + SLOTS_PER_DAY), temps, Unit.CELSIUS)
    found = fitted.predict(weather, wanted, doubt_k=np.full(SLOTS_PER_DAY, 2.0))
    for one, most in ((found.electric_kw, 10.0), (found.thermal_kwh, 10.0 * 6.0 / 2.0)):
        if one is not None:
            assert (one.p10 >= 0.0).all()
            assert (one.p10 <= one.p50).all()
            assert (one.p50 <= one.p90).all()
            assert (one.p90 <= most + 1e-9).all()
