"""For NeMo Curator of NVIDIA.

pipeline.add_stage(ScoreStage(model, cpus=2, threads=2, window=8192))
best = longattn.nemo_curator.select(pipeline.run(executor), ratio=0.25)
"""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import DocumentBatch

from ._arrow import NAMES, score_table
from ._windows import SCORE_COLUMNS, Package, label, select_rows

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings


class ScoreStage(ProcessingStage[DocumentBatch, DocumentBatch]):
    """Documents become windows with their scores, one scorer a worker with so many cores and GPUs.

    Documents have the columns `text` or `content`, `id`, and `category` if there is one; the settings text_field, id_field and
    category_field name others, and `category` is that of documents that name none. What cannot be used has a `reason`.
    """

    name = "longattn"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        cpus: float = 1.0,
        gpus: float = 0.0,
        **settings: Unpack[Settings],
    ) -> None:
        self._package = Package(model, settings)
        self._category = settings.get("category", "documents")
        self.resources = Resources(cpus=cpus, gpus=gpus)

    def inputs(self) -> tuple[list[str], list[str]]:
        chosen = (self._package.settings.get(setting, "auto") for setting in ("text_field", "id_field", "category_field"))
        return ["data"], [name for name in chosen if name != "auto"]

    def outputs(self) -> tuple[list[str], list[str]]:
        return ["data"], list(NAMES)

    def setup(self, worker_metadata: Any = None) -> None:
        self._package.scorer()

    def process(self, task: Any) -> Any:
        scored = score_table(self._package.scorer(), task.to_pyarrow(), self._package.settings, self._category)
        return DocumentBatch(
            dataset_name=task.dataset_name, data=scored, _metadata=task._metadata, _stage_perf=task._stage_perf
        )


def select(batches: Iterable[Any], **settings: Unpack[Settings]) -> list[Any]:
    """Selects the best windows of each category from scored batches, with their LDS in `lds`; batches without any are left
    out. The settings and errors are those of `longattn.Selector.finish`."""
    import pyarrow as pa

    tables = [(batch, batch.to_pyarrow()) for batch in batches]
    columns = ["id", "category", *SCORE_COLUMNS, "reason"]
    selected = select_rows((row for _, table in tables for row in table.select(columns).to_pylist()), settings)
    kept = []
    for batch, table in tables:
        keys = zip(table.column("category").to_pylist(), table.column("id").to_pylist(), strict=True)
        lds = pa.array([selected.get((label(category), label(id))) for category, id in keys], pa.float64())
        data = table.append_column("lds", lds).filter(lds.is_valid())
        if data.num_rows:
            kept.append(DocumentBatch(dataset_name=batch.dataset_name, data=data, _metadata=batch._metadata))
    return kept
