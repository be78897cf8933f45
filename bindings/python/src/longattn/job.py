"""The whole work on a corpus, as `longattn run` and `longattn calibrate` do it, with the same bytes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import threading
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from . import _abi
from ._config import config_of
from ._library import Handle, TextBuffer, check, encode_path, lib, made, made_text, read_text
from ._watching import split, watched
from ._work import Cancel, interruptible
from .result import Calibration, Category, Result, Summary, summary_of
from .scorer import Scorer

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from ._settings import Settings
    from ._watching import WatchedSettings, Watching

    Model = Union[Scorer, str, os.PathLike[str]]
    """An open scorer, or the path of a scorer package."""

    Paths = Union[str, os.PathLike[str], Iterable[str | os.PathLike[str]]]
    """Files and folders, or `-` for standard input."""


class Job:
    """Documents are read, cut into windows, scored and selected, and the results written into the directory `output`.

    Until it is closed it owns its directory, which no other job can open. It may be killed at any moment, and goes on with
    `earlier_results="resume"`. Settings that are not given are the scorer's; what scores depend on is the scorer's in any
    case. Its methods take `progress`, `on_reject`, `on_notice` and `cancel`, as `run` does.

    Raises FileError where an input is missing, the directory cannot be written to, or another job is at work in it;
    InvalidArgumentError where it has results and earlier_results is refuse, or where it is resume and they depend on something
    that has changed; InvalidSettingError; UnsupportedError for an adaptive job on a model that computes all rows in any case.
    """

    def __init__(self, scorer: Scorer, inputs: Paths, output: str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        self.output = Path(output)
        self._at_work = threading.Lock()
        self._handle: Handle | None = _opened(scorer, inputs, output, settings, lib.longattn_job_open, lib.longattn_job_free)

    def run(self, **watching: Unpack[Watching]) -> Summary:
        """Scores what has no score yet, selects, and writes the results. Raises what `score` and `select` do."""
        return self._step(lib.longattn_job_run, (), watching)

    def score(self, **watching: Unpack[Watching]) -> Summary:
        """Scores what has no score yet, and writes no result but rejects.jsonl.

        What cannot be used is a reject, and the rest goes on. Raises InvalidRecordError where on_error is fail, and where
        there were nothing but rejects; CancelledError; FileError; and what would befall every window.
        """
        return self._step(lib.longattn_job_score, (), watching)

    def select(self, **options: Unpack[WatchedSettings]) -> Summary:
        """Selects, and writes the results, with the settings of the cut, or without any by those that the job was opened with.
        May be called again: nothing is scored twice.

        The settings are alpha, standardize, mixed_lengths, confidence, category_cuts, category_weights, max_per_document,
        filter, explain, and one of ratio, count, token_budget, total_token_budget and threshold.
        """
        watching, settings = split(options)
        config = config_of(settings) if settings else None
        return self._step(lib.longattn_job_select, (config.pointer if config else None,), watching)

    def categories(self) -> tuple[Category, ...]:
        """The categories of the last selection, in the order of the bytes of their names."""
        found = _abi.longattn_job_category()
        categories: list[Category] = []
        with self._used() as pointer:
            for index in range(lib.longattn_job_category_count(pointer)):
                check(lib.longattn_job_category_get, pointer, index, ctypes.byref(found))
                categories.append(Category(read_text(found.name, found.name_length), found.windows, found.selected))
        return tuple(categories)

    def close(self) -> None:
        """Lets others have the directory; results and what was scored stay there."""
        if self._handle is not None:
            with self._used():
                self._handle.free()
                self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def _used(self) -> Generator[int | None]:
        """The job, of which nobody else has the use meanwhile."""
        if not self._at_work.acquire(blocking=False):
            raise RuntimeError("this job is at work: one thread at a time may use it")
        try:
            if self._handle is None:
                raise ValueError("this job is closed")
            yield self._handle.pointer
        finally:
            self._at_work.release()

    def _step(self, call: Callable[..., int], given: tuple[Any, ...], watching: Watching) -> Summary:
        with self._used() as pointer:
            return _summarised(lambda *watchers: check(call, pointer, *given, *watchers), watching)


def run(model: Model, inputs: Paths, output: str | os.PathLike[str], **options: Unpack[WatchedSettings]) -> Result:
    """Does what `longattn run` does, with the same bytes: reads documents, cuts them into windows, scores these, selects the
    best of each category, and writes selected.jsonl, scores.jsonl, rejects.jsonl and report.html into the directory `output`.

    `options` are settings, and who watches: `progress`, True for a bar of tqdm or a function of `Progress`; `on_reject`, a
    function of `Reject`; `on_notice`, a function of a sentence; and `cancel`. Functions run on threads of the job, one at a
    time, and must be quick; what one raises stops the job, and is raised here.

    Whatever stops it, finished windows are kept: `earlier_results="resume"` goes on. Raises what `Job` and its methods do.
    """
    watching, settings = split(options)
    with _scorer(model, settings) as scorer, Job(scorer, inputs, output, **settings) as job:
        return Result(job.output, job.run(**watching))


def score_corpus(model: Model, inputs: Paths, output: str | os.PathLike[str], **options: Unpack[WatchedSettings]) -> Summary:
    """Scores a corpus as `run` does, and selects nothing: `run` with `earlier_results="resume"` goes on with the cut."""
    watching, settings = split(options)
    with _scorer(model, settings) as scorer, Job(scorer, inputs, output, **settings) as job:
        return job.score(**watching)


def select_results(directories: Paths, output: str | os.PathLike[str], **options: Unpack[WatchedSettings]) -> Result:
    """Does what `longattn select DIRECTORY… -o OUTPUT` does: selects from the results of a run that has ended, or of the runs
    on all shards of a corpus (the setting shard), in any order, as if one run had scored them. No model is needed, and the
    inputs must be where they were. `output` gets what `run` would have written, with the same bytes.

    `options` are the settings of `Job.select`, output_format, output_shard_size, attributes and metrics, and who watches, as
    in `run`.

    Raises InvalidArgumentError, with all of them named, for shards that are missing, were given twice, did not end, or were
    scored with other settings, packages or inputs than the rest, where `output` holds something else, and for windows that
    cannot be compared; InvalidSettingError for more than one cut; InvalidRecordError where an input has changed since it was
    scored; FileError; CancelledError.
    """
    watching, settings = split(options)
    paths, place, config = _PathArray(directories), encode_path(output), config_of(settings)

    def work(*given: Any) -> None:
        check(lib.longattn_results_select, paths.array, paths.count, place, len(place), config.pointer, *given)

    return Result(Path(output), _summarised(work, watching))


def calibrate(model: Model, inputs: Paths, output: str | os.PathLike[str], **options: Unpack[WatchedSettings]) -> Calibration:
    """Does what `longattn calibrate` does: finds out which of a package's layers to trust on a corpus. `options` are settings,
    and who watches, as in `run`.

    Raises UnsupportedError for a package that does not tell its layers, InvalidArgumentError for a corpus that gives too few
    windows, and what `Job` and its methods do.
    """
    watching, settings = split(options)
    with _scorer(model, settings) as scorer:
        handle = _opened(scorer, inputs, output, settings, lib.longattn_calibration_open, lib.longattn_calibration_free)

        def work(observer: Any, token: Any) -> str:
            return made_text(lib.longattn_calibration_run, handle.pointer, observer, token)

        try:
            return Calibration(Path(output), json.loads(watched(work, watching)))
        finally:
            handle.free()


def _scorer(model: Model, settings: Settings) -> contextlib.AbstractContextManager[Scorer]:
    """A scorer that is closed at the end, unless it is the caller's."""
    return contextlib.nullcontext(model) if isinstance(model, Scorer) else Scorer(model, **settings)


def _summarised(step: Callable[..., None], watching: Watching) -> Summary:
    found = _abi.longattn_summary()
    watched(lambda observer, cancel: step(observer, cancel, ctypes.byref(found)), watching)
    return summary_of(found)


class _PathArray:
    """Paths as the library reads them."""

    def __init__(self, paths: Paths) -> None:
        several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
        # Kept alive for as long as the array is used.
        self._names = [TextBuffer(encode_path(path)) for path in several]
        self.count = len(self._names)
        self.array = (_abi.longattn_path * self.count)(
            *(_abi.longattn_path(name.address, name.length) for name in self._names)
        )


def _opened(
    scorer: Scorer,
    inputs: Paths,
    output: str | os.PathLike[str],
    settings: Settings,
    call: Callable[..., int],
    free: Callable[[int | None], None],
) -> Handle:
    paths, directory = _PathArray(inputs), encode_path(output)
    config, handle = config_of(settings, scorer.config()), scorer.handle()
    given = (handle.pointer, paths.array, paths.count, directory, len(directory), config.pointer)
    return interruptible(Cancel(), lambda: made(free, call, *given))
