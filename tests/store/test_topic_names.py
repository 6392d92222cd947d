"""Names that a model gave, on every kind of store: they go with their atlas, are taken over, and are forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.decisions import find_topic_called
from monitor.store import Store
from monitor.store.atlases import named
from monitor.store.topic_names import NamingRun, TopicName
from tests.store.conftest import NOON, make_turn
from tests.store.test_runs import assignments, atlas_row, topic_row

TURNS = [make_turn("t0", user_id="ann"), make_turn("t1", user_id="bob")]
KEYS = [turn.key for turn in TURNS]


def given(
    topic_id: str, name: str | None, *, asked: str = "h", model: str = "m", examples: tuple[int, ...] = ()
) -> TopicName:
    return TopicName(topic_id, model, asked, name, examples, NOON)


def test_a_later_atlas_takes_over_what_was_asked_with_the_same(store: Store) -> None:
    rows = [
        given("t1", "One", examples=tuple(KEYS)),
        given("t2", None),
        given("t3", "Three", asked="old"),
        given("t4", "Four", model="n"),
    ]
    store.topic_names.add("a1", rows)
    store.topic_names.carry("a2", "m", dict.fromkeys(("t1", "t2", "t3", "t4", "t5"), "h"))
    assert store.topic_names.read("a2") == rows[:2]
    store.topic_names.add("a2", [given("t1", "Uno")])
    assert [one.name for one in store.topic_names.read("a2")] == ["Uno", None]
    store.topic_names.carry("a2", "m", {"t2": "h"})
    assert store.topic_names.read("a2") == [rows[1]]
    store.topic_names.carry("a2", "", {})
    assert store.topic_names.read("a2") == [] and len(store.topic_names.read("a1")) == 4


def test_names_go_with_their_atlas(store: Store) -> None:
    store.atlases.write(atlas_row("a1"), [topic_row()], [], assignments(KEYS))
    store.topic_names.add("a1", [given(topic_row().topic_id, "Named")])
    assert store.atlases.topics("a1")[0].label == "Named"
    store.runs.sweep()
    assert store.topic_names.read("a1") == []


def test_forgetting_a_turn_takes_the_name_that_was_made_of_it(store: Store) -> None:
    store.turns.append(TURNS)
    topics = [replace(topic_row(), topic_id=topic_id, label=topic_id) for topic_id in ("t1", "t2")]
    store.atlases.write(atlas_row("a1"), topics, [], assignments(KEYS))
    store.topic_names.add("a1", [given("t1", "One", examples=(KEYS[0],)), given("t2", "Two", examples=(KEYS[1],))])
    store.deletion.forget(user="ann", at=NOON + timedelta(days=1))
    assert {one.label for one in store.atlases.topics("a1")} == {"t1", "Two"}


def test_totals_are_those_of_all_runs(store: Store) -> None:
    assert store.topic_names.totals().last is None
    first = NamingRun("r1", NOON, "m", 4, 3, 1, 2, 100, 10, 0.5, None)
    second = replace(first, run_id="r2", asked_at=NOON + timedelta(hours=1), cost_usd=None, error="it was away")
    for one in (second, first):
        store.topic_names.note(one)
    totals = store.topic_names.totals()
    assert (totals.runs, totals.named, totals.refused, totals.requests) == (2, 6, 2, 4)
    assert (totals.input_tokens, totals.output_tokens, totals.cost_usd, totals.last) == (200, 20, 0.5, second)


def test_a_models_name_gives_way_to_whatever_is_called_so() -> None:
    rows = [replace(topic_row(), topic_id=f"t{number}", label=label) for number, label in enumerate("abc")]
    by_model = {"t0": ("B", "m"), "t1": ("Mine", "m"), "t2": ("Free", "m")}
    found = named(rows, {"t0": "mine"}, by_model)
    assert [(one.label, one.named_by) for one in found] == [("mine", "person"), ("b", None), ("Free", "m")]
    assert [one.label for one in named(rows, {}, by_model)] == ["a", "Mine", "Free"]


def test_a_topic_is_found_by_its_name_and_by_its_label() -> None:
    rows = [replace(topic_row(), topic_id=f"t{number}", label=label) for number, label in enumerate("abc")]
    found = named(rows, {}, {"t0": ("Shop", "m")})
    assert [find_topic_called(found, text).topic_id for text in ("shop", "A", "b", "t2")] == ["t0", "t0", "t1", "t2"]
