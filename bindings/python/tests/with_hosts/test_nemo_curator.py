"""NeMo Curator of NVIDIA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hosts
import pandas as pd
import pytest
import ray
from nemo_curator.backends.ray_data import RayDataExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.tasks import DocumentBatch

from longattn.nemo_curator import ScoreStage, select


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_pipeline_selects_what_the_command_does(tmp_path: Path) -> None:
    documents = hosts.documents()
    batches = [
        DocumentBatch(dataset_name="sources", data=pd.DataFrame(documents[start : start + 12]))
        for start in range(0, len(documents), 12)
    ]
    pipeline = Pipeline("longattn", stages=[ScoreStage(hosts.MODEL, cpus=1, **hosts.SETTINGS)])
    best = select(pipeline.run(RayDataExecutor(), initial_tasks=batches), **hosts.CUT)
    found = hosts.numbers(row for batch in best for row in batch.to_pyarrow().to_pylist())
    assert found == hosts.selected_by_command(tmp_path)
