"""Selecting the best windows of each category."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union, overload

from . import _abi
from ._arrays import array_of
from ._config import config_of
from ._library import Handle, check, encode, lib, made, made_text, read_text
from ._work import Cancel, interruptible
from .score import Score

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import Settings

    Scored = Union[Score, Mapping[str, Any]]
    """A score, or a mapping with the fields `Selector.FIELDS`, such as a row of scores.jsonl."""


class Ranked(NamedTuple):
    """One window of a selection."""

    id: str
    category: str
    rank: int
    """Place in the category, 0 for the best."""
    token_count: int
    dependency_strength: float
    distribution_uniformity: float
    lds: float
    """Long-distance dependency score, Eq. 8, relative to the category; larger is better."""
    selected: bool
    """Whether the window made the cut."""


class Selection(Sequence[Ranked]):
    """A finished selection: all windows by category in the order of the bytes of their names, and within one the best
    first."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._count = int(lib.longattn_selection_count(handle.pointer))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Ranked: ...

    @overload
    def __getitem__(self, index: slice) -> list[Ranked]: ...

    def __getitem__(self, index: int | slice) -> Ranked | list[Ranked]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(f"there is no window {index}: there are {self._count}")
        found = _abi.longattn_ranked()
        check(lib.longattn_selection_get, self._handle.pointer, place, ctypes.byref(found))
        return Ranked(
            read_text(found.id, found.id_length),
            read_text(found.category, found.category_length),
            found.rank,
            found.token_count,
            found.dependency_strength,
            found.distribution_uniformity,
            found.long_distance_dependency_score,
            found.selected,
        )

    def selected(self) -> Iterator[Ranked]:
        """The windows that made the cut, in the same order."""
        return (window for window in self if window.selected)

    def _repr_html_(self) -> str:
        from ._html import table

        return table(Ranked._fields, self[:20])


class Selector:
    """Collects scored windows, and selects the best of each category. A selection depends on the set of windows alone, not on
    the order in which they were added or merged.

    One thread at a time may use a selector: give each its own, and merge them at the end. A pickled selector keeps every bit.
    """

    FIELDS = ("token_count", "min_distance", "sink_tokens", "dependency_strength", "distribution_uniformity")
    """What of a score a selection depends on."""

    def __init__(self) -> None:
        self._handle = Handle(lib.longattn_selector_new(), lib.longattn_selector_free)

    def add(self, id: str, category: str, score: Scored) -> None:
        """Adds a window. `id` must be unique within `category`, whose windows compete with each other.

        Raises NonFiniteError where a score is NaN or infinite, KeyError where a mapping lacks one of `FIELDS`.
        """
        found = _abi.longattn_score()
        _fill(found, score, self.FIELDS)
        name, group = encode(id), encode(category)
        check(lib.longattn_selector_add, self._handle.pointer, name, len(name), group, len(group), ctypes.byref(found))

    def rescore(self, ordinal: int, score: Scored) -> None:
        """Gives a window another score, such as one on more rows of attention. `ordinal` is the number of windows that were
        added before it; those that were merged count in their order.

        Raises InvalidArgumentError where there is no such window, and what `add` does.
        """
        found = _abi.longattn_score()
        _fill(found, score, ("dependency_strength", "distribution_uniformity"))
        check(lib.longattn_selector_rescore, self._handle.pointer, ordinal, ctypes.byref(found))

    def in_doubt(self, scores: Sequence[Scored], *, cancel: Cancel | None = None, **settings: Unpack[Settings]) -> list[int]:
        """The ordinals of the windows to score on more rows, with `Scorer.score_many(..., rows=...)` and `rescore`, until it
        names none: then the selection equals that by exact scores with the probability of the setting confidence.

        `scores` are those that the windows were added or last rescored with, in their order; their standard errors are read.
        Exact scores are never in doubt. The settings are those of `finish`, and confidence.

        Raises ValueError for more or fewer scores than windows, CancelledError, and what `finish` does.
        """
        if len(scores) != len(self):
            raise ValueError(f"there are {len(scores)} scores for {len(self)} windows")
        config, token = config_of(settings), cancel or Cancel()
        given, ordinals = array_of(_abi.longattn_score, len(scores)), array_of(ctypes.c_size_t, len(scores))
        for found, score in zip(given, scores, strict=True):
            _fill(found, score, ("dependency_strength_error", "distribution_uniformity_error"))
        count = ctypes.c_size_t()
        places = (ordinals, ctypes.byref(count))
        call, pointer = lib.longattn_selector_in_doubt, self._handle.pointer
        interruptible(token, lambda: check(call, pointer, given, config.pointer, token.pointer, *places))
        return list(ordinals[: count.value])

    def __len__(self) -> int:
        return int(lib.longattn_selector_count(self._handle.pointer))

    def merge(self, other: Selector) -> None:
        """Moves all windows of `other` here; it is empty afterwards."""
        check(lib.longattn_selector_merge, self._handle.pointer, other._handle.pointer)

    def to_json(self) -> str:
        """The windows as versioned JSON, every number with its bits."""
        return made_text(lib.longattn_selector_to_json, self._handle.pointer)

    @classmethod
    def from_json(cls, json: str) -> Selector:
        """Makes a selector from what `to_json` gave. Raises InvalidRecordError, or UnsupportedError for a later version's."""
        data = encode(json)
        selector = cls()
        selector._handle = made(lib.longattn_selector_free, lib.longattn_selector_from_json, data, len(data))
        return selector

    def __reduce__(self) -> tuple[Any, ...]:
        return Selector.from_json, (self.to_json(),)

    def finish(self, **settings: Unpack[Settings]) -> Selection:
        """Ranks the windows of each category, and cuts. More may be added afterwards, and it may be finished again.

        The settings are alpha, standardize, mixed_lengths, category_cuts, category_weights, max_per_document, filter, and one
        of ratio, count, token_budget, total_token_budget and threshold.

        Raises InvalidSettingError for more than one cut, InvalidArgumentError where two windows of one category have the same
        id, or were measured on different lengths or distances while mixed_lengths is refuse.
        """
        config = config_of(settings)
        call = lib.longattn_selector_finish
        return Selection(
            interruptible(Cancel(), lambda: made(lib.longattn_selection_free, call, self._handle.pointer, config.pointer))
        )


def _fill(found: _abi.longattn_score, score: Scored, fields: Iterable[str]) -> None:
    for field in fields:
        setattr(found, field, score[field] if isinstance(score, Mapping) else getattr(score, field))


def select(scores: Iterable[Mapping[str, Any]], **settings: Unpack[Settings]) -> Selection:
    """Selects the best of each category from rows with `id`, `category` and the fields `Selector.FIELDS`, such as the rows of
    scores.jsonl. The settings and errors are those of `Selector.finish`."""
    selector = Selector()
    for score in scores:
        selector.add(score["id"], score["category"], score)
    return selector.finish(**settings)
