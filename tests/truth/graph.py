"""Write ONNX graphs as arithmetic: values of a graph are added, sampled and reduced like arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

# Heeded where ORT_LOAD_CONFIG_FROM_MODEL is 1, as in tests: they share the cores, and a thread that
# waits for another spins.
ONE_THREAD = {"session_options": {"intra_op_num_threads": 1}}
OPSET = 18  # Resize smooths what it shrinks from here on
IR = 9

Shape = Sequence[int | str | None]


@dataclass
class Graph:
    """Collects nodes; names are counted, so that the same calls write the same bytes."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[bytes, onnx.TensorProto] = field(default_factory=dict)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    nought: Value | None = None  # [1], of unknown shape, where shapes are hidden

    def input(self, name: str, shape: Shape) -> Value:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return Value(self, name)

    def hidden(self, value: Value) -> Value:
        """The same, of a shape that nobody can infer; so are those of all that comes from it.

        onnxruntime compares the shapes of all values with each other when it loads a network,
        which takes seconds with thousands of them, and leaves those out that it does not know.
        """
        size = value.shape().take(0, 0, 1)
        self.nought = self._unshaped(self.apply("Sub", size, size), TensorProto.INT64)
        return self._unshaped(value, TensorProto.FLOAT)

    def _unshaped(self, value: Value, kind: int) -> Value:
        # A list that began empty may hold anything.
        held = self.apply("SequenceInsert", self.apply("SequenceEmpty", dtype=kind), value)
        return self.apply("SequenceAt", held, self.constant(0, np.int64))

    def output(self, value: Value, name: str, shape: Shape) -> None:
        self.nodes.append(helper.make_node("Identity", [value.name], [name], name=f"out_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def constant(self, values: ArrayLike, kind: type = np.float32) -> Value:
        array: NDArray[Any] = np.asarray(values, kind)
        key = repr((array.shape, array.dtype)).encode() + array.tobytes()
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, f"c{len(self.constants)}")
        return Value(self, self.constants[key].name)

    def apply(self, kind: str, *values: Value | None, **attributes: Any) -> Value:
        name = f"{kind.lower()}{len(self.nodes)}"
        names = ["" if value is None else value.name for value in values]
        self.nodes.append(helper.make_node(kind, names, [name], name=f"n_{name}", **attributes))
        return Value(self, name)

    def apply_two(self, kind: str, *values: Value, **attributes: Any) -> tuple[Value, Value]:
        first, second = (f"{kind.lower()}{len(self.nodes)}{side}" for side in "ab")
        names = [value.name for value in values]
        node = helper.make_node(kind, names, [first, second], name=f"n_{first}", **attributes)
        self.nodes.append(node)
        return Value(self, first), Value(self, second)

    def save(self, path: Path, name: str) -> Path:
        path.write_bytes(self.encoded(name))
        return path

    def encoded(self, name: str) -> bytes:
        graph = helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self.constants.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR
        )
        helper.set_model_props(model, {"ort_config": json.dumps(ONE_THREAD)})
        return bytes(model.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Value:
    graph: Graph
    name: str

    def _with(self, kind: str, other: Value | float) -> Value:
        return self.graph.apply(kind, self, self._lift(other))

    def _lift(self, other: Value | float) -> Value:
        return other if isinstance(other, Value) else self.graph.constant(other)

    def __add__(self, other: Value | float) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._with("Sub", other)

    def __mul__(self, other: Value | float) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Value | float) -> Value:
        return self._with("Div", other)

    def __neg__(self) -> Value:
        return self.graph.apply("Neg", self)

    def min(self, *others: Value | float) -> Value:
        return self.graph.apply("Min", self, *(self._lift(other) for other in others))

    def max(self, *others: Value | float) -> Value:
        return self.graph.apply("Max", self, *(self._lift(other) for other in others))

    def abs(self) -> Value:
        return self.graph.apply("Abs", self)

    def sqrt(self) -> Value:
        return self.graph.apply("Sqrt", self)

    def log(self) -> Value:
        return self.graph.apply("Log", self)

    def sigmoid(self) -> Value:
        return self.graph.apply("Sigmoid", self)

    def matmul(self, other: ArrayLike) -> Value:
        return self.graph.apply("MatMul", self, self.graph.constant(other))

    def transpose(self, *order: int) -> Value:
        return self.graph.apply("Transpose", self, perm=order)

    def reshape(self, *shape: int) -> Value:
        wanted = self.graph.constant(shape, np.int64)
        if self.graph.nought is not None:
            wanted = self.graph.apply("Add", wanted, self.graph.nought)
        return self.graph.apply("Reshape", self, wanted)

    def reshape_like(self, shape: Value) -> Value:
        return self.graph.apply("Reshape", self, shape)

    def shape(self) -> Value:
        return self.graph.apply("Shape", self)

    def cast(self, kind: int) -> Value:
        return self.graph.apply("Cast", self, to=kind)

    def floats(self) -> Value:
        return self.cast(TensorProto.FLOAT)

    def sum(self, axis: int, *, keep: bool = False) -> Value:
        return self._reduce("ReduceSum", axis, keep)

    def mean(self, axis: int, *, keep: bool = False) -> Value:
        return self._reduce("ReduceMean", axis, keep)

    def least(self, axis: int, *, keep: bool = False) -> Value:
        return self._reduce("ReduceMin", axis, keep)

    def most(self, axis: int, *, keep: bool = False) -> Value:
        return self._reduce("ReduceMax", axis, keep)

    def _reduce(self, kind: str, axis: int, keep: bool) -> Value:
        axes = self.graph.constant([axis], np.int64)
        return self.graph.apply(kind, self, axes, keepdims=int(keep))

    def take(self, axis: int, start: int, end: int, step: int = 1) -> Value:
        names = (self.graph.constant([one], np.int64) for one in (start, end, axis, step))
        return self.graph.apply("Slice", self, *names)

    def column(self, number: int) -> Value:
        return self.take(-1, number, number + 1)

    def pool(self, side: int) -> Value:
        """Mean of a window round each place; the edge goes on outside."""
        half = side // 2
        return self.graph.apply(
            "AveragePool", self.padded(half), kernel_shape=[side, side], strides=[1, 1]
        )

    def peak(self, side: int) -> Value:
        pads = [side // 2] * 4
        return self.graph.apply(
            "MaxPool", self, kernel_shape=[side, side], strides=[1, 1], pads=pads
        )

    def padded(self, by: int) -> Value:
        pads = self.graph.constant([0, 0, by, by, 0, 0, by, by], np.int64)
        return self.graph.apply("Pad", self, pads, mode="edge")


def concat(values: Sequence[Value], axis: int) -> Value:
    return values[0].graph.apply("Concat", *values, axis=axis)
