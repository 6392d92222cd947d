"""Which languages an encoder knows: by setting, by its model's card, and by what the packaged model was trained on."""

from pathlib import Path

import pytest

from monitor.encoding.languages import known_languages
from monitor.errors import SettingError
from monitor.settings import EncoderSettings

KINDS = [("onnx", frozenset({"en"})), ("hashing", None), ("sentence-transformers", None)]


@pytest.mark.parametrize(("kind", "known"), KINDS)
def test_without_a_setting(kind: str, known: frozenset[str] | None) -> None:
    assert known_languages(EncoderSettings(kind=kind, model="some/model" if known is None else "")) == known


@pytest.mark.parametrize("kind", ["onnx", "hashing"])
def test_the_setting_goes_before(kind: str) -> None:
    assert known_languages(EncoderSettings(kind=kind, languages=("en", " DE "))) == {"en", "de"}
    assert known_languages(EncoderSettings(kind=kind, languages=("all",))) is None


def test_what_is_no_code_is_refused() -> None:
    with pytest.raises(SettingError, match=r"encoder\.languages holds 'german'"):
        known_languages(EncoderSettings(languages=("en", "German")))


@pytest.mark.parametrize(
    ("card", "known"),
    [
        ("---\nlanguage: en\nlicense: mit\n---\n# A model", {"en"}),
        ("---\nlanguage:\n- de\n- fr\ntags: [x]\n---\n", {"de", "fr"}),
        ("---\nlanguage: [en, de]\n---\n", {"en", "de"}),
        ("---\nlanguage: multilingual\n---\n", None),
        ("---\nlicense: mit\n---\nlanguage: en", None),
        ("# no front matter", None),
        ("", None),
    ],
)
def test_a_models_card(tmp_path: Path, card: str, known: set[str] | None) -> None:
    (tmp_path / "README.md").write_text(card)
    assert known_languages(EncoderSettings(kind="sentence-transformers", model=str(tmp_path))) == known
