"""For PySpark: one scorer in each Python process of an executor. The Java job of docs/spark.md needs no Python there.

windows = longattn.spark.score(documents, "/mnt/models/model", window=8192, threads=2)
best = longattn.spark.select(windows, ratio=0.25)
"""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._arrow import NAMES as COLUMNS
from ._arrow import NUMBERS, TEXTS, score_table
from ._windows import SCORE_COLUMNS, Package, select_rows

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings

SELECTED = "category string, id string, lds double"


def score(
    documents: Any,
    model: str | os.PathLike[str],
    *,
    batch_size: int = 16,
    **settings: Unpack[Settings],
) -> Any:
    """Cuts the documents of a data frame into windows and scores them. `model` is an absolute path on every executor's
    machine. Give the setting `threads` as many as the cores of a task, or every process takes all of its machine's.

    Documents have the columns `text` or `content`, `id`, and `category` if there is one; the settings text_field, id_field and
    category_field name others, and `category` is that of documents that name none. What cannot be used has a `reason`.
    """
    package = Package(model, settings)
    category = settings.get("category", "documents")

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for batch in batches:
            for start in range(0, batch.num_rows, batch_size):
                table = pa.Table.from_batches([batch.slice(start, batch_size)])
                yield from score_table(package.scorer(), table, package.settings, category).to_batches()

    return documents.mapInArrow(work, _spark_schema())


def select(windows: Any, **settings: Unpack[Settings]) -> Any:
    """Selects the best windows of each category from a scored data frame, with their LDS in `lds`. The frame is read twice:
    write or persist it first. One task ranks the windows of a category, from their numbers alone.

    The settings and errors are those of `longattn.Selector.finish`.
    """

    def work(table: Any) -> Any:
        import pyarrow as pa

        selected = select_rows(table.to_pylist(), settings)
        names = pa.schema([("category", pa.string()), ("id", pa.string()), ("lds", pa.float64())])
        rows = [{"category": category, "id": id, "lds": lds} for (category, id), lds in selected.items()]
        return pa.Table.from_pylist(rows, names)

    scores = windows.where("reason is null").select("id", "category", *SCORE_COLUMNS)
    return windows.join(scores.groupBy("category").applyInArrow(work, SELECTED), ["category", "id"])


def _spark_schema() -> str:
    def kind(name: str) -> str:
        return "string" if name in TEXTS else "double" if name in NUMBERS else "bigint"

    return ", ".join(f"{name} {kind(name)}" for name in COLUMNS)
