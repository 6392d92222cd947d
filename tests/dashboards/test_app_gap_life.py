"""The life of a gap on its page, in a real browser: decided, refused, hidden, found again, closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.gap_decisions import GapDecisions
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.alerts import AlertRow
from monitor.store.gap_lives import GapLook, GapSighting
from monitor.store.reports import GapRow
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import now, served

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
TICKET = "https://tracker.example.org/OPS-1"


def gaps(store: Store) -> list[GapRow]:
    run = store.runs.current()
    assert run is not None
    return store.reports.gaps(run.report_id)


def opened(tab: Any, url: str, gap_id: str) -> None:
    tab.goto(f"{url}/gaps?gap={gap_id}")
    tab.wait_for_selector("#gap-owner")
    tab.wait_for_load_state("networkidle")


def press(tab: Any, name: str) -> None:
    tab.get_by_role("button", name=name, exact=True).click()


def test_a_gap_that_is_held_says_why(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = gaps(store)[0]
        seen = GapSighting(one.gap_id, one.topic_id, 1, 1, 40, 0.1, 0.84, 0.6, 0.88, None, None, None, 0)
        store.gap_lives.note(GapLook("", "run2", now() + timedelta(minutes=1), ("e1",)), [seen])
        opened(tab, url, one.gap_id)
        assert "is estimated at 84% covered now though no eval item was added for it" in tab.inner_text("#page")
        assert tab.locator(".mantine-Badge-root", has_text="held").count() == 1


def test_an_owner_a_plan_and_a_note_are_kept_and_are_text(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = gaps(store)[0]
        alert = AlertRow("al1", "gap", one.gap_id, now(), f"Gap: {HOSTILE}", {"text": ""}, f"/gaps?gap={one.gap_id}")
        store.alerts.raise_alerts([alert])
        opened(tab, url, one.gap_id)
        assert "owner: nobody yet" in tab.inner_text("#page") and "alert: Gap: <img" in tab.inner_text("#page")
        tab.fill("#gap-owner", HOSTILE)
        press(tab, "Set owner")
        tab.wait_for_selector("text=owner: <img")
        tab.fill("#gap-ticket", "javascript:alert(1)")
        press(tab, "Plan")
        tab.wait_for_selector("text=is no address")
        tab.fill("#gap-ticket", TICKET)
        press(tab, "Plan")
        tab.wait_for_selector(f"a[href='{TICKET}']")
        link = tab.locator(f"a[href='{TICKET}']").first
        assert "noopener" in link.get_attribute("rel") and link.get_attribute("target") == "_blank"
        tab.fill("#gap-note", f"see {HOSTILE}")
        press(tab, "Add note")
        tab.wait_for_selector("text=note: see <img")
        assert tab.title() != "owned"
        assert [(row.kind, row.value, row.who) for row in store.gap_lives.decisions()] == [
            ("owner", HOSTILE, "app"),
            ("plan", TICKET, "app"),
            ("note", None, "app"),
        ]
        tab.goto(f"{url}/gaps")
        tab.wait_for_selector(".ag-row")
        assert "planned · <img" in tab.inner_text("#page") and tab.title() != "owned"


def test_what_will_not_be_fixed_is_under_a_fold_and_opens_again(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = gaps(store)[0]
        opened(tab, url, one.gap_id)
        press(tab, "Won't fix")
        tab.wait_for_selector("text=a reason not to fix it must not be empty")
        tab.fill("#gap-reason", "out of scope")
        press(tab, "Won't fix")
        tab.wait_for_selector("text=: out of scope")
        [row] = store.gap_lives.decisions()
        assert row.until is not None and timedelta(days=89) < row.until - now() < timedelta(days=92)
        tab.goto(f"{url}/gaps")
        tab.wait_for_selector(".ag-row")
        assert one.label not in tab.inner_text("#page")
        tab.get_by_text("1 gap that will not be fixed yet").click()
        tab.get_by_role("link", name=one.label).click()
        tab.wait_for_selector("button:has-text('Open again')")
        press(tab, "Open again")
        tab.wait_for_selector("button:has-text('Acknowledge')")
        tab.goto(f"{url}/gaps")
        tab.wait_for_selector(".ag-row")
        tab.wait_for_timeout(500)
        assert one.label in tab.inner_text("#page") and "not be fixed" not in tab.inner_text("#page")
        tab.goto(url)
        tab.wait_for_selector(f"text={one.label}")


def test_a_gap_that_closed_keeps_its_page(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        one = gaps(store)[0]
        made = GapDecisions(store, one.gap_id, now=now())
        made.owner("Ann")
        made.write()
        run = store.runs.current()
        assert run is not None
        store.reports.write_gaps("r-after", [])
        store.gap_lives.note(GapLook("", "run-after", now(), ("e1",)), [])
        store._database.execute("DELETE FROM gaps WHERE report_id = ?", [run.report_id])
        tab.goto(f"{url}/gaps")
        tab.get_by_text("gaps that closed lately").click()
        tab.get_by_role("link", name=one.label).click()
        tab.wait_for_selector("text=the latest analysis does not list it")
        shown = tab.inner_text("#page")
        assert "owner: Ann" in shown and f"{one.turns} turns" in shown
        assert not tab.get_by_role("button", name="Plan", exact=True).is_visible()
        tab.goto(f"{url}/gaps?gap=gnothing")
        tab.wait_for_selector("text=There is no gap gnothing in the latest analysis")
