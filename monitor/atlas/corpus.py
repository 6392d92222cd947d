"""The corpus of a window: its turns in conversation order, and the distinct texts that they say."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.encoding.recipe import Recipe, text_hash
from monitor.records import Window
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["Corpus", "numbered", "numbered_users", "read_corpus"]

_COLUMNS = ("turn_key", "conversation_key", "turn_index", "created_at", "user_text", "user_id", "tenant", "language")


@dataclass(frozen=True, slots=True)
class Corpus:
    """Turns [t] in conversation order, and distinct texts [n] in the order of their hashes.

    `text_of` [t] is each turn's text, `conversation` and `user` [t] number conversations and users from 0 (a turn without
    a user counts its conversation as one), `created` [t] is microseconds since 1970, `stated_language` [t] is the log's. The
    order depends on the turns alone, never on the order in which they were stored.
    """

    keys: NDArray[np.uint64]
    text_of: NDArray[np.int64]
    conversation: NDArray[np.int64]
    user: NDArray[np.int64]
    named_user: NDArray[np.bool_]
    created: NDArray[np.int64]
    texts: Sequence[str]
    hashes: Sequence[bytes]
    stated_language: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def weights(self) -> NDArray[np.float64]:
        """How many turns say each text [n]."""
        return np.bincount(self.text_of, minlength=len(self.texts)).astype(np.float64)

    @property
    def first_turn(self) -> NDArray[np.int64]:
        """The row of the earliest turn that says each text [n]."""
        order = np.lexsort((self.keys, self.created))
        first = np.empty(len(self.texts), np.int64)
        first[self.text_of[order][::-1]] = order[::-1]
        return first

    def said(self, keys: Collection[int]) -> list[str]:
        """The distinct texts of the turns with these keys."""
        asked = np.isin(self.keys, np.fromiter(keys, np.uint64, len(keys)))
        return [self.texts[text] for text in np.unique(self.text_of[asked]).tolist()]

    def without(self, keys: Collection[int]) -> Corpus:
        """The corpus that it would be if the turns with these keys had never been."""
        rows = np.flatnonzero(~np.isin(self.keys, np.fromiter(keys, np.uint64, len(keys))))
        texts, text_of = np.unique(self.text_of[rows], return_inverse=True)
        return Corpus(
            keys=self.keys[rows],
            text_of=text_of.ravel().astype(np.int64),
            conversation=numbered(self.conversation[rows]),
            user=numbered(self.user[rows]),
            named_user=self.named_user[rows],
            created=self.created[rows],
            texts=[self.texts[text] for text in texts.tolist()],
            hashes=[self.hashes[text] for text in texts.tolist()],
            stated_language=[self.stated_language[row] for row in rows.tolist()],
        )

    @property
    def fingerprint(self) -> str:
        """Hash of the turns and what they say: equal for equal input."""
        digest = blake2b(digest_size=16)
        for part in (self.keys, self.text_of, self.conversation, self.user, self.created):
            digest.update(part.tobytes())
        digest.update(b"".join(self.hashes))
        digest.update("\0".join(language or "" for language in self.stated_language).encode("utf-8", "replace"))
        return digest.hexdigest()


def read_corpus(store: Store, recipe: Recipe, *, window: Window | None, environments: Sequence[str]) -> Corpus:
    """The turns of the window in the given environments; a turn that names no environment counts always."""
    table = store.turns.read(window, environments=environments, columns=_COLUMNS)
    keys = _array(table, "turn_key").astype(np.uint64)
    created = _array(table, "created_at").astype("datetime64[us]").astype(np.int64)
    # Not through pandas, whose import takes half a second. A turn without a place is the last of its conversation.
    places = table.column("turn_index").to_numpy()
    index = np.where(np.isnan(places), np.iinfo(np.int32).max, places).astype(np.int64)
    conversation = _array(table, "conversation_key").astype(np.uint64)
    order = np.lexsort((keys, created, index, conversation))
    raw: list[str] = values(table, "user_text")
    prepared = {text: recipe.prepare(text) for text in set(raw)}
    said = [prepared[raw[row]] for row in order]
    by_text = {text: text_hash(text) for text in set(said)}
    texts = sorted(by_text, key=by_text.__getitem__)
    position = {text: number for number, text in enumerate(texts)}
    stated: list[str | None] = values(table, "language")
    named = np.array([user is not None for user in values(table, "user_id")], bool)[order]
    return Corpus(
        keys=keys[order],
        text_of=np.fromiter((position[text] for text in said), np.int64, len(said)),
        conversation=numbered(conversation[order]),
        user=numbered_users(table)[order],
        named_user=named,
        created=created[order],
        texts=texts,
        hashes=[by_text[text] for text in texts],
        stated_language=[stated[row] for row in order],
    )


def numbered_users(turns: pa.Table) -> NDArray[np.int64]:
    """The user of each turn, numbered: columns user_id, tenant, conversation_key. Without one its conversation counts."""
    names = [
        f"{tenant or ''}\0{user}" if user is not None else f"\1{conversation}"
        for user, tenant, conversation in zip(
            values(turns, "user_id"), values(turns, "tenant"), values(turns, "conversation_key"), strict=True
        )
    ]
    return numbered(np.array(names, dtype=object))


def numbered(values: NDArray[Any]) -> NDArray[np.int64]:
    """Each value as its number among the sorted distinct values."""
    return np.unique(values, return_inverse=True)[1].ravel().astype(np.int64) if len(values) else np.empty(0, np.int64)


def _array(table: pa.Table, column: str) -> NDArray[Any]:
    return table.column(column).to_numpy()
