"""Reads Parquet files that readers have failed on: check_parquet.py LONGATTN PACKAGE FOLDER

The folder has the public parquet-testing files and others, of all encodings, codecs and types. What longattn reads of each is what
PyArrow reads, value by value; what it refuses it names, and never does it crash.
"""

import json
import math
import re
import struct
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
from pyarrow import types

LONGATTN, PACKAGE = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
FOLDER = Path(sys.argv[3])
# Fields of a record that longattn gives a meaning of its own.
OWN = {"id", "category", "content", "text", "token_ids"}
MOST_ROWS = 1500

temporary = tempfile.TemporaryDirectory(prefix="longattn-parquet-")
folder = Path(temporary.name)


def is_text(kind):
    return is_bytes(kind) or types.is_string(kind) or types.is_large_string(kind)


def is_bytes(kind):
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)


def text_column(fields):
    """The path of the first column that may be a text."""
    for field in fields:
        if is_text(field.type):
            return field.name
    for field in fields:
        inner = [field.type.field(index) for index in range(field.type.num_fields)] if types.is_struct(field.type) else []
        if (path := text_column(inner)) is not None:
            return f"{field.name}.{path}"
    return None


def run(path, text, output):
    """Scores a file, and gives the exit status."""
    arguments = ["score", path, "--text-field", text, "--ids-from-place", "--keep-fields", "-o", output]
    done = subprocess.run(
        [LONGATTN, *map(str, arguments), "--model", PACKAGE, "--window", "16"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode in (0, 1) and "panicked" not in done.stderr, f"{path.name}: {done.returncode}: {done.stderr}"
    return done.returncode


def score(path, text):
    """The rows that longattn gives of a file, by their numbers, and the reasons of the rejects."""
    output = Path(tempfile.mkdtemp(dir=folder)) / "scores.jsonl"
    status = run(path, text, output)
    rejects = output.with_suffix(".rejects.jsonl")
    reasons = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.exists() else []
    rows = {}
    if status == 0:
        for line in output.read_text().splitlines():
            row = json.loads(line, parse_float=Decimal)
            rows[int(row["id"].rpartition(":")[2])] = row
    return rows, reasons


MOMENT = re.compile(r"\+?(?P<whole>.*?)(\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)?")


def moment(text, unit):
    """A point in time as a number of units since 1970 or midnight, every digit of it, in any year."""
    whole, fraction, zone = MOMENT.fullmatch(text).group("whole", "fraction", "zone")
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    fraction = fraction or ""
    assert not fraction[digits:].strip("0"), text
    assert zone in (None, "Z"), text
    seconds = int(numpy.datetime64(whole if "T" in whole else f"1970-01-01T{whole}", "s").astype(int))
    return seconds * 10**digits + int(fraction.ljust(digits, "0")[:digits] or 0)


def is_same(value, found):
    """Whether a value of Arrow is what JSON says."""
    kind = value.type
    if not value.is_valid:
        return found is None
    if types.is_timestamp(kind) or types.is_time(kind):
        return moment(found, kind.unit) == value.value
    value = value.as_py() if not types.is_nested(kind) else value
    if types.is_floating(kind):
        pack = "<d" if types.is_float64(kind) else "<f"
        return math.isnan(value) and math.isnan(found) or struct.pack(pack, float(found)) == struct.pack(pack, value)
    if types.is_date(kind):
        return found == value.isoformat()
    if is_bytes(kind):
        return found in (value.hex(), value.decode(errors="replace"))
    if types.is_map(kind):
        pairs = [(pair["key"], pair["value"]) for pair in value.values]
        if isinstance(found, dict):
            return len(found) == len(pairs) and all(is_same(item, found[key.as_py()]) for key, item in pairs)
        return len(found) == len(pairs) and all(
            is_same(key, pair["key"]) and is_same(item, pair["value"]) for (key, item), pair in zip(pairs, found)
        )
    if types.is_struct(kind):
        return set(found) == set(value) and all(is_same(value[name], found[name]) for name in value)
    if types.is_nested(kind):
        return len(found) == len(value) and all(map(is_same, value, found))
    return found == value


def check(path):
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException):
        rows, reasons = score(path, "name")
        assert rows or reasons, f"{path.name} is passed over in silence"
        return f"{len(rows)} rows of what PyArrow refuses" if rows else f"refused: {reasons[0]['reason'][:60]}"
    text = text_column(table.schema)
    if text is None:
        column = table.schema.names[0]
        rows, reasons = score(path, column)
        assert not rows and column in reasons[0]["reason"], f"{path.name} is not refused by the name of {column}: {reasons}"
        # Its types, in the encodings of PyArrow.
        table = table.append_column("text", pyarrow.array([f"text {row}" for row in range(table.num_rows)], pyarrow.string()))
        path, text = folder / path.name, "text"
        pyarrow.parquet.write_table(table, path)
    return compare(path, table, text)


def compare(path, table, text):
    rows, reasons = score(path, text)
    told = [reject["reason"] for reject in reasons]
    assert all("line" in reject for reject in reasons), f"{path.name}: {told}"
    assert len(rows) + len(reasons) == table.num_rows, f"{path.name}: {len(rows)} + {len(reasons)} of {table.num_rows}: {told}"
    names = [name for name in table.schema.names if name not in OWN and name != text.partition(".")[0]]
    compared = 0
    for number, row in list(rows.items())[:MOST_ROWS]:
        for name in names:
            value = table.column(name)[number - 1]
            assert name in row and is_same(value, row[name]), f"{path.name}:{number}: {name} is {row.get(name)!r}, not {value!r}"
            compared += 1
    if rows:
        compare_columns(path, table.take(pyarrow.array([number - 1 for number in sorted(rows)], pyarrow.int64())), text, names)
    return f"{len(rows)} rows, {compared} values"


def kept(kind):
    """The type that a column has in Parquet that longattn writes; none where its values decide."""
    if types.is_dictionary(kind):
        return kept(kind.value_type)
    if is_text(kind) and not types.is_fixed_size_binary(kind):
        return pyarrow.binary() if is_bytes(kind) else pyarrow.string()
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pyarrow.list_(pyarrow.field("element", item)) if (item := kept(kind.value_type)) else None
    if types.is_struct(kind):
        fields = [(field.name, kept(field.type)) for field in kind]
        return pyarrow.struct(fields) if fields and all(field[1] for field in fields) else None
    if types.is_map(kind):
        value = kept(kind.item_type)
        return pyarrow.map_(pyarrow.string(), value) if value and types.is_string(kind.key_type) else None
    return None if types.is_null(kind) or types.is_interval(kind) or types.is_duration(kind) else kind


def compare_columns(path, table, text, names):
    """Of Parquet, columns keep their types and values."""
    output = Path(tempfile.mkdtemp(dir=folder)) / "scores.parquet"
    status = run(path, text, output)
    assert status == 0, f"{path.name}: {status}"
    written = pyarrow.parquet.read_table(output)
    for name in names:
        kind = kept(table.schema.field(name).type)
        if kind is None:
            continue
        assert written.schema.field(name).type == kind, f"{path.name}: {name} is {written.schema.field(name).type}, not {kind}"
        column, expected = written.column(name), table.column(name).cast(kind)
        # What is no number equals nothing, and Python has no words for all moments.
        is_kept = column.equals(expected) or repr(column.to_pylist()) == repr(expected.to_pylist())
        assert is_kept, f"{path.name}: {name}: {column} is not {expected}"


paths = sorted(FOLDER.rglob("*.parquet"))
assert len(paths) > 40, FOLDER
for path in paths:
    print(f"{path.name}: {check(path)}", flush=True)
