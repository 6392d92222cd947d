"""The sample data holds what its `truth.json` says, and nothing else is planted."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sample_data.catalogue import load_catalogue, normalised
from sample_data.generate import HERE, main

REQUIRED = {
    *("turn_id", "conversation_id", "turn_index", "created_at", "user_text", "assistant_text", "prompt_template"),
    *("prompt_version", "model", "provider", "input_tokens", "output_tokens", "cost_usd", "latency_ms"),
    *("time_to_first_token_ms", "feedback_score", "feedback_comment", "language", "user_id", "tenant", "app"),
    "environment",
}
FILES = ("turns.jsonl.gz", "turn_truth.jsonl.gz", "evalset.jsonl", "truth.json")


@dataclass(frozen=True)
class Data:
    folder: Path
    turns: list[dict[str, Any]]
    turn_truth: dict[str, dict[str, Any]]
    evalset: list[dict[str, Any]]
    truth: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Data:
        return cls(
            folder,
            _records(folder / "turns.jsonl.gz"),
            {record["turn_id"]: record for record in _records(folder / "turn_truth.jsonl.gz")},
            _records(folder / "evalset.jsonl"),
            json.loads((folder / "truth.json").read_text(encoding="utf-8")),
        )

    def of_intent(self, intent: str) -> list[dict[str, Any]]:
        return [turn for turn in self.turns if self.turn_truth[turn["turn_id"]]["intent"] == intent]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [turn for turn in self.turns if self.turn_truth[turn["turn_id"]]["kind"] == kind]


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _content(path).decode("utf-8").splitlines()]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("planted")
    assert main(["--out", str(folder)]) == 0
    return Data.read(folder)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("control")
    assert main(["--out", str(folder), "--control"]) == 0
    return Data.read(folder)


@pytest.fixture(scope="module", params=["planted", "control"])
def either(request: pytest.FixtureRequest) -> Data:
    data: Data = request.getfixturevalue(request.param)
    return data


@pytest.mark.slow
def test_size_is_what_was_asked_for(either: Data) -> None:
    counts = either.truth["counts"]
    assert 14_000 <= counts["turns"] <= 16_000
    assert 5_900 <= counts["conversations"] <= 6_100
    assert counts["intents"] >= 40
    assert counts["fewest_conversations_of_an_intent"] >= 60
    assert counts["handwritten_utterances"] >= 1_500
    assert len(counts["turns_by_model"]) == 3
    assert set(counts["turns_by_prompt_version"]) == {"v3", "v4"}
    assert set(counts["conversations_by_language"]) == {"en", "de", "es", "fr"}
    assert set(counts["conversations_by_tenant"]) == {"eu", "uk", "us"}


def test_counts_agree_with_the_turns(either: Data) -> None:
    counts, turns = either.truth["counts"], either.turns
    assert len(turns) == counts["turns"]
    assert len({turn["turn_id"] for turn in turns}) == counts["turns"]
    assert [turn["turn_id"] for turn in turns] == list(either.turn_truth)
    assert len({turn["conversation_id"] for turn in turns}) == counts["conversations"]
    assert sum(turn["environment"] == "production" for turn in turns) == counts["production_turns"]
    assert len({normalised(turn["user_text"]) for turn in turns}) == counts["distinct_texts"]
    intents = Counter(record["intent"] for record in either.turn_truth.values() if record["intent"])
    assert intents == either.truth["intents"]


def test_handwritten_utterances_are_written_once_and_apart_from_the_evals() -> None:
    catalogue = load_catalogue()
    traffic = [normalised(text) for intent in catalogue.intents.values() for text in intent.traffic_texts]
    evals = [normalised(text) for intent in catalogue.intents.values() for text in intent.eval_texts]
    assert len(traffic) >= 1_500
    assert len(set(traffic)) == len(traffic)
    assert len(set(evals)) == len(evals)
    assert not set(evals) & catalogue.utterances


def test_every_turn_has_the_required_keys_and_no_truth(either: Data) -> None:
    for turn in either.turns:
        assert turn.keys() == REQUIRED
        assert turn["user_text"].strip()
        assert turn["assistant_text"].strip()
        assert 0 < turn["time_to_first_token_ms"] < turn["latency_ms"]
        assert turn["cost_usd"] > 0
        assert turn["feedback_score"] in (None, -1, 1)
        assert turn["feedback_comment"] is None or turn["feedback_score"] is not None


def test_turns_lie_in_the_window_in_order(either: Data) -> None:
    moments = [_moment(turn["created_at"]) for turn in either.turns]
    assert moments == sorted(moments)
    assert _moment(either.truth["window"]["start"]) <= moments[0]
    assert moments[-1] < _moment(either.truth["window"]["end"])


def test_conversations_are_numbered_without_holes_and_belong_to_one_user(either: Data) -> None:
    conversations: dict[str, list[dict[str, Any]]] = {}
    for turn in either.turns:
        conversations.setdefault(turn["conversation_id"], []).append(turn)
    for turns in conversations.values():
        assert [turn["turn_index"] for turn in turns] == list(range(len(turns)))
        assert len({(turn["user_id"], turn["tenant"], turn["prompt_version"], turn["model"]) for turn in turns}) == 1
    organic = [len(turns) for turns in conversations.values() if not _is_flood(either, turns[0])]
    assert max(organic) <= 6
    assert 2.2 <= sum(organic) / len(organic) <= 2.8


def _is_flood(data: Data, turn: dict[str, Any]) -> bool:
    return bool(data.turn_truth[turn["turn_id"]]["kind"] == "flood")


def test_weekends_and_nights_are_quiet(control: Data) -> None:
    moments = [_moment(turn["created_at"]) for turn in control.turns]
    weekend = sum(moment.weekday() >= 5 for moment in moments) / 2
    weekday = sum(moment.weekday() < 5 for moment in moments) / 5
    assert 0.5 <= weekend / weekday <= 0.7
    night, day = (sum(first <= moment.hour < first + 5 for moment in moments) for first in (0, 9))
    assert night < 0.05 * day


def test_language_is_known_for_some_and_feedback_for_few(either: Data) -> None:
    total = len(either.turns)
    assert 0.66 <= sum(turn["language"] is not None for turn in either.turns) / total <= 0.74
    assert 0.05 <= sum(turn["feedback_score"] is not None for turn in either.turns) / total <= 0.1


def test_eval_texts_and_traffic_are_disjoint_but_for_marked_copies(either: Data) -> None:
    asked = {normalised(turn["user_text"]) for turn in either.turns}
    found = {item["item_id"] for item in either.evalset if normalised(item["prompt"]) in asked}
    assert found == set(either.truth["evalset"]["copied_ids"])
    # Nor does an unused eval text slip in: noise could turn an utterance into one.
    copied = {normalised(item["prompt"]) for item in either.evalset if item["item_id"] in found}
    catalogue = load_catalogue(seed=either.truth["seed"])
    assert not (catalogue.eval_texts & asked) - copied


def test_evalset_has_its_faults(planted: Data) -> None:
    truth = planted.truth["evalset"]
    prompts = {item["item_id"]: item for item in planted.evalset}
    assert len(prompts) == truth["items"] == 300
    assert [len(truth[key]) for key in ("duplicate_ids", "stale_ids", "copied_ids")] == [6, 8, 4]
    assert len({normalised(item["prompt"]) for item in planted.evalset}) == truth["distinct_prompts"]
    assert truth["items"] - truth["distinct_prompts"] == len(truth["duplicate_ids"])
    assert {prompts[item_id]["label"] for item_id in truth["stale_ids"]} == {"broadband_bundle"}
    assert Counter(item["label"] for item in planted.evalset) == truth["items_by_label"]
    assert all(item["reference"] for item in planted.evalset)


def test_six_intents_are_missing_from_the_evals(planted: Data) -> None:
    missing = planted.truth["missing_intents"]
    labels = {item["label"] for item in planted.evalset}
    assert len(missing) == 6
    assert set(planted.truth["intents"]) - labels == {entry["name"] for entry in missing}
    for entry in missing:
        turns = planted.of_intent(entry["name"])
        assert len(turns) == entry["turns"]
        assert len({turn["conversation_id"] for turn in turns}) == entry["conversations"]
        assert entry["share"] == pytest.approx(len(turns) / planted.truth["counts"]["production_turns"], abs=1e-5)
        assert 0.012 <= entry["share"] <= 0.03
        assert abs((_moment(turns[0]["created_at"]) - _moment(entry["born_at"])).total_seconds()) < 1


def test_two_missing_intents_are_born_in_week_five_or_later(planted: Data) -> None:
    start = _moment(planted.truth["window"]["start"])
    days = {entry["name"]: (_moment(entry["born_at"]) - start).days for entry in planted.truth["missing_intents"]}
    late = {entry["name"] for entry in planted.truth["missing_intents"] if entry["born_late"]}
    assert late == {"balcony_solar_kit", "energy_voucher"}
    assert all((day >= 28) if name in late else (day < 7) for name, day in days.items())


def test_true_coverage_follows_from_the_turns(either: Data) -> None:
    labels = {item["label"] for item in either.evalset}
    intents = [record["intent"] for record in either.turn_truth.values() if record["intent"]]
    share = sum(intent in labels for intent in intents) / len(intents)
    assert either.truth["true_coverage"] == pytest.approx(share, abs=1e-5)


def test_decoys_are_there(planted: Data) -> None:
    decoys = planted.truth["decoys"]
    assert 0.08 <= decoys["small_talk"]["share"] <= 0.10
    assert len(planted.of_kind("small_talk")) == decoys["small_talk"]["turns"]
    flood = planted.of_kind("flood")
    assert len(flood) == decoys["flood"]["turns"]
    assert {turn["user_id"] for turn in flood} == {decoys["flood"]["user_id"]}
    assert len({turn["user_text"] for turn in flood}) == decoys["flood"]["distinct_texts"]
    assert flood[0]["created_at"] >= decoys["flood"]["starts_at"]
    staging = [turn for turn in planted.turns if turn["environment"] == decoys["staging"]["environment"]]
    assert staging == planted.of_kind("staging")
    assert len(staging) == decoys["staging"]["turns"]
    assert staging[0]["created_at"] >= decoys["staging"]["starts_at"]


def test_one_covered_intent_becomes_more_popular(planted: Data) -> None:
    shift = planted.truth["shift"]
    turns = planted.of_intent(shift["intent"])
    before = sum(_moment(turn["created_at"]) < _moment(shift["starts_at"]) for turn in turns)
    assert (before, len(turns) - before) == (shift["turns_before"], shift["turns_after"])
    assert shift["share_after"] > 2 * shift["share_before"]
    assert shift["intent"] in planted.truth["evalset"]["items_by_label"]


def test_one_prompt_version_answers_one_topic_worse(planted: Data) -> None:
    worse = planted.truth["worse_prompt"]
    old, new = worse["by_version"]["v3"], worse["by_version"]["v4"]
    assert new["bad_replies"] / new["turns"] == pytest.approx(worse["planted_bad_share"], abs=0.12)
    assert old["bad_replies"] / old["turns"] < 0.15
    for signal in ("challenges", "rephrases", "thumbs_down"):
        assert new[signal] / new["turns"] > 1.5 * old[signal] / old["turns"]


def test_private_details_are_recorded(either: Data) -> None:
    private = either.truth["private_details"]
    assert len(private["turn_ids"]) == private["turns"] == sum(private["kinds"].values())
    assert 0.005 <= private["turns"] / either.truth["counts"]["conversations"] <= 0.015
    emails = {turn["turn_id"] for turn in either.turns if "@example.com" in turn["user_text"]}
    assert len(emails) == private["kinds"]["email"]
    assert emails <= set(private["turn_ids"])


def test_control_has_nothing_planted(planted: Data, control: Data) -> None:
    truth = control.truth
    assert truth["missing_intents"] == []
    assert truth["true_coverage"] == 1.0
    assert truth["shift"] is truth["worse_prompt"] is truth["decoys"]["flood"] is truth["decoys"]["staging"] is None
    assert truth["evalset"]["items"] == truth["evalset"]["distinct_prompts"] == 300
    assert set(truth["evalset"]["items_by_label"]) == set(truth["intents"]) == set(planted.truth["intents"])
    assert {turn["environment"] for turn in control.turns} == {"production"}
    middle = _moment(planted.truth["shift"]["starts_at"])
    for name in [entry["name"] for entry in planted.truth["missing_intents"]] + [planted.truth["shift"]["intent"]]:
        after = sum(_moment(turn["created_at"]) >= middle for turn in control.of_intent(name))
        assert after / len(control.of_intent(name)) == pytest.approx(0.25, abs=0.09)


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_and_another_seed_others(planted: Data, tmp_path: Path) -> None:
    main(["--out", str(tmp_path / "again")])
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (planted.folder / name).read_bytes()
    main(["--out", str(tmp_path / "other"), "--seed", "1"])
    assert _content(tmp_path / "other" / "turns.jsonl.gz") != _content(planted.folder / "turns.jsonl.gz")


def test_committed_small_output_is_what_the_generator_makes(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--small"])
    for name in FILES:
        # Content and not compressed bytes: another zlib compresses differently.
        assert _content(tmp_path / name) == _content(HERE / "small" / name)
    small = Data.read(tmp_path)
    assert 500 <= small.truth["counts"]["turns"] <= 700
    assert len(small.truth["missing_intents"]) == 6
