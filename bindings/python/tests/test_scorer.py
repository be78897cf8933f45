"""Scorers, windows and scores."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import ATTENTIONS, BARE, QUERY_KEY, random_text

import longattn


def test_a_text_and_its_ids_have_the_same_bits(scorer: longattn.Scorer) -> None:
    text = random_text(90, 1)
    tokens = scorer.tokenize(text)
    assert len(tokens) == 90
    assert tokens.boundaries.tolist() == list(range(91))
    score = scorer.score(text)
    for ids in (tokens.ids, tokens.ids.tolist(), tokens.ids.astype(np.int64), memoryview(tokens.ids[:60]), tokens.ids[:60]):
        assert scorer.score(ids) == score
    assert scorer.score_many([text, tokens.ids]) == [score, score]


def test_heads_and_profiles_are_arrays() -> None:
    scorer = longattn.Scorer(QUERY_KEY, window=60, profile=True)
    score = scorer.score(random_text(60, 2), heads=True)
    assert score.head_proportions is not None and score.head_variances is not None and score.distance_profile is not None
    assert score.head_proportions.shape == (scorer.head_count,)
    assert score.head_proportions.mean() == pytest.approx(score.dependency_strength)
    assert -score.head_variances.mean() == pytest.approx(score.distribution_uniformity)
    assert score.distance_profile[:].sum() == pytest.approx(1)
    assert score.as_dict()["head_variances"] == score.head_variances.tolist()
    assert "dependency_strength" in score._repr_html_()


def test_many_windows_tell_their_heads_and_profiles() -> None:
    scorer = longattn.Scorer(QUERY_KEY, window=60, profile=True)
    windows = [random_text(60, 2), "a", random_text(40, 3)]
    scores = scorer.score_many(windows, heads=True, errors="return")
    assert isinstance(scores[1], longattn.TooShortError)
    for score, window in ((scores[0], windows[0]), (scores[2], windows[2])):
        assert isinstance(score, longattn.Score)
        assert score.as_dict() == scorer.score(window, heads=True).as_dict()
        assert longattn.Scorer(QUERY_KEY, window=60).score(window) == score
    assert scorer.score_many([], heads=True) == []


def test_a_model_of_another_exporter_tells_its_heads() -> None:
    scorer = longattn.Scorer(BARE)
    score = scorer.score([1, 2, 3, 4, 5, 6], heads=True)
    assert score.head_proportions is not None and len(score.head_proportions) == score.head_count
    (again,) = scorer.score_many([[1, 2, 3, 4, 5, 6]], heads=True)
    assert again.as_dict() == score.as_dict()


def test_layers_losses_and_gain() -> None:
    scorer = longattn.Scorer("target/check-c/deep", window=300)
    ids = [number * 7 % 40 for number in range(300)]
    score = scorer.score(ids, layers=True)
    assert score.layers and len(score.layers) == len(scorer.describe()["metadata"]["layers"])
    strengths = [layer.dependency_strength for layer in score.layers]
    assert np.mean(strengths) == pytest.approx(score.dependency_strength)
    squares = [layer.far_square_mass for layer in score.layers]
    assert np.mean(squares) == pytest.approx(score.far_square_mass) and min(squares) > 0
    assert score.as_dict()["layers"][0]["layer"] == score.layers[0].layer
    assert [each.layers for each in scorer.score_many([ids, ids], layers=True)] == [score.layers] * 2
    losses = scorer.losses(ids)
    assert losses.dtype == np.float32 and len(losses) == score.token_count - 1
    assert (losses > 0).all()
    gain = scorer.information_gain(ids)
    assert -1 < gain < losses.max()
    with pytest.raises(longattn.TooShortError):
        scorer.information_gain(ids[:200])


def test_what_a_package_does_not_tell_is_refused(scorer: longattn.Scorer) -> None:
    with pytest.raises(longattn.UnsupportedError, match="gain"):
        scorer.losses([1, 2, 3])
    with pytest.raises(longattn.UnsupportedError, match="layers"):
        longattn.Scorer(BARE).score([1, 2, 3], layers=True)


def test_views_outlive_what_they_are_of(scorer: longattn.Scorer) -> None:
    ids = [window.ids for window in scorer.windows(random_text(200, 3))]
    expected = [row.tolist() for row in ids]
    gc.collect()
    assert [row.tolist() for row in ids] == expected
    with pytest.raises(ValueError, match="read-only"):
        ids[0][0] = 1


def test_windows_are_slices_of_the_text(scorer: longattn.Scorer) -> None:
    text = "Ein Jäger aus Kurpfalz, der reitet " * 5
    windows = scorer.windows(text)
    assert len(windows) > 2
    for number, window in enumerate(windows):
        assert window.number == number
        assert window.text == text.encode()[window.byte_start : window.byte_end].decode()
        assert window.id_in("a") == f"a#{number}"
        assert len(window.ids) == window.token_count == 60
    assert scorer.windows("short") == []


@pytest.mark.parametrize("window", [None, float("nan"), b"text", 7, object()])
def test_what_is_no_window_is_a_type_error(scorer: longattn.Scorer, window: Any) -> None:
    with pytest.raises(TypeError, match="a window is a str or token ids"):
        scorer.score(window)
    with pytest.raises(TypeError, match="a text is a str"):
        scorer.windows(window)


@pytest.mark.parametrize("ids", [[1, -1], [1 << 32], np.array([-1, 2]), np.array([1 << 40, 2])])
def test_what_is_no_id_is_a_value_error(scorer: longattn.Scorer, ids: Any) -> None:
    with pytest.raises(ValueError, match="from 0 to 4294967295"):
        scorer.score(ids)


@pytest.mark.parametrize("ids", [[1.5, 2], ["a"], np.array([1.0, 2.0]), np.zeros((2, 2), np.int64)])
def test_ids_are_whole_numbers(scorer: longattn.Scorer, ids: Any) -> None:
    with pytest.raises(TypeError):
        scorer.score(ids)


def test_a_text_may_hold_nuls(scorer: longattn.Scorer) -> None:
    assert len(scorer.tokenize("abc\0def")) == 7
    assert scorer.score("abc\0def").token_count == 7
    assert scorer.windows("a\0" * 40)[0].text == "a\0" * 30


def test_half_a_surrogate_pair_is_told(scorer: longattn.Scorer) -> None:
    for call in (scorer.score, scorer.windows, scorer.tokenize):
        with pytest.raises(longattn.InvalidTextError):
            call("abc \ud800 def")


def test_errors_of_many_windows(scorer: longattn.Scorer) -> None:
    windows = [random_text(60, 4), "a", [1, 2, 300]]
    scores = scorer.score_many(windows, errors="return")
    assert [type(score) for score in scores] == [longattn.Score, longattn.TooShortError, longattn.InvalidArgumentError]
    with pytest.raises(longattn.TooShortError):
        scorer.score_many(windows)
    assert scorer.score_many([]) == []
    with pytest.raises(ZeroDivisionError):
        scorer.score_many(1 / 0 for _ in range(3))


def test_progress_is_told_and_may_stop_the_work(scorer: longattn.Scorer) -> None:
    told: list[tuple[int, int]] = []
    windows = [random_text(60, seed) for seed in range(20)]
    scorer.score_many(windows, progress=lambda windows, tokens: told.append((windows, tokens)))
    assert told[-1] == (20, 1200)

    def give_up(windows: int, tokens: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        scorer.score_many(windows * 50, progress=give_up)


def test_threads_get_the_same_bits(scorer: longattn.Scorer) -> None:
    windows = [random_text(60, seed) for seed in range(32)]
    expected = scorer.score_many(windows)
    with ThreadPoolExecutor(16) as pool:
        for scores in pool.map(lambda _: [scorer.score(window) for window in windows], range(16)):
            assert scores == expected


def test_a_scorer_serves_asyncio(scorer: longattn.Scorer) -> None:
    async def several() -> list[longattn.Score]:
        return await asyncio.gather(*(asyncio.to_thread(scorer.score, random_text(60, 1)) for _ in range(8)))

    assert set(asyncio.run(several())) == {scorer.score(random_text(60, 1))}


def test_closing_ends_nothing_that_runs(scorer: longattn.Scorer) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(scorer.score_many, [random_text(60, seed)] * 200) for seed in range(4)]
        time.sleep(0.05)
        scorer.close()
        outcomes = [call.exception() or len(call.result()) for call in calls]
    assert all(outcome == 200 or isinstance(outcome, ValueError) for outcome in outcomes)
    with pytest.raises(ValueError, match="closed"):
        scorer.score("abc")


def test_cancel_and_timeout() -> None:
    scorer = longattn.Scorer(ATTENTIONS, window=60)
    windows = [random_text(60, 1)] * 30_000
    begun = time.monotonic()
    with pytest.raises(longattn.CancelledError):
        scorer.score_many(windows, cancel=longattn.Cancel(timeout=0.2))
    cancel = longattn.Cancel()
    threading.Timer(0.2, cancel.request).start()
    with pytest.raises(longattn.CancelledError):
        scorer.score_many(windows, cancel=cancel)
    assert cancel.is_requested
    assert time.monotonic() - begun < 10


def test_a_pickled_scorer_is_opened_anew(scorer: longattn.Scorer) -> None:
    again = pickle.loads(pickle.dumps(scorer))
    assert again.settings == {"window": 60}
    assert again.score(random_text(60, 1)) == scorer.score(random_text(60, 1))
    assert again.identity() == scorer.identity()
    assert longattn.Scorer(QUERY_KEY, window=59).identity() != scorer.identity()


def score_in_child(scorer: longattn.Scorer, text: str) -> longattn.Score:
    return scorer.score(text)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(scorer: longattn.Scorer, method: str) -> None:
    expected = scorer.score(random_text(60, 1))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(score_in_child, [(scorer, random_text(60, 1))] * 4) == [expected] * 4


def test_a_child_of_fork_uses_its_parents_scorer(scorer: longattn.Scorer) -> None:
    expected = scorer.score(random_text(60, 1))
    queue: Any = multiprocessing.get_context("fork").Queue()
    child = multiprocessing.get_context("fork").Process(target=lambda: queue.put(scorer.score(random_text(60, 1))))
    child.start()
    assert queue.get(timeout=30) == expected
    child.join()
    assert scorer.score(random_text(60, 1)) == expected


def test_importing_is_cheap() -> None:
    heavy = "import sys, longattn; print(sorted({'numpy', 'onnxruntime', 'torch', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
