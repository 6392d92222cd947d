"""Eight weeks of sample traffic, looked at again and again: what would have been told when."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from consumers.ingest import ingest_file, utc_now
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.service.replay import Day, replay
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.alerts import AlertRow
from sample_data.generate import main as generate


@dataclass(frozen=True)
class Told:
    """One alert, and what its examples are about in truth."""

    at: datetime
    alert: AlertRow
    about: str


@dataclass(frozen=True)
class Outcome:
    truth: dict
    days: list[Day]
    told: list[Told]


def outcome(folder: Path, *arguments: str, every: timedelta = timedelta(days=1)) -> Outcome:
    assert generate(["--out", str(folder), *arguments]) == 0
    with gzip.open(folder / "turn_truth.jsonl.gz") as lines:
        truth = {record["turn_id"]: record for record in map(json.loads, lines)}
    settings = Settings()
    told = []
    with Store.open(str(folder / "history.duckdb")) as history, Store.open(str(folder / "target.duckdb")) as target:
        ingest_file(history, folder / "turns.jsonl.gz")
        import_eval_set(history, folder / "evalset.jsonl", "sample", utc_now)
        encoder = make_encoder(settings.encoder)
        days = list(replay(history, target, encoder, settings, eval_sets=["sample"], every=every))
        for day in days:
            for alert in day.alerts:
                turns = target.turns.fetch(list(alert.content.examples))
                about = Counter(truth[turn.turn_id]["intent"] or truth[turn.turn_id]["kind"] for turn in turns)
                told.append(Told(day.at, alert, about.most_common(1)[0][0] if about else ""))
    return Outcome(json.loads((folder / "truth.json").read_text()), days, told)
