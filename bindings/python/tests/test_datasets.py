"""datasets of Hugging Face."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import hosts
import pytest

import longattn
import longattn.hf
from longattn import _windows

datasets.disable_progress_bars()


@pytest.fixture
def documents(tmp_path: Path) -> Any:
    paths = [str(path) for path in hosts.write_documents(tmp_path / "documents")]
    return datasets.load_dataset("json", data_files=paths, split="train", cache_dir=str(tmp_path / "cache"))


def mapped(documents: Any, model: str = hosts.MODEL, **options: Any) -> Any:
    columns = documents.column_names
    windows = documents.map(
        longattn.hf.Windows(model, **hosts.SETTINGS), batched=True, batch_size=4, remove_columns=columns, **options
    )
    return windows.map(longattn.hf.Score(model, **hosts.SETTINGS), batched=True, batch_size=16, **options)


@pytest.mark.parametrize("processes", [None, 2])
def test_the_selection_is_that_of_the_command(documents: Any, tmp_path: Path, processes: int | None) -> None:
    best = longattn.hf.select(mapped(documents, num_proc=processes), **hosts.CUT)
    assert hosts.numbers(best) == hosts.selected_by_command(tmp_path)
    for category in ("ffi", "library"):
        lds = [row["lds"] for row in best if row["category"] == category]
        assert lds == sorted(lds, reverse=True)


def test_a_stream_gives_the_same(tmp_path: Path) -> None:
    paths = [str(path) for path in hosts.write_documents(tmp_path / "documents", files=2)]
    stream = datasets.load_dataset("json", data_files=paths, split="train", streaming=True, cache_dir=str(tmp_path / "cache"))
    best = longattn.hf.select(mapped(stream), **hosts.CUT)
    assert hosts.numbers(best) == hosts.selected_by_command(tmp_path)


def test_the_cache_is_used_until_the_model_changes(documents: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    score = _windows.score_columns

    def counted(scorer: longattn.Scorer, windows: Any) -> Any:
        calls.append(len(windows))
        return score(scorer, windows)

    monkeypatch.setattr(longattn.hf, "score_columns", counted)
    model = tmp_path / "model"
    shutil.copytree(hosts.MODEL, model)
    first = mapped(documents, str(model))
    assert calls
    del calls[:]
    assert mapped(documents, str(model))[:] == first[:]
    assert not calls
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    (model / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1))
    mapped(documents, str(model))
    assert calls


def test_what_cannot_be_used_has_a_reason() -> None:
    rows = {"id": ["a", "b", None, "d"], "text": [None, "abc", "x" * 600, "y" * 300]}
    windows = datasets.Dataset.from_dict(rows).map(
        longattn.hf.Windows(hosts.MODEL, **hosts.SETTINGS), batched=True, remove_columns=["id", "text"]
    )
    scored = windows.map(longattn.hf.Score(hosts.MODEL, **hosts.SETTINGS), batched=True)
    reasons = {row["id"]: row["reason"] for row in scored}
    assert reasons == {
        "a": "a text is a str, not None",
        "None": "None is neither a text nor a whole number",
        "d#0": None,
        "d#1": None,
    }
    assert {row["id"] for row in longattn.hf.select(scored, count=5)} == {"d#0", "d#1"}


def test_texts_are_windows_of_their_own() -> None:
    texts = ["a" * 100, "b", None]
    scored = datasets.Dataset.from_dict({"text": texts}).map(longattn.hf.Score(hosts.MODEL, **hosts.SETTINGS), batched=True)
    assert scored[0]["token_count"] == 100
    assert [row["reason"] is None for row in scored] == [True, False, False]


def test_columns_of_other_names_and_types() -> None:
    score = longattn.hf.Score(hosts.MODEL, text_field="body", **hosts.SETTINGS)
    assert score({"body": ["a" * 10]})["token_count"] == [10]
    assert score({"body": []}) == {name: [] for name in (*_windows.SCORE_COLUMNS, "reason")}
    assert score({"body": [3]})["reason"] == ["3 is neither a text nor token ids"]
    with pytest.raises(KeyError, match="token ids or texts"):
        score({"text": ["a"]})
    with pytest.raises(KeyError, match="id_field"):
        longattn.hf.Windows(hosts.MODEL)({"text": ["a"]})
    with pytest.raises(TypeError, match="Dataset"):
        longattn.hf.select([], ratio=0.5)


def test_a_stream_that_changes_between_its_readings_is_told() -> None:
    readings: list[None] = []

    def rows() -> Iterator[dict[str, str]]:
        readings.append(None)
        for number in range(4):
            yield {"id": f"d{number}", "text": f"{number}{len(readings)}" * 150}

    documents = datasets.IterableDataset.from_generator(
        rows, features=datasets.Features.from_dict({name: {"dtype": "string", "_type": "Value"} for name in ("id", "text")})
    )
    cut = longattn.hf.Windows(hosts.MODEL, **hosts.SETTINGS)
    scored = documents.map(cut, batched=True, remove_columns=["id", "text"]).map(
        longattn.hf.Score(hosts.MODEL, **hosts.SETTINGS), batched=True
    )
    best = longattn.hf.select(scored, count=2)
    with pytest.raises(ValueError, match="changed between its two readings"):
        list(best)


def test_a_column_of_another_type_has_reasons() -> None:
    rows = {"id": [1, 2], "text": [b"bytes" * 100, b""]}
    windows = datasets.Dataset.from_dict(rows).map(
        longattn.hf.Windows(hosts.MODEL, **hosts.SETTINGS), batched=True, remove_columns=["id", "text"]
    )
    assert windows["reason"][:] == ["a text is a str, not bytes"] * 2
    score = longattn.hf.Score(hosts.MODEL, **hosts.SETTINGS)
    assert [reason and reason[:14] for reason in score({"text": [float("nan"), "a\ud800", b"x", 1.5]})["reason"]] == [
        "nan is neither",
        "text is not va",
        "b'x' is neithe",
        "1.5 is neither",
    ]


def test_a_generator_that_raises_is_heard() -> None:
    def rows() -> Iterator[dict[str, str]]:
        yield {"id": "a", "text": "a" * 300}
        raise ZeroDivisionError("broken source")

    stream = datasets.IterableDataset.from_generator(rows)
    with pytest.raises(ZeroDivisionError, match="broken source"):
        list(stream.map(longattn.hf.Windows(hosts.MODEL, **hosts.SETTINGS), batched=True, remove_columns=["id", "text"]))
