"""Throughput of `datasets.map` beside that of the command: bench.py MODEL CORPUS [WINDOW [MINUTES]]

Scores the same windows by both in turn, in one process each, and prints seconds of the clock and of the processor, and the
ratio of throughputs. Needs `datasets`.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import datasets

import longattn
import longattn.hf

ROUNDS = 4


class Timed(NamedTuple):
    """What a piece of work took, in seconds."""

    clock: float
    processor: float


def processor(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], object], who: int) -> Timed:
    clock, begun = time.monotonic(), processor(who)
    work()
    return Timed(time.monotonic() - clock, processor(who) - begun)


def command(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "longattn", *map(str, arguments), "--quiet"], check=True)


def write_windows(model: Path, corpus: list[Path], window: int, path: Path) -> int:
    command("windows", "--model", model, "--window", window, "--token-ids", *corpus, "-o", path)
    with path.open() as lines:
        return sum(1 for _ in lines)


def repeat(path: Path, times: int) -> None:
    """Ids stay unique."""
    rows = [json.loads(line) for line in path.open()]
    with path.open("w") as lines:
        for time_ in range(times):
            lines.writelines(json.dumps({**row, "id": f"{time_} {row['id']}"}) + "\n" for row in rows)


def main() -> None:
    model, corpus = Path(sys.argv[1]), sorted(Path(sys.argv[2]).glob("*.jsonl"))
    window = int(sys.argv[3]) if len(sys.argv) > 3 else 8192
    seconds = 60 * float(sys.argv[4]) if len(sys.argv) > 4 else 60.0
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        windows = Path(folder, "windows.jsonl")
        count = write_windows(model, corpus, window, windows)

        def by_command() -> None:
            scores = Path(tempfile.mkdtemp(dir=folder), "scores.jsonl")
            command("score", "--model", model, "--window", window, windows, "-o", scores)

        once = timed(by_command, resource.RUSAGE_CHILDREN).clock
        repeat(windows, max(1, round(seconds / once)))
        rows: Any = datasets.load_dataset("json", data_files=str(windows), split="train", cache_dir=f"{folder}/cache")
        count = len(rows)
        score = longattn.hf.Score(model, window=window)

        def by_map() -> None:
            rows.map(score, batched=True, batch_size=16, load_from_cache_file=False)

        ratios: list[Timed] = []
        for _ in range(ROUNDS):
            here, there = timed(by_map, resource.RUSAGE_SELF), timed(by_command, resource.RUSAGE_CHILDREN)
            ratios.append(Timed(there.clock / here.clock, there.processor / here.processor))
            print(f"{count} windows of {window} tokens: map {here}, command {there}", flush=True)
        clock, used = (statistics.median(values) for values in zip(*ratios, strict=True))
        print(f"throughput of map, of the command's: {clock:.3f} by the clock, {used:.3f} by the processor")


if __name__ == "__main__":
    main()
