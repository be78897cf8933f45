"""The command `longattn`, which is in the library."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from . import _runtime
from ._library import lib


def main() -> None:
    """Is the command for this process: its arguments, its standard streams, its signals, and its exit status."""
    library = _runtime.library_of_package()
    if library and not os.environ.get("ORT_DYLIB_PATH"):
        os.environ["ORT_DYLIB_PATH"] = str(library)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = [b"longattn", *map(os.fsencode, sys.argv[1:])]
    sys.exit(lib.longattn_main(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments)))
