//! Tables as inputs and outputs: Parquet and Arrow give what JSON lines give, and take it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    ArrayRef, BinaryArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray,
};
use arrow_cast::cast;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use longattn::ErrorKind;
use longattn::choice::Choice;
use longattn::corpus::{Corpus, Fields, Layout, Output, OutputFormat, Reader, Record, Reject, Shard};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use serde_json::{Value, json};
use tempfile::TempDir;

type Items = Vec<Result<Record, Reject>>;

const ROWS: i64 = 100;

fn text(row: i64) -> String {
    format!("text {row} é \"quoted\"\n")
}

/// Documents as a table: ids are numbers, and a category is within a struct.
fn table(strings: &DataType) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(text)));
    let sources: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("s{}", row % 3))));
    let source = (Arc::new(Field::new("source", DataType::Utf8, true)), sources);
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("metadata", Arc::new(StructArray::from(vec![source]))),
        ("text", cast(&texts, strings).unwrap()),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn small_groups() -> WriterProperties {
    WriterProperties::builder().set_max_row_group_row_count(Some(7)).build()
}

fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    (0..batch.num_rows()).step_by(30).for_each(|row| writer.write(&part(batch, row)).unwrap());
    writer.into_inner().unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    (0..batch.num_rows()).step_by(30).for_each(|row| writer.write(&part(batch, row)).unwrap());
    writer.into_inner().unwrap()
}

fn part(batch: &RecordBatch, row: usize) -> RecordBatch {
    batch.slice(row, 30.min(batch.num_rows() - row))
}

/// A table in each format, under a name of that format.
fn files(batch: &RecordBatch) -> [(&'static str, Vec<u8>); 3] {
    let parquet = parquet(batch, small_groups());
    [("a.parquet", parquet), ("a.feather", arrow_file(batch)), ("a.arrow", arrow_stream(batch))]
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn by_source() -> Fields {
    Fields { category: Some("metadata.source".to_owned()), ..Fields::default() }
}

fn corpus(path: &Path, fields: Fields) -> Corpus {
    Corpus::open(&[path], fields, &[]).unwrap()
}

fn read(path: &Path, fields: Fields) -> Items {
    Reader::of(&corpus(path, fields)).collect()
}

fn reason(items: Items) -> String {
    items.into_iter().find_map(Result::err).expect("a reject").reason
}

fn check(items: Items) {
    assert_eq!(items.len() as i64, ROWS);
    for (row, record) in items.into_iter().map(Result::unwrap).enumerate() {
        let number = row as i64;
        assert_eq!((record.id, record.text), (row.to_string(), Some(text(number))));
        assert_eq!((record.category, record.place.line), (format!("s{}", number % 3), Some(row as u64 + 1)));
    }
}

#[test]
fn strings_of_every_kind_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    for strings in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, dictionary, DataType::Binary] {
        for (name, bytes) in files(&table(&strings)) {
            check(read(&write(&folder, name, &bytes), by_source()));
            check(read(&write(&folder, "named.txt", &bytes), by_source()));
        }
    }
}

#[test]
fn compressions_and_encodings_of_parquet() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_writer_version(version)
                    .set_column_dictionary_enabled("text".into(), false)
                    .set_column_encoding("text".into(), encoding);
                let bytes = parquet(&table(&DataType::Utf8), properties.build());
                check(read(&write(&folder, "a.parquet", &bytes), by_source()));
            }
        }
    }
}

#[test]
fn a_stream_may_be_compressed_and_a_parquet_file_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let [(_, parquet), _, (_, stream)] = files(&table(&DataType::Utf8));
    check(read(&write(&folder, "a.arrow.zst", &zstd::encode_all(&stream[..], 1).unwrap()), by_source()));
    let reason =
        reason(read(&write(&folder, "a.parquet.zst", &zstd::encode_all(&parquet[..], 1).unwrap()), by_source()));
    assert!(reason.contains("Parquet in a compressed file"), "{reason}");
}

#[test]
fn reading_goes_on_at_any_row() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&table(&DataType::Utf8)) {
        let corpus = corpus(&write(&folder, name, &bytes), by_source());
        let all: Vec<_> = corpus.read(0).unwrap().map(Result::unwrap).collect();
        for first in 0..all.len() {
            let mut documents = corpus.read(0).unwrap();
            for document in all[first..].iter().step_by(23) {
                documents.skip_to(document.offset, document.line).unwrap();
                assert_eq!(documents.next().unwrap().as_ref(), Ok(document), "{name} {first}");
            }
        }
        let mut documents = corpus.read(0).unwrap();
        assert!(documents.skip_to(1000, 1001).is_err());
    }
}

#[test]
fn shares_of_a_file_are_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let [(name, bytes), ..] = files(&table(&DataType::Utf8));
    let path = write(&folder, name, &bytes);
    for of in [1, 3, 8, 40] {
        let share = |number| corpus(&path, by_source()).shard(Shard::new(number, of).unwrap()).unwrap();
        let shares: Vec<Items> = (1..=of).map(|number| Reader::of(&share(number)).collect()).collect();
        assert_eq!(shares.iter().filter(|items| !items.is_empty()).count() > 1, of > 1);
        check(shares.into_iter().flatten().collect());
        let mut rest = share(of).read(0).unwrap();
        let last = share(of).read(0).unwrap().last().map(Result::unwrap);
        if let Some(last) = last {
            rest.skip_to(last.offset, last.line).unwrap();
            assert_eq!(rest.next().unwrap().as_ref(), Ok(&last));
            assert_eq!(rest.finish().unwrap().bytes, share(of).files()[0].bytes.unwrap());
        }
    }
}

#[test]
fn the_digest_is_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&table(&DataType::Utf8)) {
        let corpus = corpus(&write(&folder, name, &bytes), by_source());
        let content = corpus.read(0).unwrap().finish().unwrap();
        assert_eq!(content.bytes, bytes.len() as u64);
        assert_eq!(content.digest, longattn::digest::Digest::of(&bytes), "{name}");
        assert!(content.stamp.is_some());
    }
}

#[test]
fn a_file_cut_anywhere_counts_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&table(&DataType::Utf8)) {
        for length in (1..bytes.len()).step_by(bytes.len() / 97) {
            let items = read(&write(&folder, name, &bytes[..length]), by_source());
            assert!(items.last().is_none_or(|item| item.is_err()) && !items.is_empty(), "{name} cut to {length}");
        }
        let reason = reason(read(&write(&folder, name, &bytes[..bytes.len() - 4]), by_source()));
        assert!(reason.contains("cut short"), "{reason}");
    }
}

#[test]
fn a_damaged_file_is_a_reject() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files(&table(&DataType::Utf8)) {
        for place in (0..bytes.len()).step_by(bytes.len() / 97) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0xA5;
            // It is read or rejected, and nothing else happens.
            let items = read(&write(&folder, name, &damaged), by_source());
            assert!(items.iter().rev().skip(1).all(Result::is_ok), "a reject ends the reading: {items:?}");
        }
    }
}

#[test]
fn columns_that_are_missing_or_of_another_type_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let schema = Schema::new(vec![Field::new("body", DataType::Utf8, true), Field::new("n", DataType::Int64, true)]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..ROWS).map(text))),
        Arc::new(Int64Array::from_iter_values(0..ROWS)),
    ];
    let batch = RecordBatch::try_new(schema.into(), columns).unwrap();
    let path = write(&folder, "a.parquet", &parquet(&batch, WriterProperties::default()));
    let reason = |text: Option<&str>| {
        let items = read(&path, Fields { text: text.map(str::to_owned), ..Fields::default() });
        assert_eq!(items.len(), 1, "one reject for the file");
        self::reason(items)
    };
    assert!(reason(None).contains("among its fields `body`, `n`; name the field with --text-field"));
    assert!(reason(Some("n")).contains("the column `n` is Int64, not a string"));
    assert!(reason(Some("content")).contains("no field `content`"));
    let items = read(&path, Fields { text: Some("body".to_owned()), ..Fields::default() });
    assert_eq!(items[1].as_ref().unwrap().id, "a.parquet:2");
}

#[test]
fn other_columns_travel_to_the_last_digit() {
    let folder = tempfile::tempdir().unwrap();
    let wide = Decimal128Array::from(vec![i128::MAX / 10, -7]).with_precision_and_scale(38, 2).unwrap();
    let columns: [(&str, ArrayRef); 3] = [
        ("text", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("score", Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))),
        ("hash", Arc::new(wide)),
    ];
    for (name, bytes) in files(&RecordBatch::try_from_iter(columns).unwrap()) {
        let path = write(&folder, name, &bytes);
        let items = read(&path, Fields::default());
        let fields = |item: &Result<Record, Reject>| serde_json::to_string(&item.as_ref().unwrap().fields).unwrap();
        assert_eq!(fields(&items[0]), r#"{"score":NaN,"hash":170141183460469231731687303715884105.72}"#);
        assert_eq!(fields(&items[1]), r#"{"score":0.1,"hash":-0.07}"#);
        let bare: Items = Reader::of(&corpus(&path, Fields::default()).with_every_field(false)).collect();
        assert!(bare.iter().all(|item| item.as_ref().unwrap().fields.is_empty()));
    }
}

/// Columns of all types that stay what they are, each with a null.
fn typed_columns() -> Vec<(&'static str, ArrayRef)> {
    use DataType::*;
    let numbers = |data_type: &DataType| -> ArrayRef {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(100)]));
        cast(&numbers, data_type).unwrap()
    };
    let of_integers = |from: DataType, to: DataType| cast(&numbers(&from), &to).unwrap();
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.5)]));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"\xFF\0"[..]), None, Some(b"text")]));
    let fixed =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([7, 200]), None, Some([0, 0])].into_iter(), 2);
    let time = |unit, zone: Option<&str>| of_integers(Int64, Timestamp(unit, zone.map(Into::into)));
    let nested = |name, values: ArrayRef| (Arc::new(Field::new(name, values.data_type().clone(), true)), values);
    let within: ArrayRef =
        Arc::new(StructArray::from(vec![nested("day", of_integers(Int32, Date32)), nested("bytes", bytes.clone())]));
    let item = Arc::new(Field::new("element", Decimal128(9, 3), true));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let mut map = MapBuilder::new(Some(map_names()), StringBuilder::new(), Float32Builder::new());
    for (key, value) in [("a", f32::INFINITY), ("b", 0.1), ("", -1.0)] {
        map.keys().append_value(key);
        map.values().append_value(value);
        map.append(true).unwrap();
    }
    vec![
        ("boolean", of_integers(Int64, Boolean)),
        ("int8", numbers(&Int8)),
        ("uint64", numbers(&UInt64)),
        ("float16", cast(&floats, &Float16).unwrap()),
        ("float32", cast(&floats, &Float32).unwrap()),
        ("double", floats),
        ("decimal", numbers(&Decimal128(20, 2))),
        ("wide", numbers(&Decimal256(70, 5))),
        ("day", of_integers(Int32, Date32)),
        ("time", of_integers(Int32, Time32(TimeUnit::Millisecond))),
        ("late", of_integers(Int64, Time64(TimeUnit::Nanosecond))),
        ("moment", time(TimeUnit::Microsecond, None)),
        ("utc", time(TimeUnit::Millisecond, Some("UTC"))),
        ("zone", time(TimeUnit::Nanosecond, Some("Europe/Berlin"))),
        ("offset", time(TimeUnit::Microsecond, Some("+05:30"))),
        ("binary", bytes),
        ("fixed", Arc::new(fixed.unwrap())),
        ("string", numbers(&Utf8)),
        ("null", numbers(&Int16).slice(1, 1)),
        ("struct", within),
        ("list", cast(&list, &List(item)).unwrap()),
        ("map", Arc::new(map.finish())),
    ]
}

fn map_names() -> MapFieldNames {
    MapFieldNames { entry: "key_value".to_owned(), key: "key".to_owned(), value: "value".to_owned() }
}

/// Writes the fields of all records as they are, and reads the table again.
fn rewritten(corpus: &Corpus) -> RecordBatch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut output = Output::create(&path).unwrap().with_field_types(corpus.field_types());
    Reader::of(corpus).for_each(|item| assert!(output.write(&item.unwrap().fields).unwrap().is_continue()));
    assert!(output.finish().unwrap().is_continue());
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    builder.build().unwrap().next().unwrap().unwrap()
}

#[test]
fn columns_of_tables_keep_their_types_in_parquet() {
    let folder = tempfile::tempdir().unwrap();
    for (name, column) in typed_columns() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; column.len()]));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("text", texts, true), (name, column.clone(), true)]).unwrap();
        for (file, bytes) in files(&batch) {
            let path = write(&folder, file, &bytes);
            let table = rewritten(&corpus(&path, Fields::default()).with_typed_fields(true));
            assert_eq!(table.column_by_name(name), Some(&column), "{name} of {file}");
        }
    }
}

#[test]
fn texts_and_token_ids_are_no_fields_of_a_typed_output() {
    let folder = tempfile::tempdir().unwrap();
    let strings = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let day = cast(&Int32Array::from(vec![7]), &DataType::Date32).unwrap();
    let token_ids: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let columns = [
        ("text", strings("a text")),
        ("id", strings("an id")),
        ("token_ids", token_ids),
        ("content", strings("another text")),
        ("day", day),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for (file, bytes) in files(&batch) {
        let path = write(&folder, file, &bytes);
        let schema = rewritten(&corpus(&path, Fields::default()).with_typed_fields(true)).schema();
        let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(columns, ["id", "content", "day"], "{file}");
    }
}

#[test]
fn moments_of_any_year_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let milliseconds = vec![Some(8_000_000_000_000_000), Some(-100_000_000_000_000), Some(0), None];
    let milliseconds = Int64Array::from(milliseconds);
    let moments = |zone: Option<&str>| {
        cast(&milliseconds, &DataType::Timestamp(TimeUnit::Millisecond, zone.map(Into::into))).unwrap()
    };
    let moments = [moments(None), moments(Some("UTC")), moments(Some("America/New_York"))];
    let days: ArrayRef = Arc::new(Int32Array::from(vec![Some(80_000_000), Some(-10_000_000), Some(0), None]));
    let days = cast(&days, &DataType::Date32).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; 4]));
    for column in moments.into_iter().chain([days]) {
        let batch = RecordBatch::try_from_iter([("text", texts.clone()), ("when", column.clone())]).unwrap();
        let path = write(&folder, "a.parquet", &parquet(&batch, WriterProperties::default()));
        let table = rewritten(&corpus(&path, Fields::default()).with_typed_fields(true));
        assert_eq!(table.column_by_name("when"), Some(&column));
    }
}

#[test]
fn a_value_that_its_type_has_no_place_for_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let column = |values: Vec<i32>| cast(&Int32Array::from(values), &DataType::Date32).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("text", texts), ("day", column(vec![7]))]).unwrap();
    let path = write(&folder, "a.parquet", &parquet(&batch, WriterProperties::default()));
    let types = corpus(&path, Fields::default()).with_typed_fields(true).field_types();
    let path = folder.path().join("b.parquet");
    let mut output = Output::create(&path).unwrap().with_field_types(types);
    for day in ["1970-01-08", "yesterday"] {
        assert!(output.write(&json!({"day": day})).unwrap().is_continue());
    }
    assert!(output.finish().unwrap().is_continue());
    let days =
        longattn::corpus::Lines::<Value>::open(&path).unwrap().map(|item| item.unwrap().1.unwrap()["day"].clone());
    assert_eq!(days.collect::<Vec<_>>(), ["1970-01-08", "yesterday"]);
}

#[test]
fn types_that_differ_from_file_to_file_are_those_of_the_values() {
    let folder = tempfile::tempdir().unwrap();
    let table = |numbers: &DataType, days: &DataType| {
        let column = |data_type| cast(&Int32Array::from(vec![7]), data_type).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        RecordBatch::try_from_iter([("text", texts), ("n", column(numbers)), ("day", column(days))]).unwrap()
    };
    for (name, numbers, days) in [
        ("a", DataType::Int32, DataType::Date32),
        ("b", DataType::Int16, DataType::Date32),
        ("c", DataType::Int32, DataType::Date32),
    ] {
        write(&folder, &format!("{name}.parquet"), &parquet(&table(&numbers, &days), WriterProperties::default()));
    }
    let types = |corpus: &Corpus| {
        let schema = rewritten(corpus).schema();
        ["n", "day"].map(|name| schema.field_with_name(name).unwrap().data_type().clone())
    };
    let corpus = || corpus(folder.path(), Fields::default()).with_typed_fields(true).with_ids_from_place(true);
    assert_eq!(types(&corpus()), [DataType::Int64, DataType::Date32]);
    assert_eq!(types(&corpus().with_typed_fields(false)), [DataType::Int64, DataType::Utf8]);
    write(&folder, "d.jsonl", br#"{"text":"a","day":"today"}"#);
    assert_eq!(types(&corpus()), [DataType::Int64, DataType::Utf8]);
}

fn rows() -> Vec<Value> {
    (0..ROWS)
        .map(|row| json!({"id": format!("r{row}"), "n": row, "x": row as f64 / 3.0, "list": [row, null]}))
        .collect()
}

fn write_rows(path: &Path, layout: Layout) {
    let mut output = Output::laid_out(path, layout).unwrap();
    rows().iter().for_each(|row| assert!(output.write(row).unwrap().is_continue()));
    assert!(output.finish().unwrap().is_continue());
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read_rows(folder: &TempDir) -> Vec<Value> {
    let lines = |name: &String| longattn::corpus::Lines::<Value>::open(folder.path().join(name)).unwrap();
    let value = |item: longattn::Result<(_, Result<Value, Reject>)>| item.unwrap().1.unwrap();
    names(folder).iter().flat_map(|name| lines(name).map(value).collect::<Vec<_>>()).collect()
}

#[test]
fn what_is_written_in_any_format_is_read_again() {
    for (name, format) in OutputFormat::NAMES {
        for shard_bytes in [None, Some(1000)] {
            let folder = tempfile::tempdir().unwrap();
            write_rows(&folder.path().join("rows.x"), Layout { format: Some(*format), shard_bytes });
            assert_eq!(read_rows(&folder), rows(), "{name} {shard_bytes:?}");
            let files = names(&folder);
            match shard_bytes {
                None => assert_eq!(files, ["rows.x"]),
                Some(_) => assert_eq!(files[0], format!("rows-00000-of-{:05}.x", files.len())),
            }
        }
    }
}

#[test]
fn an_output_takes_the_place_of_all_files_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    for (shard_bytes, files) in [(Some(1000), 6), (Some(3000), 2), (None, 1), (Some(1_000_000), 1)] {
        write_rows(&path, Layout { format: None, shard_bytes });
        assert!(names(&folder).len().abs_diff(files) <= 1, "{:?}", names(&folder));
        assert_eq!(read_rows(&folder), rows());
    }
}

#[test]
fn parquet_has_typed_columns_with_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    write_rows(&path, Layout::default());
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    let types: Vec<_> = builder.schema().fields().iter().map(|field| field.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "Int64", "Float64", "List(Int64, field: 'element')"]);
    let statistics = builder.metadata().row_group(0).column(1).statistics().unwrap();
    assert_eq!(statistics.min_bytes_opt().map(<[u8]>::to_vec), Some(0_i64.to_le_bytes().to_vec()));
    let batch = builder.build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values()[7], 7);
}

#[test]
fn no_rows_are_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.parquet", "a.jsonl"] {
        let path = folder.path().join(name);
        _ = Output::create(&path).unwrap().finish().unwrap();
        assert_eq!(longattn::corpus::Lines::<Value>::open(&path).unwrap().count(), 0);
    }
}

#[test]
fn fields_of_no_one_type_are_kept_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let mut output = Output::create(&path).unwrap();
    for row in
        [r#"{"id":1,"a":NaN,"b":340282366920938463463374607431768211455}"#, r#"{"id":"x","a":1.5,"b":{"c":[NaN]}}"#]
    {
        _ = output.write(&longattn::corpus::RawObject::parse(row).unwrap()).unwrap();
    }
    _ = output.finish().unwrap();
    let lines: Vec<_> = longattn::corpus::Lines::objects(&path).unwrap().map(|item| item.unwrap().1.unwrap()).collect();
    let lines: Vec<_> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    assert_eq!(lines[0], r#"{"id":"1","a":NaN,"b":"340282366920938463463374607431768211455"}"#);
    assert_eq!(lines[1], r#"{"id":"x","a":1.5,"b":"{\"c\":[NaN]}"}"#);
}

#[test]
fn streams_take_no_tables() {
    let parquet = OutputFormat::NAMES.iter().find(|row| row.0 == "parquet").unwrap().1;
    for layout in [Layout { format: Some(parquet), shard_bytes: None }, Layout { format: None, shard_bytes: Some(1) }] {
        let error = Output::laid_out("/dev/null", layout).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}
