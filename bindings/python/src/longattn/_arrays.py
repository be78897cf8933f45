"""NumPy arrays of the library's memory, and memory of the user's arrays. NumPy is imported where it is used, and no sooner."""

from __future__ import annotations

import ctypes
from array import array
from typing import TYPE_CHECKING, Any, Protocol, Union, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    class SupportsDlpack(Protocol):
        def __dlpack__(self) -> Any: ...
        def __dlpack_device__(self) -> tuple[Any, int]: ...

    Array = Union[ArrayLike, SupportsDlpack]
    """Whatever NumPy takes, and tensors of other libraries by DLPack."""

    Ids = Union[Sequence[int], NDArray[np.integer[Any]], memoryview]
    """Token ids: a sequence or a one-dimensional array of whole numbers."""


def view(element: Any, address: int | None, count: int, owner: object) -> Any:
    """A NumPy array of memory that belongs to `owner`, which it keeps alive. It cannot be written to."""
    import numpy as np

    if not address or not count:
        return np.empty(0, np.dtype(element))
    memory = (element * count).from_address(address)
    memory._owner = owner
    found = np.frombuffer(memory, np.dtype(element))
    found.flags.writeable = False
    return found


def float32(values: Array, dimensions: int, name: str) -> NDArray[np.float32]:
    """The values as a C-contiguous array of float32; no copy where they are one already."""
    import numpy as np

    if hasattr(values, "detach"):
        # PyTorch hands out no gradients, and NumPy reads neither bfloat16 nor what is on a device.
        values = cast("Any", values).detach().cpu().float()
    if not isinstance(values, np.ndarray) and hasattr(values, "__dlpack__"):
        values = np.from_dlpack(values)  # type: ignore[arg-type]
    found = np.ascontiguousarray(values, np.float32)
    if found.ndim != dimensions:
        raise ValueError(f"{name} has the shape {found.shape}, and needs {dimensions} dimensions")
    return found


def address_of(values: NDArray[np.float32]) -> int:
    return int(values.ctypes.data)


class IdArray:
    """Token ids as the library reads them."""

    __slots__ = ("_memory", "address", "count")

    def __init__(self, ids: Ids) -> None:
        memory: Any = _as_uint32(ids)
        self.count = len(memory)
        self.address: int = memory.buffer_info()[0] if isinstance(memory, array) else memory.ctypes.data
        # Kept alive for as long as the address is used.
        self._memory: Any = memory


def _as_uint32(ids: Any) -> Any:
    """An array.array of uint32, or a NumPy array that is one already."""
    if type(ids).__module__ == "numpy" and hasattr(ids, "ctypes"):
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise TypeError(f"token ids are a one-dimensional array of whole numbers, not one of {ids.dtype} in {ids.ndim}")
        if ids.dtype.char == "I" and ids.flags.c_contiguous:
            return ids
    try:
        return array("I", ids.tolist() if hasattr(ids, "tolist") else ids)
    except OverflowError as cause:
        raise ValueError("a token id is a whole number from 0 to 4294967295") from cause


def array_of(element: Any, count: int) -> ctypes.Array[Any]:
    found: ctypes.Array[Any] = (element * count)()
    return found
