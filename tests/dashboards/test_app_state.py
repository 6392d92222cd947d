"""What stands in an address, and the routes that are no pages."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.app import make_app
from dashboards.state import Selection
from monitor.health import Health, PartHealth
from monitor.settings import Settings
from monitor.store import Store
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import now


def test_a_selection_survives_the_address() -> None:
    search = "?from=2026-03-30&to=2026-04-05&model=a%2Cb&tenant=eu&gap=g1"
    selection = Selection.parse(search)
    assert (selection.first, selection.last) == (date(2026, 3, 30), date(2026, 4, 5))
    assert selection.filters == {"model": ("a", "b"), "tenant": ("eu",)} and selection.query == {"gap": "g1"}
    assert Selection.parse(selection.search(**selection.query)) == selection
    window = selection.window
    assert window is not None and (window.start, window.end) == (datetime(2026, 3, 30), datetime(2026, 4, 6))


@pytest.mark.parametrize(
    ("search", "note"),
    [
        ("?from=xyz", "from=xyz is no date"),
        ("?from=2026-04-05&to=2026-04-01", "is after"),
        ("?" + "a=1&" * 60, "too many"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_said(search: str, note: str) -> None:
    selection = Selection.parse(search)
    assert any(note in one for one in selection.notes) and selection.window is None


@given(st.text())
def test_no_address_is_an_error(search: str) -> None:
    Selection.parse(search)


class Sick:
    def health(self) -> Health:
        part = PartHealth("consumer", "failing", now(), "no broker", 3)
        return Health(now(), (part,))

    def request(self, kind: str, parameters: object) -> str:
        raise AssertionError

    def file(self, job_id: str) -> None:
        return None


@pytest.mark.slow
def test_health_and_downloads(analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        client = make_app(store, Settings()).server.test_client()
        assert client.get("/healthz").status_code == 200 and client.get("/readyz").json["ok"] is True
        assert client.get("/downloads/nothing").status_code == 404
        assert client.get("/downloads/..%2f..%2fetc%2fpasswd").status_code in (200, 404)
        assert b"root:" not in client.get("/downloads/..%2f..%2fetc%2fpasswd").data
        page = client.get("/")
        assert page.headers["X-Frame-Options"] == "DENY" and page.headers["X-Content-Type-Options"] == "nosniff"
        sick = make_app(store, Settings(), service=Sick()).server.test_client()  # type: ignore[arg-type]
        answer = sick.get("/healthz")
        assert answer.status_code == 503 and answer.json["parts"][0]["detail"] == "no broker"


def test_a_path_prefix(analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store:
        client = make_app(store, Settings(), prefix="/tools/offmap/").server.test_client()
        assert client.get("/tools/offmap/").status_code == 200
        assert client.get("/tools/offmap/healthz").status_code == 200
        assert client.get("/healthz").status_code == 404
