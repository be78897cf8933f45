"""For Ray Data.

scored = longattn.ray.score(documents, model, actors=4, num_cpus=2, threads=2, window=8192)
best = longattn.ray.select(scored, ratio=0.25)
"""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._arrow import score_table
from ._windows import SCORE_COLUMNS, Package, label, select_rows

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings


class ScoreDocuments:
    """A class for `map_batches(..., batch_format="pyarrow")`, one scorer an actor: documents become windows with their scores.

    Documents have the columns `text` or `content`, `id`, and `category` if there is one; the settings text_field, id_field and
    category_field name others, and `category` is that of documents that name none. What cannot be used has a `reason`.
    """

    def __init__(self, model: str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        self._package = Package(model, settings)
        self._category = settings.get("category", "documents")
        self._package.scorer()

    def __call__(self, table: Any) -> Any:
        return score_table(self._package.scorer(), table, self._package.settings, self._category)


def score(
    dataset: Any,
    model: str | os.PathLike[str],
    *,
    batch_size: int = 16,
    actors: int = 1,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    **settings: Unpack[Settings],
) -> Any:
    """Cuts the documents of a dataset into windows and scores them, in so many `actors` with so many cores and GPUs each.
    Give the setting `threads` as many as the cores, or every actor takes all of its machine's."""
    from ray.data import ActorPoolStrategy

    return dataset.map_batches(
        ScoreDocuments,
        fn_constructor_args=(os.fspath(model),),
        fn_constructor_kwargs=dict(settings),
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ActorPoolStrategy(size=actors),
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )


def select(dataset: Any, **settings: Unpack[Settings]) -> Any:
    """Selects the best windows of each category from a scored dataset, with their LDS in `lds`. The dataset is read twice: use
    `materialize()` or files before. The settings and errors are those of `longattn.Selector.finish`."""
    columns = ["id", "category", *SCORE_COLUMNS, "reason"]
    selected = select_rows(dataset.select_columns(columns).iter_rows(), settings)
    return dataset.map_batches(_keep, fn_args=(selected,), batch_format="pyarrow")


def _keep(table: Any, selected: dict[tuple[str, str], float]) -> Any:
    import pyarrow as pa

    keys = zip(table.column("category").to_pylist(), table.column("id").to_pylist(), strict=True)
    found = [selected.get((label(category), label(id))) for category, id in keys]
    lds = pa.array(found, pa.float64())
    return table.append_column("lds", lds).filter(lds.is_valid())
