"""Statistics of attention that was computed elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import longattn


def maps(heads: int, length: int) -> Any:
    attention = np.tril(np.random.default_rng(0).random((heads, length, length), np.float32))
    return attention / attention.sum(-1, keepdims=True)


def far(length: int, distance: int) -> Any:
    rows, columns = np.indices((length, length))
    return rows - columns >= distance


def test_statistics_are_those_of_the_definition() -> None:
    attention = maps(3, 64)
    score = longattn.statistics_from_attention(attention)
    inside = np.where(far(64, 16), attention, 0).astype(np.float64)
    assert score.head_proportions == pytest.approx(inside.sum((1, 2)) / 64, rel=1e-6)
    assert score.head_variances == pytest.approx(inside.reshape(3, -1).var(-1, ddof=1), rel=1e-6)


def test_queries_and_keys_agree_with_their_map() -> None:
    random = np.random.default_rng(1)
    query, key = random.standard_normal((4, 64, 8), np.float32), random.standard_normal((2, 64, 8), np.float32)
    logits = np.einsum("hnd,hid->hni", query, np.repeat(key, 2, 0)) / np.sqrt(8)
    logits[:, ~np.tril(np.ones((64, 64), bool))] = -np.inf
    attention = np.exp(logits)
    attention /= attention.sum(-1, keepdims=True)
    direct, of_map = longattn.statistics_from_query_key(query, key), longattn.statistics_from_attention(attention)
    assert direct.head_proportions == pytest.approx(of_map.head_proportions, rel=1e-5)
    assert direct.dependency_strength == pytest.approx(of_map.dependency_strength, rel=1e-5)
    assert longattn.statistics_from_query_key(query, key, scale=0.1) != direct
    assert longattn.statistics_from_query_key(query, key, min_distance=3).min_distance == 3


class Tensor:
    """A tensor of another library, which knows DLPack and no NumPy."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_tensors_lists_and_other_numbers_are_taken() -> None:
    attention = maps(2, 16)
    expected = longattn.statistics_from_attention(attention)
    assert longattn.statistics_from_attention(Tensor(attention)) == expected
    assert longattn.statistics_from_attention(attention.astype(np.float64)) == expected
    assert longattn.statistics_from_attention(np.asfortranarray(attention)) == expected
    assert longattn.statistics_from_attention(attention.tolist()) == expected


def test_shapes_are_checked() -> None:
    for wrong in (np.zeros((2, 3, 4)), np.zeros((4, 4)), np.zeros(3)):
        with pytest.raises(ValueError, match="shape"):
            longattn.statistics_from_attention(wrong)
    with pytest.raises(ValueError, match="shape"):
        longattn.statistics_from_query_key(np.zeros((2, 8, 4)), np.zeros((2, 9, 4)))
    with pytest.raises(longattn.InvalidArgumentError):
        longattn.statistics_from_query_key(np.zeros((3, 8, 4)), np.zeros((2, 8, 4)))
    with pytest.raises(longattn.NonFiniteError):
        longattn.statistics_from_attention(np.full((1, 4, 4), np.nan))
    with pytest.raises(longattn.TooShortError):
        longattn.statistics_from_attention(np.ones((1, 1, 1)))
