"""Checks the models of scorer packages against the ONNX standard: check_onnx.py PACKAGE...

Sums of a first layer are computed by ONNX's own evaluator, too, and compared with those of the same model's attention. Those of
a deeper layer and losses, by standard operators, are compared with what transformers computes, where PACKAGE is called after
one of the tiny checkpoints.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

LENGTH = 48
MIN_DISTANCE = 7
SINK_TOKENS = [0, 3, LENGTH + 1]

CHECKPOINTS = Path(__file__).parent.parent / "data/checkpoints"
EXPECTED = json.loads((CHECKPOINTS / "expected_deeper.json").read_text())


def check_sums(model):
    """Compares far masses with those of plain attention, in double precision, for several settings of sinks at once."""
    ids = np.arange(LENGTH, dtype=np.int64) * 7919 % 49152
    inputs = {
        "input_ids": ids,
        "min_distance": np.array(MIN_DISTANCE, dtype=np.int64),
        "sink_tokens": np.array(SINK_TOKENS, dtype=np.int64),
    }
    names = ["far_mass", "far_square_mass", "query", "key"]
    mass, square_mass, query, key = ReferenceEvaluator(str(model)).run(names, inputs)
    key = np.repeat(key, query.shape[0] // key.shape[0], axis=0)
    logits = query.astype(np.float64) @ key.astype(np.float64).transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    rows, columns = np.arange(LENGTH)[:, None], np.arange(LENGTH)
    weights = np.where(columns <= rows, np.exp(logits), 0)
    weights /= weights.sum(-1, keepdims=True)
    for setting, sinks in enumerate(SINK_TOKENS):
        far = np.where((rows - columns >= MIN_DISTANCE) & (columns >= sinks), weights, 0)
        np.testing.assert_allclose(mass[setting, 0], far.sum((1, 2)), rtol=1e-5)
        np.testing.assert_allclose(square_mass[setting, 0], (far**2).sum((1, 2)), rtol=1e-5)


def check_deeper(package, windows):
    sums, losses = (ReferenceEvaluator(str(package / name)) for name in ["model.onnx", "loss.onnx"])
    for window in windows:
        ids = np.array(window["token_ids"], dtype=np.int64)
        length = len(ids)
        inputs = {"input_ids": ids, "min_distance": np.array(length // 4), "sink_tokens": np.array([4])}
        mass, square_mass = (sum[0, 0].astype(np.float64) for sum in sums.run(["far_mass", "far_square_mass"], inputs))
        entries = length**2
        np.testing.assert_allclose(mass / length, window["proportion"], rtol=1e-5)
        np.testing.assert_allclose((square_mass - mass**2 / entries) / (entries - 1), window["variance"], rtol=1e-5)
        np.testing.assert_allclose(losses.run(["loss"], {"input_ids": ids[None]})[0][0], window["losses"], atol=1e-4)


for package in map(Path, sys.argv[1:]):
    for model in sorted(package.glob("*.onnx")):
        onnx.checker.check_model(str(model), full_check=True)
        loaded = onnx.load(model, load_external_data=False)
        print(f"{model}: valid, {len(loaded.graph.node)} nodes")
        standard = all(node.domain == "" for node in loaded.graph.node)
        if package.name not in EXPECTED and standard and any(output.name == "far_mass" for output in loaded.graph.output):
            check_sums(model)
            print(f"{model}: sums as plain attention")
    if package.name in EXPECTED:
        check_deeper(package, EXPECTED[package.name])
        print(f"{package}: sums and losses as transformers")
