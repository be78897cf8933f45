"""One corpus of real text, and what the command selects of it: every host has to select the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from conftest import QUERY_KEY

MODEL = str(Path(QUERY_KEY).resolve())
SETTINGS: Any = {"window": 256, "threads": 1}
CUT: Any = {"ratio": 0.25}


def documents() -> list[dict[str, Any]]:
    """The sources of the project: some are too short for a window, and two categories compete."""
    paths = sorted(Path("src").glob("*.rs")) + sorted(Path("src").glob("*/*.rs"))
    return [
        {"id": str(path), "category": "ffi" if "ffi" in path.parts else "library", "text": path.read_text()[:6000]}
        for path in paths[:60]
    ]


def write_documents(folder: Path, files: int = 1) -> list[Path]:
    """The documents in JSON lines, spread over so many files."""
    folder.mkdir()
    paths = [folder / f"{number}.jsonl" for number in range(files)]
    for number, path in enumerate(paths):
        path.write_text("".join(json.dumps(document) + "\n" for document in documents()[number::files]))
    return paths


def selected_by_command(folder: Path) -> dict[str, tuple[float, float]]:
    """The ids of the selected windows, with their DS and LDS."""
    inputs = write_documents(folder / "for-the-command")
    flags = ["--window", "256", "--ratio", "0.25", "--quiet", "-o", str(folder / "command")]
    command = [sys.executable, "-m", "longattn", "run", "--model", MODEL]
    subprocess.run([*command, *flags, *map(str, inputs)], check=True)
    with (folder / "command" / "scores.jsonl").open() as lines:
        assert sum(1 for _ in lines) >= 200
    with (folder / "command" / "selected.jsonl").open() as lines:
        return numbers(json.loads(line) for line in lines)


def numbers(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    return {row["id"]: (row["dependency_strength"], row["lds"]) for row in rows}
