"""The command, which runs in Python's own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERY_KEY, random_text

COMMAND = str(Path(sys.executable).with_name("longattn"))
RUN = ["run", "--quiet", "--model", QUERY_KEY, "--window", "60"]


def longattn(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Work for some seconds."""
    text = random_text(12_000, 1)
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps({"id": f"d{n}", "text": text[n : n + 9000]}) + "\n" for n in range(300)))
    return path


def test_statuses_and_streams_are_those_of_a_command() -> None:
    help = longattn("--help")
    assert (help.returncode, help.stderr) == (0, "")
    assert "Usage: longattn" in help.stdout
    assert longattn("--version").stdout.startswith("longattn ")
    wrong = longattn("run", "--no-such-flag")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--no-such-flag" in wrong.stderr and "Traceback" not in wrong.stderr
    failed = longattn("inspect", "nowhere")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: ")


def test_the_runtime_is_that_of_this_python_unless_another_is_named() -> None:
    environment = {"PATH": "/usr/bin:/bin"}
    done = longattn("inspect", QUERY_KEY, env=environment)
    assert done.returncode == 0, done.stderr
    assert "query-key" in done.stdout
    named = longattn("inspect", QUERY_KEY, env={**environment, "ORT_DYLIB_PATH": "/nowhere/libonnxruntime.so"})
    assert named.returncode == 1
    assert "/nowhere/libonnxruntime.so" in named.stderr


def test_arguments_keep_their_bytes(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xc3\xa4"
    os.mkdir(folder)
    with open(folder + b"/a.txt", "w") as file:
        file.write(random_text(12_000, 1))
    done = subprocess.run([COMMAND, *RUN, folder, "-o", folder + b"/result"], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert os.path.exists(folder + b"/result/selected.jsonl")


def test_it_works_as_a_pipe(corpus: Path, tmp_path: Path) -> None:
    lines = "".join(corpus.read_text().splitlines(keepends=True)[:20])
    model = Path(QUERY_KEY).resolve()
    windows = longattn("windows", "--model", model, "--window", 60, "--token-ids", input=lines, cwd=tmp_path)
    scores = longattn("score", "--model", model, "--window", 60, "--keep-fields", input=windows.stdout, cwd=tmp_path)
    best = longattn("select", "--ratio", 0.3, input=scores.stdout, cwd=tmp_path)
    whole = longattn(*RUN, "--ratio", 0.3, "-", "-o", "-", input=lines)
    ids = [[json.loads(line)["id"] for line in done.stdout.splitlines()] for done in (best, whole)]
    assert len(ids[0]) > 20
    assert sorted(ids[0]) == sorted(ids[1])


def test_a_reader_that_goes_away_is_no_failure(corpus: Path) -> None:
    arguments = [COMMAND, "windows", "--model", QUERY_KEY, "--window", "60", "--quiet", str(corpus)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout and command.stderr
        assert command.stdout.readline().startswith(b"{")
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait(60) == 0


@pytest.fixture
def running(corpus: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun to score."""
    result = tmp_path / "result"
    arguments = [COMMAND, *RUN, str(corpus), "-o", str(result)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as command:
        journal = result / "journal.jsonl"
        while not journal.exists() or journal.stat().st_size < 20_000:
            assert command.poll() is None
            time.sleep(0.01)
        yield command
        command.kill()


def test_an_interrupt_ends_it_and_it_goes_on(running: subprocess.Popen[str], corpus: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert time.monotonic() - begun < 2
    assert running.stderr and "Traceback" not in running.stderr.read()
    resumed = longattn(*RUN[:1], *RUN[2:], "--resume", corpus, "-o", tmp_path / "result")
    assert resumed.returncode == 0
    assert "scored by an earlier run" in resumed.stderr


def test_a_killed_worker_can_be_resumed(running: subprocess.Popen[str], corpus: Path, tmp_path: Path) -> None:
    running.kill()
    running.wait()
    resumed = longattn(*RUN, "--resume", corpus, "-o", tmp_path / "result")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "result" / "selected.jsonl").exists()
