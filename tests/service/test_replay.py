"""`offmap replay` as a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.store import Store
from tests.cli.cli_support import Offmap, in_folder
from tests.cli.cli_traffic import write_eval_set, write_log


@pytest.fixture
def shop(tmp_path: Path) -> Offmap:
    made = in_folder(tmp_path)
    made.done("ingest", write_log(tmp_path / "log.jsonl", conversations=240))
    made.done("evalset", "import", write_eval_set(tmp_path / "evals.jsonl"), "--name", "shop")
    return made


@pytest.mark.slow
def test_replay_says_what_it_saw_and_changes_nothing(shop: Offmap) -> None:
    before = shop.store.stat().st_size
    ran = shop.done("replay", "--every", "7d", "--into", shop.folder / "seen.duckdb", "--json").json
    assert len(ran["looks"]) == 4 and ran["looks"][-1]["turns"] == 480
    assert [one["turns"] for one in ran["looks"]] == sorted(one["turns"] for one in ran["looks"])
    assert shop("gaps").code == 1  # the history itself was never analysed
    assert shop.store.stat().st_size <= before * 2
    again = shop("replay", "--every", "7d", "--into", shop.folder / "seen.duckdb")
    assert again.code == 2 and "holds turns already" in again.err
    assert shop("replay", "--every", "soon").code == 2
    with Store.open(str(shop.store)) as store:
        sharing = store.share()
        assert sharing is not None
        sharing.start()
        held = shop.done("replay", "--every", "14d", "--json").json
        assert held["looks"][-1]["turns"] == 480
        sharing.close()
