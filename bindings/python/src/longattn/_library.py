"""liblongattn itself, and how Python calls it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import _abi
from .errors import LongAttnError, error_of

FILE = Path(os.environ.get("LONGATTN_LIBRARY") or Path(__file__).with_name("liblongattn.so"))


def _load() -> ctypes.CDLL:
    try:
        loaded = ctypes.CDLL(str(FILE))
    except OSError as cause:
        message = (
            f"{cause}: longattn is built for Linux on x86_64 with glibc 2.28 or newer; LONGATTN_LIBRARY may name another build"
        )
        raise ImportError(message) from cause
    for name, (result, parameters) in _abi.FUNCTIONS.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, parameters
    if loaded.longattn_abi_version() != _abi.LONGATTN_ABI_VERSION:
        raise ImportError(f"{FILE} has version {loaded.longattn_abi_version()} of the ABI, not {_abi.LONGATTN_ABI_VERSION}")
    return loaded


lib: Any = _load()
VERSION: str = ctypes.string_at(lib.longattn_version()).decode()


def check(call: Callable[..., int], *arguments: Any) -> None:
    """Calls a function that can fail, and raises its error."""
    error = ctypes.c_void_p()
    if call(*arguments, ctypes.byref(error)) != _abi.LONGATTN_STATUS_OK:
        raise take_error(error.value)


def take_error(error: int | None) -> LongAttnError:
    """The error that the library made, which is freed."""
    try:
        return read_error(error)
    finally:
        lib.longattn_error_free(error)


def read_error(error: int | None) -> LongAttnError:
    status = lib.longattn_error_status(error)
    return error_of(status, read_text(lib.longattn_error_message(error, None), None), lib.longattn_status_is_fatal(status))


def read_text(address: int | None, length: int | None) -> str:
    """A text of the library's, up to its NUL where it has no length. What is no UTF-8 is shown, not refused."""
    if not address:
        return ""
    data = ctypes.string_at(address) if length is None else ctypes.string_at(address, length)
    return data.decode("utf-8", "replace")


def made_text(call: Callable[..., int], *arguments: Any) -> str:
    """The text that a call makes, whose place is its last argument but the error."""
    text = _abi.longattn_text()
    check(call, *arguments, ctypes.byref(text))
    try:
        return read_text(text.data, text.length)
    finally:
        lib.longattn_text_free(ctypes.byref(text))


def encode(text: str) -> bytes:
    """Text as the library takes it. Half of a surrogate pair is passed on, for the library to refuse in its words."""
    return text.encode("utf-8", "surrogatepass")


def encode_path(path: str | os.PathLike[str]) -> bytes:
    return os.fsencode(path)


class TextBuffer:
    """Bytes that stay where they are: not every Python leaves its own in their place."""

    __slots__ = ("_memory", "address", "length")

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._memory = (ctypes.c_char * self.length).from_buffer_copy(data)
        self.address = ctypes.addressof(self._memory)


class Handle:
    """An object of the library's, freed with the last reference to it."""

    __slots__ = ("_free", "pointer")

    def __init__(self, pointer: int | None, free: Callable[[int | None], None]) -> None:
        self.pointer = pointer
        self._free = free

    def free(self) -> None:
        """Frees the object at once, for what others wait for. Nobody may use it any more."""
        pointer, self.pointer = self.pointer, None
        self._free(pointer)

    def __del__(self) -> None:
        self.free()


def made(free: Callable[[int | None], None], call: Callable[..., int], *arguments: Any) -> Handle:
    """The object that a call makes, whose place is its last argument but the error."""
    pointer = ctypes.c_void_p()
    check(call, *arguments, ctypes.byref(pointer))
    return Handle(pointer.value, free)
