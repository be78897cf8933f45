"""For DataTrove of Hugging Face, in two stages: score shards, then cut over all of them.

    LocalPipelineExecutor([JsonlReader(documents), ScoreWindows(model, scores, window=8192), JsonlWriter(windows)], tasks=8)
    LocalPipelineExecutor([JsonlReader(windows), SelectWindows(scores, ratio=0.25), JsonlWriter(selected)], tasks=8)

The second stage depends on the first: `depends=` of the executors says so.
"""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from datatrove.data import Document
from datatrove.io import get_datafolder
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter

from ._windows import Package, label, rows_of, score_documents
from .selector import Selector

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings
    from .scorer import Scorer

NAME = "{rank:05d}-of-{world_size:05d}.json"


class ScoreWindows(PipelineStep):
    """Cuts documents into windows and scores them. A window is a document of its own, its numbers in the metadata beside those
    of the document that it was cut from; a document that cannot be used is dropped, counted and told.

    `scores` is a folder, local or not, that gets the scores of each task, for `SelectWindows`. The category is the metadata's,
    by the setting category_field, or else `category`. With `devices` the task of rank `r` runs on the device `r % devices`.
    """

    name = "LongAttn"
    type = "🔬 - SCORER"

    def __init__(
        self,
        model: Scorer | str | os.PathLike[str],
        scores: Any,
        *,
        devices: int | None = None,
        batch_size: int = 16,
        **settings: Unpack[Settings],
    ) -> None:
        super().__init__()
        self._package = Package(model, settings)
        self._scores = get_datafolder(scores)
        self._category = settings.get("category", "documents")
        self._devices = devices
        self._batch_size = batch_size

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        scorer = self._package.scorer(device_id=rank % self._devices) if self._devices else self._package.scorer()
        selector = Selector()
        for batch in _batches(data, self._batch_size):
            with self.track_time("batch"):
                found = list(self._scored(scorer, batch, selector))
            for document in found:
                self.update_doc_stats(document)
                yield document
        with self._scores.open(NAME.format(rank=rank, world_size=world_size), "w") as file:
            file.write(selector.to_json())

    def _scored(self, scorer: Scorer, batch: list[Any], selector: Selector) -> Iterator[Any]:
        field = self._package.settings.get("category_field", "auto")
        name = "category" if field == "auto" else field
        table = {
            "id": [document.id for document in batch],
            "text": [document.text for document in batch],
            "category": [document.metadata.get(name) for document in batch],
        }
        metadata = {document.id: document.metadata for document in batch}
        for window in rows_of(score_documents(scorer, table, {}, self._category)):
            if window["reason"] is not None:
                self.stat_update("rejected")
                _warn(f"{window['id']} is rejected: {window['reason']}")
                continue
            selector.add(window["id"], window["category"], window)
            numbers = {key: value for key, value in window.items() if key not in ("id", "content", "reason")}
            yield Document(window["content"], window["id"], metadata={**metadata[window["document"]], **numbers})


class SelectWindows(BaseFilter):
    """Keeps the best windows of each category over the scores of all tasks, with their LDS in the metadata; the others go to
    `exclusion_writer`. The settings and errors are those of `longattn.Selector.finish`.

    Raises FileNotFoundError where the scores of a task are missing, which has not finished.
    """

    name = "LongAttn"

    def __init__(self, scores: Any, exclusion_writer: Any = None, **settings: Unpack[Settings]) -> None:
        super().__init__(exclusion_writer)
        self._scores = get_datafolder(scores)
        self._settings = settings
        self._selected: dict[tuple[str, str], float] = {}

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
        selection = _all_scores(self._scores).finish(**self._settings)
        self._selected = {(window.category, window.id): window.lds for window in selection.selected()}
        yield from super().run(data, rank, world_size)

    def filter(self, doc: Any) -> bool | tuple[bool, str]:
        lds = self._selected.get((label(doc.metadata["category"]), doc.id))
        if lds is None:
            return False, "below_the_cut"
        doc.metadata["lds"] = lds
        return True


def _all_scores(folder: Any) -> Selector:
    names = [name for name in folder.list_files() if re.fullmatch(r"\d{5}-of-\d{5}\.json", os.path.basename(name))]
    sizes = {int(name[-10:-5]) for name in names}
    expected = {NAME.format(rank=rank, world_size=size) for size in sizes for rank in range(size)}
    missing = sorted(expected - {os.path.basename(name) for name in names})
    if not names or missing:
        what = ", ".join(missing) if missing else "all"
        raise FileNotFoundError(f"{folder.path} lacks the scores of tasks that have not finished: {what}")
    merged = Selector()
    for name in names:
        with folder.open(name, "r") as file:
            merged.merge(Selector.from_json(file.read()))
    return merged


def _batches(documents: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for document in documents:
        batch.append(document)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _warn(message: str) -> None:
    from loguru import logger

    logger.warning(message)
