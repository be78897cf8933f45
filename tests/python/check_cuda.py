"""Checks that ONNX Runtime's CUDA provider has a kernel for every node of scorer packages."""

import argparse
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, defs, helper

FLOAT16, BFLOAT16, FLOAT, DOUBLE = TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT, TensorProto.DOUBLE
INT32, INT64, BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL

HALVES = {FLOAT16, BFLOAT16}
FLOATS = {*HALVES, FLOAT, DOUBLE}
LESS_BFLOAT16 = FLOATS - {BFLOAT16}
NUMBERS = {*FLOATS, INT32, INT64}
ANY = {*NUMBERS, BOOL}
INDEX = {INT32, INT64}
ORDERED = {*LESS_BFLOAT16, *INDEX}

# The types that each input may have, the last standing for all that follow, among those that scorer packages use. From
# "Operators implemented by CUDAExecutionProvider" in ONNX Runtime's docs/OperatorKernels.md, the rows that hold for
# operator set 17. An operator that is new here has to be looked up there.
KERNELS = {
    "Add": [NUMBERS],
    "And": [{BOOL}],
    "Cast": [ANY],
    "Concat": [ANY],
    "ConstantOfShape": [{INT64}],
    "Cos": [LESS_BFLOAT16],
    "CumSum": [ORDERED, INDEX],
    "Div": [NUMBERS],
    "Equal": [{*ORDERED, BOOL}],
    "Erf": [FLOATS],
    "Exp": [FLOATS],
    "Expand": [ANY, {INT64}],
    # This library's own.
    "FarMass": [{FLOAT16, BFLOAT16, FLOAT}, {FLOAT16, BFLOAT16, FLOAT}, {INT64}],
    "Gather": [ANY, INDEX],
    "GatherElements": [ANY, INDEX],
    "Gemm": [FLOATS],
    "Greater": [ORDERED],
    "GreaterOrEqual": [ORDERED],
    "GroupQueryAttention": [HALVES, HALVES, HALVES, HALVES, HALVES, {INT32}, {INT32}, HALVES, HALVES, {INT64}, HALVES],
    "Identity": [ANY],
    "LayerNormalization": [FLOATS],
    "Less": [ORDERED],
    "LessOrEqual": [ORDERED],
    "Log": [LESS_BFLOAT16],
    "LogSoftmax": [LESS_BFLOAT16],
    "Loop": [{INT64}, {BOOL}, ANY],
    "MatMul": [FLOATS],
    "Max": [NUMBERS],
    "Min": [NUMBERS],
    "Mul": [NUMBERS],
    "Neg": [NUMBERS],
    "Not": [{BOOL}],
    "Or": [{BOOL}],
    "Pow": [NUMBERS],
    "Range": [{FLOAT, DOUBLE, INT32, INT64}],
    "Reciprocal": [LESS_BFLOAT16],
    "ReduceLogSumExp": [LESS_BFLOAT16],
    "ReduceMax": [ORDERED],
    "ReduceMean": [{*LESS_BFLOAT16, INT32}],
    "ReduceSum": [NUMBERS, {INT64}],
    "Reshape": [ANY, {INT64}],
    "Shape": [ANY],
    "Sigmoid": [FLOATS],
    "Sin": [LESS_BFLOAT16],
    "Slice": [ANY, INDEX],
    "Softmax": [FLOATS],
    "Split": [ANY, {INT64}],
    "Sqrt": [FLOATS],
    "Squeeze": [ANY, {INT64}],
    "Sub": [NUMBERS],
    "Tanh": [FLOATS],
    "Transpose": [ANY],
    "Unsqueeze": [ANY, {INT64}],
    "Where": [{BOOL}, {*NUMBERS}],
}


def sums_of_far_mass(context):
    for output in range(2):
        context.set_output_type(output, helper.make_tensor_type_proto(DOUBLE, None))


far_mass = defs.OpSchema(
    "FarMass", "longattn", 1,
    inputs=[defs.OpSchema.FormalParameter(name, kind) for name, kind in
            (("query", "T"), ("key", "T"), ("first_row", "tensor(int64)"), ("min_distance", "tensor(int64)"), ("sink_tokens", "tensor(int64)"))],
    outputs=[defs.OpSchema.FormalParameter(name, "tensor(double)") for name in ("far_mass", "far_square_mass")],
    type_constraints=[("T", ["tensor(float16)", "tensor(bfloat16)", "tensor(float)"], "")],
    attributes=[defs.OpSchema.Attribute(name, defs.OpSchema.AttrType.FLOAT, required=name == "scale") for name in ("scale", "softcap")],
)
far_mass.set_type_and_shape_inference_function(sums_of_far_mass)
defs.register_schema(far_mass)


def without_contributed_operators(graph):
    """Type inference knows ONNX's own operators and ours; the others here give what their first input is of."""
    for node in graph.node:
        if node.domain and node.domain != far_mass.domain:
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1]))
        for attribute in node.attribute:
            without_contributed_operators(attribute.g)


def types_of(graph, outer):
    types = dict(outer)
    for value in [*graph.input, *graph.value_info, *graph.output]:
        types[value.name] = value.type.tensor_type.elem_type
    for tensor in graph.initializer:
        types[tensor.name] = tensor.data_type
    return types


def missing(graph, inferred, outer, found):
    """Gathers the nodes without a kernel: operator and types."""
    types = types_of(inferred, outer)
    for node, twin in zip(graph.node, inferred.node):
        kernel = KERNELS.get(node.op_type)
        inputs = [(place, types[name]) for place, name in enumerate(node.input) if name]
        if not kernel or any(kind not in kernel[min(place, len(kernel) - 1)] for place, kind in inputs):
            found.add((node.op_type, " ".join(TensorProto.DataType.Name(kind).lower() for _, kind in inputs)))
        for own, twins in zip(node.attribute, twin.attribute):
            missing(own.g, twins.g, types, found)


def check(file, left):
    model = onnx.load(file, load_external_data=False)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17], "KERNELS is for operator set 17"
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    without_contributed_operators(plain.graph)
    plain = onnx.shape_inference.infer_shapes(plain, check_type=True, strict_mode=True)
    found = set()
    missing(model.graph, plain.graph, {}, found)
    wrong = sorted(kernel for kernel in found if kernel[0] not in left)
    if wrong:
        sys.exit(f"{file}: CUDA has no kernel for {wrong}")
    print(f"{file}: CUDA has all kernels" + "".join(f", but for {operator} of {kinds}" for operator, kinds in sorted(found)))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--left", action="append", default=[], help="an operator that may be left to the CPU")
parser.add_argument("packages", nargs="+", type=Path)
arguments = parser.parse_args()
for package in arguments.packages:
    files = sorted(package.glob("*.onnx"))
    assert files, f"{package} has no model"
    for file in files:
        check(file, arguments.left)
