"""Are the listed gaps right, and is what is missing listed? Through the product's own analysis, against known truth.

    python benchmarks/gaps.py                # writes benchmarks/results/gaps.json

On the sample traffic (`sample_data.generate`; seeds 21 to 24, on which nothing was tuned) and on CLINC150 with a fifth of its
intents missing from the eval set (10 items of each other one; every turn a conversation; seeds from 100 on). A listed gap is
right when most of its turns are of missing intents. Beside offmap's list stand, in the same run: all middle topics by turns
times mean distance to the nearest eval item, and by turns the middle topics that no eval item lies in (by its nearest text).

Parts of topics, on the sample traffic: attributes are dealt anew to conversations, so that every part and every split that is
found is false; and the topic of a missing intent is put together with that of a covered one, where a new tenant has all
conversations of the missing and a tenth of those of the covered intent: is that part of the topic listed? A split is planted by
a new tenant that has 80 % of one gap's conversations and 40 % of all others.

Gaps that are held: see `benchmarks/held_gaps.py`. `--held` measures them alone and joins them to what the file has.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.coverage import load_clinc_pairs
from consumers.ingest import ingest_file
from monitor.atlas.attributes import Attribute
from monitor.coverage.production import Production
from monitor.coverage.report import compare
from monitor.coverage.slices import FINE, MIDDLE
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse, published_sides
from monitor.settings import Settings
from monitor.store.reports import GapRow
from monitor.store.store import Store
from sample_data.generate import main as generate

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "gaps.json"
SAMPLE_SEEDS, FIRST_DRAW = (21, 22, 23, 24), 100
START, END = datetime(2026, 3, 2), datetime(2026, 4, 27)
TURNS, ITEMS, MISSING = 11_400, 10, 0.2
TOP = 10


@dataclass(frozen=True)
class Case:
    """An analysis and the truth: each turn's intent [t], and the intents without an eval item."""

    production: Production
    items: object
    vectors: NDArray[np.float32]
    intents: NDArray[np.str_]
    missing: frozenset[str]

    @property
    def missed(self) -> NDArray[np.bool_]:
        return np.isin(self.intents, list(self.missing))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3, help="of CLINC150")
    parser.add_argument("--shuffles", type=int, default=25, help="of the attributes, a seed")
    parser.add_argument("--held", action="store_true", help="only what becomes of the others when items are added")
    parser.add_argument("--seeds", type=int, nargs="+", default=SAMPLE_SEEDS, help="of the sample traffic, with --held")
    arguments = parser.parse_args()
    if arguments.held:
        found = held((seed, sample_case(seed)) for seed in arguments.seeds)
        print(json.dumps(found, indent=2))
        if tuple(arguments.seeds) == SAMPLE_SEEDS:
            RESULT.write_text(json.dumps(json.loads(RESULT.read_text()) | {"held": found}, indent=2) + "\n")
        return 0
    data = Path(os.environ.get("OFFMAP_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "clinc150").is_dir():
        print(f"CLINC150 is not in {data}: set OFFMAP_DATA to the folder that holds it", file=sys.stderr)
        return 1
    rows, parts = [], []
    cases = {seed: sample_case(seed) for seed in SAMPLE_SEEDS}
    for seed, case in cases.items():
        rows.append({"data": "sample", "seed": seed, **ranking(case)})
        planted = planted_parts(case) | planted_splits(case)
        parts.append({"seed": seed, **false_parts(case, arguments.shuffles), **planted})
        print(rows[-1], parts[-1], sep="\n", flush=True)
    pairs = load_clinc_pairs(data)
    for seed in range(FIRST_DRAW, FIRST_DRAW + arguments.draws):
        rows.append({"data": "CLINC150", "seed": seed, **ranking(clinc_case(pairs, seed))})
        print(rows[-1], flush=True)
    result = {
        "table": [summary(rows, name) for name in ("sample", "CLINC150")],
        "parts": {key: sum(one[key] for one in parts) for key in parts[0] if key != "seed"},
        "runs": rows,
        "held": held(cases.items()),
        "note": "right: most turns are of missing intents; recall: share of the missing intents' turns that are in the "
        "list; at_10 is of as many as there are, where fewer are listed",
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def held(cases: Iterable[tuple[int, Case]]) -> dict:
    """What becomes of the other gaps when items of one missing intent are added, by the bar alone and as the product does."""
    from benchmarks.held_gaps import ADDED, after_a_change, table, worked_through

    changes: Counter = Counter()
    through = {(added, name): Counter() for added in ADDED for name in ("bar", "held")}
    seeds = []
    for seed, case in cases:
        seeds.append(seed)
        case = replace(case, production=replace(case.production, attributes={}))  # parts of topics are not held
        changes.update(after_a_change(case, np.random.default_rng(seed)))
        for (added, name), counts in through.items():
            counts.update(worked_through(case, added, hold=name == "held", rng=np.random.default_rng(seed)))
        print(seed, file=sys.stderr, flush=True)
    return {"seeds": seeds, **table(changes, through)}


def ranking(case: Case) -> dict:
    production = case.production
    report = compare(production, case.items, case.vectors, Settings())
    ours = [rows_of(production, gap) for gap in report.gaps]
    middle = middle_topics(production)
    text_of, vectors = production.corpus.text_of, production.network.vectors
    distance = 1 - (vectors @ case.vectors.T).max(axis=1)[text_of]
    holding = item_topics(case)
    far = sorted(middle, key=lambda topic: -float(distance[middle[topic]].sum()))
    without = sorted((topic for topic in middle if topic not in holding), key=lambda topic: -len(middle[topic]))
    lists = {
        "offmap": ours,
        "far": [middle[topic] for topic in far],
        "without_item": [middle[topic] for topic in without],
    }
    found: dict = {"listed": len(ours), "parts": sum(gap.attribute is not None for gap in report.gaps)}
    found["missing_intents"] = len(case.missing)
    found["recall_of_all_listed"] = recall(case, ours)
    mainly = Counter(most_of(case, rows) for rows in ours if right(case, rows))
    found["intents_listed_twice"] = sum(count > 1 for count in mainly.values())
    for name, some in lists.items():
        for length, at in ((TOP, "at_10"), (len(ours), "at_listed")):
            head = some[:length]
            found[f"{name}_precision_{at}"] = (
                round(float(np.mean([right(case, rows) for rows in head])), 3) if head else None
            )
            found[f"{name}_recall_{at}"] = recall(case, head)
    return found


def right(case: Case, rows: NDArray[np.int64]) -> bool:
    return bool(case.missed[rows].mean() > 0.5)


def most_of(case: Case, rows: NDArray[np.int64]) -> str:
    return Counter(case.intents[rows].tolist()).most_common(1)[0][0]


def recall(case: Case, listed: list) -> float:
    wanted = set(case.production.counted[case.missed[case.production.counted]].tolist())
    found = set(np.concatenate(listed).tolist()) if listed else set()
    return round(len(wanted & found) / len(wanted), 3)


def rows_of(production: Production, gap: GapRow) -> NDArray[np.int64]:
    """Rows of the turns of a gap."""
    position = next(place for place, one in enumerate(production.atlas.topics) if one.topic_id == gap.topic_id)
    level = production.atlas.topics[position].level
    rows = production.counted[production.atlas.of_turns[level][production.counted] == position]
    if gap.attribute is None:
        return rows
    said = production.attributes[gap.attribute]
    return rows[said.of_turns[rows] == said.values.index(gap.value)]


def middle_topics(production: Production) -> dict[int, NDArray[np.int64]]:
    of_turns = production.atlas.of_turns[MIDDLE][production.counted]
    return {topic: production.counted[of_turns == topic] for topic in np.unique(of_turns[of_turns >= 0]).tolist()}


def item_topics(case: Case) -> set[int]:
    """The middle topics of the turns that are nearest to the items."""
    production = case.production
    of_texts = production.text_topics(MIDDLE)
    known = np.flatnonzero(of_texts >= 0)
    nearest = (case.vectors @ production.network.vectors[known].T).argmax(axis=1)
    return set(of_texts[known[nearest]].tolist())


def false_parts(case: Case, shuffles: int) -> dict:
    """Analyses with attributes dealt anew to conversations: how many list a part, and tell a split."""
    rng = np.random.default_rng(1)
    with_part = with_split = 0
    for _ in range(shuffles):
        dealt = {}
        for name, said in case.production.attributes.items():
            # Within a conversation the value stays one; which values there are, and how often, stays as it is.
            first = np.unique(case.production.corpus.conversation, return_index=True)[1]
            of_conversation = rng.permutation(said.of_turns[first])
            dealt[name] = Attribute(said.values, of_conversation[case.production.corpus.conversation])
        report = compare(replace(case.production, attributes=dealt), case.items, case.vectors, Settings())
        with_part += any(gap.attribute is not None for gap in report.gaps)
        with_split += any(gap.splits for gap in report.gaps)
    return {"analyses_dealt_anew": shuffles, "with_a_false_part": with_part, "with_a_false_split": with_split}


def planted_parts(case: Case) -> dict:
    """Each topic of a missing intent goes into one of covered intents that has half as many turns more, drawn at random."""
    production, rng = case.production, np.random.default_rng(1)
    middle = middle_topics(production)
    tried = found = listed_right = listed = 0
    hosts = [topic for topic, rows in middle.items() if not case.missed[rows].mean() > 0.1]
    for topic, rows in middle.items():
        larger = [host for host in hosts if len(middle[host]) >= 1.5 * len(rows)]
        if case.missed[rows].mean() < 0.8 or not larger:
            continue
        host = larger[int(rng.integers(len(larger)))]
        tried += 1
        merged = together(production, topic, host, rng)
        report = compare(merged, case.items, case.vectors, Settings())
        name = production.atlas.topics[host].topic_id
        family = {name, *(one.topic_id for one in production.atlas.topics if one.parent == name)}
        parts = [gap for gap in report.gaps if gap.attribute is not None]
        found += any(gap.topic_id in family and gap.value == "new" for gap in parts)
        listed += len(parts)
        listed_right += sum(right(case, rows_of(merged, gap)) for gap in parts)
    return {"planted": tried, "planted_listed": found, "parts_listed": listed, "parts_right": listed_right}


def planted_splits(case: Case) -> dict:
    """A new tenant has 80 % of each listed gap's conversations in turn, and 40 % of all others."""
    production, rng = case.production, np.random.default_rng(1)
    conversation, said = production.corpus.conversation, production.attributes["tenant"]
    told = others = 0
    gaps = compare(production, case.items, case.vectors, Settings()).gaps
    for gap in gaps:
        own = np.isin(conversation, conversation[rows_of(production, gap)])
        chance = rng.random(int(conversation.max()) + 1)[conversation]
        new = chance < np.where(own, 0.8, 0.4)
        tenant = Attribute((*said.values, "new"), np.where(new, len(said.values), said.of_turns))
        dealt = replace(production, attributes={**production.attributes, "tenant": tenant})
        for one in compare(dealt, case.items, case.vectors, Settings()).gaps:
            found = any(split["value"] == "new" for split in one.splits or ())
            told += found and one.gap_id == gap.gap_id
            others += found and one.gap_id != gap.gap_id
    return {"splits_planted": len(gaps), "splits_told": told, "splits_told_of_other_gaps": others}


def together(production: Production, topic: int, host: int, rng: np.random.Generator) -> Production:
    """One middle topic and its fine ones in the largest fine topic of another; a new tenant has all conversations of the one,
    and a tenth of the other's."""
    of_turns = production.atlas.of_turns.copy()
    away, own = of_turns[MIDDLE] == topic, of_turns[MIDDLE] == host
    fine = np.bincount(of_turns[FINE][own & (of_turns[FINE] >= 0)]).argmax()
    of_turns[:, away] = of_turns[:, own][:, [0]]
    of_turns[FINE, away | own] = fine
    conversation = production.corpus.conversation
    theirs = np.unique(conversation[away])
    others = np.setdiff1d(np.unique(conversation[own]), theirs)
    some = rng.choice(others, len(others) // 10, replace=False)
    said = production.attributes["tenant"]
    tenant = np.where(np.isin(conversation, np.concatenate([theirs, some])), len(said.values), said.of_turns)
    attributes = {**production.attributes, "tenant": Attribute((*said.values, "new"), tenant)}
    return replace(production, atlas=replace(production.atlas, of_turns=of_turns), attributes=attributes)


def summary(rows: list[dict], data: str) -> dict:
    own = [row for row in rows if row["data"] == data]
    means: dict = {"data": data, "runs": len(own)}
    for key in own[0]:
        if key not in ("data", "seed"):
            means[key] = round(float(np.mean([row[key] for row in own if row[key] is not None])), 3)
    return means


def sample_case(seed: int) -> Case:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(["--out", name, "--seed", str(seed)])
        with gzip.open(folder / "turn_truth.jsonl.gz", "rt", encoding="utf-8") as file:
            truth = {
                row["turn_id"]: row["intent"] or row["parent_intent"] or row["kind"] for row in map(json.loads, file)
            }
        document = json.loads((folder / "truth.json").read_text("utf-8"))
        missing = frozenset(one["name"] for one in document["missing_intents"])
        return analysed(folder, folder / "turns.jsonl.gz", truth, missing)


def clinc_turns(pairs: list[tuple[str, str]], seed: int) -> tuple[list[dict], list[dict], dict[str, str], list[str]]:
    """Turns, eval items, each turn's intent, and the intents without an item. Popularity is log-normal; what is an eval item is
    no turn."""
    rng = np.random.default_rng(seed)
    texts, labels = (np.array(one, dtype=object) for one in zip(*pairs, strict=True))
    names = np.unique(labels.astype(str))
    rng.shuffle(names)
    missing = names[: round(MISSING * len(names))].tolist()
    popularity = rng.lognormal(0, 1, len(names))
    popularity /= popularity.sum()
    turns, items, truth = [], [], {}
    for name, share in zip(names.tolist(), popularity, strict=True):
        own = rng.permutation(np.flatnonzero(labels == name))
        if name not in missing:
            items += [{"prompt": texts[row], "label": name} for row in own[:ITEMS]]
        for row in own[ITEMS:][: max(3, round(share * TURNS))]:
            at = START + timedelta(seconds=float(rng.uniform(0, (END - START).total_seconds())))
            truth[f"t{row}"] = name
            created = at.replace(tzinfo=UTC).isoformat()
            turns.append(
                {"turn_id": f"t{row}", "conversation_id": f"c{row}", "created_at": created, "user_text": texts[row]}
            )
    return turns, items, truth, missing


def clinc_case(pairs: list[tuple[str, str]], seed: int) -> Case:
    turns, items, truth, missing = clinc_turns(pairs, seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "turns.jsonl").write_text("".join(json.dumps(one) + "\n" for one in turns), "utf-8")
        (place / "evalset.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items), "utf-8")
        return analysed(place, place / "turns.jsonl", truth, frozenset(missing))


def analysed(folder: Path, log: Path, truth: dict[str, str], missing: frozenset[str]) -> Case:
    settings = Settings()
    encoder = make_encoder(settings.encoder)
    with Store.open(str(folder / "s.duckdb")) as store:
        ingest_file(store, log)
        import_eval_set(store, folder / "evalset.jsonl", "evals", lambda: END)
        analyse(store, encoder, settings, eval_sets=["evals"], clock=lambda: END)
        production, items, vectors, _ = published_sides(store, encoder, settings, [store.eval_sets.load("evals")])
        turns = store.turns.fetch(production.corpus.keys.tolist())
    intents = np.array([truth[one.turn_id] for one in turns])
    return Case(production, items, vectors, intents, missing)


if __name__ == "__main__":
    raise SystemExit(main())
