"""What a job wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from . import _abi


@dataclass(frozen=True)
class Summary:
    """What a job has found, of all its calls together, those of earlier processes included, where nothing else is said."""

    documents_windowed: int
    """Documents that gave at least one window."""
    documents_too_short: int
    """Documents with fewer tokens than a window."""
    records_rejected: int
    """Records that could not be used."""
    duplicates: int
    """Of those, the records whose id was another document's."""
    files_rejected: int
    """Files that could not be read to their end, of which nothing counts."""
    windows_rejected: int
    """Windows that could not be scored."""
    longest_document: int
    """Its tokens."""
    windows: int
    """Windows that have scores."""
    windows_known: int
    """Of those, the windows whose scores are of an earlier call."""
    windows_exact: int
    """Of those, the windows whose scores are exact; of an adaptive job alone."""
    windows_filtered: int
    """Windows that the setting filter left out."""
    windows_selected: int
    tokens_selected: int
    tokens_scored: int
    """Tokens that went through the model."""
    rows_computed: int
    """Rows of attention that were computed, of an adaptive job."""
    rows_of_exact_scores: int
    """Rows of attention that exact scores of all windows take, of an adaptive job."""
    calls: int
    """The calls that scored."""
    seconds: float
    """Time that the calls took."""


def summary_of(found: _abi.longattn_summary) -> Summary:
    return Summary(*(getattr(found, item.name) for item in fields(Summary)))


class Category(NamedTuple):
    """What was selected of one category."""

    name: str
    windows: int
    selected: int


class Result:
    """What a job wrote."""

    def __init__(self, output: Path, summary: Summary) -> None:
        self.output = output
        self.summary = summary

    @property
    def categories(self) -> tuple[Category, ...]:
        """What was selected of each category, in the order of the bytes of their names."""
        found = json.loads((self.output / "summary.json").read_text("utf-8"))
        return tuple(Category(row["name"], row["windows"], row["selected"]) for row in found["categories"])

    def selected(self) -> Iterator[dict[str, Any]]:
        """The selected windows with their scores, `lds`, and their text in `content`."""
        return self._rows("selected")

    def scores(self) -> Iterator[dict[str, Any]]:
        """The scores of all windows, which `longattn.select` takes too."""
        return self._rows("scores")

    def rejects(self) -> Iterator[dict[str, Any]]:
        """What could not be used, with its reason."""
        return _lines(self.output / "rejects.jsonl")

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.output / "report.html"

    def plot(self, axes: Any = None) -> Any:
        """Draws every window by its DS and DU, the selected ones filled, with matplotlib. Returns the axes."""
        from ._plot import plot_windows

        return plot_windows(self.scores(), self.selected(), axes)

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        lines = self.output / f"{name}.jsonl"
        if lines.exists():
            return _lines(lines)
        raise FileNotFoundError(
            f"{lines} is not there: rows are read from JSON lines in one file, without output_format and output_shard_size"
        )

    def __repr__(self) -> str:
        return f"Result({str(self.output)!r}: {self.summary.windows_selected} of {self.summary.windows} windows selected)"

    def _repr_html_(self) -> str:
        from ._html import table

        rows = [*self.categories, Category("all", self.summary.windows, self.summary.windows_selected)]
        return table(("category", "windows", "selected"), rows)


class Calibration(NamedTuple):
    """Which score to trust on a corpus."""

    output: Path
    json: dict[str, Any]
    """What calibration.json holds; docs/calibrate.md explains it."""

    @property
    def verdict(self) -> dict[str, Any]:
        """The layer and the settings to use."""
        return dict(self.json["verdict"])

    def _repr_html_(self) -> str:
        chart = self.output / "calibration.svg"
        picture = chart.read_text("utf-8") if chart.exists() else ""
        from ._html import table

        return table(("verdict", ""), list(self.verdict.items())) + picture


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
