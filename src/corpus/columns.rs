//! Which columns of a table documents are read from.

use arrow_schema::{DataType, Field, Fields as Columns, Schema};

use super::format::Asked;
use super::record::{Fields, TEXT_FIELDS, TOKEN_IDS, without_text};

/// The columns that are needed, by their indices in order.
///
/// # Errors
/// The reason why none of the rows can be a document.
pub(super) fn needed(schema: &Schema, asked: &Asked) -> Result<Vec<usize>, String> {
    let all = || (0..schema.fields().len()).collect();
    let Some(fields) = &asked.fields else { return Ok(all()) };
    let found = |name: &str| find(schema.fields(), name);
    check(schema, fields)?;
    if asked.every_field {
        return Ok(all());
    }
    let names = [(&fields.text, &TEXT_FIELDS[..]), (&fields.id, &["id"]), (&fields.category, &["category"])];
    let set = |(set, default): (&'_ Option<String>, &'static [&'static str])| match set {
        Some(name) => vec![name.clone()],
        None => default.iter().map(|name| (*name).to_owned()).collect(),
    };
    let names = names.into_iter().flat_map(set).chain([TOKEN_IDS.to_owned()]);
    let mut indices: Vec<_> = names.filter_map(|name| Some(found(&name)?.0)).collect();
    indices.sort_unstable();
    indices.dedup();
    Ok(indices)
}

/// Checks that the fields that were set are there, and that there is a text that is one.
fn check(schema: &Schema, fields: &Fields) -> Result<(), String> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let found = |name: &str| find(schema.fields(), name);
    for (set, flag) in fields.set() {
        if found(set).is_none() {
            return Err(super::record::missing(set, flag, names()));
        }
    }
    let Some(text) = fields.text_name(|name| found(name).is_some()) else {
        return if found(TOKEN_IDS).is_some() { Ok(()) } else { Err(without_text(names())) };
    };
    match found(text) {
        Some((_, column)) if !is_text(column.data_type()) => {
            Err(format!("the column `{text}` is {}, not a string", column.data_type()))
        }
        _ => Ok(()),
    }
}

/// A column by its name, or by the path to it through structs: the index of the outermost, and the column itself.
fn find<'a>(columns: &'a Columns, name: &str) -> Option<(usize, &'a Field)> {
    if let Some((index, column)) = columns.find(name) {
        return Some((index, column));
    }
    name.match_indices('.').find_map(|(dot, _)| {
        let (index, outer) = columns.find(&name[..dot])?;
        let DataType::Struct(inner) = outer.data_type() else { return None };
        Some((index, find(inner, &name[dot + 1..])?.1))
    })
}

/// Whether a column may hold texts: many programs write them as bytes.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        other => other.is_string() || other.is_binary() || other.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>())
    }

    fn asked(text: Option<&str>, category: Option<&str>) -> Asked {
        let fields =
            Fields { text: text.map(str::to_owned), category: category.map(str::to_owned), ..Fields::default() };
        Asked { fields: Some(fields), every_field: false, is_typed: false, limit: 1 }
    }

    fn nested() -> DataType {
        DataType::Struct(Columns::from(vec![Field::new("source", DataType::Utf8, true)]))
    }

    #[test]
    fn only_what_is_needed_is_read() {
        let schema = schema(&[
            ("url", DataType::Utf8),
            ("text", DataType::LargeUtf8),
            ("metadata", nested()),
            ("id", DataType::Int64),
            ("a.b", DataType::Utf8),
        ]);
        let needed = |asked| needed(&schema, &asked);
        assert_eq!(needed(asked(None, None)), Ok(vec![1, 3]));
        assert_eq!(needed(asked(None, Some("metadata.source"))), Ok(vec![1, 2, 3]));
        assert_eq!(needed(asked(Some("a.b"), None)), Ok(vec![3, 4]));
        assert_eq!(
            needed(Asked { fields: None, every_field: false, is_typed: false, limit: 1 }),
            Ok(vec![0, 1, 2, 3, 4])
        );
        assert_eq!(needed(Asked { every_field: true, ..asked(None, None) }), Ok(vec![0, 1, 2, 3, 4]));
        assert!(needed(asked(None, Some("metadata.url"))).unwrap_err().contains("--category-field"));
    }

    #[test]
    fn what_is_no_text_is_called_by_name() {
        let reason = |column, kind| needed(&schema(&[(column, kind)]), &asked(None, None)).unwrap_err();
        assert_eq!(reason("text", DataType::Int64), "the column `text` is Int64, not a string");
        assert!(reason("body", DataType::Utf8).contains("among its fields `body`"));
        let dictionary = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8View.into());
        for kind in [dictionary, DataType::BinaryView, DataType::Null] {
            assert_eq!(needed(&schema(&[("content", kind)]), &asked(None, None)), Ok(vec![0]));
        }
    }
}
