"""Our graph computes what the packaged one does, but for the rows that are refined."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from monitor.encoding.minilm import COLUMNS, LAYERS, WEIGHTS, minilm_graph, residual_rows, weight
from monitor.encoding.onnx import packaged_model
from monitor.encoding.onnx_file import initializers
from monitor.encoding.sentence import SentenceTransformersEncoder

IDS = np.array([[101, 2073, 2003, 2026, 20463, 102], [101, 4067, 2017, 2172, 999, 102]])


def packaged(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(packaged_model()), providers=["CPUExecutionProvider"])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    found: NDArray[np.float32] = session.run(None, inputs)[0].mean(axis=1)
    return found


def ours(ids: NDArray[np.int64]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        minilm_graph(packaged_model().read_bytes()), providers=["CPUExecutionProvider"]
    )
    found: NDArray[np.float32] = session.run(None, {"ids": ids, "positions": np.arange(ids.shape[1])})[0]
    return found


@pytest.mark.slow
def test_without_refined_rows_it_is_the_packaged_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.encoding.minilm.residual_rows", dict)
    np.testing.assert_allclose(ours(IDS), packaged(IDS), atol=2e-5)


def test_a_refined_row_is_nearer_to_the_model_that_the_weights_are_of(float32: SentenceTransformersEncoder) -> None:
    stored, residuals = initializers(packaged_model().read_bytes()), residual_rows()
    model = dict(float32._model.named_parameters())
    prefix = next(name for name in model if name.endswith("encoder.layer.0.output.dense.weight")).partition("encoder.")[
        0
    ]
    for layer in range(LAYERS):
        for column in (2, 3, 4, 5):
            rows = residuals[f"{layer}.{column}.rows"].astype(np.int64)
            wanted = model[f"{prefix}encoder.layer.{layer}.{COLUMNS[column]}.weight"].detach().numpy().T[rows]
            plain = np.abs(weight(stored, layer, column, {})[rows] - wanted).mean()
            refined = np.abs(weight(stored, layer, column, residuals)[rows] - wanted).mean()
            assert refined < plain / 50, (layer, COLUMNS[column])


def test_every_residual_has_its_product() -> None:
    residuals = residual_rows()
    for name in residuals:
        layer, column, what = name.split(".")
        assert what in ("rows", "residuals")
        assert WEIGHTS[int(layer)][int(column)]
    assert len(residuals) == 2 * LAYERS * 4
