"""Work that takes long: it can be cancelled, by Ctrl-C too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._library import Handle, lib

T = TypeVar("T")


class Cancel:
    """Asks running work to stop, from any thread. Once asked it stays asked: use a new one for the next work.

    What is given it raises CancelledError within a second of `request()`, or of the end of `timeout` seconds.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self._handle = Handle(lib.longattn_cancel_new(), lib.longattn_cancel_free)
        if timeout is not None:
            lib.longattn_cancel_set_deadline(self.pointer, max(0, round(timeout * 1000)))

    @property
    def pointer(self) -> int | None:
        return self._handle.pointer

    def request(self) -> None:
        """Asks the work to stop, and does not wait for it."""
        lib.longattn_cancel_request(self.pointer)

    @property
    def is_requested(self) -> bool:
        """Whether it was asked to stop, or its time has come."""
        return bool(lib.longattn_cancel_is_requested(self.pointer))


class _Worker(threading.Thread, Generic[T]):
    """Does one piece of work on a thread of its own, and keeps what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="longattn", daemon=True)
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:
            self._error = error
        finally:
            del self._work
            self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]


def interruptible(cancel: Cancel, work: Callable[[], T]) -> T:
    """Does work that `cancel` stops. A signal whose handler raises, as that of Ctrl-C does, stops it too.

    Python runs handlers on its main thread, between steps of Python: there the work goes to another thread meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    worker = _Worker(work)
    worker.start()
    try:
        worker.done.wait()
    except BaseException:
        cancel.request()
        worker.done.wait()
        raise
    return worker.result()


class Callbacks:
    """Functions of the user's that the library calls from its threads. What one raises stops the work, and is raised by it."""

    def __init__(self, cancel: Cancel) -> None:
        self._cancel = cancel
        self._error: BaseException | None = None

    def guard(self, call: Callable[..., object]) -> Callable[..., None]:
        def guarded(*arguments: Any) -> None:
            if self._error is not None:
                return
            try:
                call(*arguments)
            except BaseException as error:
                self._error = error
                self._cancel.request()

        return guarded

    def work(self, work: Callable[[], T]) -> T:
        try:
            result = interruptible(self._cancel, work)
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise
        if self._error is not None:
            raise self._error
        return result
