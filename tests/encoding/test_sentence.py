"""Models of the sentence-transformers library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from monitor.encoding.sentence import SentenceTransformersEncoder, _digest_of_weights
from monitor.errors import ModelError, SettingError

pytestmark = pytest.mark.slow  # torch alone takes seconds to import
REPOSITORY = Path(__file__).parents[2]


def test_the_version_follows_the_files(tiny_model: Path, tmp_path: Path, tiny: SentenceTransformersEncoder) -> None:
    copy = tmp_path / tiny_model.name
    shutil.copytree(tiny_model, copy)
    (copy / "README.md").write_text("another model card")
    assert SentenceTransformersEncoder(str(copy)).name == tiny.name
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert SentenceTransformersEncoder(str(copy)).name != tiny.name


def test_the_version_of_a_model_by_name_follows_the_weights(tiny_model: Path) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), device="cpu")
    before = _digest_of_weights(model)
    assert _digest_of_weights(SentenceTransformer(str(tiny_model), device="cpu")) == before
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1
    assert _digest_of_weights(model) != before


def test_no_model_named() -> None:
    with pytest.raises(SettingError, match=r"encoder\.model = '' must name a model"):
        SentenceTransformersEncoder("")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"encoder\.model = .*nowhere' is no folder"):
        SentenceTransformersEncoder(str(tmp_path / "nowhere"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        SentenceTransformersEncoder(str(tmp_path))


def test_a_missing_library_names_the_extra(tmp_path: Path) -> None:
    # An interpreter that sees only offmap and numpy: sentence-transformers is really absent.
    numpy_folder = Path(str(find_spec("numpy").origin)).parent  # type: ignore[union-attr]
    for folder in (REPOSITORY / "monitor", numpy_folder, numpy_folder.with_name("numpy.libs")):
        if folder.is_dir():
            (tmp_path / folder.name).symlink_to(folder)
    script = (
        "from monitor.encoding.encoder import make_encoder\n"
        "from monitor.errors import MissingExtraError\n"
        "from monitor.settings import EncoderSettings\n"
        "try:\n"
        "    make_encoder(EncoderSettings(kind='sentence-transformers', model='a/b'))\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "pip install 'offmap[models]'" in found.stdout
    assert "encoder.kind = 'sentence-transformers'" in found.stdout
