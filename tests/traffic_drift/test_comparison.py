"""The verdict over windows of a run: its level, what it says, and what it says when it cannot say anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift.comparison import PINNED, compare_windows, default_windows
from monitor.drift.family import ALWAYS
from monitor.drift.look import Attribute, Look
from monitor.drift.sample import Sample
from monitor.encoding.recipe import EVAL_PROMPT, text_hash
from monitor.errors import InputError, UsageError
from monitor.records import EvalItem, EvalSet, Window
from monitor.settings import AlertSettings, DriftSettings, Settings
from monitor.store.atlases import AtlasRow, TopicRow
from monitor.store.runs import PublishedRun
from monitor.store.statistics import Release
from monitor.store.store import Store
from tests.traffic_drift.drift_draws import SUBJECTS, WEIGHTS, draw, most_alarms

START = datetime(2026, 3, 1)
END = START + timedelta(days=35)
BORDER = END - timedelta(days=7)
DAY = 86_400_000_000
ENCODER, RECIPE = "mini", "text"


def settings(**drift: float) -> Settings:
    return Settings(drift=DriftSettings(**{"permutations": 99, "false_alarm": 0.05, **drift}))  # type: ignore[arg-type]


def topic(number: int, level: int, parent: str | None = None, users: int = 50) -> TopicRow:
    return TopicRow(f"t{number}", level, parent, f"subject {number}", ("a",), 9, 9, users, 0.1, (), START)


TOPICS = [
    *(topic(number, 2, f"t{SUBJECTS + 1 + number // 2}") for number in range(SUBJECTS + 1)),
    *(topic(SUBJECTS + 1 + number, 1) for number in range(SUBJECTS // 2 + 1)),
]


def store_vectors(store: Store, sample: Sample, first: int = 0) -> list[bytes]:
    hashes = [(first + number).to_bytes(16, "big") for number in range(len(sample))]
    store.vectors.append(ENCODER, RECIPE, hashes, sample.vectors)
    return hashes


def look_of(sample: Sample, hashes: list[bytes], created: NDArray[np.int64], topics: list[TopicRow] = TOPICS) -> Look:
    """What a run says of a sample whose topics are positions: fine ones first, then the middle ones."""
    atlas = AtlasRow("a1", END, START, END, ENCODER, RECIPE, "leiden", "{}", len(sample), len(sample), "f")
    run = PublishedRun("r1", "a1", "p1", END, START, END, (), "{}")
    fine = sample.topics[1]
    middle = np.where(fine >= 0, SUBJECTS + 1 + fine // 2, -1)
    return Look(
        run=run,
        atlas=atlas,
        report=None,
        topics=topics,
        gaps=[],
        keys=np.arange(len(sample), dtype=np.uint64),
        hashes=hashes,
        created=created,
        conversation=sample.conversations,
        user=sample.conversations,
        fine=fine,
        middle=middle,
        covered=np.full(len(sample), np.nan),
    )


def microseconds(when: datetime) -> int:
    return int((when - datetime(1970, 1, 1)) / timedelta(microseconds=1))


def at(current: NDArray[np.bool_]) -> NDArray[np.int64]:
    """In the last week, or a week earlier."""
    return np.where(current, microseconds(BORDER) + DAY, microseconds(BORDER) - 7 * DAY)


def together(one: Sample, other: Sample) -> tuple[Sample, NDArray[np.int64]]:
    both = Sample(
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.topics, other.topics], axis=1),
        np.concatenate([one.conversations, 100_000 + other.conversations]),
    )
    return both, at(np.arange(len(both)) >= len(one))


def clock() -> datetime:
    return END + timedelta(hours=1)


def grown(part: float) -> NDArray[np.float64]:
    weights = WEIGHTS.copy()
    weights[SUBJECTS] = weights.sum() * part / (1 - part)
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 10])
def test_verdicts_on_traffic_that_did_not_change_stay_at_the_level(store: Store, turns: int) -> None:
    """The same conversations, dealt out to the two windows again and again; every difference has a size here."""
    draws, level = 200, 0.1
    conversations = 24 if turns == 10 else 100
    rng = np.random.default_rng(turns)
    chosen = settings(false_alarm=level, min_turns=20, min_change=0)
    alarms = small = 0
    for number in range(draws):
        sample = draw(rng, conversations, turns)
        hashes = store_vectors(store, sample, number * len(sample))
        current = (rng.permutation(conversations) < conversations * 0.4)[sample.conversations]
        found = compare_windows(store, chosen, look_of(sample, hashes, at(current)), clock=clock)
        assert found.p_value is not None
        small += found.p_value <= level
        alarms += found.alarm
    assert alarms <= small <= most_alarms(draws, level)


@pytest.mark.parametrize("turns", [1, 3])
def test_a_new_subject_is_an_alarm_that_names_it(store: Store, turns: int) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300, turns), draw(rng, 200, turns, grown(0.2)))
    look = look_of(both, store_vectors(store, both), created)
    found = compare_windows(store, settings(), look, clock=clock)
    assert found.alarm
    assert found.p_value == pytest.approx(0.01)
    assert found.effect == pytest.approx(0.2, abs=0.08)
    assert found.verdict.startswith("The traffic changed between 1 Mar – 28 Mar and 29 Mar – 4 Apr"), found.verdict
    # The fine topic is all that the middle one holds: it is said once.
    assert f"Traffic about subject {SUBJECTS + 1 + SUBJECTS // 2} is new since 30 Mar: " in found.verdict
    assert f"about subject {SUBJECTS} " not in found.verdict
    assert " of it is unlike anything before." in found.verdict
    assert [test["name"] for test in found.body["tests"]] == list(ALWAYS)
    assert sum(test["weight"] for test in found.body["tests"]) == pytest.approx(1)
    assert all(test["low"] <= test["effect"] <= test["high"] for test in found.body["tests"])
    for level in (1, 2):
        parts = [row["contribution"] for row in found.body["topics"] if row["level"] == level]
        assert min(parts) >= 0
        assert 0.5 <= sum(parts) <= 1 + 1e-9
    assert found.body["turns"] == {"reference": 300 * turns, "current": 200 * turns}
    first = found.body["topics"][0]
    assert first["topic"] in (f"t{SUBJECTS}", f"t{SUBJECTS + 1 + SUBJECTS // 2}")
    assert first["moved"]
    assert first["change_low"] < first["after"] - first["before"] < first["change_high"]


def test_a_topic_of_few_users_is_not_named(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.2)))
    few = [topic(number, one.level, one.parent, users=2) for number, one in enumerate(TOPICS)]
    look = look_of(both, store_vectors(store, both), created, few)
    shy = Settings(drift=settings().drift, alerts=AlertSettings(min_users=1_000))
    found = compare_windows(store, shy, look, clock=clock)
    assert found.alarm
    assert "subject" not in found.verdict
    assert "No single topic carries it" in found.verdict
    assert {row["label"] for row in found.body["topics"]} == {None}


def test_a_sure_change_without_a_size_is_no_alarm(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.2)))
    # The texts changed, and none of them has a topic that did.
    same = Sample(both.vectors, np.zeros_like(both.topics), both.conversations)
    found = compare_windows(store, settings(), look_of(same, store_vectors(store, both), created), clock=clock)
    assert found.p_value is not None
    assert found.p_value <= 0.05
    assert not found.alarm
    assert "too little to matter" in found.verdict


def test_turns_without_a_topic_are_compared_all_the_same(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.3)))
    none = Sample(both.vectors, np.full_like(both.topics, -1), both.conversations)
    found = compare_windows(store, settings(), look_of(none, store_vectors(store, both), created), clock=clock)
    assert [test["name"] for test in found.body["tests"]] == [
        name for name in ALWAYS if name not in ("topic", "shares")
    ]
    assert found.p_value <= 0.05
    assert found.effect is None
    assert not found.alarm
    assert found.body["topics"] == []
    assert "without topics nothing says by how much" in found.verdict


def test_the_same_comparison_has_the_same_result_and_id(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 200), draw(rng, 120))
    look = look_of(both, store_vectors(store, both), created)
    one, other = (compare_windows(store, settings(), look, clock=clock) for _ in range(2))
    assert one == other
    other = compare_windows(store, settings(), look, current=Window(BORDER, END - timedelta(days=1)), clock=clock)
    assert one.report_id != other.report_id
    assert compare_windows(store, settings(permutations=199), look, clock=clock).report_id != one.report_id


@pytest.mark.parametrize(("before", "after"), [(0, 0), (99, 300), (300, 99), (300, 0)])
def test_too_few_turns_say_so(store: Store, before: int, after: int) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, before), draw(rng, after))
    found = compare_windows(store, settings(), look_of(both, store_vectors(store, both), created), clock=clock)
    assert found.p_value is None
    assert found.effect is None
    assert not found.alarm
    number = after if after < 100 else before
    assert found.verdict.startswith(f"Too little to say: {number} turns in ")
    assert "at least 100 are needed (setting drift.min_turns)" in found.verdict


def eval_set(store: Store, sample: Sample, name: str = "mine") -> None:
    items = tuple(
        EvalItem(item_id=str(number), prompt=f"where is the parcel with the number {number}")
        for number in range(len(sample))
    )
    store.eval_sets.save(EvalSet(name, "1", START, items))
    hashes = [text_hash(EVAL_PROMPT.prepare(item.prompt)) for item in items]
    store.vectors.append(ENCODER, EVAL_PROMPT.name, hashes, sample.vectors)


def test_an_eval_set_without_a_subject_of_the_traffic_is_an_alarm(store: Store) -> None:
    rng = np.random.default_rng(0)
    eval_set(store, draw(rng, 120))
    traffic = draw(rng, 300, 1, grown(0.3))
    look = look_of(traffic, store_vectors(store, traffic), at(np.ones(300, bool)))
    found = compare_windows(store, settings(), look, against="mine", clock=clock)
    assert found.alarm
    assert (found.reference, found.reference_start, found.reference_end) == ("mine", None, None)
    assert found.verdict.startswith("The traffic changed from mine (120 items and 300 turns)")
    assert "of the eval set" in found.verdict


def test_an_eval_set_like_the_traffic_is_no_alarm(store: Store) -> None:
    rng = np.random.default_rng(1)
    eval_set(store, draw(rng, 120))
    traffic = draw(rng, 300)
    look = look_of(traffic, store_vectors(store, traffic), at(np.ones(300, bool)))
    found = compare_windows(store, settings(), look, against="mine", clock=clock)
    assert not found.alarm
    assert found.verdict.startswith("No change beyond chance from mine")


def test_eval_sets_that_say_nothing(store: Store) -> None:
    rng = np.random.default_rng(0)
    traffic = draw(rng, 300)
    look = look_of(traffic, store_vectors(store, traffic), at(np.ones(300, bool)))
    eval_set(store, draw(rng, 3), "tiny")
    found = compare_windows(store, settings(), look, against="tiny", clock=clock)
    assert "3 items in tiny" in found.verdict
    # The setting that is named is the one to change.
    least = Settings().coverage.min_eval_items
    assert f"at least {least} are needed (setting coverage.min_eval_items)" in found.verdict
    store.eval_sets.save(EvalSet("raw", "1", START, (EvalItem(item_id="1", prompt="never encoded"),)))
    with pytest.raises(UsageError, match="offmap analyse --eval-set raw"):
        compare_windows(store, settings(), look, against="raw", clock=clock)
    with pytest.raises((UsageError, InputError), match="absent"):
        compare_windows(store, settings(), look, against="absent", clock=clock)


def test_the_usual_windows_end_with_the_run_or_now(store: Store) -> None:
    look = look_of(draw(np.random.default_rng(0), 0), [], np.zeros(0, np.int64))
    current, before = default_windows(look, Settings(), clock)
    assert (before.start, before.end, current.start, current.end) == (START, BORDER, BORDER, END)
    early = START + timedelta(days=30)
    current, before = default_windows(look, settings(current_days=3, reference_days=5), lambda: early)
    assert current == Window(early - timedelta(days=3), early)
    assert before == Window(early - timedelta(days=8), early - timedelta(days=3))


def two_tenants(rng: np.random.Generator, ours: int, theirs: int, weights: NDArray[np.float64]) -> Sample:
    """Two tenants' turns, in this order, who ask about different things."""
    parts = (
        draw(rng, ours, 1, weights * np.array([1, 0, 1, 0, 1, 0, 1])),
        draw(rng, theirs, 1, weights * np.array([0, 1, 0, 1, 0, 1, 0])),
    )
    return Sample(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.topics for part in parts], axis=1),
        np.arange(ours + theirs),
    )


def with_tenants(look: Look, tenants: list[int]) -> Look:
    return replace(look, attributes={"tenant": Attribute(("eu", "us"), np.array(tenants))})


@pytest.mark.parametrize("grows", [False, True])
def test_another_mix_of_tenants_is_told_from_new_behaviour(store: Store, grows: bool) -> None:
    rng = np.random.default_rng(0)
    before = two_tenants(rng, 300, 80, WEIGHTS)
    now = two_tenants(rng, 100, 160, grown(0.3) if grows else WEIGHTS)
    both, created = together(before, now)
    look = with_tenants(
        look_of(both, store_vectors(store, both), created), [0] * 300 + [1] * 80 + [0] * 100 + [1] * 160
    )
    found = compare_windows(store, settings(), look, clock=clock)
    assert found.p_value is not None
    assert found.p_value <= 0.05
    assert found.alarm is grows
    (mix,) = found.body["mixes"]
    assert (mix["attribute"], mix["p_value"]) == ("tenant", 0.01)
    shares = {one["value"]: (one["before"], one["after"]) for one in mix["values"]}
    assert shares["us"] == pytest.approx((80 / 380, 160 / 260), abs=1e-6)
    assert sum(one["contribution"] for one in mix["values"]) <= 1 + 1e-9
    assert (mix["within_p_value"] <= 0.05) is grows
    if grows:
        assert "The traffic changed between" in found.verdict
        assert "It comes with other tenants: " in found.verdict
        assert "which does not explain it." in found.verdict
    else:
        assert found.verdict.startswith("Other tenants make up the traffic between"), found.verdict
        assert "us 62% of it (21% before)" in found.verdict
        assert found.verdict.endswith("Within each of them nothing changed beyond chance.")


def test_a_prompt_version_that_is_new_is_said_and_explains_nothing(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.3)))
    look = look_of(both, store_vectors(store, both), created)
    look = replace(look, attributes={"prompt_version": Attribute(("v3", "v4"), np.repeat([0, 1], [300, 200]))})
    found = compare_windows(store, settings(), look, clock=clock)
    assert found.alarm
    (mix,) = found.body["mixes"]
    assert mix["within_p_value"] is None
    assert "It comes with other prompt versions: v4 100% of it (0% before), v3 0% of it (100% before)." in found.verdict


def test_a_release_is_dated_in_the_verdict(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.3)))
    look = look_of(both, store_vectors(store, both), created)
    look = replace(look, attributes={"prompt_version": Attribute(("v3", "v4"), np.repeat([0, 1], [300, 200]))})
    long_ago = Release("prompt_version", "v3", START - timedelta(days=90))
    releases = [long_ago, Release("prompt_version", "v4", BORDER), Release("model", "v3", BORDER)]
    monkeypatch.setattr(type(store.statistics), "releases", lambda _: releases)
    found = compare_windows(store, settings(), look, clock=clock)
    (mix,) = found.body["mixes"]
    assert {one["value"]: one["since"] for one in mix["values"]} == {"v3": None, "v4": "2026-03-29"}
    assert "v4 100% of it (0% before, in use since 29 Mar), v3 0% of it (100% before)." in found.verdict


def test_what_fell_away_and_what_is_vague_are_dated_as_they_are(store: Store) -> None:
    """A subject that nobody asks about from the sixth of 28 days on, in windows whose border is a week from the end."""
    rng = np.random.default_rng(1)
    days = np.sort(rng.integers(0, 28, 2_000))
    before, after = draw(rng, 2_000, 1, grown(0.2)), draw(rng, 2_000)
    early = days < 6
    both = Sample(
        np.where(early[:, None], before.vectors, after.vectors),
        np.where(early, before.topics, after.topics),
        before.conversations,
    )
    look = look_of(both, store_vectors(store, both), microseconds(START) + days * DAY + DAY // 2)
    windows = Window(START, START + timedelta(days=10)), Window(START + timedelta(days=18), START + timedelta(days=28))
    found = compare_windows(store, settings(), look, reference=windows[0], current=windows[1], clock=clock)
    first = next(row for row in found.body["topics"] if row["topic"] == f"t{SUBJECTS + 1 + SUBJECTS // 2}")
    assert first["moved"] and first["after"] == 0
    assert datetime.fromisoformat(first["since"]) == START + timedelta(days=6)
    assert f"Traffic about subject {SUBJECTS + 1 + SUBJECTS // 2} ended on " in found.verdict


def test_a_day_is_compared_with_its_like(store: Store) -> None:
    """Sundays ask about something else; the last day is a Sunday."""
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(28), 60)
    sunday = (microseconds(START) // DAY + days + 3) % 7 == 6
    usual, rest = draw(rng, len(days)), draw(rng, len(days), 1, grown(0.5))
    both = Sample(
        np.where(sunday[:, None], rest.vectors, usual.vectors),
        np.where(sunday, rest.topics, usual.topics),
        usual.conversations,
    )
    look = look_of(both, store_vectors(store, both), microseconds(START) + days * DAY + DAY // 2)
    last = max(day for day in range(28) if (START + timedelta(days=day)).weekday() == 6)
    window = Window(START + timedelta(days=last), START + timedelta(days=last + 1))
    found = compare_windows(store, settings(min_turns=50), look, current=window, clock=clock)
    assert found.body["like_hours"]
    assert found.body["turns"]["reference"] == 60 * 3
    assert not found.alarm, found.verdict
    assert "turns, the same hours of the week" in found.verdict
    # With too few like days everything is compared, and the difference is that of the days.
    found = compare_windows(store, settings(min_turns=60, reference_days=6), look, current=window, clock=clock)
    assert not found.body["like_hours"]
    assert found.alarm


def test_ten_days_are_compared_with_as_many_of_each_weekday(store: Store) -> None:
    """Sundays ask about something else, and ten days hold two of them: a fifth of the days, where a week has a seventh."""
    rng = np.random.default_rng(0)
    days = np.repeat(np.arange(35), 60)
    sunday = (microseconds(START) // DAY + days + 3) % 7 == 6
    usual, rest = draw(rng, len(days)), draw(rng, len(days), 1, grown(0.9))
    both = Sample(
        np.where(sunday[:, None], rest.vectors, usual.vectors),
        np.where(sunday, rest.topics, usual.topics),
        usual.conversations // 2,  # whole conversations are drawn
    )
    created = microseconds(START) + days * DAY + np.tile(np.arange(60) // 2 * DAY // 30, 35)
    look = look_of(both, store_vectors(store, both), created)
    last = max(day for day in range(35) if (START + timedelta(days=day)).weekday() == 6) + 1
    window = Window(START + timedelta(days=last - 10), START + timedelta(days=last))
    found = compare_windows(store, settings(reference_days=21), look, current=window, clock=clock)
    assert not found.alarm, found.verdict
    assert found.body["like_hours"] and "turns, the same hours of the week" in found.verdict
    # Of 19 days before: both Fridays and Saturdays, two Sundays of three, and one of three of each other weekday.
    assert found.body["turns"]["reference"] == pytest.approx(60 * 10, abs=4)
    again = compare_windows(store, settings(reference_days=21), look, current=window, clock=clock)
    assert again.p_value == found.p_value
    # Of five days before too few are left, and all are compared.
    found = compare_windows(store, settings(reference_days=5, min_turns=200), look, current=window, clock=clock)
    assert not found.body["like_hours"] and found.body["turns"]["reference"] == 300
    # Whole weeks are compared with whole weeks as they are.
    week = Window(START + timedelta(days=28), START + timedelta(days=35))
    found = compare_windows(store, settings(), look, current=week, clock=clock)
    assert not found.body["like_hours"] and found.body["turns"]["reference"] == 28 * 60


def test_a_pinned_reference_stays(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.2)))
    look = look_of(both, store_vectors(store, both), created)
    with pytest.raises(UsageError, match=r"set drift\.pinned to START/END"):
        compare_windows(store, settings(), look, against=PINNED, clock=clock)
    day = (BORDER - timedelta(days=7)).date()
    pinned = settings(pinned=f"{day}/{day + timedelta(days=1)}")  # type: ignore[arg-type]
    found = compare_windows(store, pinned, look, against=PINNED, clock=clock)
    assert found.reference == PINNED
    assert (found.reference_start, found.reference_end) == (BORDER - timedelta(days=7), BORDER - timedelta(days=6))
    assert found.alarm


def test_tests_on_request_are_said_and_have_no_say(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200))
    look = look_of(both, store_vectors(store, both), created)
    plain = compare_windows(store, settings(), look, clock=clock)
    found = compare_windows(store, settings(), look, also=("energy", "classifier"), clock=clock)
    assert [test["name"] for test in found.body["tests"]] == [*ALWAYS, "energy", "classifier"]
    assert found.p_value == plain.p_value
    assert found.report_id != plain.report_id
