"""A part of a covered topic that the eval set misses, on the sample traffic with the packaged model."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from consumers.ingest import ingest_file
from monitor.atlas.attributes import Attribute
from monitor.coverage.gaps import gap_id_of
from monitor.coverage.production import Production
from monitor.coverage.report import compare
from monitor.coverage.slices import FINE, MIDDLE
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse, published_sides
from monitor.settings import Settings
from monitor.store.store import Store
from sample_data.generate import main as generate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

END = datetime(2026, 4, 27)


def position_of(production: Production, word: str) -> int:
    """The middle topic that a word names."""
    return next(
        place
        for place, one in enumerate(production.atlas.topics)
        if one.level == MIDDLE and word in one.label.split(", ")[0]
    )


def put_together(production: Production, missed: int, host: int) -> tuple[Production, np.ndarray]:
    """The missed topic's turns go into the host's largest fine topic, their conversations to a new tenant; their rows."""
    of_turns = production.atlas.of_turns.copy()
    away, own = of_turns[MIDDLE] == missed, of_turns[MIDDLE] == host
    of_turns[:, away] = of_turns[:, own][:, [0]]
    of_turns[FINE, away | own] = np.bincount(of_turns[FINE][own & (of_turns[FINE] >= 0)]).argmax()
    conversation, said = production.corpus.conversation, production.attributes["tenant"]
    theirs = np.isin(conversation, conversation[away])
    tenant = Attribute((*said.values, "island"), np.where(theirs, len(said.values), said.of_turns))
    atlas = replace(production.atlas, of_turns=of_turns)
    both = of_turns[MIDDLE] == host
    return replace(production, atlas=atlas, attributes={**production.attributes, "tenant": tenant}), both & theirs


def test_what_one_tenant_asks_in_a_covered_topic_is_a_gap_of_its_own(tmp_path: Path) -> None:
    assert generate(["--out", str(tmp_path)]) == 0
    settings = Settings()
    with Store.open(str(tmp_path / "offmap.duckdb")) as store:
        ingest_file(store, tmp_path / "turns.jsonl.gz")
        import_eval_set(store, tmp_path / "evalset.jsonl", "sample", lambda: END)
        analyse(store, make_encoder(settings.encoder), settings, eval_sets=["sample"], clock=lambda: END)
        sets = [store.eval_sets.load("sample")]
        production, items, vectors, _ = published_sides(store, make_encoder(settings.encoder), settings, sets)
    assert set(production.attributes) == {"tenant", "language", "model", "prompt_version"}
    before = compare(production, items, vectors, settings)
    assert not any(gap.attribute for gap in before.gaps), "nothing of the sample traffic is missed by one value alone"
    host = position_of(production, "direct debit")
    merged, rows = put_together(production, position_of(production, "voucher"), host)
    (part,) = [gap for gap in compare(merged, items, vectors, settings).gaps if gap.attribute]
    topic = {one.topic_id: one for one in production.atlas.topics}[part.topic_id]
    assert production.atlas.topics[host].topic_id in (topic.topic_id, topic.parent)
    assert (part.attribute, part.value) == ("tenant", "island")
    assert part.gap_id == gap_id_of(topic.topic_id, "tenant", "island")
    assert part.turns == int(np.isin(np.flatnonzero(rows), production.counted).sum())
    assert part.high < 0.7 and part.priority > 0 and part.splits == ()
