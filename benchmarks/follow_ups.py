"""Where follow-ups land: "is that free?" belongs to the topic of its conversation, whatever stands for it.

    python benchmarks/follow_ups.py          # writes benchmarks/results/follow_ups.json; about two minutes

Sample traffic with the truth of each turn, seeds that nothing was tuned on (tuned on 11 and 12). A follow-up names no subject
of its own in the truth; it has landed when its fine topic is that of the turn that opened its subject. Beside the two values
of the setting `analysis.follow_ups`, and acts by words and likeness alone (as it was), stands what others do: the message is
encoded together with the one before it, and goes to the topic of its neighbours.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from consumers.ingest import ingest_file  # noqa: E402
from monitor.atlas.acts import example_texts, inherit_topics  # noqa: E402
from monitor.atlas.assignment import Anchors, assign_texts  # noqa: E402
from monitor.atlas.corpus import Corpus, read_corpus  # noqa: E402
from monitor.atlas.network import Network, build_network  # noqa: E402
from monitor.atlas.topics import find_topics, turn_topics  # noqa: E402
from monitor.encoding.encoder import Encoder, make_encoder  # noqa: E402
from monitor.encoding.recipe import USER_TEXT  # noqa: E402
from monitor.settings import AnalysisSettings, AtlasSettings, EncoderSettings  # noqa: E402
from monitor.store.store import Store  # noqa: E402
from sample_data.generate import main as generate  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "follow_ups.json"
SEEDS = (31, 32, 33)
NEIGHBOURS = AtlasSettings().neighbours
FLOOD_TURNS = AnalysisSettings().flood_turns


@dataclass(frozen=True)
class Traffic:
    """Turns [t] of a corpus: kind and intent by the truth, and the row that opened what a bare follow-up follows, -1."""

    corpus: Corpus
    vectors: NDArray[np.float32]
    kinds: NDArray[np.str_]
    intents: NDArray[np.str_]
    opened: NDArray[np.int64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    arguments = parser.parse_args()
    encoder = make_encoder(EncoderSettings())
    runs = []
    for seed in arguments.seeds:
        runs.append(compare(read_traffic(seed, encoder), encoder))
        print(seed, json.dumps(runs[-1]), flush=True)
    ways = {
        way: {name: round(statistics.mean(run[way][name] for run in runs), 3) for name in runs[0][way]}
        for way in runs[0]
    }
    result = {"data": "sample traffic", "seeds": list(arguments.seeds), "bare_follow_ups_landed": ways}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def compare(traffic: Traffic, encoder: Encoder) -> dict[str, dict[str, float]]:
    acts = encoder.encode(example_texts()[0])

    def network(follow_ups: str) -> Network:
        return build_network(
            traffic.corpus,
            traffic.vectors,
            acts,
            neighbours=NEIGHBOURS,
            flood_turns=FLOOD_TURNS,
            follow_ups=follow_ups,
        )

    with without_use():
        before = network("conversation")
    found = network("conversation")
    return {
        "message": landed(traffic, network("message"), encoder),
        "conversation, acts by words and likeness alone": landed(traffic, before, encoder),
        "conversation": landed(traffic, found, encoder),
        "message joined to the one before it": joined(traffic, found, encoder),
    }


@contextmanager
def without_use() -> Iterator[None]:
    with patch("monitor.atlas.network.follow_ups_by_use", lambda corpus, *_: np.zeros(len(corpus.texts), bool)):
        yield


def landed(traffic: Traffic, network: Network, encoder: Encoder) -> dict[str, float]:
    corpus = network.corpus
    topics = find_topics(network, AtlasSettings(), encoder.encode)
    of_turns = turn_topics(topics, corpus, network.turn_acts >= 0)
    return scored(traffic, network, of_turns[1], of_turns[2])


def joined(traffic: Traffic, network: Network, encoder: Encoder) -> dict[str, float]:
    """Each bare follow-up, by the truth, as one text with the message before it that has a subject."""
    corpus, is_act = network.corpus, network.turn_acts >= 0
    topics = find_topics(network, AtlasSettings(), encoder.encode)
    of_turns = turn_topics(topics, corpus, is_act)
    before = inherit_topics(np.arange(len(corpus)), corpus.conversation, is_act | bare(traffic))
    rows = np.flatnonzero(bare(traffic) & (before >= 0))
    texts, text_of = traffic.corpus.texts, traffic.corpus.text_of
    vectors = encoder.encode([f"{texts[text_of[before[row]]]}\n{texts[text_of[row]]}" for row in rows])
    subjects = np.flatnonzero(network.has_subject)
    anchors = Anchors(network.vectors[subjects], np.stack([level[subjects] for level in topics.of_texts]))
    of_turns[:, rows] = assign_texts(vectors, anchors, k=NEIGHBOURS)
    return scored(traffic, network, of_turns[1], of_turns[2])


def scored(traffic: Traffic, network: Network, middle: NDArray[np.int64], fine: NDArray[np.int64]) -> dict[str, float]:
    rows = np.flatnonzero(bare(traffic) & (traffic.opened >= 0) & ~network.flood)
    opened = traffic.opened[rows]
    openings = (traffic.kinds == "intent") & (fine >= 0) & ~network.flood
    named = traffic.intents[openings], fine[openings]
    act = network.turn_acts >= 0
    return {
        "middle": float((middle[rows] == middle[opened]).mean()),
        "fine": float((fine[rows] == fine[opened]).mean()),
        "nmi_of_openings": float(normalized_mutual_info_score(*named)),
        "ari_of_openings": float(adjusted_rand_score(*named)),
        "turns_with_an_intent_taken_for_acts": float(act[(traffic.intents != "") & ~network.flood].mean()),
    }


def bare(traffic: Traffic) -> NDArray[np.bool_]:
    return (traffic.kinds == "followup") & (traffic.intents == "")


def read_traffic(seed: int, encoder: Encoder) -> Traffic:
    with tempfile.TemporaryDirectory() as folder:
        generate(["--out", folder, "--seed", str(seed)])
        with Store.open(str(Path(folder) / "s.duckdb")) as store:
            ingest_file(store, Path(folder) / "turns.jsonl.gz")
            corpus = read_corpus(store, USER_TEXT, window=None, environments=["production"])
            turns = store.turns.fetch(corpus.keys.tolist())
        with gzip.open(Path(folder) / "turn_truth.jsonl.gz", "rt", encoding="utf-8") as file:
            truth = {row["turn_id"]: row for row in map(json.loads, file)}
    rows = [truth[turn.turn_id] for turn in turns]
    kinds = np.array([row["kind"] for row in rows])
    intents = np.array([row["intent"] or "" for row in rows])
    opened, said = np.full(len(rows), -1), {}
    for row, (conversation, line) in enumerate(zip(corpus.conversation.tolist(), rows, strict=True)):
        if line["kind"] == "intent":
            said[conversation, line["intent"]] = row
        else:
            opened[row] = said.get((conversation, line["parent_intent"]), -1)
    return Traffic(corpus, encoder.encode(corpus.texts), kinds, intents, opened)


if __name__ == "__main__":
    raise SystemExit(main())
