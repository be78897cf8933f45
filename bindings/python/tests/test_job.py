"""The whole job, beside the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import QUERY_KEY, random_text

import longattn

TIMES = re.compile("second|hours")
RESULTS = ["selected.jsonl", "scores.jsonl", "rejects.jsonl"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    text = random_text(18_000, 1)
    documents = [{"id": f"d{n}", "category": f"c{n % 2}", "text": text[n * 500 : n * 500 + 900]} for n in range(30)]
    lines = [json.dumps(document) for document in documents]
    (corpus / "a.jsonl").write_text("\n".join([*lines, "no object", lines[0]]) + "\n")
    return corpus


def command(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "longattn", *map(str, arguments)], check=True)


def test_a_run_has_the_bytes_of_the_command(corpus: Path, tmp_path: Path) -> None:
    told: list[longattn.Progress] = []
    rejects: list[longattn.Reject] = []
    result = longattn.run(
        QUERY_KEY,
        corpus,
        tmp_path / "here",
        window=60,
        ratio=0.3,
        per_head=True,
        progress=told.append,
        on_reject=rejects.append,
    )
    command(
        "run", "--quiet", "--model", QUERY_KEY, "--window", 60, "--ratio", 0.3, "--per-head", corpus, "-o", tmp_path / "there"
    )
    for name in RESULTS:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    assert result.report.exists()
    assert told[-1].done == told[-1].total
    assert [reject.line for reject in rejects] == [31, 32]
    assert result.summary.duplicates == 1
    assert [category.name for category in result.categories] == ["c0", "c1"]
    assert sum(category.selected for category in result.categories) == result.summary.windows_selected
    assert len(list(result.selected())) == result.summary.windows_selected
    assert len(list(result.rejects())) == 2
    assert "c1" in result._repr_html_()


def test_selecting_anew_needs_no_scores(corpus: Path, tmp_path: Path) -> None:
    scorer = longattn.Scorer(QUERY_KEY, window=60)
    with longattn.Job(scorer, corpus, tmp_path / "result") as job:
        assert job.categories() == ()
        scored = job.score()
        with pytest.raises(longattn.FileError, match="at work"):
            longattn.Job(scorer, corpus, tmp_path / "result", earlier_results="resume")
        job.select(count=3)
        first = [category.selected for category in job.categories()]
        summary = job.select(count=5)
        assert (first, summary.windows_selected, summary.tokens_scored) == ([3, 3], 10, scored.tokens_scored)
    with pytest.raises(ValueError, match="closed"):
        job.run()
    scores = [json.loads(line) for line in (tmp_path / "result" / "scores.jsonl").open()]
    selection = longattn.select(scores, count=5)
    selected = [json.loads(line)["id"] for line in (tmp_path / "result" / "selected.jsonl").open()]
    assert {window.id for window in selection.selected()} == set(selected)
    assert len(selection) == scored.windows
    assert selection[-1] == selection[len(selection) - 1]
    assert selection[:2] == [selection[0], selection[1]]
    with pytest.raises(IndexError):
        selection[len(selection)]


def test_shards_are_selected_from_as_one(corpus: Path, tmp_path: Path) -> None:
    settings: Any = {"window": 60, "ratio": 0.3}
    whole = longattn.run(QUERY_KEY, corpus, tmp_path / "whole", **settings)
    for shard in (1, 2):
        longattn.run(QUERY_KEY, corpus, tmp_path / f"shard-{shard}", shard=f"{shard}/2", **settings)
    told: list[longattn.Progress] = []
    shards = [tmp_path / "shard-2", tmp_path / "shard-1"]
    result = longattn.select_results(shards, tmp_path / "selection", ratio=0.3, progress=told.append)
    for name in RESULTS:
        assert (tmp_path / "selection" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert result.categories == whole.categories
    assert result.summary.windows_selected == whole.summary.windows_selected == len(list(result.selected()))
    assert told
    with pytest.raises(longattn.InvalidArgumentError, match="2"):
        longattn.select_results(shards[:1], tmp_path / "half", ratio=0.3)


def test_rows_are_read_from_json_lines_alone(corpus: Path, tmp_path: Path) -> None:
    result = longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, output_format="parquet")
    with pytest.raises(FileNotFoundError, match="output_format"):
        result.selected()
    assert result.categories


def test_selectors_merge_and_travel() -> None:
    parts = [longattn.Selector() for _ in range(3)]
    whole = longattn.Selector()
    for number in range(30):
        score = dict(zip(longattn.Selector.FIELDS, (60, 15, 0, number * 0.7 % 1, -number * 0.3 % 1), strict=True))
        for selector in (parts[number % 3], whole):
            selector.add(f"w{number}", "books", score)
    import pickle

    merged = pickle.loads(pickle.dumps(parts[0]))
    for part in parts[1:]:
        merged.merge(part)
    assert (len(merged), len(parts[1])) == (30, 0)
    assert list(merged.finish(ratio=0.2)) == list(whole.finish(ratio=0.2))
    with pytest.raises(KeyError):
        merged.add("x", "books", {"dependency_strength": 0.5})


def test_rounds_by_hand_end_without_doubt() -> None:
    scorer = longattn.Scorer(QUERY_KEY, window=1024, rows=320)
    texts = [random_text(1024, seed) for seed in range(12)]
    selector = longattn.Selector()
    scores = scorer.score_many(texts)
    for number, score in enumerate(scores):
        selector.add(f"w{number}", "books", score)
    rounds = 0
    while doubted := selector.in_doubt(scores, ratio=0.5):
        rounds += 1
        assert all(scores[ordinal].dependency_strength_error > 0 for ordinal in doubted)
        for ordinal, score in zip(doubted, scorer.score_many((texts[n] for n in doubted), rows="all"), strict=True):
            assert (score.rows, score.dependency_strength_error) == (1024, 0)
            scores[ordinal] = score
            selector.rescore(ordinal, score)
    assert rounds > 0
    exact = longattn.Selector()
    for number, score in enumerate(longattn.Scorer(QUERY_KEY, window=1024).score_many(texts)):
        exact.add(f"w{number}", "books", score)
    chosen = [{window.id for window in each.finish(ratio=0.5).selected()} for each in (selector, exact)]
    assert chosen[0] == chosen[1]
    with pytest.raises(ValueError, match="11 scores for 12 windows"):
        selector.in_doubt(scores[1:])
    with pytest.raises(longattn.InvalidArgumentError, match="no window 12"):
        selector.rescore(12, scores[0])


def test_an_adaptive_run_is_a_setting(corpus: Path, tmp_path: Path) -> None:
    result = longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, ratio=0.3, adaptive=True)
    assert result.summary.windows_exact <= result.summary.windows
    # Rows that have no far keys need not be computed.
    assert result.summary.rows_of_exact_scores == (60 - 15) * result.summary.windows


def test_a_function_that_fails_stops_the_job(corpus: Path, tmp_path: Path) -> None:
    def give_up(progress: longattn.Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, progress=give_up)
    result = longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, earlier_results="resume")
    assert result.summary.windows > 0


def test_one_thread_at_a_time_uses_a_job(corpus: Path, tmp_path: Path) -> None:
    told: list[str] = []
    with longattn.Job(longattn.Scorer(QUERY_KEY, window=60), corpus, tmp_path / "result") as job:

        def use_it(progress: longattn.Progress) -> None:
            for use in (job.score, job.categories, job.close):
                with pytest.raises(RuntimeError, match="at work") as caught:
                    use()
                told.append(str(caught.value))

        job.run(progress=use_it)
        assert len(told) >= 3
    job.close()


def test_results_that_are_there_are_refused(corpus: Path, tmp_path: Path) -> None:
    summary = longattn.score_corpus(QUERY_KEY, corpus, tmp_path / "result", window=60)
    assert summary.windows_selected == 0
    with pytest.raises(longattn.InvalidArgumentError, match="result"):
        longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60)
    with pytest.raises(longattn.InvalidArgumentError, match="min_distance"):
        longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, min_distance=3, earlier_results="resume")
    with pytest.raises(longattn.FileError):
        longattn.run(QUERY_KEY, tmp_path / "none", tmp_path / "other", window=60)
    with pytest.raises(longattn.InvalidSettingError, match="color"):
        longattn.run(QUERY_KEY, corpus, tmp_path / "other", color="red")  # type: ignore[call-arg]


INTERRUPTED = """
import sys, threading, os, signal, time, longattn
# A shell has what it starts in the background ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    while not os.path.exists(sys.argv[2] + "/journal.jsonl") or os.path.getsize(sys.argv[2] + "/journal.jsonl") < 20000:
        time.sleep(0.01)
    print("interrupted", time.monotonic(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    longattn.run(sys.argv[1], sys.argv[3], sys.argv[2], window=60)
except KeyboardInterrupt:
    print("stopped", time.monotonic())
"""


def test_an_interrupt_stops_within_a_second_and_it_goes_on(tmp_path: Path) -> None:
    text = random_text(18_000, 1)
    lines = [json.dumps({"id": f"d{n}", "text": text[n : n + 9000]}) for n in range(150)]
    corpus, result = tmp_path / "corpus.jsonl", tmp_path / "result"
    corpus.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, QUERY_KEY, str(result), str(corpus)], capture_output=True, text=True, timeout=120
    )
    words = done.stdout.split()
    assert words[::2] == ["interrupted", "stopped"], done.stderr
    assert float(words[3]) - float(words[1]) < 2
    resumed = longattn.run(QUERY_KEY, corpus, result, window=60, earlier_results="resume")
    assert resumed.summary.windows_known > 0
    longattn.run(QUERY_KEY, corpus, tmp_path / "whole", window=60)
    assert (result / "selected.jsonl").read_bytes() == (tmp_path / "whole" / "selected.jsonl").read_bytes()


def test_a_calibration_has_the_bytes_of_the_command(tmp_path: Path) -> None:
    model = Path("target/check-c/deep").resolve()
    texts = sorted(Path("src").glob("*/*.rs"))[:40]
    corpus = tmp_path / "code.jsonl"
    corpus.write_text("".join(json.dumps({"id": path.name, "text": path.read_text()}) + "\n" for path in texts))
    settings: Any = {"window": 64, "calibration_windows": 4, "pieces": 2}
    found = longattn.calibrate(model, corpus, tmp_path / "here", **settings)
    flags = ["--window", 64, "--windows", 4, "--pieces", 2]
    command("calibrate", "--quiet", "--model", model, *flags, corpus, "-o", tmp_path / "there")
    bytes_here, bytes_there = ((tmp_path / place / "calibration.json").read_bytes() for place in ("here", "there"))
    assert without_seconds(bytes_here) == without_seconds(bytes_there)
    assert found.json["verdict"] == found.verdict
    assert "<svg" in found._repr_html_()


def without_seconds(text: bytes) -> Any:
    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if not TIMES.search(key)}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(json.loads(text))


def test_the_progress_bar_closes(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longattn.run(QUERY_KEY, corpus, tmp_path / "result", window=60, progress=True)
    assert "reading" in capsys.readouterr().err
