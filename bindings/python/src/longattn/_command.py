"""The command `longattn`, which the package carries."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import _runtime

COMMAND = Path(__file__).with_name("longattn")


def environment() -> dict[str, str]:
    """What the command needs to find ONNX Runtime where this Python does."""
    found = dict(os.environ)
    library = _runtime.library_of_package()
    if library and not found.get("ORT_DYLIB_PATH"):
        found["ORT_DYLIB_PATH"] = str(library)
    return found


def main() -> None:
    """Becomes the command."""
    os.execve(COMMAND, ["longattn", *sys.argv[1:]], environment())
