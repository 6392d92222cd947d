"""What became of a topic, on its page in a real browser: the turns that prove it, as text."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.settings import Settings
from monitor.store import Store
from monitor.store.atlases import LineageRow, TopicRow
from tests.cli.cli_support import Offmap
from tests.dashboards.app_support import now, served

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='owned'\"> **bold** \u202edesrever"
SAID = ("my ann@example.org vat invoice", HOSTILE, "word" * 500)


def replace_lineage(store: Store, topic: TopicRow, other: TopicRow) -> list[Any]:
    """The topic took one in and is a part of another, which three turns of hostile texts prove; one kept its id."""
    run = store.runs.current()
    assert run is not None
    members = store.curation.members(run.atlas_id, "middle", topic.topic_id)
    keys = members.column("turn_key").to_pylist()[:5]
    turns = store.turns.fetch(keys)
    database = store._database
    for turn, text in zip(turns, SAID, strict=False):
        database.execute("UPDATE turns SET user_text = ? WHERE turn_id = ?", [text, turn.turn_id])
    database.execute("DELETE FROM topic_lineage WHERE topic_id = ?", [topic.topic_id])
    database.execute("DELETE FROM lineage_turns WHERE topic_id = ?", [topic.topic_id])
    lineage = [
        LineageRow(topic.topic_id, "merged", "t-of-before", 0.75, tuple(keys[:3])),
        LineageRow(topic.topic_id, "split", other.topic_id, 0.5, tuple(keys[3:])),
    ]
    for one in lineage:
        database.execute(
            "INSERT INTO topic_lineage VALUES (?, ?, ?, ?, ?)",
            [run.atlas_id, one.topic_id, one.event, one.other, one.shared],
        )
        for place, key in enumerate(one.turns):
            database.execute(
                "INSERT INTO lineage_turns VALUES (?, ?, ?, ?, ?, ?)",
                [run.atlas_id, one.topic_id, one.event, one.other, place, key],
            )
    return store.turns.fetch(keys)


def test_the_page_quotes_the_turns_that_prove_it(tab: Any, analysed_app: Offmap) -> None:
    with Store.open(str(analysed_app.store)) as store, served(store, Settings()) as url:
        run = store.runs.current()
        assert run is not None
        topic, other = [one for one in store.atlases.topics(run.atlas_id) if one.level == 1][:2]
        turns = replace_lineage(store, topic, other)
        tab.goto(f"{url}/topics?topic={topic.topic_id}")
        tab.wait_for_selector(".became")
        merged, split = tab.inner_text(".became.merged"), tab.inner_text(".became.split")
        assert merged.startswith("t-of-before came in") and "Turns that came along" in merged
        assert "my [email] vat invoice" in merged and "ann@example.org" not in merged
        assert "<img src=x onerror=" in merged and "\u202e" not in merged and "wordword" in merged
        assert tab.locator("#page img[src=x]").count() == 0 and tab.title() == "offmap"
        assert max(map(len, merged.splitlines())) < 250
        assert split.startswith(f"split from {other.label}") and turns[4].user_text in split
        wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        store.deletion.forget(turn=turns[4].turn_id, tenant=turns[4].tenant, at=now())
        tab.reload()
        tab.wait_for_selector(".became.split")
        assert turns[4].user_text not in tab.inner_text(".became.split")
        tab.click(".became.split a")
        tab.wait_for_url(f"**topic={other.topic_id}")


def test_nothing_is_quoted_of_a_topic_of_few_users(tab: Any, analysed_app: Offmap) -> None:
    many = Settings().with_value("alerts.min_users", 1_000, source="test")
    with Store.open(str(analysed_app.store)) as store, served(store, many) as url:
        run = store.runs.current()
        assert run is not None
        one = next(one for one in store.atlases.topics(run.atlas_id) if one.level == 1)
        tab.goto(f"{url}/topics?topic={one.topic_id}")
        tab.wait_for_selector(".became")
        assert tab.inner_text(".became") == "It is new."
