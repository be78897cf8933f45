"""PySpark."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hosts
import pytest
from pyspark.sql import SparkSession

import longattn.spark


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def test_two_tasks_select_what_the_command_does(spark: Any, tmp_path: Path) -> None:
    documents = spark.createDataFrame(hosts.documents()).repartition(4)
    scored = longattn.spark.score(documents, hosts.MODEL, **hosts.SETTINGS).persist()
    best = longattn.spark.select(scored, **hosts.CUT)
    rows = (row.asDict() for row in best.collect())
    assert hosts.numbers(rows) == hosts.selected_by_command(tmp_path)


def test_what_cannot_be_used_has_a_reason(spark: Any) -> None:
    documents = spark.createDataFrame([("a", None), ("b", "b" * 300)], "id string, content string")
    scored = longattn.spark.score(documents, hosts.MODEL, **hosts.SETTINGS)
    assert {row.id: row.reason for row in scored.collect()} == {
        "a": "a text is a str, not None",
        "b#0": None,
        "b#1": None,
    }
