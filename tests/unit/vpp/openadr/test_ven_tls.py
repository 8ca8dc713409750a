"""Mutual TLS and signed messages between our node and the openleadr server, and what happens without them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("openleadr", reason="the extra openadr is not installed")

from energy.core.clock import SystemClock
from energy.store import SqlStore, open_store
from tests.unit.vpp.cli.calling import vpp
from tests.unit.vpp.openadr.papers import Papers
from tests.unit.vpp.openadr.vtn import HOUR, START, Vtn, key_of, stepping
from vpp.openadr.ven import Link, Lost
from vpp.settlement.dr_events import EventBook


@pytest.fixture(scope="module")
def vtn(papers: Papers) -> Iterator[Vtn]:
    told = {name: str(papers.path(f"vtn.{end}")) for name, end in (("cert", "pem"), ("key", "key"))}
    with Vtn(**told, ca=str(papers.path("ca.pem")), fingerprint=papers.mark("ven")) as running:
        running.event("add", "Evt_1")
        yield running


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def link(vtn: Vtn, papers: Papers, *, who: str = "ven", ca: str = "ca.pem", mark: str | None = None) -> Link:
    return Link(
        url=vtn.url,
        ven_name="aizu",
        cert=papers.path(f"{who}.pem"),
        key=papers.path(f"{who}.key"),
        ca=papers.path(ca),
        fingerprint=mark,
    )


def test_events_come_over_mutual_tls_with_both_sides_signing(
    store: SqlStore, vtn: Vtn, papers: Papers
) -> None:
    with stepping(store, link(vtn, papers, mark=papers.mark("vtn")), SystemClock()) as node:
        assert [one.opt for one in node.heard().answers] == ["optIn"]
    assert EventBook(store).require(key_of("Evt_1")).end == START + 3 * HOUR
    assert vtn.does("answers")[0] == ["Evt_1", "optIn"]


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"ca": "other.pem"}, "certificate"),
        ({"mark": "00:11:22"}, "fingerprint"),
    ],
)
def test_who_is_not_who_they_should_be_gets_and_gives_no_event(
    store: SqlStore, vtn: Vtn, papers: Papers, told: dict[str, str], complaint: str
) -> None:
    with stepping(store, link(vtn, papers, **told), SystemClock()) as node:  # type: ignore[arg-type]
        found = node.step()
    assert isinstance(found, Lost)
    assert complaint in found.why.lower()
    assert EventBook(store).events() == []


def test_a_stranger_with_a_good_certificate_is_told_nothing(
    store: SqlStore, vtn: Vtn, papers: Papers
) -> None:
    with stepping(store, link(vtn, papers, who="stranger"), SystemClock()) as node:
        assert isinstance(node.step(), Lost)
    assert EventBook(store).events() == []


def test_the_command_listens_answers_and_says_what_it_did(vtn: Vtn, papers: Papers, tmp_path: Path) -> None:
    files = [
        f"--{name}={papers.path(file)}"
        for name, file in (("cert", "ven.pem"), ("key", "ven.key"), ("ca", "ca.pem"))
    ]
    words = [
        "dr",
        "listen",
        "--vtn",
        vtn.url,
        "--name",
        "aizu",
        *files,
        "--polls",
        "1",
        "--max-skew",
        "999999999",
    ]
    db = f"--db={tmp_path / 'dr.db'}"
    status, out, err = vpp(*words, db)
    assert (status, out) == (0, "Evt_1 (modification 0): answered yes\n"), err
    assert vpp(*words, db)[1] == out  # the server lists it again and wants the answer again
    assert "accepted" in vpp("dr", "event", "list", db)[1]


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "openleadr", None)
    words = ["--vtn", "http://127.0.0.1:1/x", "--name", "aizu", "--polls", "1", f"--db={tmp_path / 'dr.db'}"]
    status, _, err = vpp("dr", "listen", *words)
    assert status == 2
    assert "aizu-vpp[openadr]" in err


def test_the_command_says_that_nobody_is_there(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{Vtn().told['port']}/OpenADR2/Simple/2.0b"
    status, out, err = vpp(
        "dr", "listen", "--vtn", url, "--name", "aizu", "--polls", "1", f"--db={tmp_path / 'dr.db'}"
    )
    assert (status, out) == (5, "")
    assert "cannot be reached" in err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--vtn", "http://vtn.example/x"], "unprotected"),
        (["--vtn", "http://127.0.0.1:1/x", "--programme", "http://x/y"], "names no programme"),
        (["--vtn", "http://127.0.0.1:1/x", "--passphrase", "secret"], "the passphrase cannot be read"),
    ],
)
def test_a_command_that_cannot_be_followed_is_refused(
    words: list[str], complaint: str, tmp_path: Path
) -> None:
    status, _, err = vpp("dr", "listen", *words, "--name", "aizu", f"--db={tmp_path / 'dr.db'}")
    assert status == 2
    assert complaint in err
