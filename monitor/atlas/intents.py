"""Intents: named categories by their nearest labelled examples, with the option to name none."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import InputError

__all__ = ["Intents", "assign_intents", "load_intents", "threshold_of"]

#: Of texts that have the intent, this share is rejected, as far as the examples tell.
_REJECTED = 0.1

#: Threshold where no intent has two examples, so that they cannot tell. Chosen on CLINC150's training split with the
#: default encoder; on its test split, with one example each, it rejects 19 % of texts that have an intent and 84 % of others.
FALLBACK = 0.4

_BLOCK = 2_048


@dataclass(frozen=True, slots=True)
class Intents:
    """Names, and examples: unit vectors [e, d] with the position of their name [e]. A name may have no example."""

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


def assign_intents(
    vectors: NDArray[np.float32], intents: Intents, *, k: int = 3
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The intent of each unit vector [n, d], as its position in the names, -1 for none; and its score.

    An intent's score is the mean cosine of its k examples nearest to the text, of all where it has fewer. The greatest
    score wins, the first name at a tie, and is rejected below `threshold_of(intents)`. The mean of three asks that several
    examples agree, where a single one may be mislabelled. The score is that of the best intent even when it is rejected; it
    is nan when there are no examples.

    >>> intents = Intents(("up", "right"), np.eye(2, dtype=np.float32), np.array([0, 1]))
    >>> assign_intents(np.array([[0.8, 0.6], [-1.0, 0.0]], np.float32), intents)[0].tolist()
    [0, -1]
    """
    found = np.full(len(vectors), -1, np.int64)
    scores = np.full(len(vectors), np.nan, np.float32)
    if not len(intents.vectors):
        return found, scores
    threshold = threshold_of(intents, k=k)
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = _scores(vectors[rows] @ intents.vectors.T, intents.labels, len(intents.names), k)
        best = block.argmax(axis=1)
        scores[rows] = block[np.arange(len(block)), best]
        found[rows] = np.where(scores[rows] >= threshold, best, -1)
    return found, scores


def threshold_of(intents: Intents, *, k: int = 3) -> float:
    """The score below which an intent is rejected: the 0.1 quantile of what the examples score for their own intent.

    Each example is scored against the others of its intent (leave one out), so one text in ten that has the intent is
    rejected: it then counts as no intent, while too low a threshold would hide a new subject under an old name. Examples
    that are alone in their intent have nothing to be scored against and do not count; where all are, it is `FALLBACK`.
    """
    own = []
    for label in np.unique(intents.labels):
        examples = intents.vectors[intents.labels == label]
        if len(examples) < 2:
            continue
        cosines = examples @ examples.T
        np.fill_diagonal(cosines, -np.inf)
        others = min(k, len(examples) - 1)
        own.append(-np.partition(-cosines, others - 1, axis=1)[:, :others].mean(axis=1))
    return float(np.quantile(np.concatenate(own), _REJECTED)) if own else FALLBACK


def load_intents(path: Path) -> list[tuple[str, list[str]]]:
    """Names with their examples from TOML: `[[intent]]` tables with `name` and `examples`. Raises `InputError`."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"intents file {path} does not exist: correct the setting analysis.intents_file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"intents file {path} cannot be read as TOML: {error}") from error
    for key in document:
        if key != "intent":
            raise InputError(f"{path}: unknown field {key}{_nearest(key, ('intent',))}; intents are [[intent]] tables")
    tables = document.get("intent")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"{path}: no intents; add [[intent]] tables, each with a name and examples")
    found: dict[str, list[str]] = {}
    for number, table in enumerate(tables, 1):
        name, examples = _read_intent(table, f"{path}: [[intent]] {number}")
        if name in found:
            raise InputError(
                f"{path}: [[intent]] {number}: name {name!r} is there twice; put its examples into one table"
            )
        found[name] = examples
    return list(found.items())


def _read_intent(table: dict[str, Any], where: str) -> tuple[str, list[str]]:
    for key in table:
        if key not in ("name", "examples"):
            raise InputError(f"{where}: unknown field {key}{_nearest(key, ('name', 'examples'))}")
    name, examples = table.get("name"), table.get("examples")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}: name must be a text, and is {name!r}")
    if not isinstance(examples, list) or not examples:
        raise InputError(
            f"{where}: examples of {name!r} must be a list of texts with at least one, and is {examples!r}"
        )
    for position, example in enumerate(examples, 1):
        if not isinstance(example, str) or not example.strip():
            raise InputError(f"{where}: example {position} of {name!r} must be a text, and is {example!r}")
    return name.strip(), [example.strip() for example in examples]


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _scores(cosines: NDArray[np.float32], labels: NDArray[np.int64], names: int, k: int) -> NDArray[np.float32]:
    """Scores [n, names] from cosines to the examples [n, e]; an intent without examples has -inf."""
    scores = np.full((len(cosines), names), -np.inf, np.float32)
    for label in np.unique(labels):
        own = cosines[:, labels == label]
        counted = min(k, own.shape[1])
        scores[:, label] = -np.partition(-own, counted - 1, axis=1)[:, :counted].mean(axis=1)
    return scores
