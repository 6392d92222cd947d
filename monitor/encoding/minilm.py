"""MiniLM-L6 as a graph for ONNX Runtime, made in memory from the weights of the packaged file.

The packaged graph is as torch exported it. This one computes the same with fewer and faster operations: query, key and
value in one product, attention in one operation without a mask (texts of one length share a batch), GELU in one, the
mean over the tokens inside. ONNX Runtime must not optimise it further than `basic`: its fusion of addition and layer
normalisation (`SkipLayerNormalization`) is several times slower than the two.

The packaged weights are int8 with a scale for each column. In a few rows (channels whose activations are tens of times
the usual: BERT's outliers) the rounding of the weights is what moves a vector away from the float32 model's, most of all for
texts of one or two words. `minilm_rows.npz` holds what rounding took from those rows, in eight further bits. It is made by
`benchmarks/encoder_rows/make.py` from all-MiniLM-L6-v2's own weights (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.onnx_file import MICROSOFT, Node, initializers, model

__all__ = ["COLUMNS", "LAYERS", "RESIDUAL_STEPS", "WEIGHTS", "minilm_graph", "residual_rows", "weight"]

LAYERS, HEADS, DIMENSION = 6, 12, 384

#: The products of a layer, in the order of `WEIGHTS`.
COLUMNS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)

#: What the exporter called the weights of each layer. The file is pinned by its hash.
WEIGHTS = (
    ("val_49", "val_57", "val_65", "val_105", "val_109", "val_118"),
    *(tuple(f"val_{first + step}" for step in (0, 8, 16, 54, 58, 67)) for first in (122, 193, 264, 335, 406)),
)

#: A residual of 127 is half a step of the int8 weight.
RESIDUAL_STEPS = 254

_EPSILON = 1e-12

Tensors = Mapping[str, NDArray[np.generic]]


def minilm_graph(packaged: bytes) -> bytes:
    """A model of `ids` (texts, tokens; int64) and `positions` (tokens; int64) to `mean` (texts, 384; float32)."""
    stored = initializers(packaged)
    return _Graph(stored, residual_rows()).build()


def residual_rows() -> dict[str, NDArray[np.generic]]:
    """`LAYER.COLUMN.rows` (n, uint16) and `LAYER.COLUMN.residuals` (n, columns; int8) of the rows that are refined."""
    content = files("monitor.encoding").joinpath("minilm_rows.npz").read_bytes()
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def weight(stored: Tensors, layer: int, column: int, residuals: Tensors) -> NDArray[np.float32]:
    """Weights (inputs, outputs) of one product, its refined rows included."""
    name = WEIGHTS[layer][column]
    scale = stored[f"{name}_scale"].astype(np.float32)
    found = stored[f"{name}_q"].astype(np.float32) * scale
    key = f"{layer}.{column}"
    if f"{key}.rows" in residuals:
        rows = residuals[f"{key}.rows"].astype(np.int64)
        found[rows] += residuals[f"{key}.residuals"].astype(np.float32) * (scale / RESIDUAL_STEPS)
    return np.asarray(found, dtype=np.float32)


class _Graph:
    """The nodes and tensors as they are added; each method returns the name of its result."""

    def __init__(self, stored: Tensors, residuals: Tensors) -> None:
        self._stored = stored
        self._residuals = residuals
        self._nodes: list[Node] = []
        self._tensors: dict[str, NDArray[np.generic]] = {}

    def build(self) -> bytes:
        state = self._normalised("embeddings", self._embedded())
        for layer in range(LAYERS):
            state = self._layer(layer, state)
        self._nodes.append(
            Node("ReduceMean", [state, self._tensor("tokens", np.array([1]))], ["mean"], attributes={"keepdims": 0})
        )
        return model(
            self._nodes,
            self._tensors,
            inputs={"ids": (np.int64, ["texts", "tokens"]), "positions": (np.int64, ["tokens"])},
            outputs={"mean": (np.float32, ["texts", DIMENSION])},
        )

    def _embedded(self) -> str:
        # The table of words stays int8: the rows of a batch are scaled as they are read.
        table = "inner.embeddings.word_embeddings.weight"
        words = self._add("Cast", self._add("Gather", self._from(f"{table}_q"), "ids"), to=1)
        words = self._add("Mul", words, self._add("Gather", self._from(f"{table}_scale"), "ids"))
        table = "inner.embeddings.position_embeddings.weight"
        places = self._stored[f"{table}_q"].astype(np.float32) * self._stored[f"{table}_scale"].astype(np.float32)
        # Every token is of the first of two segments.
        places = places + self._stored["inner.embeddings.token_type_embeddings.weight"].astype(np.float32)[0]
        return self._add("Add", words, self._add("Gather", self._tensor("places", places), "positions"))

    def _layer(self, layer: int, state: str) -> str:
        prefix = f"encoder.layer.{layer}."
        joined = self._product(layer, (0, 1, 2), state)
        parts = [f"{joined}.{part}" for part in ("query", "key", "value")]
        self._nodes.append(Node("Split", [joined], parts, attributes={"axis": -1, "num_outputs": 3}))
        context = self._add("MultiHeadAttention", *parts, domain=MICROSOFT, num_heads=HEADS)
        state = self._normalised(
            f"{prefix}attention.output", self._add("Add", self._product(layer, (3,), context), state)
        )
        hidden = self._add("Gelu", self._product(layer, (4,), state), domain=MICROSOFT)
        return self._normalised(f"{prefix}output", self._add("Add", self._product(layer, (5,), hidden), state))

    def _product(self, layer: int, columns: Sequence[int], state: str) -> str:
        weights = [weight(self._stored, layer, column, self._residuals) for column in columns]
        biases = [self._stored[f"inner.encoder.layer.{layer}.{COLUMNS[column]}.bias"] for column in columns]
        name = f"{layer}.{columns[0]}"
        product = self._add("MatMul", state, self._tensor(f"{name}.weight", np.concatenate(weights, axis=1)))
        return self._add("Add", product, self._tensor(f"{name}.bias", np.concatenate(biases)))

    def _normalised(self, name: str, state: str) -> str:
        gain, bias = (self._from(f"inner.{name}.LayerNorm.{part}") for part in ("weight", "bias"))
        return self._add("LayerNormalization", state, gain, bias, axis=-1, epsilon=_EPSILON)

    def _add(self, operator: str, *inputs: str, domain: str = "", **attributes: int | float) -> str:
        result = f"{operator}.{len(self._nodes)}"
        self._nodes.append(Node(operator, inputs, [result], domain, attributes))
        return result

    def _from(self, name: str) -> str:
        return self._tensor(name, self._stored[name])

    def _tensor(self, name: str, array: NDArray[np.generic]) -> str:
        self._tensors[name] = array
        return name
