//! Rows of Arrow arrays as JSON objects, in the spelling of Python's `json`.

use std::fmt::Debug;
use std::io::Write;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::timezone::Tz;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, MapArray, StructArray};
use arrow_json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow_json::{Encoder, EncoderFactory};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, TimeUnit};

/// The rows of a struct as JSON objects, nulls included. Numbers keep every digit, and `NaN` and the infinities are words.
pub(super) struct JsonRows<'a> {
    encoder: NullableEncoder<'a>,
    next: usize,
    rows: usize,
}

impl<'a> JsonRows<'a> {
    /// # Errors
    /// Where a column has a type that no JSON stands for.
    pub fn new(rows: &'a StructArray) -> Result<Self, ArrowError> {
        static ROW: LazyLock<FieldRef> = LazyLock::new(|| Field::new("row", DataType::Null, false).into());
        let encoder = make_encoder(&ROW, rows, &OPTIONS)?;
        Ok(Self { encoder, next: 0, rows: rows.len() })
    }
}

impl Iterator for JsonRows<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.next == self.rows {
            return None;
        }
        let mut line = Vec::new();
        self.encoder.encode(self.next, &mut line);
        self.next += 1;
        Some(line)
    }
}

static OPTIONS: LazyLock<EncoderOptions> = LazyLock::new(|| plain().with_encoder_factory(Arc::new(AsPython)));

/// Without what is said of Python.
static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(plain);

fn plain() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true)
}

/// Writes what `arrow_json` has no form for: floats that are no numbers, times in zones that go by names, and maps whose keys
/// are no strings.
#[derive(Debug)]
struct AsPython;

impl EncoderFactory for AsPython {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Box::new(Floats { array, finite: make_encoder(field, array, &PLAIN)? })
            }
            DataType::Timestamp(_, Some(zone)) if zone.parse::<Tz>().is_err() => Box::new(Instants { array }),
            DataType::Map(entry, _) if !array.as_map().keys().data_type().is_string() => {
                let map = array.as_map();
                Box::new(Pairs { map, pairs: make_encoder(entry, map.entries(), options)? })
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Floats<'a> {
    array: &'a dyn Array,
    finite: NullableEncoder<'a>,
}

impl Floats<'_> {
    fn value(&self, index: usize) -> f64 {
        match self.array.data_type() {
            DataType::Float16 => self.array.as_primitive::<Float16Type>().value(index).to_f64(),
            DataType::Float32 => self.array.as_primitive::<Float32Type>().value(index).into(),
            _ => self.array.as_primitive::<Float64Type>().value(index),
        }
    }
}

impl Encoder for Floats<'_> {
    fn encode(&mut self, index: usize, line: &mut Vec<u8>) {
        let value = self.value(index);
        let word: &[u8] = match value {
            f64::INFINITY => b"Infinity",
            f64::NEG_INFINITY => b"-Infinity",
            _ if value.is_nan() => b"NaN",
            _ => return self.finite.encode(index, line),
        };
        line.extend_from_slice(word);
    }
}

/// Points in time, whose zone has a name: they are the same in UTC.
struct Instants<'a> {
    array: &'a dyn Array,
}

impl Instants<'_> {
    fn value(&self, index: usize) -> Option<impl Debug> {
        match self.array.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => {
                self.array.as_primitive::<TimestampSecondType>().value_as_datetime(index)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.array.as_primitive::<TimestampMillisecondType>().value_as_datetime(index)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.array.as_primitive::<TimestampMicrosecondType>().value_as_datetime(index)
            }
            _ => self.array.as_primitive::<TimestampNanosecondType>().value_as_datetime(index),
        }
    }
}

impl Encoder for Instants<'_> {
    fn encode(&mut self, index: usize, line: &mut Vec<u8>) {
        let written = match self.value(index) {
            Some(time) => write!(line, "\"{time:?}Z\""),
            // Before or behind all years that have a number.
            None => line.write_all(b"null"),
        };
        written.expect("memory takes all that is written");
    }
}

/// A map as an array of its entries, each an object.
struct Pairs<'a> {
    map: &'a MapArray,
    pairs: NullableEncoder<'a>,
}

impl Encoder for Pairs<'_> {
    fn encode(&mut self, index: usize, line: &mut Vec<u8>) {
        let offsets = self.map.value_offsets();
        line.push(b'[');
        for pair in offsets[index]..offsets[index + 1] {
            if pair > offsets[index] {
                line.push(b',');
            }
            self.pairs.encode(pair as usize, line);
        }
        line.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
    use arrow_array::{
        ArrayRef, Decimal256Array, Float32Array, Float64Array, StringArray, TimestampMicrosecondArray,
        TimestampSecondArray, UInt64Array,
    };

    use super::*;

    fn lines(columns: Vec<(&str, ArrayRef)>) -> Vec<String> {
        let rows = StructArray::try_from(columns).unwrap();
        JsonRows::new(&rows).unwrap().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn every_digit_and_every_word() {
        let wide = "-170141183460469231731687303715884105728".parse().unwrap();
        let wide = Decimal256Array::from(vec![Some(wide), None, Some(7.into()), None]).with_precision_and_scale(76, 2);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2]))),
            ("b", Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NAN), Some(16_777_216.0)]))),
            ("c", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1, 2]))),
            ("e", Arc::new(wide.unwrap())),
            ("d", Arc::new(StringArray::from(vec!["é\"\n", "\u{2028}", "", "NaN"]))),
        ];
        assert_eq!(
            lines(columns),
            [
                r#"{"a":NaN,"b":0.1,"c":18446744073709551615,"e":-1701411834604692317316873037158841057.28,"d":"é\"\n"}"#,
                "{\"a\":Infinity,\"b\":null,\"c\":0,\"e\":null,\"d\":\"\u{2028}\"}",
                r#"{"a":-Infinity,"b":NaN,"c":1,"e":0.07,"d":""}"#,
                r#"{"a":0.30000000000000004,"b":16777216.0,"c":2,"e":null,"d":"NaN"}"#,
            ]
        );
    }

    #[test]
    fn times_in_zones_that_go_by_names_are_in_utc() {
        let time = |zone: &str| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]).with_timezone(zone))
        };
        assert_eq!(
            lines(vec![("a", time("UTC")), ("b", time("America/New_York")), ("c", time("+01:00"))]),
            [
                r#"{"a":"2023-11-14T22:13:20.000001Z","b":"2023-11-14T22:13:20.000001Z","c":"2023-11-14T23:13:20.000001+01:00"}"#
            ]
        );
        let whole: ArrayRef =
            Arc::new(TimestampSecondArray::from(vec![None, Some(-1), Some(i64::MAX)]).with_timezone("UTC"));
        assert_eq!(lines(vec![("a", whole)]), [r#"{"a":null}"#, r#"{"a":"1969-12-31T23:59:59Z"}"#, r#"{"a":null}"#]);
    }

    #[test]
    fn maps_of_any_keys() {
        let mut map = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
        for length in [2, 0] {
            for key in 0..length {
                map.keys().append_value(key);
                map.values().append_value("v");
            }
            map.append(true).unwrap();
        }
        let expected = [r#"{"m":[{"key":0,"value":"v"},{"key":1,"value":"v"}]}"#, r#"{"m":[]}"#];
        assert_eq!(lines(vec![("m", Arc::new(map.finish()))]), expected);
    }
}
