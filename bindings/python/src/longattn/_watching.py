"""Work on a corpus under the eyes of the user's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import byref
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from . import _abi
from ._library import read_text
from ._work import Callbacks, Cancel
from .progress import Progress, Reject

if TYPE_CHECKING:
    from ._settings import Settings

T = TypeVar("T")


class Watching(TypedDict, total=False):
    """Who watches a job, and may stop it. Functions run on threads of the job, one at a time, and must be quick; what one
    raises stops the job, and is raised by it."""

    progress: Callable[[Progress], object] | bool | None
    """A function, called several times a second; or True for a bar of tqdm."""
    on_reject: Callable[[Reject], object] | None
    on_notice: Callable[[str], object] | None
    """Is told, in a sentence, what a user should know."""
    cancel: Cancel | None


if TYPE_CHECKING:

    class WatchedSettings(Settings, Watching):
        """Settings, and who watches."""


_STAGES = {
    _abi.LONGATTN_STAGE_READING: ("reading", "B"),
    _abi.LONGATTN_STAGE_REFINING: ("refining", "token"),
    _abi.LONGATTN_STAGE_SCORING: ("scoring", "token"),
    _abi.LONGATTN_STAGE_WRITING: ("writing", "window"),
}


def split(given: Mapping[str, Any]) -> tuple[Watching, Settings]:
    """Who watches, and the settings."""
    keys = Watching.__annotations__
    watching: Any = {key: value for key, value in given.items() if key in keys}
    settings: Any = {key: value for key, value in given.items() if key not in keys}
    return watching, settings


def watched(work: Callable[[Any, int | None], T], watching: Watching) -> T:
    """Does work that takes an observer and a cancel token."""
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
        return callbacks.work(lambda: work(byref(observer), cancel.pointer))
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
