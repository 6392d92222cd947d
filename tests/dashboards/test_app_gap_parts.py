"""The page of a gap that is a part of its topic, in a real browser."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest

from monitor.coverage.gaps import gap_id_of
from monitor.settings import Settings
from monitor.store import Store
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import served

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SPLIT = {
    "attribute": "tenant", "value": HOSTILE, "share_of_gap": 0.88, "share_of_traffic": 0.4, "p_value": 0.001,
    "failures": 0.3, "failures_of_rest": 0.1,
}  # fmt: skip


def test_the_page_of_a_part_holds_its_turns_alone_and_says_why_it_ranks(tab: Any, analysed_app: Offmap) -> None:
    with duckdb.connect(str(analysed_app.store)) as database:
        whole, topic = database.execute("SELECT gap_id, topic_id FROM gaps ORDER BY rank LIMIT 1").fetchone()
        of_topic = (
            "turn_key IN (SELECT turn_key FROM assignments WHERE ? IN (middle, fine) AND act IS NULL AND NOT flood)"
        )
        database.execute("UPDATE turns SET prompt_version = 'v4' WHERE turn_key % 3 = 0")
        all_turns = database.execute(f"SELECT count(*) FROM turns WHERE {of_topic}", [topic]).fetchone()[0]
        own = database.execute(
            f"SELECT count(*) FROM turns WHERE {of_topic} AND prompt_version = 'v4'", [topic]
        ).fetchone()[0]
        part = gap_id_of(topic, "prompt_version", "v4")
        database.execute(
            "UPDATE gaps SET gap_id = ?, attribute = 'prompt_version', value = 'v4', splits = ? WHERE gap_id = ?",
            [part, json.dumps([SPLIT]), whole],
        )
    assert 0 < own < all_turns
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        tab.goto(f"{url}/gaps?gap={part}")
        tab.wait_for_selector("#gap-owner")
        text = tab.inner_text("#page")
        assert "(prompt version v4)" in text and "Only what comes from prompt version v4" in text
        assert f"{own} turns" in text and f"{all_turns} turns" not in tab.locator("#talks").locator("..").inner_text()
        assert (
            "88% of it comes from tenant <img" in text
            and "Replies fail in 30% of those turns, and in 10% of the rest of this gap." in text
        )
        assert "of the traffic ×" in text and "surely uncovered ×" in text
        assert tab.title() != "owned"
        tab.goto(f"{url}/gaps")
        tab.wait_for_selector(".ag-row")
        assert "prompt version v4: " in tab.inner_text("#page")
