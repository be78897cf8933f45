"""Checks the models of scorer packages against the ONNX standard: check_onnx.py PACKAGE..."""

import sys
from pathlib import Path

import onnx

for package in sys.argv[1:]:
    for model in sorted(Path(package).glob("*.onnx")):
        onnx.checker.check_model(str(model), full_check=True)
        print(f"{model}: valid, {len(onnx.load(model, load_external_data=False).graph.node)} nodes")
