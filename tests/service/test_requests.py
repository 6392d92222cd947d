"""What a page asks for: the commands, what is kept of them, and a turn that is forgotten while it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from monitor.service.duties import Duties
from monitor.service.requests import KINDS, command_of, kept_of
from monitor.settings import Settings
from monitor.store import Store
from tests.store.conftest import NOON, make_turn

SENTENCE = "9 % of it is about wilhelmina, parcel, late"
#: Every name that a command's document has, with a sentence wherever there is one, or could be one day.
DOCUMENT = {
    **dict.fromkeys(("verdict", "label", "text", "title", "query", "manifest", "reference", "detail"), SENTENCE),
    "id": "d1",
    "run": "run1",
    "path": "/exports/job1/g1.jsonl",
    "examples": 3,
    "read": 2,
    "left": 1,
    "turns": 1,
    "discarded": 4,
    "found": 3,
    "tested": 4,
    "smallest_share": 0.02,
    "hours": 30.0,
    "seconds": {"fit": 1.0},
    "topics": [{"label": SENTENCE}],
    "words": [{"text": SENTENCE, "effect": 0.1}],
    "nearest": [{"item": "i1", "text": SENTENCE, "cosine": 0.5}],
    "hidden": [
        {"name": SENTENCE, "label": SENTENCE, "topic": "t1", "items": 8, "share": 0.1, "alone": True, "found": False}
    ],
}


@dataclass
class Command:
    """Answers with the document; `meanwhile` is what happens while it works."""

    document: Mapping[str, Any]
    meanwhile: Callable[[], object] = lambda: None

    def run(self, command: list[str], **_: Any) -> Mapping[str, Any]:
        self.meanwhile()
        return self.document


def duties_of(store: Store, command: Command) -> Duties:
    return Duties(store, Settings(), command, clock=lambda: NOON, local_url="")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_no_sentence_is_kept(kind: str) -> None:
    kept = kept_of(kind, DOCUMENT)
    assert "wilhelmina" not in repr(kept)
    assert {name for name, value in kept.items() if isinstance(value, str)} <= {"id", "run", "path"}
    assert bool(kept) == (kind not in ("refit", "accept_change"))


def test_what_is_left_out_of_a_document_is_left_out_of_what_is_kept() -> None:
    assert kept_of("selftest", {"found": 0, "tested": 0}) == {"found": 0, "tested": 0, "hidden": []}
    assert kept_of("drift", {}) == {}


def test_a_comparison_of_the_page_has_descriptors() -> None:
    assert command_of("drift", {"against": "mine"}) == ["drift", "--descriptors", "--against=mine"]


def test_a_turn_that_is_forgotten_while_it_is_looked_at_leaves_nothing(store: Store) -> None:
    turn = make_turn("hers", user_id="wilhelmina")
    store.turns.append([turn])
    command = Command(DOCUMENT, lambda: store.deletion.forget(user="wilhelmina", at=NOON + timedelta(days=1)))
    duties = duties_of(store, command)
    duties.request("why", {"turn": str(turn.key)})
    assert duties.run_queued() == "why: no longer asked for"
    assert store.jobs.read() == [] and duties.run_queued() == ""


def test_the_job_that_waits_longest_is_taken(store: Store) -> None:
    duties = duties_of(store, Command({}))
    first = duties.request("selftest", {})
    second = duties.request("refit", {})
    taken = store.jobs.take()
    assert taken is not None and (taken.job_id, taken.kind) == (first, "selftest")
    assert [(job.job_id, job.state) for job in store.jobs.read("running")] == [(first, "running")]
    assert duties.run_queued() == "refit"
    assert [job.job_id for job in store.jobs.read("finished")] == [second] and store.jobs.take() is None
