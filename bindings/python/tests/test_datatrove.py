"""DataTrove of Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hosts
import pytest
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

import longattn
from longattn.datatrove import ScoreWindows, SelectWindows


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open()]


def rows(folder: Path) -> list[dict[str, Any]]:
    return [{"id": line["id"], **line["metadata"]} for line in lines(folder)]


def writer(folder: Path) -> Any:
    return JsonlWriter(str(folder), compression=None)


@pytest.mark.parametrize("workers", [1, 2])
def test_two_stages_select_what_the_command_does(tmp_path: Path, workers: int) -> None:
    hosts.write_documents(tmp_path / "documents", files=3)
    scores = str(tmp_path / "scores")
    scored = LocalPipelineExecutor(
        [
            JsonlReader(str(tmp_path / "documents")),
            ScoreWindows(hosts.MODEL, scores, **hosts.SETTINGS),
            writer(tmp_path / "windows"),
        ],
        tasks=3,
        workers=workers,
        logging_dir=str(tmp_path / "log-1"),
    )
    best = LocalPipelineExecutor(
        [
            JsonlReader(str(tmp_path / "windows")),
            SelectWindows(scores, writer(tmp_path / "excluded"), **hosts.CUT),
            writer(tmp_path / "selected"),
        ],
        tasks=2,
        workers=workers,
        logging_dir=str(tmp_path / "log-2"),
        depends=scored,
    )
    best.run()
    expected = hosts.selected_by_command(tmp_path)
    assert hosts.numbers(rows(tmp_path / "selected")) == expected
    windows = {row["id"] for row in rows(tmp_path / "windows")}
    assert {row["id"] for row in rows(tmp_path / "excluded")} == windows - set(expected)


def test_scores_that_are_missing_are_named(tmp_path: Path) -> None:
    (tmp_path / "00000-of-00002.json").write_text(longattn.Selector().to_json())
    with pytest.raises(FileNotFoundError, match="00001-of-00002"):
        list(SelectWindows(str(tmp_path)).run([]))


def test_what_cannot_be_used_is_dropped_and_counted(tmp_path: Path) -> None:
    from datatrove.data import Document

    step = ScoreWindows(hosts.MODEL, str(tmp_path), **hosts.SETTINGS)
    documents = [Document("a" * 300, "a"), Document(None, "b"), Document("c \ud800" * 300, "c")]
    found = list(step.run(documents, 0, 1))
    assert [document.id for document in found] == ["a#0", "a#1"]
    assert found[0].metadata["category"] == "documents"
    assert step.stats.stats["rejected"].total == 2
