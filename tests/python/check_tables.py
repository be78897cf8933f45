"""Checks tables with the programs that people read and write them with: check_tables.py LONGATTN PACKAGE

What DuckDB, Polars, Spark, `datasets` and PyArrow write gives the windows that JSON lines give, and what longattn writes is
what they read. Spark is left out where there is no Java.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import datasets
import duckdb
import polars
import pyarrow
import pyarrow.feather
import pyarrow.parquet

LONGATTN, PACKAGE = (str(Path(argument).resolve()) for argument in sys.argv[1:])
WINDOW = "32"
CATEGORY = "metadata.source"
# One longer than what the default settings hold in one page.
LENGTHS = [100, 150, 3, 200, 33, 90] * 5

folder = Path(tempfile.mkdtemp(prefix="longattn-tables-"))
spark = None


def documents():
    for number, length in enumerate(LENGTHS):
        text = " ".join(f"word{number * 7919 * index % 997} é" for index in range(length))
        yield {
            "id": 10**12 + number,
            "text": text,
            "metadata": {"source": f"s{number % 2}", "tags": ["a", None][: number % 3]},
            "quality": number / 7 if number % 5 else None,
        }


def longattn(*arguments):
    return subprocess.run([LONGATTN, *map(str, arguments), "--model", PACKAGE, "--window", WINDOW], check=True)


def windows(path, **settings):
    """The windows of a file or folder, as JSON."""
    output = folder / "windows.jsonl"
    flags = [word for key, value in settings.items() for word in (f"--{key.replace('_', '-')}", value)]
    longattn("windows", path, "-o", output, "--category-field", CATEGORY, "--quiet", *flags)
    rejects = folder / "windows.rejects.jsonl"
    assert not rejects.exists(), rejects.read_text()
    return [json.loads(line) for line in output.read_text().splitlines()]


def started_spark():
    if shutil.which("java") is None:
        print("spark: SKIPPED, because java is missing")
        return None
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def written_by_others():
    """Paths of the same documents, by who wrote them."""
    rows = list(documents())
    lines = folder / "lines.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield "json", lines

    table = pyarrow.Table.from_pylist(rows)
    for compression in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
        for version in ["1.0", "2.0"]:
            path = folder / f"pyarrow-{compression}-{version}.parquet"
            pyarrow.parquet.write_table(
                table, path, compression=compression, data_page_version=version, row_group_size=7, data_page_size=1000
            )
            yield path.stem, path
    for encoding in ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]:
        path = folder / f"pyarrow-{encoding}.parquet"
        pyarrow.parquet.write_table(table, path, use_dictionary=False, column_encoding={"text": encoding})
        yield path.stem, path
    for kind in [pyarrow.large_string(), pyarrow.string_view(), pyarrow.binary(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())]:
        texts = table["text"].cast(pyarrow.string())
        texts = texts.dictionary_encode() if pyarrow.types.is_dictionary(kind) else texts.cast(kind)
        path = folder / f"ipc-{kind}.arrow".replace("<", "-").replace(">", "").replace(", ", "-")
        strings = table.set_column(1, "text", texts)
        with pyarrow.ipc.new_file(path, strings.schema) as writer:
            writer.write_table(strings, max_chunksize=7)
        yield path.stem, path
    for compression in ["uncompressed", "lz4", "zstd"]:
        path = folder / f"{compression}.feather"
        pyarrow.feather.write_feather(table, path, compression=compression)
        yield path.name, path

    datasets.disable_progress_bars()
    dataset = datasets.Dataset.from_list(rows)
    dataset.save_to_disk(folder / "datasets", num_shards=3)
    yield "datasets", folder / "datasets"
    dataset.to_json(folder / "datasets.json")
    yield "datasets to_json", folder / "datasets.json"
    dataset.to_parquet(folder / "datasets.parquet")
    yield "datasets to_parquet", folder / "datasets.parquet"

    polars.DataFrame(rows).write_parquet(folder / "polars.parquet")
    yield "polars parquet", folder / "polars.parquet"
    polars.DataFrame(rows).write_ipc(folder / "polars.arrow", compression="zstd")
    yield "polars ipc", folder / "polars.arrow"
    polars.DataFrame(rows).write_ndjson(folder / "polars.ndjson")
    yield "polars ndjson", folder / "polars.ndjson"

    duckdb.sql(f"COPY (SELECT * FROM '{folder}/polars.parquet') TO '{folder}/duckdb.parquet'")
    yield "duckdb parquet", folder / "duckdb.parquet"
    duckdb.sql(f"COPY (SELECT * FROM '{folder}/polars.parquet') TO '{folder}/duckdb.json.gz' (FORMAT json, COMPRESSION gzip)")
    yield "duckdb json", folder / "duckdb.json.gz"

    if spark:
        frame = spark.read.parquet(str(folder / "polars.parquet")).coalesce(1)
        frame.write.parquet(str(folder / "spark"))
        yield "spark parquet", folder / "spark"
        frame.write.json(str(folder / "spark-json"), compression="bzip2")
        yield "spark json", folder / "spark-json"


def readers(path):
    """The rows of Parquet files as JSON, by who reads them."""
    yield "duckdb", duckdb.sql(f"SELECT * FROM '{path}'").pl().to_dicts()
    yield "polars", polars.read_parquet(str(path)).to_dicts()
    loaded = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    yield "datasets", loaded.to_list()
    if spark:
        yield "spark", [row.asDict(recursive=True) for row in spark.read.parquet(str(path)).collect()]


def check_read_by_others(name, expected, *pattern):
    for reader, rows in readers(folder.joinpath(*pattern)):
        rows = sorted(rows, key=lambda row: row["id"])
        assert rows == sorted(expected, key=lambda row: row["id"]), f"{reader} reads other {name}: {rows[:1]} {expected[:1]}"


def json_rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


spark = started_spark()
expected = None
for writer, path in written_by_others():
    found = windows(path)
    if expected is None:
        expected = found
    assert found == expected, f"{writer}: {found[:1]} {expected[:1]}"
print(f"{len(expected)} windows of what others have written are the same")

corpus = folder / "lines.jsonl"
longattn("windows", corpus, "-o", folder / "windows.parquet", "--category-field", CATEGORY, "--quiet", "--token-ids")
longattn("windows", corpus, "-o", folder / "tokens.jsonl", "--category-field", CATEGORY, "--quiet", "--token-ids")
check_read_by_others("windows", json_rows(folder / "tokens.jsonl"), "windows.parquet")

scoring = ["score", folder / "polars.parquet", "--category-field", CATEGORY, "--keep-fields", "--quiet", "-o"]
longattn(*scoring, folder / "scores.jsonl")
longattn(*scoring, folder / "scores.parquet", "--output-shard-size", "20kB")
check_read_by_others("scores", json_rows(folder / "scores.jsonl"), "scores-*.parquet")

for source in [corpus, folder / "polars.parquet"]:
    running = ["run", source, "--category-field", CATEGORY, "--ratio", "0.5", "--keep-fields", "--quiet", "-o"]
    of_rows, of_columns = folder / f"{source.stem}-result", folder / f"{source.stem}-result-parquet"
    longattn(*running, of_rows)
    longattn(*running, of_columns, "--output-format", "parquet")
    for name in ["scores", "selected"]:
        check_read_by_others(name, json_rows(of_rows / f"{name}.jsonl"), of_columns, f"{name}.parquet")
metadata = pyarrow.parquet.read_metadata(of_columns / "selected.parquet")
chunks = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
without = [chunk.path_in_schema for chunk in chunks if not chunk.is_stats_set]
assert not without, f"columns without statistics: {without}"
print("windows, scores and selected windows are read by DuckDB, Polars, datasets" + (" and Spark" if spark else ""))
shutil.rmtree(folder)
