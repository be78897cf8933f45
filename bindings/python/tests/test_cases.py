"""The cases that the tests of every language read, and agree with to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import longattn
from longattn import _abi, errors

NUMBERS = {error: status for status, error in errors._CLASSES.items()}


def rows(path: str) -> Iterator[list[str]]:
    for line in Path(path).read_text().split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")


def settings_of(text: str) -> dict[str, Any]:
    return dict(setting.split("=", 1) for setting in text.split())


def test_scores() -> None:
    for package, settings, kind, given, *expected in rows("target/cases/scores.tsv"):
        scorer = longattn.Scorer(package, **settings_of(settings))
        window: Any = given if kind == "text" else [int(id) for id in given.split()]
        score = scorer.score(window)
        counts = [score.token_count, score.min_distance, score.sink_tokens, score.head_count, score.rows]
        assert counts == [int(number) for number in expected[:5]]
        means = [score.dependency_strength, score.distribution_uniformity]
        deviations = [score.dependency_strength_error, score.distribution_uniformity_error]
        assert means + deviations == [float(number) for number in expected[5:9]]
        profile = [] if score.distance_profile is None else score.distance_profile.tolist()
        assert profile == [float(share) for share in expected[9].split()]
        assert scorer.score_many([window, window]) == [score, score]


def test_windows() -> None:
    scorers: dict[str, longattn.Scorer] = {}
    for window, tokens, starts in rows("tests/data/cases/windows.tsv"):
        scorer = scorers.setdefault(window, longattn.Scorer("tests/data/tiny/query-key", window=window))
        found = scorer.windows("a" * int(tokens))
        assert [window.token_start for window in found] == [int(start) for start in starts.split()]


def test_selections() -> None:
    selections: dict[tuple[str, str], list[list[str]]] = {}
    for name, settings, *window in rows("tests/data/cases/selection.tsv"):
        selections.setdefault((name, settings), []).append(window)
    for (_, settings), windows in selections.items():
        selector = longattn.Selector()
        for category, id, tokens, strength, uniformity, *_ in windows:
            numbers = (int(tokens), 0, 0, float(strength), float(uniformity))
            selector.add(id, category, dict(zip(longattn.Selector.FIELDS, numbers, strict=True)))
        found = selector.finish(**settings_of(settings))  # type: ignore[misc]
        expected = [
            (id, category, int(rank), float(lds), made == "true") for category, id, _, _, _, rank, lds, made in windows
        ]
        assert [(window.id, window.category, window.rank, window.lds, window.selected) for window in found] == expected


@pytest.mark.parametrize("case", list(rows("tests/data/cases/errors.tsv")), ids=lambda case: "-".join(case[:2]))
def test_errors(case: list[str]) -> None:
    status, call, package, settings, argument, words = case
    with pytest.raises(longattn.LongAttnError) as caught:
        fail(call, package, settings_of(settings), argument)
    assert NUMBERS[type(caught.value)] == int(status)
    assert words in str(caught.value)


def fail(call: str, package: str, settings: dict[str, Any], argument: str) -> None:
    if call == "set":
        longattn.Selector().finish(**settings)
    elif call == "finish":
        selector = longattn.Selector()
        for id in argument.split():
            selector.add(id, "books", dict.fromkeys(longattn.Selector.FIELDS, 0))
        selector.finish(**settings)
    elif call == "add":
        strength, uniformity = (float(number) for number in argument.split())
        score = {"dependency_strength": strength, "distribution_uniformity": uniformity}
        longattn.Selector().add("a", "books", {**dict.fromkeys(longattn.Selector.FIELDS, 0), **score})
    elif call == "from_json":
        longattn.Selector.from_json(argument)
    else:
        scorer = longattn.Scorer(package, **settings)
        score_badly(scorer, call, argument)


def score_badly(scorer: longattn.Scorer, call: str, argument: str) -> None:
    cancel = longattn.Cancel()
    if call == "score_tokens":
        scorer.score([int(id) for id in argument.split()])
    elif call == "score_bytes":
        scorer.score(bytes.fromhex(argument).decode("utf-8", "surrogateescape"))
    elif call == "score_cancelled":
        cancel.request()
        scorer.score(argument, cancel=cancel)
    else:
        scorer.score(argument)


def test_every_status_has_a_class() -> None:
    statuses = {value for name, value in vars(_abi).items() if name.startswith("LONGATTN_STATUS_")}
    assert statuses == {_abi.LONGATTN_STATUS_OK, *NUMBERS.values()}
