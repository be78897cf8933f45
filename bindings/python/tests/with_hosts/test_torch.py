"""Tensors of PyTorch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import longattn
from longattn import _arrays


def queries_and_keys() -> tuple[Any, Any]:
    torch.manual_seed(0)
    return torch.randn(4, 64, 8), torch.randn(2, 64, 8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_every_precision_is_taken(dtype: Any) -> None:
    query, key = (tensor.to(dtype) for tensor in queries_and_keys())
    expected = longattn.statistics_from_query_key(query.float().numpy(), key.float().numpy())
    assert longattn.statistics_from_query_key(query, key) == expected
    attention = torch.softmax(torch.randn(3, 16, 16), -1).tril()
    attention /= attention.sum(-1, keepdim=True)
    rounded = attention.to(dtype)
    assert longattn.statistics_from_attention(rounded) == longattn.statistics_from_attention(rounded.float().numpy())


def test_strides_and_gradients_do_not_matter() -> None:
    query, key = queries_and_keys()
    expected = longattn.statistics_from_query_key(query, key)
    assert longattn.statistics_from_query_key(query.transpose(0, 2).contiguous().transpose(0, 2), key) == expected
    by_token = torch.empty(64, 4, 8).copy_(query.transpose(0, 1))
    assert longattn.statistics_from_query_key(by_token.transpose(0, 1), key) == expected
    query.requires_grad_()
    assert longattn.statistics_from_query_key(query * 1, torch.nn.Parameter(key)) == expected


def test_float32_is_read_where_it_lies() -> None:
    query, _ = queries_and_keys()
    assert _arrays.address_of(_arrays.float32(query, 3, "query")) == query.data_ptr()


def test_token_ids_are_taken(scorer: longattn.Scorer) -> None:
    ids = torch.arange(60)
    assert scorer.score(ids) == scorer.score(np.arange(60))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_of_a_gpu_are_taken() -> None:
    query, key = queries_and_keys()
    expected = longattn.statistics_from_query_key(query, key)
    assert longattn.statistics_from_query_key(query.cuda(), key.cuda()) == expected


def test_torch_is_not_imported() -> None:
    source = (
        "import sys, numpy, longattn; longattn.statistics_from_attention(numpy.eye(4)[None]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
