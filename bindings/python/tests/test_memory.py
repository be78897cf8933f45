"""What calls leave behind, counted in the heap: resident pages come and go."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from conftest import QUERY_KEY, random_text

import longattn

CALLS = int(os.environ.get("LONGATTN_SMALL_CALLS") or 1000)


def heap_bytes() -> int:
    """Bytes that malloc has given out in all its arenas, and that were not freed."""
    libc = ctypes.CDLL(None)
    for name in ("open_memstream", "fclose", "malloc_info", "free"):
        getattr(libc, name).restype = ctypes.c_void_p if name == "open_memstream" else ctypes.c_int
    report, length = ctypes.c_void_p(), ctypes.c_size_t()
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(report), ctypes.byref(length)))
    assert libc.malloc_info(0, stream) == 0 and libc.fclose(stream) == 0
    totals = ctypes.string_at(report, length.value).decode().rpartition("</heap>")[2]
    libc.free(report)
    free = {kind: int(size) for kind, size in re.findall(r'<total type="(\w+)" count="\d+" size="(\d+)"', totals)}
    system = re.search(r'<system type="current" size="(\d+)"', totals)
    assert system
    # Newer versions of glibc know no fast chunks.
    return int(system[1]) + free["mmap"] - free.get("fast", 0) - free["rest"]


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts what CPython allocates")
def test_small_calls_are_flat_in_memory() -> None:
    scorer = longattn.Scorer(QUERY_KEY, window=60, threads=2, profile=True)
    text = random_text(60, 1)
    ids = scorer.tokenize(text).ids

    def work(calls: int) -> None:
        for _ in range(calls):
            assert len(scorer.windows(text)[0].ids) == 60
            scorer.tokenize(text)
            longattn.window_id("a", 1)
            scorer.score(ids, heads=True)
            with pytest.raises(longattn.TooShortError):
                scorer.score("a")
        scorer.score_many([text, "a"] * calls, errors="return")

    def left(calls: int) -> tuple[int, int]:
        # On another thread, so that no call takes one of its own.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, calls).result()
        gc.collect()
        return heap_bytes(), sys.getallocatedblocks()

    # What a call leaves, every round leaves; what a thread or a pool keeps for later, only some do.
    rounds = [left(CALLS) for _ in range(8)]
    heap, blocks = (min(after - before for before, after in pairwise(counts)) for counts in zip(*rounds, strict=True))
    # The smallest block of malloc takes 32 bytes.
    assert heap < 32 * CALLS
    assert blocks < CALLS // 10
