"""The whole work on a corpus, as `longattn run` and `longattn calibrate` do it, with the same bytes."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union

from . import _abi
from ._config import config_of
from ._library import Handle, check, encode_path, lib, made, made_text, read_text
from ._work import Callbacks, Cancel, interruptible
from .scorer import Scorer

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from ._settings import Settings

    Model = Union[Scorer, str, os.PathLike[str]]
    """An open scorer, or the path of a scorer package."""

    Paths = Union[str, os.PathLike[str], Iterable[str | os.PathLike[str]]]
    """Files and folders, or `-` for standard input."""

T = TypeVar("T")

_STAGES = {
    _abi.LONGATTN_STAGE_READING: ("reading", "B"),
    _abi.LONGATTN_STAGE_REFINING: ("refining", "token"),
    _abi.LONGATTN_STAGE_SCORING: ("scoring", "token"),
    _abi.LONGATTN_STAGE_WRITING: ("writing", "window"),
}


class Progress(NamedTuple):
    """How far a job has come."""

    stage: str
    """`reading` and scoring the corpus, `refining` windows in doubt, `scoring` those of a calibration, or `writing`
    results."""
    unit: str
    """What `done` and `total` count: `B` for bytes of the input files, `token`, or `window`."""
    done: int
    total: int | None
    """None where it is not known."""
    windows: int
    """Windows scored in this call."""
    tokens: int
    """Tokens scored in this call."""


class Reject(NamedTuple):
    """A record, a file or a window that could not be used."""

    file: str
    line: int | None
    """The line or row, from 1; None where the whole file is meant."""
    id: str | None
    reason: str
    record: str | None
    """The record as it was read, or its beginning."""


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


class Category(NamedTuple):
    """What was selected of one category."""

    name: str
    windows: int
    selected: int


ProgressCallback = Union[Callable[[Progress], object], bool, None]
"""A function, called several times a second; or True for a bar of tqdm."""


class Job:
    """Documents are read, cut into windows, scored and selected, and the results written into the directory `output`.

    Until it is closed it owns its directory, which no other job can open. It may be killed at any moment, and goes on with
    `earlier_results="resume"`. Settings that are not given are the scorer's; what scores depend on is the scorer's in any
    case.

    Raises FileError where an input is missing, the directory cannot be written to, or another job is at work in it;
    InvalidArgumentError where it has results and earlier_results is refuse, or where it is resume and they depend on something
    that has changed; InvalidSettingError; UnsupportedError for an adaptive job on a model that computes all rows in any case.
    """

    def __init__(self, scorer: Scorer, inputs: Paths, output: str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        self.output = Path(output)
        self._handle: Handle | None = _opened(scorer, inputs, output, settings, lib.longattn_job_open, lib.longattn_job_free)

    def run(self, **watching: Unpack[Watching]) -> Summary:
        """Scores what has no score yet, selects, and writes the results. Raises what `score` and `select` do."""
        return self._work(lambda *given: check(lib.longattn_job_run, self._pointer(), *given), watching)

    def score(self, **watching: Unpack[Watching]) -> Summary:
        """Scores what has no score yet, and writes no result but rejects.jsonl.

        What cannot be used is a reject, and the rest goes on. Raises InvalidRecordError where on_error is fail, and where
        there were nothing but rejects; CancelledError; FileError; and what would befall every window.
        """
        return self._work(lambda *given: check(lib.longattn_job_score, self._pointer(), *given), watching)

    def select(
        self,
        *,
        progress: ProgressCallback = None,
        on_reject: Callable[[Reject], object] | None = None,
        on_notice: Callable[[str], object] | None = None,
        cancel: Cancel | None = None,
        **settings: Unpack[Settings],
    ) -> Summary:
        """Selects, and writes the results, with the settings of the cut, or without any by those that the job was opened with.
        May be called again: nothing is scored twice.

        The settings are alpha, standardize, mixed_lengths, confidence, and one of ratio, count, token_budget and threshold.
        """
        config = config_of(settings) if settings else None
        watching: Watching = {"progress": progress, "on_reject": on_reject, "on_notice": on_notice, "cancel": cancel}
        pointer = config.pointer if config else None
        return self._work(lambda *given: check(lib.longattn_job_select, self._pointer(), pointer, *given), watching)

    def categories(self) -> tuple[Category, ...]:
        """The categories of the last selection, in the order of the bytes of their names."""
        found = _abi.longattn_job_category()
        categories: list[Category] = []
        for index in range(lib.longattn_job_category_count(self._pointer())):
            check(lib.longattn_job_category_get, self._pointer(), index, ctypes.byref(found))
            categories.append(Category(read_text(found.name, found.name_length), found.windows, found.selected))
        return tuple(categories)

    def close(self) -> None:
        """Lets others have the directory; results and what was scored stay there."""
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _pointer(self) -> int | None:
        if self._handle is None:
            raise ValueError("this job is closed")
        return self._handle.pointer

    def _work(self, step: Callable[..., None], watching: Watching) -> Summary:
        found = _abi.longattn_summary()
        _watched(lambda observer, cancel: step(observer, cancel, ctypes.byref(found)), watching)
        return Summary(*(getattr(found, item.name) for item in fields(Summary)))


class Result:
    """What a job wrote."""

    def __init__(self, output: Path, summary: Summary, categories: tuple[Category, ...]) -> None:
        self.output = output
        self.summary = summary
        self.categories = categories

    def selected(self) -> Iterator[dict[str, Any]]:
        """The selected windows with their scores, `lds`, and their text in `content`."""
        return _lines(self.output / "selected.jsonl")

    def scores(self) -> Iterator[dict[str, Any]]:
        """The scores of all windows, which `longattn.select` takes too."""
        return _lines(self.output / "scores.jsonl")

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

        return plot_windows(self, axes)

    def __repr__(self) -> str:
        return f"Result({str(self.output)!r}: {self.summary.windows_selected} of {self.summary.windows} windows selected)"

    def _repr_html_(self) -> str:
        from ._html import table

        rows = [*self.categories, Category("all", self.summary.windows, self.summary.windows_selected)]
        return table(("category", "windows", "selected"), rows)


def run(
    model: Model,
    inputs: Paths,
    output: str | os.PathLike[str],
    *,
    progress: ProgressCallback = None,
    on_reject: Callable[[Reject], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    cancel: Cancel | None = None,
    **settings: Unpack[Settings],
) -> Result:
    """Does what `longattn run` does, with the same bytes: reads documents, cuts them into windows, scores these, selects the
    best of each category, and writes selected.jsonl, scores.jsonl, rejects.jsonl and report.html into the directory `output`.

    Whatever stops it, finished windows are kept: `earlier_results="resume"` goes on. Callbacks run on threads of the job, one
    at a time, and must be quick; what one raises stops the job, and is raised here. Raises what `Job` and its methods do.
    """
    watching: Watching = {"progress": progress, "on_reject": on_reject, "on_notice": on_notice, "cancel": cancel}
    with _scorer(model, settings) as scorer, Job(scorer, inputs, output, **settings) as job:
        summary = job.run(**watching)
        return Result(job.output, summary, job.categories())


def score_corpus(
    model: Model,
    inputs: Paths,
    output: str | os.PathLike[str],
    *,
    progress: ProgressCallback = None,
    on_reject: Callable[[Reject], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    cancel: Cancel | None = None,
    **settings: Unpack[Settings],
) -> Summary:
    """Scores a corpus as `run` does, and selects nothing: `run` with `earlier_results="resume"` goes on with the cut."""
    watching: Watching = {"progress": progress, "on_reject": on_reject, "on_notice": on_notice, "cancel": cancel}
    with _scorer(model, settings) as scorer, Job(scorer, inputs, output, **settings) as job:
        return job.score(**watching)


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


def calibrate(
    model: Model,
    inputs: Paths,
    output: str | os.PathLike[str],
    *,
    progress: ProgressCallback = None,
    on_reject: Callable[[Reject], object] | None = None,
    on_notice: Callable[[str], object] | None = None,
    cancel: Cancel | None = None,
    **settings: Unpack[Settings],
) -> Calibration:
    """Does what `longattn calibrate` does: finds out which of a package's layers to trust on a corpus.

    Raises UnsupportedError for a package that does not tell its layers, InvalidArgumentError for a corpus that gives too few
    windows, and what `Job` and its methods do.
    """
    watching: Watching = {"progress": progress, "on_reject": on_reject, "on_notice": on_notice, "cancel": cancel}
    with _scorer(model, settings) as scorer:
        handle = _opened(scorer, inputs, output, settings, lib.longattn_calibration_open, lib.longattn_calibration_free)

        def work(observer: Any, token: Any) -> str:
            return made_text(lib.longattn_calibration_run, handle.pointer, observer, token)

        return Calibration(Path(output), json.loads(_watched(work, watching)))


if TYPE_CHECKING:
    from typing import TypedDict

    class Watching(TypedDict, total=False):
        """Who watches a job, and may stop it."""

        progress: ProgressCallback
        on_reject: Callable[[Reject], object] | None
        on_notice: Callable[[str], object] | None
        cancel: Cancel | None


class _Borrowed:
    """A scorer that stays the caller's."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def __enter__(self) -> Scorer:
        return self._scorer

    def __exit__(self, *_: object) -> None:
        pass


def _scorer(model: Model, settings: Settings) -> Scorer | _Borrowed:
    return _Borrowed(model) if isinstance(model, Scorer) else Scorer(model, **settings)


def _opened(
    scorer: Scorer,
    inputs: Paths,
    output: str | os.PathLike[str],
    settings: Settings,
    call: Callable[..., int],
    free: Callable[[int | None], None],
) -> Handle:
    several = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    names = [encode_path(path) for path in several]
    paths = (_abi.longattn_path * len(names))()
    for index, name in enumerate(names):
        paths[index].data = ctypes.cast(ctypes.c_char_p(name), ctypes.c_void_p).value
        paths[index].length = len(name)
    directory = encode_path(output)
    config = config_of(settings, scorer.config())
    handle = scorer.handle()
    return interruptible(
        Cancel(),
        lambda: made(free, call, handle.pointer, paths, len(names), directory, len(directory), config.pointer),
    )


def _watched(work: Callable[[Any, Any], T], watching: Watching) -> T:
    """Does work under the eyes of the user's functions."""
    cancel = watching.get("cancel") or Cancel()
    callbacks = Callbacks(cancel)
    progress, bar = watching.get("progress"), None
    if progress is True:
        from ._bar import Bar

        progress = bar = Bar()
    observer = _abi.longattn_observer()
    if progress:
        observer.progress = _abi.longattn_progress_callback(callbacks.guard(_tell_progress(progress)))
    if on_reject := watching.get("on_reject"):
        observer.reject = _abi.longattn_reject_callback(callbacks.guard(_tell_reject(on_reject)))
    if on_notice := watching.get("on_notice"):
        observer.notice = _abi.longattn_notice_callback(callbacks.guard(_tell_notice(on_notice)))
    try:
        return callbacks.work(lambda: work(ctypes.byref(observer), cancel.pointer))
    finally:
        if bar is not None:
            bar.close()


def _tell_progress(tell: Callable[[Progress], object]) -> Callable[..., None]:
    def told(address: int, _: int | None) -> None:
        found = _abi.longattn_job_progress.from_address(address)
        stage, unit = _STAGES.get(found.stage, ("working", ""))
        tell(Progress(stage, unit, found.done, found.total if found.has_total else None, found.windows, found.tokens))

    return told


def _tell_reject(tell: Callable[[Reject], object]) -> Callable[..., None]:
    def told(address: int, _: int | None) -> None:
        found = _abi.longattn_reject.from_address(address)
        id = read_text(found.id, found.id_length) if found.id else None
        record = read_text(found.record, found.record_length) if found.record else None
        file, reason = read_text(found.file, found.file_length), read_text(found.reason, found.reason_length)
        tell(Reject(file, found.line or None, id, reason, record))

    return told


def _tell_notice(tell: Callable[[str], object]) -> Callable[..., None]:
    def told(address: int, length: int, _: int | None) -> None:
        tell(read_text(address, length))

    return told


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
