"""What a model calls topics, beside the labels that were found, and what asking cost: tables `topic_names`, `naming_runs`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["NamingRun", "NamingTotals", "TopicName", "TopicNames"]


@dataclass(frozen=True, slots=True)
class TopicName:
    """What `model` calls a topic; `name` is None where its answer was not taken, so that it is not asked the same again.

    `asked` is a hash of the label that it was asked with, `examples` are the keys of the turns whose texts it saw.
    """

    topic_id: str
    model: str
    asked: str
    name: str | None
    examples: tuple[int, ...]
    named_at: datetime


@dataclass(frozen=True, slots=True)
class NamingRun:
    """One time that a model was asked. Of `topics` that it was asked about some were `named` and some `refused`, as their
    answer was not taken; the others are left for the next time. `cost_usd` is None where no price is known.

    `error` is why it ended early, without texts.
    """

    run_id: str
    asked_at: datetime
    model: str
    topics: int
    named: int
    refused: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class NamingTotals:
    """All runs together: how many there were, and `last`. `cost_usd` is None where none of them knew a price."""

    runs: int
    named: int
    refused: int
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    last: NamingRun | None


_NAME, _RUN = shape(TopicName), shape(NamingRun)


class TopicNames:
    """Names belong to an atlas, and go with it; a later atlas takes over those of the topics that stayed what they were."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, atlas_id: str) -> list[TopicName]:
        return _NAME.read(
            self._database.query("SELECT * FROM topic_names WHERE atlas_id = ? ORDER BY topic_id, named_at", [atlas_id])
        )

    def carry(self, atlas_id: str, model: str, asked: Mapping[str, str]) -> None:
        """Give topics the names that the model gave them before, in any atlas that is kept, where it was asked with the same:
        `asked` by topic id. The atlas has no other names afterwards."""
        with self._database.transaction():
            rows = _NAME.read(
                self._database.query("SELECT * FROM topic_names WHERE model = ? ORDER BY named_at, topic_id", [model])
            )
            known = {one.topic_id: one for one in rows if asked.get(one.topic_id) == one.asked}
            self._database.execute("DELETE FROM topic_names WHERE atlas_id = ?", [atlas_id])
            self._database.insert("topic_names", _NAME.table(known.values(), atlas_id=atlas_id))

    def add(self, atlas_id: str, names: Iterable[TopicName]) -> None:
        """What stood for the same topics is replaced."""
        listed = list(names)
        with self._database.transaction():
            for one in listed:
                self._database.execute(
                    "DELETE FROM topic_names WHERE atlas_id = ? AND topic_id = ?", [atlas_id, one.topic_id]
                )
            self._database.insert("topic_names", _NAME.table(listed, atlas_id=atlas_id))

    def note(self, run: NamingRun) -> None:
        self._database.insert("naming_runs", _RUN.table([run]))

    def runs(self) -> Sequence[NamingRun]:
        """The latest first."""
        return _RUN.read(self._database.query("SELECT * FROM naming_runs ORDER BY asked_at DESC, run_id"))

    def totals(self) -> NamingTotals:
        """What was asked and what it cost since the store was made."""
        runs = self.runs()
        costs = [one.cost_usd for one in runs if one.cost_usd is not None]
        return NamingTotals(
            runs=len(runs),
            named=sum(one.named for one in runs),
            refused=sum(one.refused for one in runs),
            requests=sum(one.requests for one in runs),
            input_tokens=sum(one.input_tokens for one in runs),
            output_tokens=sum(one.output_tokens for one in runs),
            cost_usd=sum(costs) if costs else None,
            last=runs[0] if runs else None,
        )
