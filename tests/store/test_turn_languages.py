"""Languages that were found: noted, asked for beside those that the log states, and forgotten with their turn."""

from __future__ import annotations

import numpy as np

from monitor.records import Turn
from monitor.store import Store
from monitor.store.atlases import ForeignTurns
from monitor.store.statistics import Filter
from tests.store.conftest import NOON, make_turn
from tests.store.test_statistics import assign


def filled(store: Store) -> list[Turn]:
    """One stated as de-AT, one found to be German, one English, one of which nothing is known."""
    turns = [
        make_turn("stated", language="de-AT", user_id="ann"),
        make_turn("found", user_id="ann"),
        make_turn("english"),
        make_turn("nothing"),
    ]
    store.turns.append(turns)
    note(store, turns[1:], ["de", "en", None])
    return turns


def note(store: Store, turns: list[Turn], codes: list[str | None]) -> int:
    keys = np.array([turn.key for turn in turns], np.uint64)
    return store.languages.note(keys, codes, np.full(len(turns), 0.9, np.float32))


def test_noting_again_writes_what_differs_alone(store: Store) -> None:
    turns = filled(store)
    assert note(store, turns[1:], ["de", "en", None]) == 0
    assert note(store, turns[1:], ["fr", "en", None]) == 2  # one row goes, one comes
    assert store.languages.of([turn.key for turn in turns]) == {turns[1].key: "fr", turns[2].key: "en"}
    assert note(store, turns[1:2], [None]) == 1
    assert note(store, [], []) == 0
    assert store.languages.of([]) == {}


def test_stated_and_found_count_together_and_the_stated_goes_before(store: Store) -> None:
    turns = filled(store)
    assert store.languages.counts() == {"de": 2, "en": 1}
    assert store.statistics.values("language") == ["de", "en"]
    note(store, turns[:1], ["fr"])
    assert store.languages.counts() == {"de": 2, "en": 1}
    day = store.statistics.turns_by("day", Filter(language=("fr",)))
    assert day.num_rows == 0


def test_filters_see_both(store: Store) -> None:
    turns = filled(store)
    assign(store, [(turn, "x", None, False) for turn in turns])
    for asked, expected in {
        ("de",): {"stated", "found"},
        ("de-DE",): {"stated", "found"},
        ("DE", "en"): {"stated", "found", "english"},
        ("fr",): set(),
        ("x'); DROP TABLE turns; --",): set(),
    }.items():
        keys, total = store.statistics.members("a1", "fine", "fine x", Filter(language=asked), limit=10)
        assert {turn.turn_id for turn in turns if turn.key in keys} == expected
        assert total == len(expected)
        sizes, whole = store.statistics.topic_sizes("a1", Filter(language=asked))
        assert whole == len(expected)
        assert sizes == {f"{level} x": whole for level in ("broad", "middle", "fine") if whole}
    assert store.statistics.topic_sizes("a1", Filter())[1] == 4


def test_forget_takes_the_language_along(store: Store) -> None:
    turns = filled(store)
    assign(store, [(turn, None, None, False) for turn in turns])
    store.deletion.forget(user="ann", at=NOON)
    assert store.languages.of([turn.key for turn in turns]) == {turns[2].key: "en"}
    assert store.languages.counts() == {"en": 1}
    assert store._database.value("SELECT count(*) FROM turn_languages") == 1


def test_foreign_turns_of_an_atlas(store: Store) -> None:
    turns = filled(store)
    rows = [(turns[0], None, None, False), (turns[1], None, None, False), (turns[2], "x", None, False)]
    assign(store, [*rows, (turns[3], None, "small_talk", False)], foreign={turns[0].key: "de", turns[1].key: "fr"})
    assert store.atlases.foreign("a1") == ForeignTurns(3, {"de": 1, "fr": 1})
    assert store.atlases.foreign("a1").share == 2 / 3
    assert store.atlases.foreign("none") == ForeignTurns(0, {})
    assert store.atlases.foreign("none").share == 0
    assert store.statistics.topic_sizes("a1", Filter())[1] == 1
    over_time = store.statistics.topics_by("a1", "fine", "day", Filter(), ["fine x"]).to_pylist()
    assert [(row["topic"], row["turns"]) for row in over_time] == [("fine x", 1)]
