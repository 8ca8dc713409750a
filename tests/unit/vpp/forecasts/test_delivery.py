"""What leaves the house: consenting sites only, no group that shows one of them, every version told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.clock import ManualClock
from energy.core.errors import ConfigError, ConsentError, DataError
from energy.core.slots import parse_jst
from energy.core.units import series_id
from energy.ledger import Channel, ConsentRegister, WhyDenied
from energy.store import Point, SqlStore, open_store
from tests.unit.vpp.forecasts.region import (
    DAY,
    GRANTED,
    NINE,
    NOON,
    ORDER,
    add_site,
    consent,
    fill,
    issue,
    past_days,
    site_name,
)
from vpp.forecasts.delivery import (
    DELIVERY,
    Delivered,
    FileKind,
    Order,
    Withheld,
    deliver,
    preview,
)
from vpp.forecasts.handover import CSV_COLUMNS, Delivery, DeliveryTarget
from vpp.forecasts.issued import Horizon

SENT = NOON + timedelta(minutes=5)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def delivered(store: SqlStore, folder: Path, *, minutes: int = 0, order: Order = ORDER) -> Delivered:
    outcome = deliver(store, order, clock=ManualClock(SENT + minutes * MINUTE), folder=folder)
    assert isinstance(outcome, Delivered)
    return outcome


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def test_the_sum_of_consenting_sites_is_written_as_csv_and_json(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=10.0)
    add_site(store, "stranger")
    issue(store, "stranger", 500.0)
    outcome = delivered(store, tmp_path)
    assert [path.name for path in outcome.files] == [
        "retailer-a-demand-2026-08-05-v1.csv",
        "retailer-a-demand-2026-08-05-v1.json",
    ]
    table, told = outcome.files
    assert table.read_bytes().startswith(b"\xef\xbb\xbfdelivery_day,slot,start")
    rows = rows_of(table)
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert len(rows) == 48
    assert (rows[0]["start"], rows[47]["end"]) == ("2026-08-05T00:00:00+09:00", "2026-08-06T00:00:00+09:00")
    first = {key: rows[0][key] for key in ("p50_kw", "p50_kwh", "version", "sites")}
    assert first == {"p50_kw": "100.000", "p50_kwh": "50.0000", "version": "1", "sites": "10"}
    assert float(rows[0]["p10_kw"]) == pytest.approx(90.0, abs=0.01)  # no past errors: as if together
    assert float(rows[0]["p90_kw"]) == pytest.approx(120.0, abs=0.01)
    document = json.loads(told.read_text(encoding="utf-8"))
    assert document["issued_at"] == "2026-08-04T03:00:00Z"
    assert document["method"] == "region-bottom-up, comonotone"
    assert document["models"] == ["demand-pool"]
    assert Delivery.from_json(told.read_text(encoding="utf-8")) == outcome.delivery


def test_sites_that_err_independently_have_a_narrower_band_than_their_sum_of_bands(
    store: SqlStore, tmp_path: Path
) -> None:
    """Ten sites of 10 kW, each with errors of its own of 1.5 kW: the sum errs by 1.5 * sqrt(10), not 15."""
    fill(store, 10, level_kw=10.0)
    rng = np.random.default_rng(11)
    for number in range(10):
        came = past_days(store, site_name(number), 10.0, rng.normal(0.0, 1.5, (40, 48)))
        assert len(came) == 40
    delivery = delivered(store, tmp_path).delivery
    assert delivery.method == "region-bottom-up, joint-days"
    noon = delivery.slots[24]
    assert noon.p10_kw is not None
    assert noon.p50_kw is not None
    assert noon.p90_kw is not None
    assert noon.p50_kw == 100.0
    assert 5.0 < noon.p90_kw - noon.p10_kw < 20.0  # 2 * 1.28 * 1.5 * sqrt(10) = 12; together it were 30


def test_errors_that_came_to_light_after_the_issue_change_nothing(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=10.0)
    first = delivered(store, tmp_path)
    series = series_id(site_name(0), "load", "demand_kw")
    store.append(
        [Point(series=series, at=GRANTED + timedelta(days=9), known_at=SENT, value=99.0, source="late")]
    )
    assert delivered(store, tmp_path, minutes=1).delivery == first.delivery


def test_nothing_in_the_files_names_a_site(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 12)
    for path in delivered(store, tmp_path).files:
        assert "site-" not in path.read_text(encoding="utf-8-sig")


def test_nine_sites_are_too_few_and_leave_no_file(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 9)
    outcome = deliver(store, ORDER, clock=ManualClock(SENT), folder=tmp_path)
    assert outcome == Withheld(why="too_few_sites", sites=9, needed=10, denied=(), missing=())
    assert list(tmp_path.iterdir()) == []
    assert [one.act for one in store.audit_trail(f"{DELIVERY}/{ORDER.key}")] == ["forecast.withheld"]


def test_a_site_withdrawn_at_ten_past_is_out_at_a_quarter_past_and_the_old_version_stays(
    store: SqlStore, tmp_path: Path
) -> None:
    """RULES-JP T43."""
    fill(store, 11)
    before = delivered(store, tmp_path)
    kept = before.files[0].read_bytes()
    ConsentRegister(store).withdraw(
        f"{site_name(3)}-1",
        withdrawn_at=SENT + 5 * MINUTE,
        recorded_at=SENT + 6 * MINUTE,
        actor="desk",
        channel=Channel.APP,
    )
    after = delivered(store, tmp_path, minutes=10)
    assert (before.delivery.sites, after.delivery.sites) == (11, 10)
    assert [(one.subject, one.why) for one in after.denied] == [(site_name(3), WhyDenied.WITHDRAWN)]
    assert after.delivery.version == 2
    assert after.delivery.changes is not None
    assert after.delivery.changes.what == ("values", "sites")
    assert after.delivery.changes.sites_before == 11
    assert before.files[0].read_bytes() == kept


def test_a_site_that_withdraws_while_the_sum_is_made_is_not_in_it(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 11)

    class Slow(ManualClock):
        """A minute passes between the first look and the writing, and a consent ends in it."""

        def now(self) -> datetime:
            now = super().now()
            self.advance(MINUTE)
            return now

    ConsentRegister(store).withdraw(
        f"{site_name(3)}-1",
        withdrawn_at=SENT + timedelta(seconds=30),
        recorded_at=SENT + timedelta(seconds=30),
        actor="desk",
        channel=Channel.APP,
    )
    with pytest.raises(ConsentError, match="ended while the sum was made") as caught:
        deliver(store, ORDER, clock=Slow(SENT), folder=tmp_path)
    assert caught.value.where == "site-03 (withdrawn)"
    assert list(tmp_path.iterdir()) == []
    assert [one for one in store.audit_trail() if one.act == "forecast.delivered"] == []


def test_a_withdrawal_that_leaves_too_few_sites_stops_the_delivery(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    delivered(store, tmp_path)
    ConsentRegister(store).withdraw(
        f"{site_name(0)}-1", withdrawn_at=SENT, recorded_at=SENT, actor="desk", channel=Channel.PAPER
    )
    assert isinstance(deliver(store, ORDER, clock=ManualClock(SENT + MINUTE), folder=tmp_path), Withheld)


def test_a_site_that_would_show_through_empties_its_half_hours_only(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=10.0)
    add_site(store, "factory")
    ConsentRegister(store).grant(consent("factory"), recorded_at=GRANTED, actor="desk")
    issue(store, "factory", [101.0 if 16 <= k < 36 else 99.0 for k in range(48)])
    outcome = delivered(store, tmp_path)
    assert outcome.delivery.suppressed == 20
    rows = rows_of(outcome.files[0])
    assert [row["suppressed"] for row in rows].count("1") == 20
    assert (rows[15]["p50_kw"], rows[16]["p50_kw"], rows[16]["p50_kwh"]) == ("199.000", "", "")


def test_a_site_that_shows_through_all_day_stops_the_delivery(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=1.0)
    add_site(store, "factory")
    ConsentRegister(store).grant(consent("factory"), recorded_at=GRANTED, actor="desk")
    issue(store, "factory", 300.0)
    outcome = deliver(store, ORDER, clock=ManualClock(SENT), folder=tmp_path)
    assert isinstance(outcome, Withheld)
    assert outcome.why == "one_site_dominates"


def test_the_night_of_arrays_is_zero_not_suppressed(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 12)
    sun = [0.0 if k < 10 or k > 37 else 5.0 for k in range(48)]
    for number in range(10):
        add_site(store, site_name(number), pv=True)
        issue(store, site_name(number), sun, target="roof", model="pv-learned")
    outcome = delivered(store, tmp_path, order=replace(ORDER, target=DeliveryTarget.PV))
    assert outcome.delivery.sites == 10
    assert outcome.missing == ()
    assert outcome.delivery.suppressed == 0
    assert rows_of(outcome.files[0])[0]["p50_kw"] == "0.000"
    assert outcome.delivery.energy_kwh == pytest.approx(10 * 0.5 * sum(sun))


def test_the_same_content_is_the_same_version_and_the_same_bytes(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    first = delivered(store, tmp_path)
    bytes_before = [path.read_bytes() for path in first.files]
    again = delivered(store, tmp_path, minutes=30)
    assert (again.is_new, again.delivery) == (False, first.delivery)
    assert [path.read_bytes() for path in again.files] == bytes_before
    acts = store.audit_trail(f"{DELIVERY}/{ORDER.key}")
    assert [(one.act, one.facts["version"]) for one in acts] == [("forecast.delivered", 1)] * 2


def test_a_new_issue_is_the_next_version_and_says_what_moved(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=10.0, issued_at=NINE)
    first = deliver(store, ORDER, clock=ManualClock(NINE + MINUTE), folder=tmp_path)
    assert isinstance(first, Delivered)
    for number in range(10):
        issue(store, site_name(number), [10.0 if k != 28 else 12.5 for k in range(48)], at=NOON)
    second = delivered(store, tmp_path)
    assert (first.delivery.version, second.delivery.version) == (1, 2)
    changes = second.delivery.changes
    assert changes is not None
    assert changes.what == ("values", "issue")
    assert (changes.slots, changes.largest_slot, changes.largest_kw) == (1, 29, 25.0)
    assert changes.energy_kwh == 12.5
    assert first.delivery.changes is None


def test_a_consenting_site_without_forecast_is_counted_not_invented(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    add_site(store, "silent")
    ConsentRegister(store).grant(consent("silent"), recorded_at=GRANTED, actor="desk")
    outcome = delivered(store, tmp_path)
    assert outcome.missing == ("silent",)
    assert (outcome.delivery.sites, outcome.delivery.sites_without_forecast) == (10, 1)


def test_a_week_issue_serves_until_the_day_ahead_one_is_made(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10, level_kw=10.0, issued_at=NOON)
    for number in range(10):
        issue(store, site_name(number), 8.0, at=NINE - timedelta(days=1), horizon=Horizon.WEEK)
    early = deliver(store, ORDER, clock=ManualClock(NINE), folder=tmp_path)
    late = delivered(store, tmp_path)
    assert isinstance(early, Delivered)
    assert (early.delivery.slots[0].p50_kw, late.delivery.slots[0].p50_kw) == (80.0, 100.0)


def test_a_day_that_nobody_forecast_is_an_error_with_the_next_step(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    with pytest.raises(DataError, match="no consenting site has a forecast") as caught:
        deliver(store, replace(ORDER, day=DAY + timedelta(days=3)), clock=ManualClock(SENT), folder=tmp_path)
    assert "vpp forecast run" in caught.value.hint


def test_a_name_that_no_consent_can_hold_is_refused(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a name"):
        deliver(store, replace(ORDER, recipient="../Retailer A"), clock=ManualClock(SENT), folder=tmp_path)


def test_a_folder_that_cannot_be_written_leaves_neither_file_nor_version(
    store: SqlStore, tmp_path: Path
) -> None:
    fill(store, 10)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder", encoding="utf-8")
    with pytest.raises(DataError, match="cannot write"):
        deliver(store, ORDER, clock=ManualClock(SENT), folder=blocked)
    assert store.audit_trail() == [one for one in store.audit_trail() if one.act == "consent.granted"]
    assert delivered(store, tmp_path).delivery.version == 1


def test_a_folder_that_is_not_there_is_made(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    assert delivered(store, tmp_path / "out" / "box").files[0].is_file()


def test_a_record_that_fails_leaves_no_file(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 10)

    def full(*_: object, **__: object) -> bool:
        raise DataError("the disk is full")

    monkeypatch.setattr(store, "put_document", full)
    with pytest.raises(DataError, match="disk is full"):
        deliver(store, ORDER, clock=ManualClock(SENT), folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_preview_says_the_same_and_leaves_no_trace(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    trail = store.audit_trail()
    looked = preview(store, ORDER, at=SENT)
    assert isinstance(looked, Delivered)
    assert store.audit_trail() == trail
    assert delivered(store, tmp_path).delivery == looked.delivery


def test_only_the_wanted_kinds_of_file_are_written(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    outcome = deliver(store, ORDER, clock=ManualClock(SENT), folder=tmp_path, kinds=(FileKind.JSON,))
    assert isinstance(outcome, Delivered)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_a_consent_after_the_export_does_not_work_backwards(store: SqlStore, tmp_path: Path) -> None:
    fill(store, 10)
    add_site(store, "late")
    issue(store, "late", 10.0)
    late = replace(consent("late"), granted_at=parse_jst("2026-08-04 13:00"))
    ConsentRegister(store).grant(late, recorded_at=parse_jst("2026-08-04 13:00"), actor="desk")
    assert delivered(store, tmp_path).delivery.sites == 10
    assert delivered(store, tmp_path, minutes=60).delivery.sites == 11


@settings(max_examples=25)
@given(levels=st.lists(st.floats(0.0, 400.0), min_size=1, max_size=14))
def test_no_value_is_shown_of_fewer_than_ten_sites_or_with_one_above_half(levels: list[float]) -> None:
    kilowatts = [round(level, 3) for level in levels]
    with open_store("sqlite://") as store:
        register = ConsentRegister(store)
        for number, level in enumerate(kilowatts):
            add_site(store, site_name(number))
            register.grant(consent(site_name(number)), recorded_at=GRANTED, actor="desk")
            issue(store, site_name(number), level)
        outcome = preview(store, ORDER, at=SENT)
    if isinstance(outcome, Withheld):
        dominated = 2.0 * 1.2 * max(kilowatts) > sum(round(1.2 * level, 3) for level in kilowatts) - 0.1
        assert len(kilowatts) < 10 or dominated
    else:
        assert len(kilowatts) >= 10
        assert 2.0 * max(kilowatts) <= sum(kilowatts) or sum(kilowatts) == 0.0
        assert outcome.delivery.slots[0].p50_kw == pytest.approx(np.sum(kilowatts), abs=1e-3)
