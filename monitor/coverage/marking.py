"""What people say of single turns, as an analysis keeps to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.corpus import Corpus
from monitor.atlas.network import Network
from monitor.records import EvalSet
from monitor.store.marks import COVERED, NOISE, Marked
from monitor.store.store import Store

__all__ = ["Marking", "read_marking"]


@dataclass(frozen=True, slots=True)
class Marking:
    """Marks that hold for a comparison. Each is about a text: about every turn that says it, or a near copy that the network
    takes for the same text."""

    covered: Sequence[Marked]
    noise: Sequence[Marked]

    @property
    def covered_ids(self) -> list[str]:
        return [one.mark.mark_id for one in self.covered]

    @property
    def noise_ids(self) -> list[str]:
        return [one.mark.mark_id for one in self.noise]

    @property
    def ids(self) -> list[str]:
        return self.noise_ids + self.covered_ids

    def noise_turns(self, corpus: Corpus) -> NDArray[np.bool_] | None:
        """Turns [t] that say a text that is noise, None for none. `corpus` has every text, near copies too."""
        return _turns(corpus, self.noise)

    def covered_turns(self, corpus: Corpus, network: Network) -> NDArray[np.bool_] | None:
        """Turns [t] of the network that say a covered text, or a near copy of one, None for none."""
        turns = _turns(corpus, self.covered)
        return None if turns is None else network.same_texts(turns)


def read_marking(store: Store, eval_sets: Iterable[EvalSet]) -> Marking:
    """The marks in force. One that names an eval item holds only where one of the sets has it."""
    marks = store.marks.in_force()
    items = {item.item_id for one in eval_sets for item in one.items} if marks else set()
    covered = [one for one in marks if one.mark.kind == COVERED]
    return Marking(
        [one for one in covered if one.mark.item_id is None or one.mark.item_id in items],
        [one for one in marks if one.mark.kind == NOISE],
    )


def _turns(corpus: Corpus, marks: Sequence[Marked]) -> NDArray[np.bool_] | None:
    hashes = {one.text_hash for one in marks}
    texts = [row for row, hash_ in enumerate(corpus.hashes) if hash_ in hashes] if hashes else []
    return np.isin(corpus.text_of, texts) if texts else None
