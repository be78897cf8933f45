//! Which types of columns hold JSON values, none of them losing a digit.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::object::{RawObject, array_items, decode};

/// What all values of a column have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Kind {
    /// Nothing but null.
    #[default]
    Null,
    Boolean,
    /// Whole numbers within these bounds.
    Integer(i128, i128),
    /// Numbers that are floats to the last digit, and those that are no numbers.
    Float,
    String,
    Array(Box<Kind>),
    Object(Vec<(String, Kind)>),
    /// Objects whose names are values.
    Map(Box<Kind>),
    /// What a table has in a column of this type, which is no list, struct or map.
    Column(DataType),
    /// Of no one kind: each is kept as it was written.
    Mixed,
}

/// The largest whole number up to which floats have all of them.
const MOST_FLOAT_INTEGER: i128 = 1 << 53;

/// The most digits that a decimal of 128 bits holds.
const DECIMAL_DIGITS: u8 = 38;
const MOST_DECIMAL: i128 = 10_i128.pow(DECIMAL_DIGITS as u32) - 1;

/// The most significant digits that every float keeps.
const FLOAT_DIGITS: usize = 17;

/// Fields of an object beyond which its names are taken for values, as in counts of words.
const MOST_FIELDS: usize = 1000;

/// Objects and arrays within each other, beyond which they are kept as they were written.
const MOST_DEPTH: usize = 32;

impl Kind {
    /// The kind of an object's values, by their names.
    pub fn of_object(object: &RawObject) -> Self {
        Self::of_fields(object, MOST_DEPTH)
    }

    fn of_fields(object: &RawObject, depth: usize) -> Self {
        let mut fields: Vec<(String, Self)> = Vec::new();
        for (name, value) in object.iter() {
            let kind = Self::of(value, depth);
            match fields.iter_mut().find(|field| field.0 == name) {
                Some(field) => field.1 = kind,
                None => fields.push((name.to_owned(), kind)),
            }
        }
        Self::Object(fields)
    }

    /// A field of objects.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|field| field.0 == name).map(|field| &field.1)
    }

    fn of(value: &str, depth: usize) -> Self {
        match value.as_bytes()[0] {
            b'n' => Self::Null,
            b't' | b'f' => Self::Boolean,
            b'"' => Self::String,
            b'[' if depth > 0 => match array_items(value) {
                Ok(items) => {
                    let kinds = items.into_iter().map(|item| Self::of(item, depth - 1));
                    Self::Array(Box::new(kinds.fold(Self::Null, Self::merge)))
                }
                Err(_) => Self::Mixed,
            },
            b'{' if depth > 0 => {
                RawObject::parse(value).map_or(Self::Mixed, |object| Self::of_fields(&object, depth - 1))
            }
            b'[' | b'{' => Self::Mixed,
            _ => Self::of_number(value),
        }
    }

    fn of_number(number: &str) -> Self {
        if number.ends_with(['N', 'y']) {
            return Self::Float;
        }
        if !number.contains(['.', 'e', 'E']) {
            let value = number.parse::<i128>().ok().filter(|value| value.abs() <= MOST_DECIMAL);
            return value.filter(|_| number != "-0").map_or(Self::Mixed, |value| Self::Integer(value, value));
        }
        let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
        let digits = mantissa.chars().filter(char::is_ascii_digit).skip_while(|digit| *digit == '0').count();
        let is_float = digits <= FLOAT_DIGITS && number.parse().is_ok_and(f64::is_finite);
        if is_float { Self::Float } else { Self::Mixed }
    }

    /// What the rows of a table are, by the types of its columns. Those that JSON has no form for, from which they could be
    /// made again, are null, like those of nothing but null.
    pub fn of_columns(columns: &Fields) -> Self {
        Self::Object(
            columns.iter().map(|column| (column.name().clone(), Self::of_column(column.data_type()))).collect(),
        )
    }

    fn of_column(column: &DataType) -> Self {
        use DataType::*;
        match column {
            List(items) | LargeList(items) | ListView(items) | LargeListView(items) | FixedSizeList(items, _) => {
                Self::Array(Box::new(Self::of_column(items.data_type())))
            }
            Struct(fields) => Self::of_columns(fields),
            Map(entry, _) => match entry.data_type() {
                Struct(fields) if fields.len() == 2 && fields[0].data_type().is_string() => {
                    Self::Map(Box::new(Self::of_column(fields[1].data_type())))
                }
                // As rows have them.
                entries => Self::Array(Box::new(Self::of_column(entries))),
            },
            Dictionary(_, values) => Self::of_column(values),
            RunEndEncoded(_, values) => Self::of_column(values.data_type()),
            Utf8 | LargeUtf8 | Utf8View => Self::Column(Utf8),
            Binary | LargeBinary | BinaryView => Self::Column(Binary),
            Null | Union(..) | Interval(_) | Duration(_) => Self::Null,
            column => Self::Column(column.clone()),
        }
    }

    /// What two tables give the same type, and what only one of them has. All else is mixed.
    pub fn agree(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Array(items), Self::Array(others)) => Self::Array(Box::new(items.agree(*others))),
            (Self::Map(values), Self::Map(others)) => Self::Map(Box::new(values.agree(*others))),
            (Self::Object(fields), Self::Object(others)) => Self::merge_fields(fields, others, Self::agree),
            (kind, other) if kind == other => kind,
            _ => Self::Mixed,
        }
    }

    /// Without what is mixed, so that values decide.
    pub fn agreed(self) -> Self {
        match self {
            Self::Mixed => Self::Null,
            Self::Array(items) => Self::Array(Box::new(items.agreed())),
            Self::Map(values) => Self::Map(Box::new(values.agreed())),
            Self::Object(fields) => {
                Self::Object(fields.into_iter().map(|(name, kind)| (name, kind.agreed())).collect())
            }
            kind => kind,
        }
    }

    /// What the values of both have in common.
    pub fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            // It is known that all values are from tables with such columns.
            (Self::Column(column), _) | (_, Self::Column(column)) => Self::Column(column),
            (Self::Map(values), Self::Map(others)) => Self::Map(Box::new(values.merge(*others))),
            (Self::Map(values), Self::Object(fields)) | (Self::Object(fields), Self::Map(values)) => {
                Self::Map(Box::new(fields.into_iter().map(|field| field.1).fold(*values, Self::merge)))
            }
            (Self::Integer(low, high), Self::Integer(other_low, other_high)) => {
                Self::Integer(low.min(other_low), high.max(other_high))
            }
            (Self::Float, Self::Integer(low, high)) | (Self::Integer(low, high), Self::Float)
                if -MOST_FLOAT_INTEGER <= low && high <= MOST_FLOAT_INTEGER =>
            {
                Self::Float
            }
            (Self::Array(items), Self::Array(others)) => Self::Array(Box::new(items.merge(*others))),
            (Self::Object(fields), Self::Object(others)) => Self::merge_fields(fields, others, Self::merge),
            (kind, other) if kind == other => kind,
            _ => Self::Mixed,
        }
    }

    fn merge_fields(
        mut fields: Vec<(String, Self)>,
        others: Vec<(String, Self)>,
        merge: impl Fn(Self, Self) -> Self,
    ) -> Self {
        for (index, (name, kind)) in others.into_iter().enumerate() {
            // Most objects have the same fields in the same order.
            let place = match fields.get(index) {
                Some(field) if field.0 == name => Some(index),
                _ => fields.iter().position(|field| field.0 == name),
            };
            match place {
                Some(place) => fields[place].1 = merge(std::mem::take(&mut fields[place].1), kind),
                None => fields.push((name, kind)),
            }
        }
        if fields.len() > MOST_FIELDS { Self::Mixed } else { Self::Object(fields) }
    }

    /// The type of a column for these values.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer(low, high) if *low >= i64::MIN.into() && *high <= i64::MAX.into() => DataType::Int64,
            Self::Integer(low, high) if *low >= 0 && *high <= u64::MAX.into() => DataType::UInt64,
            Self::Integer(..) => DataType::Decimal128(DECIMAL_DIGITS, 0),
            Self::Float => DataType::Float64,
            Self::Array(items) => DataType::List(Arc::new(Field::new("element", items.data_type(), true))),
            Self::Object(fields) if !fields.is_empty() => {
                DataType::Struct(fields.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect())
            }
            Self::Map(values) => {
                let entry =
                    vec![Field::new("key", DataType::Utf8, false), Field::new("value", values.data_type(), true)];
                DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into()), false)), false)
            }
            Self::Column(column) => column.clone(),
            Self::Null | Self::String | Self::Mixed | Self::Object(_) => DataType::Utf8,
        }
    }

    /// Writes a value of this kind as JSON that a reader who knows the type of its column takes.
    pub fn write(&self, value: &str, json: &mut Vec<u8>) -> Result<(), String> {
        match self {
            _ if value == "null" => json.extend_from_slice(b"null"),
            Self::Float | Self::Column(_) if value.ends_with(['N', 'y']) => write_string(value, json),
            Self::Column(column) => write_of_column(column, value, json),
            Self::Map(kind) => {
                let object = RawObject::parse(value)?;
                write_object(object.iter().map(|(name, value)| (name, kind.as_ref(), value)), json)?;
            }
            Self::Null | Self::Boolean | Self::Integer(..) | Self::Float => json.extend_from_slice(value.as_bytes()),
            Self::Array(kind) => {
                let items = array_items(value)?;
                write_list(b"[]", items, json, |item, json| kind.write(item, json))?;
            }
            Self::Object(fields) if !fields.is_empty() => {
                let object = RawObject::parse(value)?;
                let values = fields.iter().filter_map(|(name, kind)| Some((name.as_str(), kind, object.get(name)?)));
                write_object(values, json)?;
            }
            Self::String | Self::Mixed | Self::Object(_) => {
                let text = if value.starts_with('"') { decode(value)? } else { Cow::Borrowed(value) };
                write_string(&text, json);
            }
        }
        Ok(())
    }
}

/// Readers take no years but those of four digits: moments in others are numbers.
fn write_of_column(column: &DataType, value: &str, json: &mut Vec<u8>) {
    let number = value.strip_prefix('"').filter(|text| text.starts_with(['+', '-'])).and_then(|text| {
        let text = text.trim_end_matches('"');
        let moment = || text.parse().map(|moment: DateTime<Utc>| moment.naive_utc()).or_else(|_| text.parse()).ok();
        match column {
            DataType::Timestamp(unit, _) => count(moment()?, *unit),
            DataType::Date64 => count(moment()?, TimeUnit::Millisecond),
            DataType::Date32 => Some(i64::from(text.parse::<NaiveDate>().ok()?.to_epoch_days())),
            _ => None,
        }
    });
    match number {
        Some(number) => json.extend_from_slice(number.to_string().as_bytes()),
        None => json.extend_from_slice(value.as_bytes()),
    }
}

/// A moment as a number of units since 1970.
fn count(moment: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let moment = moment.and_utc();
    match unit {
        TimeUnit::Second => Some(moment.timestamp()),
        TimeUnit::Millisecond => Some(moment.timestamp_millis()),
        TimeUnit::Microsecond => Some(moment.timestamp_micros()),
        TimeUnit::Nanosecond => moment.timestamp_nanos_opt(),
    }
}

fn write_object<'a>(
    fields: impl Iterator<Item = (&'a str, &'a Kind, &'a str)>,
    json: &mut Vec<u8>,
) -> Result<(), String> {
    write_list(b"{}", fields, json, |(name, kind, value), json| {
        write_string(name, json);
        json.push(b':');
        kind.write(value, json)
    })
}

fn write_list<T>(
    [open, close]: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    json: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    json.push(*open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(item, json)?;
    }
    json.push(*close);
    Ok(())
}

fn write_string(text: &str, json: &mut Vec<u8>) {
    serde_json::to_writer(json, text).expect("a string has a form in JSON, and memory takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        values.iter().map(|value| Kind::of(value, MOST_DEPTH)).fold(Kind::Null, Kind::merge)
    }

    #[test]
    fn types_that_lose_no_digit() {
        let wide = DataType::Decimal128(38, 0);
        for (values, expected) in [
            (&["1", "null", "-9223372036854775808"][..], DataType::Int64),
            (&["0", "18446744073709551615"], DataType::UInt64),
            (&["-1", "18446744073709551615"], wide),
            (&["340282366920938463463374607431768211455"], DataType::Utf8),
            (&["0.1", "NaN", "-Infinity", "3"], DataType::Float64),
            (&["0.1", "9007199254740993"], DataType::Utf8),
            (&["0.1234567890123456789"], DataType::Utf8),
            (&["1e400"], DataType::Utf8),
            (&["true", "1"], DataType::Utf8),
            (&["null"], DataType::Utf8),
            (&["{}"], DataType::Utf8),
        ] {
            assert_eq!(kind(values).data_type(), expected, "{values:?}");
        }
        let nested = kind(&[r#"{"a":[1,null],"b":{"c":NaN}}"#, r#"{"b":null,"d":[]}"#]);
        assert_eq!(
            nested.data_type().to_string(),
            r#"Struct("a": List(Int64, field: 'element'), "b": Struct("c": Float64), "d": List(Utf8, field: 'element'))"#
        );
    }

    #[test]
    fn values_as_their_columns_take_them() {
        let written = |values: &[&str], value| {
            let mut json = Vec::new();
            kind(values).write(value, &mut json).unwrap();
            String::from_utf8(json).unwrap()
        };
        assert_eq!(written(&["1.5", "NaN"], "NaN"), r#""NaN""#);
        assert_eq!(written(&["1", "\"a\""], "1"), r#""1""#);
        assert_eq!(written(&["1", "\"a\""], r#""a\ud83d""#), "\"a\u{FFFD}\"");
        assert_eq!(written(&["{\"a\":1}", "[2]"], "[2]"), r#""[2]""#);
        let object = r#"{"b":[NaN,1], "a":"x"}"#;
        assert_eq!(written(&[object], object), r#"{"b":["NaN",1],"a":"x"}"#);
    }
}
