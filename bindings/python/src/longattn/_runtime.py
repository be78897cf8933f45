"""ONNX Runtime of this process: the library of the package `onnxruntime`, found without importing it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

from ._library import FILE
from .errors import OnnxRuntimeError

MISSING = """ONNX Runtime was not found: this Python has no package onnxruntime. Install it with
  pip install 'longattn[onnxruntime]'       for the processor
  pip install 'longattn[onnxruntime-gpu]'   for NVIDIA GPUs
or name a libonnxruntime.so in the setting onnxruntime or in ORT_DYLIB_PATH."""


def library_of_package() -> Path | None:
    """The shared library in the package `onnxruntime` of this Python."""
    try:
        spec = importlib.util.find_spec("onnxruntime")
    except (ImportError, ValueError):
        return None
    for directory in (spec and spec.submodule_search_locations) or ():
        libraries = sorted(Path(directory, "capi").glob("libonnxruntime.so*"))
        if libraries:
            return libraries[0]
    return None


def load() -> None:
    """Has ONNX Runtime loaded into this process, where the library, which takes one that is loaded already, finds it.

    What ORT_DYLIB_PATH names, or lies beside liblongattn.so, the library finds by itself.
    """
    if os.environ.get("ORT_DYLIB_PATH") or _is_loaded() or any(FILE.parent.glob("libonnxruntime.so*")):
        return
    library = library_of_package()
    if library is None:
        return
    try:
        ctypes.CDLL(str(library))
    except OSError as cause:
        raise OnnxRuntimeError(f"ONNX Runtime of the package onnxruntime cannot be loaded: {cause}") from cause


def _is_loaded() -> bool:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return any("/libonnxruntime.so" in line for line in maps)
    except OSError:
        return False
