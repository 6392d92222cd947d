"""Which languages an encoder knows: vectors of texts in others mean little, and nothing is concluded from them."""

from __future__ import annotations

import re
from pathlib import Path

from monitor.errors import SettingError
from monitor.settings import EncoderSettings

__all__ = ["known_languages"]

#: The packaged MiniLM was trained on English.
_PACKAGED = frozenset({"en"})
#: What a model's card calls many languages. A card may also list a hundred.
_MANY = frozenset({"multilingual", "all", "mul"})

_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_LANGUAGE = re.compile(r"^language:[ \t]*(.*(?:\n[ \t]*-[ \t]*\S+)*)", re.MULTILINE)


def known_languages(settings: EncoderSettings) -> frozenset[str] | None:
    """The codes of the languages that the encoder of the settings knows; None when it knows all, or nobody says.

    `encoder.languages` goes before. The packaged model knows English. A model in a folder knows what its card (`README.md`)
    states. Of any other model nothing is known, and nothing is set apart. Raises `SettingError` for what is no code.
    """
    asked = frozenset(one.strip().lower() for one in settings.languages if one.strip())
    wrong = [one for one in sorted(asked) if not re.fullmatch(r"[a-z]{2,3}", one)]
    if wrong:
        raise SettingError(
            f"setting encoder.languages holds {wrong[0]!r}, which is no code of a language: give codes such as en, or all"
        )
    if asked:
        return None if asked & _MANY else asked
    if settings.model and (Path(settings.model) / "README.md").is_file():
        return _of_card((Path(settings.model) / "README.md").read_text("utf-8", "replace")[:20_000])
    return _PACKAGED if settings.kind == "onnx" else None


def _of_card(text: str) -> frozenset[str] | None:
    """The languages in the front matter of a model's card: `language: en`, a list on one line, or one on several."""
    front = _FRONT.match(text)
    found = _LANGUAGE.search(front[1]) if front else None
    codes = frozenset(re.findall(r"[a-z]{2,}", found[1].lower())) if found else frozenset()
    return None if not codes or codes & _MANY else codes
