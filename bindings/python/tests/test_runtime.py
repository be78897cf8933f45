"""ONNX Runtime and the library itself, as people have them: shared, two of them, too old, for another machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUERY_KEY

import longattn
from longattn import _runtime

OLD = """
static const void *api(unsigned version) { return 0; }
static const char *version(void) { return "1.10.0"; }
static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
const void *OrtGetApiBase(void) { return &base; }
"""


def python(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environment}
    )


def loaded_by(imports: str, **environment: str) -> set[str]:
    """The runtimes that a process has loaded when it has scored."""
    maps = "{line.split()[-1] for line in open('/proc/self/maps') if '/libonnxruntime.so' in line}"
    done = python(f"import {imports}; longattn.Scorer('{QUERY_KEY}').score('abc'); print(*{maps})", **environment)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_a_runtime_that_is_imported_is_shared() -> None:
    library = _runtime.library_of_package()
    assert library
    for imports in ("longattn", "onnxruntime, longattn"):
        assert loaded_by(imports) == {str(library.resolve())}


def test_of_two_runtimes_the_one_that_is_named_is_used(tmp_path: Path) -> None:
    library = _runtime.library_of_package()
    assert library
    other = tmp_path / "libonnxruntime.so"
    shutil.copy(library, other)
    assert loaded_by("longattn", ORT_DYLIB_PATH=str(other)) == {str(other)}


def test_a_runtime_that_is_too_old_is_told(tmp_path: Path) -> None:
    (tmp_path / "old.c").write_text(OLD)
    old = tmp_path / "libonnxruntime.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", old, tmp_path / "old.c"], check=True)
    done = python(f"import longattn; longattn.Scorer('{QUERY_KEY}')", ORT_DYLIB_PATH=str(old))
    assert done.returncode == 1
    assert "OnnxRuntimeError" in done.stderr and "1.10.0" in done.stderr


def test_a_library_for_another_machine_is_told(tmp_path: Path) -> None:
    foreign = bytearray(Path(longattn.__file__).with_name("liblongattn.so").read_bytes()[:4096])
    foreign[18] = 0xB7  # 64-bit Arm
    (tmp_path / "liblongattn.so").write_bytes(foreign)
    done = python("import longattn", LONGATTN_LIBRARY=str(tmp_path / "liblongattn.so"))
    assert done.returncode == 1
    assert "ImportError" in done.stderr and "built for Linux on x86_64 with glibc 2.28 or newer" in done.stderr


def test_a_missing_runtime_names_the_line_to_install(tmp_path: Path) -> None:
    # Without site-packages there is no package onnxruntime.
    source = f"import longattn; longattn.Scorer({str(Path(QUERY_KEY).resolve())!r})"
    (tmp_path / "longattn").symlink_to(Path(longattn.__file__).parent)
    arguments = [sys.executable, "-S", "-c", source]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "pip install 'longattn[onnxruntime]'" in done.stderr
    assert "Python on the PATH" not in done.stderr


def test_a_home_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGATTN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    with pytest.raises(longattn.FileError, match="LONGATTN_CACHE"):
        longattn.default_model()
