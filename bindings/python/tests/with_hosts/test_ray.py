"""Ray Data, and DataTrove on Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hosts
import pytest
import ray

import longattn.ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    # Two for the actors, and some for what feeds them.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_two_actors_select_what_the_command_does(tmp_path: Path) -> None:
    documents = ray.data.from_items(hosts.documents()).repartition(6)
    scored = longattn.ray.score(documents, hosts.MODEL, actors=2, num_cpus=1, batch_size=8, **hosts.SETTINGS)
    best = longattn.ray.select(scored.materialize(), **hosts.CUT)
    assert hosts.numbers(best.iter_rows()) == hosts.selected_by_command(tmp_path)


def test_what_cannot_be_used_has_a_reason() -> None:
    rows = [{"id": "a", "text": None}, {"id": "b", "text": "b" * 300}, {"id": "c", "text": "short"}]
    scored = longattn.ray.score(ray.data.from_items(rows), hosts.MODEL, **hosts.SETTINGS).materialize()
    assert sorted((row["id"], row["reason"]) for row in scored.iter_rows()) == [
        ("a", "a text is a str, not None"),
        ("b#0", None),
        ("b#1", None),
    ]
    assert {row["id"] for row in longattn.ray.select(scored, count=9).iter_rows()} == {"b#0", "b#1"}


def test_datatrove_on_two_workers_of_ray(tmp_path: Path) -> None:
    from datatrove.executor import RayPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from longattn.datatrove import ScoreWindows, SelectWindows

    hosts.write_documents(tmp_path / "documents", files=2)
    scores, log = str(tmp_path / "scores"), str(tmp_path / "log")
    scoring = [
        JsonlReader(str(tmp_path / "documents")),
        ScoreWindows(hosts.MODEL, scores, **hosts.SETTINGS),
        JsonlWriter(str(tmp_path / "windows"), compression=None),
    ]
    cutting = [
        JsonlReader(str(tmp_path / "windows")),
        SelectWindows(scores, **hosts.CUT),
        JsonlWriter(str(tmp_path / "selected"), compression=None),
    ]
    options: Any = {"tasks": 2, "workers": 2, "cpus_per_task": 1, "mem_per_cpu_gb": 1}
    RayPipelineExecutor(scoring, logging_dir=f"{log}-1", **options).run()
    RayPipelineExecutor(cutting, logging_dir=f"{log}-2", **options).run()
    lines = [json.loads(line) for path in (tmp_path / "selected").glob("*.jsonl") for line in path.open()]
    found = hosts.numbers({"id": line["id"], **line["metadata"]} for line in lines)
    assert found == hosts.selected_by_command(tmp_path)
