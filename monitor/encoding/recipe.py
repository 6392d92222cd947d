"""Which text of a turn or of an eval item is encoded, and the hash under which its vector is kept.

A recipe's name carries a version: whoever changes what `prepare` returns counts it up, so that no vector of the old
text is read for the new one.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from hashlib import blake2b

__all__ = ["EVAL_PROMPT", "USER_TEXT", "Recipe", "text_hash"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named and versioned preparation of text."""

    name: str
    limit: int = 8_000

    def prepare(self, text: str) -> str:
        """The text as it is encoded: NFC, white space collapsed, cut to `limit` characters. Twice is the same as once.

        >>> USER_TEXT.prepare("  where is\\n my   parcel ")
        'where is my parcel'
        """
        # Half a surrogate pair has no UTF-8, so neither a hash nor a tokenizer takes it: it becomes U+FFFD.
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        collapsed = " ".join(unicodedata.normalize("NFC", whole).split())
        return collapsed[: self.limit].rstrip()


#: What of a turn is encoded: what the user wrote.
USER_TEXT = Recipe("user_text@1")

#: What of an eval item is encoded: its prompt, prepared just like a user's text, or distances would mean nothing.
#: It has its own name because deletion drops `user_text` vectors that no turn uses, and an eval item's must stay.
EVAL_PROMPT = Recipe("eval@1")


def text_hash(prepared: str) -> bytes:
    """16-byte key of a prepared text, the same in every process.

    >>> text_hash("where is my parcel").hex()[:8]
    'a989382b'
    """
    return blake2b(prepared.encode("utf-8", "surrogatepass"), digest_size=16).digest()
