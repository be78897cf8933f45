"""Scores from attention that was computed elsewhere."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING

from . import _abi
from ._arrays import address_of, array_of, float32
from ._config import config_of
from ._details import head_arrays
from ._library import check, lib
from ._work import Cancel, interruptible
from .score import Score, score_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._arrays import Array
    from ._settings import Settings


def statistics_from_attention(attention: Array, **settings: Unpack[Settings]) -> Score:
    """Scores a window from its attention map: `[heads, length, length]`, softmax weights, row `n` holding what token `n`
    gives.

    Takes NumPy arrays, tensors by DLPack, and whatever NumPy makes an array of. C-contiguous float32 is read where it lies.
    Entries above the diagonal are not read. The settings are min_distance (auto is a quarter of `length`), sink_tokens (auto
    is 0) and variance_domain.

    Raises ValueError for another shape, TooShortError for a length below 2, NonFiniteError for NaN or infinity up to the
    diagonal, InvalidArgumentError for rows whose weights are negative or do not sum to 1, within 0.02.
    """
    map = float32(attention, 3, "attention")
    heads, length, columns = map.shape
    if length != columns:
        raise ValueError(f"attention has the shape {map.shape}, and its last two dimensions differ")
    config = config_of(settings)
    found, buffer = _abi.longattn_score(), array_of(_abi.longattn_head_score, heads)

    def work() -> None:
        call = lib.longattn_score_map
        check(call, address_of(map), heads, length, config.pointer, buffer, heads, ctypes.byref(found))

    interruptible(Cancel(), work)
    return score_of(found, **head_arrays(buffer, heads))


def statistics_from_query_key(query: Array, key: Array, *, scale: float | None = None, **settings: Unpack[Settings]) -> Score:
    """Scores a window from its queries `[heads, length, head_size]` and keys `[key_value_heads, length, head_size]`, the
    rotary embedding applied, in memory linear in `length`. Query heads that share a key head are neighbours.

    Logits are `scale` times the product of query and key, `1 / sqrt(head_size)` unless given. Takes what
    `statistics_from_attention` takes. The settings are min_distance (auto is a quarter of `length`), sink_tokens (auto is 0),
    variance_domain, instruction_set and precision.

    Raises ValueError for other shapes, TooShortError for a length below 2, NonFiniteError for NaN or infinity,
    InvalidArgumentError for dimensions that contradict each other, InvalidSettingError where this machine lacks the
    instruction set.
    """
    queries, keys = float32(query, 3, "query"), float32(key, 3, "key")
    heads, length, size = queries.shape
    if keys.shape[1:] != (length, size):
        raise ValueError(f"query has the shape {queries.shape} and key {keys.shape}: their length or head size differ")
    scale = 1 / math.sqrt(size) if scale is None and size else scale or 0.0
    config = config_of(settings)
    found, buffer = _abi.longattn_score(), array_of(_abi.longattn_head_score, heads)

    def work() -> None:
        call, dimensions = lib.longattn_score_query_key, (keys.shape[0], length, size, scale)
        given = (address_of(queries), heads, address_of(keys), *dimensions)
        check(call, *given, config.pointer, buffer, heads, ctypes.byref(found))

    interruptible(Cancel(), work)
    return score_of(found, **head_arrays(buffer, heads))
