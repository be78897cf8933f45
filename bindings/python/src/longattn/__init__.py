"""Scores long documents by how far and how evenly a language model's attention reaches back, and selects the best.

    import longattn

    scorer = longattn.Scorer(longattn.default_model(), window=2048)
    for window in scorer.windows(text):
        print(scorer.score(window.ids).dependency_strength)

    result = longattn.run(longattn.default_model(), ["books/", "code.jsonl"], "result", window=8192, ratio=0.25)

The method is LongAttn (arXiv 2502.16860). Modules for other tools, each imported by its name: `longattn.hf` (datasets),
`longattn.datatrove`, `longattn.ray`, `longattn.nemo_curator` and `longattn.spark`.
"""

from ._config import Setting, settings
from ._default import default_model
from ._library import VERSION as __version__
from ._work import Cancel
from .attention import statistics_from_attention, statistics_from_query_key
from .errors import (
    CancelledError,
    FileError,
    InternalError,
    InvalidArgumentError,
    InvalidModelError,
    InvalidRecordError,
    InvalidSettingError,
    InvalidTextError,
    LongAttnError,
    MemoryLimitError,
    NonFiniteError,
    OnnxRuntimeError,
    TooShortError,
    UnsupportedError,
)
from .job import Job, calibrate, run, score_corpus, select_results
from .progress import Progress, Reject
from .result import Calibration, Category, Result, Summary
from .score import LayerScore, Score
from .scorer import Scorer, Tokens, Window, category_of, window_id
from .selector import Ranked, Selection, Selector, select

__all__ = [
    "Calibration",
    "Cancel",
    "CancelledError",
    "Category",
    "FileError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidModelError",
    "InvalidRecordError",
    "InvalidSettingError",
    "InvalidTextError",
    "Job",
    "LayerScore",
    "LongAttnError",
    "MemoryLimitError",
    "NonFiniteError",
    "OnnxRuntimeError",
    "Progress",
    "Ranked",
    "Reject",
    "Result",
    "Score",
    "Scorer",
    "Selection",
    "Selector",
    "Setting",
    "Summary",
    "Tokens",
    "TooShortError",
    "UnsupportedError",
    "Window",
    "__version__",
    "calibrate",
    "category_of",
    "default_model",
    "run",
    "score_corpus",
    "select",
    "select_results",
    "settings",
    "statistics_from_attention",
    "statistics_from_query_key",
    "window_id",
]
