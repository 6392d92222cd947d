"""What was found in eval sets, by the versions that were compared, on both kinds of store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.store import Store
from monitor.store.eval_health import EvalHealthRow
from tests.store.conftest import NOON

ROW = EvalHealthRow(
    eval_set_ids=("s1", "s2"),
    names=("shop", "o,ther"),
    run_id="r1",
    made_at=NOON,
    items=30,
    texts=28,
    labels=4,
    repeated=2,
    conflicts=1,
    doubts=0,
    diversity=12.5,
    value=0.8,
    low=0.7,
    high=0.9,
    document={"needed": ["a", "<b>'\"\N{RIGHT-TO-LEFT OVERRIDE}"], "diversity": 12.5},
)


def test_the_latest_examination_of_the_same_versions_stands(store: Store) -> None:
    assert store.eval_health.find(("s1", "s2")) is None and store.eval_health.read() == []
    store.eval_health.write(ROW)
    later = replace(ROW, eval_set_ids=("s2", "s1"), run_id="r3", made_at=NOON + timedelta(days=2), value=None)
    single = replace(ROW, eval_set_ids=("s1",), names=("shop",), run_id="r2", made_at=NOON + timedelta(days=1))
    store.eval_health.write(single)
    store.eval_health.write(later)
    assert store.eval_health.find(("s1", "s2")) == later
    assert store.eval_health.read() == [single, later]
    assert store.eval_health.find(("s2",)) is None
