"""For `datasets` of Hugging Face.

    windows = documents.map(longattn.hf.Windows(model, window=8192), batched=True, batch_size=4,
                            remove_columns=documents.column_names)
    scored = windows.map(longattn.hf.Score(model, window=8192), batched=True, batch_size=16)
    best = longattn.hf.select(scored, ratio=0.25)

What was mapped is found in the cache of `datasets` the next time, unless the model, the versions or a setting have changed.
"""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ._windows import SCORE_COLUMNS, Columns, Package, cut_documents, label, ranked_rows, score_columns
from .scorer import Scorer
from .selector import Ranked

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings

D = TypeVar("D")


class _Mapper:
    """A function for `map`, pickled with what its results depend on."""

    def __init__(self, model: Scorer | str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        self._package = Package(model, settings)
        self._package.scorer()

    def __getstate__(self) -> dict[str, Any]:
        # The key of the cache is made of this.
        return {**self.__dict__, "identity": self._package.scorer().identity()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({key: value for key, value in state.items() if key != "identity"})


class Windows(_Mapper):
    """Cuts documents into windows, for `map(..., batched=True, remove_columns=...)`.

    Documents have the columns `text` or `content`, `id`, and `category` if there is one; the settings text_field, id_field and
    category_field name others. A window has `id`, `category`, `document`, `content`, `token_start`, `token_count`,
    `byte_start`, `byte_end` and `token_ids`; `reason` is null, but for a document that cannot be used, which has that instead
    of windows.
    """

    def __init__(self, model: Scorer | str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        super().__init__(model, **settings)
        self._category = settings.get("category", "documents")

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> Columns:
        columns = dict(batch) if isinstance(batch, dict) else {name: batch[name] for name in batch}
        return cut_documents(self._package.scorer(), columns, self._package.settings, self._category)


class Score(_Mapper):
    """Scores windows, for `map(..., batched=True)`: their `token_ids` where there are any, or else their `text` or `content`,
    each as one window.

    A window gets `token_count`, `min_distance`, `sink_tokens`, `dependency_strength`, `distribution_uniformity`, and `reason`,
    which is null unless it has no score.
    """

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> Columns:
        names = list(batch)
        field: str = self._package.settings.get("text_field", "auto")
        candidates = ("token_ids", "text", "content") if field == "auto" else (field,)
        column = next((name for name in candidates if name in names), None)
        if column is None:
            raise KeyError(f"no column with token ids or texts among {', '.join(names)}")
        windows = batch[column]
        scores = score_columns(self._package.scorer(), windows)
        if "reason" in names:
            scores["reason"] = [was or now for was, now in zip(batch["reason"], scores["reason"], strict=True)]
        return scores


def select(dataset: D, **settings: Unpack[Settings]) -> D:
    """Selects the best windows of each category from a scored `Dataset` or `IterableDataset`, with their LDS in `lds`.

    A `Dataset` comes back in the order of the selection, by category and from the best on; an `IterableDataset` in its own,
    and is read twice: ValueError where the second reading gives a selected window another score. The settings and errors are
    those of `longattn.Selector.finish`.
    """
    from datasets import Dataset, IterableDataset

    if not isinstance(dataset, (Dataset, IterableDataset)):
        raise TypeError(f"select takes a Dataset or an IterableDataset, not {type(dataset).__name__}")
    found: Any = dataset
    names = found.column_names or list(next(iter(found)))
    columns = [name for name in ("id", "category", *SCORE_COLUMNS, "reason") if name in names]
    selected = ranked_rows(found.select_columns(columns), settings)
    if isinstance(dataset, IterableDataset):
        return cast(D, found.filter(_Selected(selected)).map(_WithLds(selected)))
    places = {key: index for index, key in enumerate(_keys(found)) if key in selected}
    chosen = found.select([places[key] for key in selected])
    return cast(D, chosen.add_column("lds", [window.lds for window in selected.values()]))


def _keys(dataset: Any) -> Iterator[tuple[str, str]]:
    for row in dataset.select_columns(["category", "id"]):
        yield _key(row)


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return label(row["category"]), label(row["id"])


class _Selected:
    def __init__(self, selected: dict[tuple[str, str], Ranked]) -> None:
        self._selected = selected

    def __call__(self, row: Mapping[str, Any]) -> bool:
        return _key(row) in self._selected


class _WithLds(_Selected):
    def __call__(self, row: Mapping[str, Any]) -> Any:
        window = self._selected[_key(row)]
        if row["dependency_strength"] != window.dependency_strength:
            raise ValueError(f"the dataset changed between its two readings: window {window.id!r} has another score")
        return {"lds": window.lds}
