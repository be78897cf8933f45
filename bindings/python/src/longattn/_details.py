"""What is told of windows beside their scores."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from . import _abi
from ._arrays import array_of, view
from .score import LayerScore

if TYPE_CHECKING:
    from typing import Literal


class Details:
    """Buffers for the details of `count` windows, and what was written there. A capacity of 0 asks for none."""

    def __init__(
        self, count: int, head_capacity: int, layer_capacity: int, profile: bool, rows: int | Literal["all"] | None
    ) -> None:
        self._heads = array_of(_abi.longattn_head_score, count * head_capacity) if head_capacity else None
        self._head_capacity = head_capacity
        self._layers = array_of(_abi.longattn_layer_score, count * layer_capacity) if layer_capacity else None
        self._layer_capacity = layer_capacity
        self._profiles = array_of(_abi.longattn_distance_profile, count) if profile else None
        self.value = _abi.longattn_details(
            has_rows=rows is not None,
            rows=0 if rows in (None, "all") else rows,
            heads=_address(self._heads),
            head_capacity=head_capacity,
            layers=_address(self._layers),
            layer_capacity=layer_capacity,
            profiles=_address(self._profiles),
        )

    def of(self, index: int, found: _abi.longattn_score) -> dict[str, Any]:
        """The details of one window, for its `Score`."""
        details: dict[str, Any] = {}
        if self._heads is not None:
            start = index * self._head_capacity * ctypes.sizeof(_abi.longattn_head_score)
            details.update(head_arrays(self._heads, found.head_count, start))
        if self._layers is not None:
            start = index * self._layer_capacity
            layers = self._layers[start : start + self._layer_capacity]
            details["layers"] = tuple(
                LayerScore(layer.layer, layer.dependency_strength, layer.distribution_uniformity, layer.far_square_mass)
                for layer in layers
            )
        if self._profiles is not None and self._profiles[index].bucket_count:
            profile = self._profiles[index]
            shares = ctypes.addressof(profile) + _abi.longattn_distance_profile.shares.offset
            details["distance_profile"] = view(ctypes.c_double, shares, profile.bucket_count, profile)
        return details


def head_arrays(buffer: ctypes.Array[Any], count: int, start: int = 0) -> dict[str, Any]:
    """Views of what each of `count` heads says, from byte `start` of a buffer on."""
    pairs = view(ctypes.c_double, ctypes.addressof(buffer) + start, 2 * count, buffer).reshape(count, 2)
    return {"head_proportions": pairs[:, 0], "head_variances": pairs[:, 1]}


def _address(buffer: ctypes.Array[Any] | None) -> int | None:
    return ctypes.addressof(buffer) if buffer is not None and len(buffer) else None
