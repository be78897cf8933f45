"""Selecting the best windows of each category."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union, overload

from . import _abi
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
        for field in self.FIELDS:
            setattr(found, field, score[field] if isinstance(score, Mapping) else getattr(score, field))
        name, group = encode(id), encode(category)
        check(lib.longattn_selector_add, self._handle.pointer, name, len(name), group, len(group), ctypes.byref(found))

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

        The settings are alpha, standardize, mixed_lengths, and one of ratio, count, token_budget and threshold.

        Raises InvalidSettingError for more than one cut, InvalidArgumentError where two windows of one category have the same
        id, or were measured on different lengths or distances while mixed_lengths is refuse.
        """
        config = config_of(settings)
        call = lib.longattn_selector_finish
        return Selection(
            interruptible(Cancel(), lambda: made(lib.longattn_selection_free, call, self._handle.pointer, config.pointer))
        )


def select(scores: Iterable[Mapping[str, Any]], **settings: Unpack[Settings]) -> Selection:
    """Selects the best of each category from rows with `id`, `category` and the fields `Selector.FIELDS`, such as the rows of
    scores.jsonl. The settings and errors are those of `Selector.finish`."""
    selector = Selector()
    for score in scores:
        selector.add(score["id"], score["category"], score)
    return selector.finish(**settings)
