"""Makes the tiny models in tests/data/foreign, shaped like those that other exporters write, with random weights.

    python3 tests/python/make_foreign_models.py tests/data/foreign

Each model gets a JSON file of the same name with a window of token ids and, for each output that holds an attention
map, what the released code computes from it: `proportion` and `variance` of every head with min_distance L/4. The maps
behind these numbers come from the reference evaluator of the onnx package, not from ONNX Runtime.
"""

import json
import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

VOCABULARY, HEADS, HEAD_SIZE, LAYERS, LENGTH = 50, 3, 4, 2, 40
EMBEDDING = HEADS * HEAD_SIZE


class Graph:
    """Nodes and weights under construction."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def node(self, operator, *inputs, **attributes):
        output = attributes.pop("output", f"{operator}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, array):
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def integers(self, *numbers):
        return self.constant(numpy.array(numbers, numpy.int64))

    def random_weights(self, *shape):
        return self.constant(self.random.normal(size=shape).astype(numpy.float32))

    def heads(self, hidden):
        projected = self.node("MatMul", hidden, self.random_weights(EMBEDDING, EMBEDDING))
        split = self.node("Reshape", projected, self.integers(0, 0, HEADS, HEAD_SIZE))
        return self.node("Transpose", split, perm=[0, 2, 1, 3])

    def attentions(self, hidden, layer, mask, past):
        """Attention maps [batch, heads, length, past + length] of one layer."""
        query, key = self.heads(hidden), self.heads(hidden)
        if past:
            key = self.node("Concat", f"past_key_values.{layer}.key", key, axis=2, output=f"present.{layer}.key")
            value = self.heads(hidden)
            self.node("Concat", f"past_key_values.{layer}.value", value, axis=2, output=f"present.{layer}.value")
        logits = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        return self.node("Softmax", self.node("Add", logits, mask), axis=-1)

    def padding_mask(self, attention_mask):
        """0 where attention_mask [batch, length] is 1, and a large negative number elsewhere."""
        present = self.node("Cast", attention_mask, to=TensorProto.FLOAT)
        absent = self.node("Sub", self.constant(numpy.float32(1)), present)
        bias = self.node("Mul", absent, self.constant(numpy.float32(-1e9)))
        return self.node("Unsqueeze", bias, self.integers(1, 2))

    def causal_mask(self, position_ids):
        rows = self.node("Unsqueeze", position_ids, self.integers(2))
        columns = self.node("Unsqueeze", position_ids, self.integers(1))
        hidden = self.node("Cast", self.node("Greater", columns, rows), to=TensorProto.FLOAT)
        bias = self.node("Mul", hidden, self.constant(numpy.float32(-1e9)))
        return self.node("Unsqueeze", bias, self.integers(1))

    def model(self, inputs, outputs):
        inputs = [helper.make_tensor_value_info(*row) for row in inputs]
        outputs = [helper.make_tensor_value_info(*row) for row in outputs]
        graph = helper.make_graph(self.nodes, "foreign", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def tokens(name, element=TensorProto.INT64):
    return (name, element, ["batch", "length"])


def decoder_with_past():
    """A causal decoder with a cache: attention_mask, position_ids and past_key_values among its inputs."""
    graph = Graph(1)
    hidden = graph.node("Gather", graph.random_weights(VOCABULARY, EMBEDDING), "input_ids")
    mask = graph.node("Add", graph.padding_mask("attention_mask"), graph.causal_mask("position_ids"))
    maps = [graph.attentions(hidden, layer, mask, past=True) for layer in range(LAYERS)]
    names = [f"attentions.{layer}" for layer in range(LAYERS)]
    for name, map_ in zip(names, maps):
        graph.node("Identity", map_, output=name)
    graph.node("MatMul", hidden, graph.random_weights(EMBEDDING, VOCABULARY), output="logits")
    cache = [f"{layer}.{half}" for layer in range(LAYERS) for half in ("key", "value")]
    past = [(f"past_key_values.{name}", TensorProto.FLOAT, ["batch", HEADS, "past", HEAD_SIZE]) for name in cache]
    present = [(f"present.{name}", TensorProto.FLOAT, ["batch", HEADS, "total", HEAD_SIZE]) for name in cache]
    inputs = [tokens("input_ids"), tokens("attention_mask"), tokens("position_ids"), *past]
    outputs = [("logits", TensorProto.FLOAT, ["batch", "length", VOCABULARY]), *present]
    outputs += [(name, TensorProto.FLOAT, ["batch", HEADS, "length", "total"]) for name in names]
    return graph.model(inputs, outputs), names


def encoder():
    """A bidirectional encoder with 32-bit inputs and token_type_ids, its maps in half precision."""
    graph = Graph(2)
    hidden = graph.node("Gather", graph.random_weights(VOCABULARY, EMBEDDING), "input_ids")
    types = graph.node("Gather", graph.random_weights(2, EMBEDDING), "token_type_ids")
    hidden = graph.node("Add", hidden, types)
    weights = graph.attentions(hidden, 0, graph.padding_mask("attention_mask"), past=False)
    graph.node("Cast", weights, to=TensorProto.FLOAT16, output="encoder_attentions")
    inputs = [tokens(name, TensorProto.INT32) for name in ("input_ids", "attention_mask", "token_type_ids")]
    outputs = [("encoder_attentions", TensorProto.FLOAT16, ["batch", HEADS, "length", "length"])]
    return graph.model(inputs, outputs), ["encoder_attentions"]


def feed(model, token_ids):
    values = {
        "input_ids": [token_ids],
        "attention_mask": [[1] * LENGTH],
        "token_type_ids": [[0] * LENGTH],
        "position_ids": [range(LENGTH)],
    }
    element = {TensorProto.INT64: numpy.int64, TensorProto.INT32: numpy.int32}
    empty = numpy.zeros((1, HEADS, 0, HEAD_SIZE), numpy.float32)
    return {
        port.name: numpy.array(values[port.name], element[port.type.tensor_type.elem_type])
        if port.name in values
        else empty
        for port in model.graph.input
    }


def statistics(map_):
    """What the released code computes from a map [heads, L, L]."""
    rows, columns = numpy.indices(map_.shape[1:])
    far = numpy.where(rows - columns >= LENGTH // 4, map_.astype(numpy.float64), 0)
    return {"proportion": (far.sum((1, 2)) / LENGTH).tolist(), "variance": far.var((1, 2), ddof=1).tolist()}


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, (model, outputs) in {"decoder_with_past": decoder_with_past(), "encoder": encoder()}.items():
        onnx.save(model, directory / f"{name}.onnx")
        token_ids = numpy.random.default_rng(3).integers(0, VOCABULARY, LENGTH).tolist()
        maps = ReferenceEvaluator(model).run(outputs, feed(model, token_ids))
        expected = {output: statistics(map_[0]) for output, map_ in zip(outputs, maps)}
        (directory / f"{name}.json").write_text(json.dumps({"token_ids": token_ids, "maps": expected}, indent=1) + "\n")


if __name__ == "__main__":
    main()
