"""What is written is what ONNX Runtime runs, and what is read is what was stored."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from monitor.encoding.onnx_file import Node, initializers, model


def two_nodes() -> bytes:
    return model(
        [
            Node("MatMul", ["x", "w"], ["y"]),
            Node("ReduceMean", ["y", "axes"], ["z"], attributes={"keepdims": 0}),
        ],
        {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "axes": np.array([-1])},
        inputs={"x": (np.float32, ["rows", 2])},
        outputs={"z": (np.float32, ["rows"])},
    )


def test_onnx_runtime_runs_what_is_written() -> None:
    session = onnxruntime.InferenceSession(two_nodes(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.array([[1, 0], [1, 2]], dtype=np.float32)})
    assert found.tolist() == [1, 9]


def test_tensors_come_back() -> None:
    found = initializers(two_nodes())
    assert sorted(found) == ["axes", "w"]
    assert found["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["axes"].tolist() == [-1]


@pytest.mark.parametrize("kind", [np.float32, np.int8, np.int32, np.int64])
def test_every_type_and_shape_comes_back(kind: type[np.generic]) -> None:
    for shape in [(), (1,), (300,), (2, 0), (3, 1, 200)]:
        array = (np.arange(np.prod(shape)).reshape(shape) % 100).astype(kind)
        found = initializers(model([], {"a": array}, {}, {}))["a"]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_attributes_are_numbers_negative_ones_too() -> None:
    gain, bias = np.full(4, 2, dtype=np.float32), np.ones(4, dtype=np.float32)
    content = model(
        [Node("LayerNormalization", ["x", "g", "b"], ["y"], attributes={"axis": -1, "epsilon": 1e-12})],
        {"g": gain, "b": bias},
        {"x": (np.float32, ["rows", 4])},
        {"y": (np.float32, ["rows", 4])},
    )
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.array([[-1, 1, -1, 1]], dtype=np.float32)})
    assert found[0] == pytest.approx([-1, 3, -1, 3], abs=1e-5)
