"""What the tests have in common. They run in the root of the project, on the installed package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import longattn

ROOT = Path(__file__).resolve().parents[3]
QUERY_KEY = "tests/data/tiny/query-key"
ATTENTIONS = "tests/data/tiny/attentions"
BARE = "tests/data/foreign/encoder.onnx"


os.chdir(ROOT)


@pytest.fixture
def scorer() -> longattn.Scorer:
    return longattn.Scorer(QUERY_KEY, window=60)


def random_text(length: int, seed: int) -> str:
    """Text of so many tokens of the tiny packages, different for each seed."""
    letters = []
    for _ in range(length):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        letters.append(chr(ord("a") + (seed >> 16) % 26))
    return "".join(letters)
