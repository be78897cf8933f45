"""Scoring windows with a model."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from . import _abi, _runtime
from ._arrays import IdArray, array_of, view
from ._config import config_of, text_of, value_in
from ._details import Details
from ._library import Handle, TextBuffer, check, encode, encode_path, lib, made, made_text, read_error
from ._work import Callbacks, Cancel, interruptible
from .errors import LongAttnError, OnnxRuntimeError
from .score import Score, score_of

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self, Unpack

    from ._arrays import Ids
    from ._settings import Settings


class Window:
    """One window of a document: a run of its tokens, and their slice of its text."""

    __slots__ = ("_found", "_owner", "_text", "number")

    def __init__(self, number: int, found: _abi.longattn_window, text: bytes, owner: Handle) -> None:
        self.number = number
        """Its place among the document's windows, from 0."""
        self._found = found
        self._text = text
        self._owner = owner

    @property
    def token_start(self) -> int:
        """The first token, as an index into the document's."""
        return self._found.token_start

    @property
    def token_count(self) -> int:
        return self._found.token_count

    @property
    def byte_start(self) -> int:
        """The first byte of the text, as an offset into the document in UTF-8."""
        return self._found.byte_start

    @property
    def byte_end(self) -> int:
        """The byte after the last."""
        return self._found.byte_end

    @property
    def text(self) -> str:
        """The window's slice of the document."""
        return self._text[self.byte_start : self.byte_end].decode()

    @property
    def ids(self) -> NDArray[np.uint32]:
        """`[token_count]`: the token ids, without special ones. A view that is not to be written to."""
        found: NDArray[np.uint32] = view(ctypes.c_uint32, self._found.ids, self.token_count, self._owner)
        return found

    def id_in(self, document: str) -> str:
        """The window's id in a document of this id, as a job gives it."""
        return window_id(document, self.number)

    def __repr__(self) -> str:
        return f"Window(number={self.number}, token_start={self.token_start}, token_count={self.token_count})"


class Tokens:
    """The tokens of a text, without special ones."""

    __slots__ = ("_handle",)

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def __len__(self) -> int:
        return int(lib.longattn_tokens_count(self._handle.pointer))

    @property
    def ids(self) -> NDArray[np.uint32]:
        """`[tokens]`: the token ids. A view that is not to be written to."""
        address = lib.longattn_tokens_ids(self._handle.pointer)
        found: NDArray[np.uint32] = view(ctypes.c_uint32, address, len(self), self._handle)
        return found

    @property
    def boundaries(self) -> NDArray[np.uint64]:
        """`[tokens + 1]`: token `i` stands for the bytes from `boundaries[i]` up to `boundaries[i + 1]` of the text in
        UTF-8."""
        address = lib.longattn_tokens_boundaries(self._handle.pointer)
        found: NDArray[np.uint64] = view(ctypes.c_size_t, address, len(self) + 1, self._handle)
        return found


class Scorer:
    """An open scorer package: a model and its tokenizer.

    `model` is a directory with model.onnx and tokenizer.json, as `longattn export` makes it, or a bare model.onnx, which
    scores token ids alone. Every setting is a keyword. Any threads may use one scorer at once, and get the same bits as one
    alone.

    A pickled scorer is opened anew from the same path where it is unpickled, and one that was open before `os.fork()` in the
    child that uses it.

    Raises OnnxRuntimeError where ONNX Runtime is missing or too old, InvalidSettingError, and InvalidModelError,
    UnsupportedError or FileError for a package that is damaged, of a kind that this version cannot use, or unreadable.
    """

    def __init__(self, model: str | os.PathLike[str], **settings: Unpack[Settings]) -> None:
        # No path stays none, for the library to refuse.
        self._path: str = os.path.abspath(model) if os.fspath(model) else ""
        self._settings: dict[str, Any] = dict(settings)
        self._opening = threading.Lock()
        self._handle: Handle | None = None
        self._process = 0
        self._is_closed = False
        self.handle()

    @property
    def path(self) -> str:
        """The package's absolute path."""
        return self._path

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it was opened with, those with defaults left out."""
        return dict(self._settings)

    def close(self) -> None:
        """Frees the model. Calls that are running end as if nothing had happened; later ones raise ValueError."""
        self._is_closed = True
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[..., Scorer], tuple[Any, ...]]:
        return _reopen, (self._path, self._settings)

    def __repr__(self) -> str:
        settings = "".join(f", {key}={value!r}" for key, value in self._settings.items())
        return f"Scorer({self._path!r}{settings})"

    def describe(self) -> dict[str, Any]:
        """What the package is: its contract, heads, inputs and outputs, files, and what the model says of itself."""
        found: dict[str, Any] = json.loads(made_text(lib.longattn_scorer_describe, self.handle().pointer))
        return found

    def identity(self) -> str:
        """What scores depend on beside their inputs: scorers whose identities are equal give the same bits. The package is
        read for it once."""
        handle = self.handle()
        return interruptible(Cancel(), lambda: made_text(lib.longattn_scorer_identity, handle.pointer))

    @property
    def head_count(self) -> int:
        """The heads that each window is scored by; 0 where the model does not tell before it is run."""
        return int(lib.longattn_scorer_head_count(self.handle().pointer))

    def setting(self, key: str) -> str:
        """The value of a setting, as the command line takes it."""
        return value_in(self.config(), key)

    def config(self) -> Handle:
        """A copy of the settings, for the library."""
        return Handle(lib.longattn_scorer_config(self.handle().pointer), lib.longattn_config_free)

    def tokenize(self, text: str) -> Tokens:
        """Splits a text into tokens, without special ones.

        Raises UnsupportedError where the package has no tokenizer, InvalidRecordError where the tokenizer gives up.
        """
        handle, data = self.handle(), _text(text)
        call = lib.longattn_scorer_tokenize
        return Tokens(interruptible(Cancel(), lambda: made(lib.longattn_tokens_free, call, handle.pointer, data, len(data))))

    def windows(self, text: str) -> list[Window]:
        """Cuts a document into windows of the setting `window`, in the order of the paper's Algorithm 1; none where it is
        shorter.

        Raises what `tokenize` does.
        """
        handle, data = self.handle(), _text(text)
        call = lib.longattn_scorer_cut
        owner = interruptible(Cancel(), lambda: made(lib.longattn_windows_free, call, handle.pointer, data, len(data)))
        return list(_windows(owner, data))

    def score(self, window: str | Ids, *, heads: bool = False, layers: bool = False, cancel: Cancel | None = None) -> Score:
        """Scores one window: a text, or token ids without special ones. What is longer than the setting `window` is cut there.

        With `heads` the score has `head_proportions` and `head_variances`; with `layers`, of a package of several layers,
        `layers`; with the setting `profile`, `distance_profile`.

        Raises TooShortError below 2 tokens, InvalidTextError, InvalidArgumentError for an id outside the vocabulary,
        NonFiniteError for damaged weights, MemoryLimitError, CancelledError, UnsupportedError for layers of a model that does
        not tell them, and what `tokenize` does.
        """
        handle, given = self.handle(), _Input(window)
        cancel = cancel or Cancel()
        if heads or layers or self._has_profile():
            details = self._details([given], heads, layers, None, cancel)
            (score,) = _score_many(handle, [given], details, "raise", None, cancel)
            return cast(Score, score)
        return interruptible(cancel, lambda: _score(handle, given, cancel))

    @overload
    def score_many(
        self,
        windows: Iterable[str | Ids],
        *,
        heads: bool = False,
        layers: bool = False,
        rows: int | Literal["all"] | None = None,
        errors: Literal["raise"] = "raise",
        progress: Callable[[int, int], object] | None = None,
        cancel: Cancel | None = None,
    ) -> list[Score]: ...

    @overload
    def score_many(
        self,
        windows: Iterable[str | Ids],
        *,
        heads: bool = False,
        layers: bool = False,
        rows: int | Literal["all"] | None = None,
        errors: Literal["return"],
        progress: Callable[[int, int], object] | None = None,
        cancel: Cancel | None = None,
    ) -> list[Score | LongAttnError]: ...

    def score_many(
        self,
        windows: Iterable[str | Ids],
        *,
        heads: bool = False,
        layers: bool = False,
        rows: int | Literal["all"] | None = None,
        errors: Literal["raise", "return"] = "raise",
        progress: Callable[[int, int], object] | None = None,
        cancel: Cancel | None = None,
    ) -> list[Score] | list[Score | LongAttnError]:
        """Scores many windows on all threads of the scorer, in their order and with the bits of `score`.

        A window that cannot be scored raises its error, or with `errors="return"` has it in the place of its score; what would
        befall every window, such as a runtime that failed, is raised in any case. `progress` is called with the windows and
        the tokens that are done. `heads`, `layers` and the setting `profile` are as in `score`. `rows` computes about so many
        rows of attention, at least 320, or all, whatever the setting says: for rounds on more rows of what
        `Selector.in_doubt` names.
        """
        handle = self.handle()
        given = [_Input(window) for window in windows]
        if errors not in ("raise", "return"):
            raise ValueError(f'errors is "raise" or "return", not {errors!r}')
        cancel = cancel or Cancel()
        details = self._details(given, heads, layers, rows, cancel)
        return _score_many(handle, given, details, errors, progress, cancel)

    def losses(self, ids: Ids, *, cancel: Cancel | None = None) -> NDArray[np.float32]:
        """`[tokens - 1]`: the negative log-likelihood in nats of each token of a window but the first, given those before it,
        by all layers of the model. The window is framed and cut as `score` does it.

        Raises UnsupportedError for a package that was made without `longattn export --gain`, and what `score` does.
        """
        import numpy as np

        handle, given = self.handle(), IdArray(ids)
        token = cancel or Cancel()
        found = np.empty(int(self.setting("window")), np.float32)
        count = ctypes.c_size_t()
        call, place = lib.longattn_scorer_losses, (found.ctypes.data, len(found), ctypes.byref(count))
        interruptible(token, lambda: check(call, handle.pointer, given.address, given.count, token.pointer, *place))
        return found[: count.value]

    def information_gain(self, ids: Ids, *, cancel: Cancel | None = None) -> float:
        """How much lower the loss of a token is, in nats, when the model sees the whole window before it than when it sees
        only the last 128 to 255 tokens: the mean over the tokens from the 256th on, which may be negative.

        Raises TooShortError below 257 tokens, and what `losses` does.
        """
        handle, given = self.handle(), IdArray(ids)
        token = cancel or Cancel()
        gain = ctypes.c_double()
        call, place = lib.longattn_scorer_information_gain, ctypes.byref(gain)
        interruptible(token, lambda: check(call, handle.pointer, given.address, given.count, token.pointer, place))
        return gain.value

    def _has_profile(self) -> bool:
        return text_of(self._settings.get("profile")) == "true"

    def _details(
        self, given: Sequence[_Input], heads: bool, layers: bool, rows: int | Literal["all"] | None, cancel: Cancel
    ) -> Details:
        handle = self.handle()
        head_capacity = self.head_count if heads else 0
        if heads and not head_capacity:
            # A model that does not tell its heads has told them once it was run.
            head_capacity = _heads_of_a_score(handle, given, cancel)
        layer_count = int(lib.longattn_scorer_layer_count(handle.pointer)) if layers else 0
        return Details(len(given), head_capacity, max(layer_count, layers), self._has_profile(), rows)

    def handle(self) -> Handle:
        """The open package in this process, for the library."""
        handle = self._handle
        if handle is not None and self._process == os.getpid():
            return handle
        if self._is_closed:
            raise ValueError("this scorer is closed")
        if self._process not in (0, os.getpid()):
            # A lock of the parent's may be held for ever.
            self._opening = threading.Lock()
        with self._opening:
            if self._handle is None or self._process != os.getpid():
                self._handle, self._process = _open(self._path, self._settings), os.getpid()
            return self._handle


def window_id(document: str, number: int) -> str:
    """The id of a window, as a job gives it: that of its document, and its number among the document's windows."""
    name = encode(document)
    return made_text(lib.longattn_window_id, name, len(name), number)


def category_of(path: str | os.PathLike[str]) -> str:
    """The category of documents that name none, as a job gives it: after their file, or their folder, which ends in a
    slash."""
    name = encode_path(path)
    return made_text(lib.longattn_category_of, name, len(name))


def _reopen(path: str, settings: Settings) -> Scorer:
    return Scorer(path, **settings)


def _open(path: str, settings: dict[str, Any]) -> Handle:
    config = config_of(settings)
    if value_in(config, "onnxruntime") == "auto":
        _runtime.load()
    name = encode(path)
    return interruptible(Cancel(), lambda: _made_scorer(name, config))


def _made_scorer(name: bytes, config: Handle) -> Handle:
    try:
        return made(lib.longattn_scorer_free, lib.longattn_scorer_open, name, len(name), config.pointer)
    except OnnxRuntimeError as error:
        if _runtime.library_of_package() is None and "was not found" in str(error):
            raise OnnxRuntimeError(f"{_runtime.MISSING}\n{error}") from None
        raise


def _text(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"a text is a str, not {_kind(text)}")
    return encode(text)


def _kind(value: object) -> str:
    return f"{value!r}" if value is None or isinstance(value, float) else type(value).__name__


class _Input:
    """A window as the library reads it."""

    __slots__ = ("_memory", "value")

    def __init__(self, window: str | Ids) -> None:
        if isinstance(window, str):
            text = TextBuffer(encode(window))
            self._memory: object = text
            self.value = _abi.longattn_input(text.address, text.length, None, 0)
        elif isinstance(window, (bytes, bytearray)) or not hasattr(window, "__len__"):
            raise TypeError(f"a window is a str or token ids, not {_kind(window)}")
        else:
            ids = IdArray(window)
            self._memory = ids
            # Of no ids the address may be NULL, which would stand for a text.
            self.value = _abi.longattn_input(None, 0, ids.address or ctypes.addressof(_NO_IDS), ids.count)


_NO_IDS = ctypes.c_uint32()


def _windows(owner: Handle, text: bytes) -> Iterator[Window]:
    for number in range(lib.longattn_windows_count(owner.pointer)):
        found = _abi.longattn_window()
        check(lib.longattn_windows_get, owner.pointer, number, ctypes.byref(found))
        yield Window(number, found, text, owner)


def _score(handle: Handle, given: _Input, cancel: Cancel) -> Score:
    found = _abi.longattn_score()
    window = ctypes.byref(given.value)
    check(lib.longattn_scorer_score, handle.pointer, window, cancel.pointer, None, 0, ctypes.byref(found))
    return score_of(found)


def _heads_of_a_score(handle: Handle, given: Sequence[_Input], cancel: Cancel) -> int:
    """The heads of the first window that can be scored."""
    for window in given:
        with contextlib.suppress(LongAttnError):
            return interruptible(cancel, functools.partial(_score, handle, window, cancel)).head_count
    return 0


def _score_many(
    handle: Handle,
    given: Sequence[_Input],
    details: Details,
    errors: str,
    progress: Callable[[int, int], object] | None,
    cancel: Cancel,
) -> list[Any]:
    inputs = array_of(_abi.longattn_input, len(given))
    for index, window in enumerate(given):
        inputs[index] = window.value
    results = array_of(_abi.longattn_result, len(given))
    callbacks = Callbacks(cancel)
    callback = _abi.longattn_progress(callbacks.guard(_tell_progress(progress))) if progress else _abi.longattn_progress()

    def work() -> None:
        call, wanted = lib.longattn_scorer_score_many_details, ctypes.byref(details.value)
        check(call, handle.pointer, wanted, inputs, len(given), cancel.pointer, callback, None, results)

    try:
        callbacks.work(work)
        return [_result(result, details.of(index, result.score), errors) for index, result in enumerate(results)]
    finally:
        lib.longattn_results_free(results, len(given))


def _tell_progress(tell: Callable[[int, int], object]) -> Callable[..., None]:
    def told(windows: int, tokens: int, _: int | None) -> None:
        tell(windows, tokens)

    return told


def _result(result: _abi.longattn_result, details: dict[str, Any], errors: str) -> Score | LongAttnError:
    if not result.error:
        return score_of(result.score, **details)
    error = read_error(result.error)
    if errors == "raise" or error.is_fatal:
        raise error
    return error
