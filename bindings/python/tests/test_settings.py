"""Settings are keywords, from the one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import QUERY_KEY

import longattn
from longattn._settings import Settings


def test_every_setting_is_a_keyword() -> None:
    assert [setting.key for setting in longattn.settings()] == list(Settings.__annotations__)
    assert all(setting.help and setting.valid for setting in longattn.settings())


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("profile", True, "true"),
        ("min_distance", 3, "3"),
        ("alpha", 0.25, "0.25"),
        ("rows", None, "all"),
        ("on_error", "fail", "fail"),
    ],
)
def test_values_are_read_back(key: str, value: Any, text: str) -> None:
    assert longattn.Scorer(QUERY_KEY, **{key: value}).setting(key) == text


def test_a_path_may_be_a_value() -> None:
    with pytest.raises(longattn.OnnxRuntimeError, match="nowhere"):
        longattn.Scorer(QUERY_KEY, onnxruntime=Path("/nowhere/libonnxruntime.so"))


def test_wrong_settings_list_what_is_valid() -> None:
    with pytest.raises(longattn.InvalidSettingError, match="min_distance"):
        longattn.Scorer(QUERY_KEY, color="red")  # type: ignore[call-arg]
    with pytest.raises(longattn.InvalidSettingError, match="a whole number from 1"):
        longattn.Scorer(QUERY_KEY, window=0)
