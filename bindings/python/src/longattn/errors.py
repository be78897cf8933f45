"""Every failure is a LongAttnError; its class tells what kind, for a program to act on, its text what to do about it."""

from __future__ import annotations

from . import _abi


class LongAttnError(Exception):
    """Something that the library could not do."""

    is_fatal = False
    """Whether what failed one window would fail all others of the same length too, such as a runtime that is missing."""


class InvalidArgumentError(LongAttnError, ValueError):
    """An argument is out of range, or two contradict each other."""


class InvalidTextError(LongAttnError, ValueError):
    """A text is not valid Unicode, such as one with half of a surrogate pair."""


class InvalidSettingError(LongAttnError, ValueError):
    """A setting's key or value is not one of the valid ones, which the message lists."""


class FileError(LongAttnError, OSError):
    """A file could not be read or written, or another job is at work in its directory."""


class InvalidRecordError(LongAttnError, ValueError):
    """A record of a corpus, a score file or a journal is malformed, or a text one on which the tokenizer gives up."""


class InvalidModelError(LongAttnError):
    """A checkpoint or scorer package is missing, damaged, or contradicts itself."""


class UnsupportedError(LongAttnError):
    """A well-formed model or tokenizer of a kind that this version cannot use, or one that lacks what was asked for."""


class OnnxRuntimeError(LongAttnError):
    """ONNX Runtime could not be found, loaded or started."""


class MemoryLimitError(LongAttnError, MemoryError):
    """The work would take more memory than the setting `memory_limit` allows."""


class NonFiniteError(LongAttnError, ArithmeticError):
    """NaN or infinity, in what the model gave or in what was given."""


class TooShortError(LongAttnError, ValueError):
    """Fewer than two tokens, which have no score."""


class CancelledError(LongAttnError):
    """The work was asked to stop."""


class InternalError(LongAttnError):
    """A bug in the library, which it survives."""


_CLASSES: dict[int, type[LongAttnError]] = {
    _abi.LONGATTN_STATUS_INVALID_ARGUMENT: InvalidArgumentError,
    _abi.LONGATTN_STATUS_INVALID_UTF8: InvalidTextError,
    _abi.LONGATTN_STATUS_INVALID_SETTING: InvalidSettingError,
    _abi.LONGATTN_STATUS_IO: FileError,
    _abi.LONGATTN_STATUS_INVALID_RECORD: InvalidRecordError,
    _abi.LONGATTN_STATUS_INVALID_MODEL: InvalidModelError,
    _abi.LONGATTN_STATUS_UNSUPPORTED: UnsupportedError,
    _abi.LONGATTN_STATUS_RUNTIME: OnnxRuntimeError,
    _abi.LONGATTN_STATUS_MEMORY_LIMIT: MemoryLimitError,
    _abi.LONGATTN_STATUS_NON_FINITE: NonFiniteError,
    _abi.LONGATTN_STATUS_TOO_SHORT: TooShortError,
    _abi.LONGATTN_STATUS_CANCELLED: CancelledError,
    _abi.LONGATTN_STATUS_INTERNAL: InternalError,
}


def error_of(status: int, message: str, is_fatal: bool) -> LongAttnError:
    """The error of a status; one that a later library has is a LongAttnError."""
    error = _CLASSES.get(status, LongAttnError)(message)
    error.is_fatal = is_fatal
    return error
