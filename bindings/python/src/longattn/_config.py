"""Settings as the library takes them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from . import _abi
from ._library import Handle, check, encode, lib, made_text, read_text


class Setting(NamedTuple):
    """One row of the table of settings."""

    key: str
    placeholder: str
    """What a value stands for, in capitals."""
    valid: str
    """Which values are valid, in words."""
    default: str
    help: str


def settings() -> list[Setting]:
    """The table of settings: each is a keyword of everything that takes settings, and a flag of the command line."""
    row = _abi.longattn_setting()
    rows: list[Setting] = []
    for index in range(lib.longattn_setting_count()):
        check(lib.longattn_setting_get, index, ctypes.byref(row))
        texts = (row.key, row.placeholder, row.valid, row.default_value, row.help)
        rows.append(Setting(*(read_text(text, None) for text in texts)))
    return rows


def text_of(value: object) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, os.PathLike):
        return os.fsdecode(cast("os.PathLike[str]", value))
    return str(value)


def config_of(settings: Mapping[str, Any], base: Handle | None = None) -> Handle:
    """A config with these settings, and otherwise as `base` or with the defaults. None leaves a setting as it is."""
    pointer = lib.longattn_config_clone(base.pointer) if base else lib.longattn_config_new()
    config = Handle(pointer, lib.longattn_config_free)
    for key, value in settings.items():
        if value is None:
            continue
        name, text = encode(key), encode(text_of(value))
        check(lib.longattn_config_set, config.pointer, name, len(name), text, len(text))
    return config


def value_in(config: Handle, key: str) -> str:
    name = encode(key)
    return made_text(lib.longattn_config_get, config.pointer, name, len(name))
