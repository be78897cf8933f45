"""Checks the kernels of far mass for GPUs against double precision, on random shapes, by Triton's interpreter: without a GPU."""

import os

os.environ["TRITON_INTERPRET"] = "1"

import argparse
import math
import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "src/attention/gpu"))
import far_mass

LOG2_E = math.log2(math.e)


class Tensor:
    """An array with as much of PyTorch's interface as Triton's interpreter asks for."""

    def __init__(self, array):
        self.array, self.dtype = array, str(array.dtype)

    def data_ptr(self):
        return self.array.ctypes.data

    def untyped_storage(self):
        return self

    def cpu(self):
        return self

    def new_empty(self, _, device):
        return Tensor(np.empty(0, self.array.dtype))

    def storage_offset(self):
        return 0

    def size(self):
        return self.array.shape

    def stride(self):
        return None

    def set_(self, storage, *_):
        self.array = storage.array

    def copy_(self, other):
        assert self.array is other.array


def by_kernel(q, k, first_row, min_distance, sinks, scale, softcap, block, tile, chunk):
    windows, heads, rows, size = q.shape
    _, key_heads, length, _ = k.shape
    blocks = -(-rows // block)
    parts = [np.full((len(sinks), windows, heads, blocks), np.nan, np.float32) for _ in range(2)]
    low = 1 << (size.bit_length() - 1)
    far_mass.far_mass[(blocks, windows * heads)](
        Tensor(q), Tensor(k), Tensor(np.array(sinks, np.int64)), *map(Tensor, parts), heads, key_heads, rows, length, first_row,
        min_distance, len(sinks), scale * LOG2_E, (softcap or 0.0) * LOG2_E, SIZE=size, LOW=low, BLOCK=block, TILE=tile,
        CHUNK=chunk, CAPPED=softcap is not None,
    )
    sums = [np.full((len(sinks), windows, heads), np.nan) for _ in range(2)]
    for part, total in zip(parts, sums):
        far_mass.sum_blocks[(total.size,)](Tensor(part), Tensor(total), blocks, CHUNK=16)
    return sums


def by_definition(q, k, first_row, min_distance, sinks, scale, softcap):
    q, k = q.astype(np.float64), k.astype(np.float64)
    k = np.repeat(k, q.shape[1] // k.shape[1], axis=1)
    x = q @ k.swapaxes(2, 3) * scale
    if softcap is not None:
        x = softcap * np.tanh(x / softcap)
    row, col = first_row + np.arange(q.shape[2])[:, None], np.arange(k.shape[2])[None]
    x = np.where(col <= row, x, -np.inf)
    p = np.exp(x - x.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    far = [p * ((row - col >= min_distance) & (col >= sink)) for sink in sinks]
    return [np.stack([(weights**power).sum((2, 3)) for weights in far]) for power in (1, 2)]


def case(random, generator):
    tile = random.choice([16, 32])
    block = random.choice([16, 32, 64])
    length = random.choice([1, 2, tile - 1, tile, tile + 1, block, block + 1, 3 * tile, random.randrange(1, 220)])
    first_row = random.choice([0, 0, random.randrange(length)])
    rows = random.choice([1, length - first_row, random.randrange(1, length - first_row + 1)])
    min_distance = random.choice([0, 1, length // 4, length // 2, length - 1, length, length + 9, random.randrange(length)])
    sinks = random.choice([[0], [0], [4], [0, 4], [4, 0, 1], [length + 9, 0], [length - 1, tile, tile + 3, 2, 0], [random.randrange(220)]])
    key_heads, size = random.choice([1, 2]), random.choice([16, 24, 32, 48, 64])
    windows, heads = random.choice([1, 1, 2]), key_heads * random.choice([1, 2, 3])
    dtype = random.choice([np.float32, np.float16])
    q = generator.normal(0, 3, (windows, heads, rows, size)).astype(dtype)
    k = generator.normal(0, 1, (windows, key_heads, length, size)).astype(dtype)
    softcap = random.choice([None, None, 5.0, 50.0])
    return dict(q=q, k=k, first_row=first_row, min_distance=min_distance, sinks=sinks, scale=size**-0.5, softcap=softcap), dict(block=block, tile=tile, chunk=8 if dtype == np.float32 else 0)


def difference(got, want):
    """The worst relative one. Sums of nothing are nothing."""
    assert not np.isnan(got).any(), got
    assert not got[want == 0].any(), got
    return max(np.abs(got - want)[want != 0] / want[want != 0], default=0.0)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--cases", type=int, default=60)
parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
worst = 0.0
for number in range(arguments.cases):
    choice, generator = random.Random(arguments.seed + number), np.random.default_rng(arguments.seed + number)
    inputs, tiling = case(choice, generator)
    got = by_kernel(**inputs, **tiling)
    off = max(difference(*sums) for sums in zip(got, by_definition(**inputs)))
    facts = {key: value.shape if isinstance(value, np.ndarray) else value for key, value in inputs.items()}
    assert off < 1e-5, f"seed {arguments.seed + number}: off by {off:.1e}: {facts}, {tiling}"
    worst = max(worst, off)
print(f"{arguments.cases} random shapes equal double precision to {worst:.1e}")
