"""Documents in the columns of other tools' tables, cut into windows and scored; what all hosts have in common."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import LongAttnError
from .scorer import Scorer
from .selector import Ranked, Selector

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings

Columns = dict[str, list[Any]]
"""A table: as many values in every column."""

WINDOW_COLUMNS = ("id", "category", "document", "content", "token_start", "token_count", "byte_start", "byte_end")
"""What is known of a window before it is scored; the token ids beside."""

SCORE_COLUMNS = Selector.FIELDS
"""What a selection depends on, beside `id` and `category`. They are null where `reason` says why a window has no score."""


class Fields(NamedTuple):
    """The columns of a table of documents, by the settings text_field, id_field and category_field."""

    text: str
    id: str
    category: str | None

    @classmethod
    def of(cls, names: Sequence[str], settings: Mapping[str, Any]) -> Fields:
        """Those that the settings name, which must be there, or else `text` or `content`, `id`, and `category` if it is
        there."""

        def named(setting: str, *usual: str) -> str | None:
            chosen = settings.get(setting, "auto")
            candidates = usual if chosen == "auto" else (chosen,)
            return next((name for name in candidates if name in names), None)

        text, id = named("text_field", "text", "content"), named("id_field", "id")
        category = named("category_field", "category")
        if text is None or id is None or (category is None and settings.get("category_field", "auto") != "auto"):
            missing = "text_field" if text is None else "id_field" if id is None else "category_field"
            raise KeyError(f"no column for the setting {missing} among {', '.join(names)}")
        return cls(text, id, category)


class Package:
    """A scorer package and settings, opened once in each process that uses it, and pickled by its path."""

    def __init__(self, model: Scorer | str | os.PathLike[str], settings: Settings) -> None:
        if isinstance(model, Scorer):
            self.path: str = model.path
            self.settings: dict[str, Any] = {**model.settings, **settings}
        else:
            self.path, self.settings = os.path.abspath(model), dict(settings)
        self.settings = dict(sorted(self.settings.items()))

    def scorer(self, **settings: Unpack[Settings]) -> Scorer:
        """The scorer of this process, with further settings."""
        return _opened(self.path, _stamps(self.path), tuple(sorted({**self.settings, **settings}.items())))


Stamps = tuple[tuple[Any, ...], ...]

_opening = threading.Lock()


def _opened(path: str, stamps: Stamps, settings: tuple[tuple[str, Any], ...]) -> Scorer:
    with _opening:
        return _open_once(path, stamps, settings)


@functools.lru_cache(maxsize=4)
def _open_once(path: str, stamps: Stamps, settings: tuple[tuple[str, Any], ...]) -> Scorer:
    return Scorer(path, **dict(settings))


def _stamps(path: str) -> Stamps:
    """What tells a package from another that was put in its place."""
    files = sorted(Path(path).iterdir()) if os.path.isdir(path) else []
    stats = ((file.name, file.stat()) for file in files)
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def label(value: object) -> str:
    """An id or a category: a text, or a whole number as it is written."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{value!r} is neither a text nor a whole number")


def cut_documents(scorer: Scorer, table: Mapping[str, Sequence[Any]], settings: Mapping[str, Any], category: str) -> Columns:
    """The windows of documents: `WINDOW_COLUMNS`, `token_ids`, and `reason`, which is null unless a document cannot be used.
    `category` is that of a document that names none."""
    fields = Fields.of(list(table), settings)
    names = (*WINDOW_COLUMNS, "token_ids", "reason")
    columns: Columns = {name: [] for name in names}
    categories = table[fields.category] if fields.category else None
    for index, (id, text) in enumerate(zip(table[fields.id], table[fields.text], strict=True)):
        group = category if categories is None or categories[index] is None else categories[index]
        for row in _rows_of(scorer, id, text, group):
            for name in names:
                columns[name].append(row.get(name))
    return columns


def _rows_of(scorer: Scorer, id: object, text: object, category: object) -> Iterator[dict[str, Any]]:
    try:
        document, group = label(id), label(category)
        windows = scorer.windows(text)  # type: ignore[arg-type]
    except (LongAttnError, TypeError) as error:
        if isinstance(error, LongAttnError) and error.is_fatal:
            raise
        yield {"id": str(id), "category": str(category), "document": str(id), "reason": str(error)}
        return
    for window in windows:
        yield {
            "id": window.id_in(document),
            "category": group,
            "document": document,
            "content": window.text,
            "token_start": window.token_start,
            "token_count": window.token_count,
            "byte_start": window.byte_start,
            "byte_end": window.byte_end,
            "token_ids": window.ids,
        }


def score_columns(scorer: Scorer, windows: Sequence[Any]) -> Columns:
    """The scores of windows, texts or token ids: `SCORE_COLUMNS`, and `reason`, which is null unless a window has no score."""
    columns: Columns = {name: [] for name in (*SCORE_COLUMNS, "reason")}
    usable = [index for index, window in enumerate(windows) if _reason_against(window) is None]
    scores = dict(zip(usable, scorer.score_many((windows[index] for index in usable), errors="return"), strict=True))
    for index, window in enumerate(windows):
        score = scores.get(index)
        if score is None or isinstance(score, LongAttnError):
            reason = str(score) if score is not None else _reason_against(window)
            values: dict[str, Any] = {"reason": reason}
        else:
            values = {name: getattr(score, name) for name in SCORE_COLUMNS}
        for name, column in columns.items():
            column.append(values.get(name))
    return columns


def _reason_against(window: object) -> str | None:
    if isinstance(window, str) or (hasattr(window, "__len__") and not isinstance(window, (bytes, Mapping))):
        return None
    return f"{window!r} is neither a text nor token ids"


def score_documents(scorer: Scorer, table: Mapping[str, Sequence[Any]], settings: Mapping[str, Any], category: str) -> Columns:
    """The windows of documents with their scores: `WINDOW_COLUMNS`, `SCORE_COLUMNS` and `reason`."""
    columns = cut_documents(scorer, table, settings, category)
    ids, reasons = columns.pop("token_ids"), columns.pop("reason")
    whole = [index for index, reason in enumerate(reasons) if reason is None]
    scores = score_columns(scorer, [ids[index] for index in whole])
    for name, values in scores.items():
        places = dict(zip(whole, values, strict=True))
        columns[name] = [places.get(index) for index in range(len(ids))]
    columns["reason"] = [earlier or now for earlier, now in zip(reasons, columns["reason"], strict=True)]
    return columns


def select_rows(rows: Iterable[Mapping[str, Any]], settings: Settings) -> dict[tuple[str, str], float]:
    """The selected windows of rows of scores: (category, id) in the order of the selection, with the LDS of each."""
    return {key: window.lds for key, window in ranked_rows(rows, settings).items()}


def ranked_rows(rows: Iterable[Mapping[str, Any]], settings: Settings) -> dict[tuple[str, str], Ranked]:
    """The selected windows of rows of scores by (category, id), in the order of the selection. Rows with a reason have no
    score."""
    selector = Selector()
    for row in rows:
        if row.get("reason") is None:
            selector.add(label(row["id"]), label(row["category"]), row)
    return {(window.category, window.id): window for window in selector.finish(**settings).selected()}


def rows_of(columns: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """A table's rows."""
    names = list(columns)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(names, values, strict=True))
