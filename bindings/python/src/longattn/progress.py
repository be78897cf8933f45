"""What is told while a job works."""

from __future__ import annotations

from typing import NamedTuple


class Progress(NamedTuple):
    """How far a job has come."""

    stage: str
    """`reading` and scoring the corpus, `refining` windows in doubt, `scoring` those of a calibration, or `writing`
    results."""
    unit: str
    """What `done` and `total` count: `B` for bytes of the input files, `token`, or `window`."""
    done: int
    total: int | None
    """None where it is not known."""
    windows: int
    """Windows scored in this call."""
    tokens: int
    """Tokens scored in this call."""


class Reject(NamedTuple):
    """A record, a file or a window that could not be used."""

    file: str
    line: int | None
    """The line or row, from 1; None where the whole file is meant."""
    id: str | None
    reason: str
    record: str | None
    """The record as it was read, or its beginning."""
