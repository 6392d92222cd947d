"""Items that are said again in nearly the same words change nothing of what is reported, with the packaged model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from consumers.ingest import ingest_file, utc_now
from monitor.coverage.estimate import Coverage
from monitor.coverage.report import Report, compare
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse, compared_vectors, published_sides
from monitor.records import EvalSet
from monitor.settings import Settings
from monitor.store.store import Store

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "small"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AGAIN = [
    lambda text: text.upper() + "!!",
    lambda text: f"hi, {text}, please",
    lambda text: text.replace("e", "", 1),
    lambda text: " ".join(text.split()[1:]),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(str(tmp_path_factory.mktemp("repeats") / "s.duckdb")) as opened:
        ingest_file(opened, SAMPLE / "turns.jsonl.gz")
        import_eval_set(opened, SAMPLE / "evalset.jsonl", "sample", utc_now)
        settings = Settings()
        analyse(opened, make_encoder(settings.encoder), settings, eval_sets=["sample"], clock=utc_now)
        yield opened


def repeated(eval_set: EvalSet, part: float, seed: int) -> EvalSet:
    """A part of the long items three times more, each in other words of the surface."""
    rng = np.random.default_rng(seed)
    long = [item for item in eval_set.items if len(item.prompt.split()) > 5]
    chosen = [long[row] for row in rng.choice(len(long), round(part * len(long)), replace=False).tolist()]
    again = [
        replace(item, item_id=f"{item.item_id} again {number}", prompt=AGAIN[int(way)](item.prompt))
        for item in chosen
        for number, way in enumerate(rng.permutation(len(AGAIN))[:3])
    ]
    return replace(eval_set, version="more", items=(*eval_set.items, *again))


def reported(store: Store, eval_set: EvalSet) -> dict:
    settings = Settings()
    production, items, vectors, _ = published_sides(store, make_encoder(settings.encoder), settings, [eval_set])
    assert len(items) >= len(eval_set.items) / 2  # a text that is not the same is an item still
    report = compare(production, items, vectors, settings)
    assert report.coverage is not None
    drawn = {name: getattr(report.coverage, name) for name in Coverage.__slots__}
    return {
        **{name: getattr(report, name) for name in Report.__slots__},
        "turns": report.turns.to_pylist(),
        # Bit for bit: arrays have no one truth value, and nan is not equal to itself.
        "coverage": {name: one.tobytes() if isinstance(one, np.ndarray) else repr(one) for name, one in drawn.items()},
    }


@pytest.mark.parametrize("part", [0.25, 1.0])
def test_the_report_is_the_same(store: Store, part: float) -> None:
    eval_set = store.eval_sets.load("sample")
    before = reported(store, eval_set)
    assert before["gaps"] and 0 < before["traffic"].value < 1
    for seed in range(2):
        assert reported(store, repeated(eval_set, part, seed)) == before


def test_nearest_items_are_those_that_the_report_compared(store: Store) -> None:
    settings = Settings()
    encoder = make_encoder(settings.encoder)
    eval_set = store.eval_sets.load("sample")
    store.eval_sets.save(repeated(eval_set, 1.0, seed=1))
    found = analyse(store, encoder, settings, eval_sets=["sample"], clock=utc_now)
    items, vectors = compared_vectors(store, encoder, settings)
    assert len(items) == len(vectors) and not any("again" in id_ for id_ in items.ids)
    named = store.reports.turn_coverage(found.run.report_id).column("nearest_item").to_pylist()
    assert set(named) - {None} <= set(items.ids)
    report = store.reports.coverage(found.run.report_id)
    assert report is not None
    health = store.eval_health.find(report.eval_set_ids)
    assert health is not None and health.repeated >= 2 * len(items)
