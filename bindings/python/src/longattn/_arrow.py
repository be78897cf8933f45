"""Windows with their scores as tables of Arrow."""

# What this works with has no types.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._windows import SCORE_COLUMNS, WINDOW_COLUMNS, score_documents

if TYPE_CHECKING:
    from .scorer import Scorer

TEXTS = ("id", "category", "document", "content", "reason")
NUMBERS = ("dependency_strength", "distribution_uniformity")
NAMES = tuple(dict.fromkeys((*WINDOW_COLUMNS, *SCORE_COLUMNS, "reason")))


def schema() -> Any:
    """The columns of `score_table`: a text, a 64-bit whole number, or a float64."""
    import pyarrow as pa

    def kind(name: str) -> Any:
        return pa.string() if name in TEXTS else pa.float64() if name in NUMBERS else pa.int64()

    return pa.schema([(name, kind(name)) for name in NAMES])


def score_table(scorer: Scorer, table: Any, settings: Mapping[str, Any], category: str) -> Any:
    """The windows of a table of documents, with their scores, and rows with a `reason` for what cannot be used."""
    import pyarrow as pa

    # A table may name a column twice, of which neither is meant.
    columns = {name: table.column(name).to_pylist() for name in table.column_names if table.column_names.count(name) == 1}
    found = score_documents(scorer, columns, settings, category)
    return pa.table({name: found[name] for name in NAMES}, schema=schema())
