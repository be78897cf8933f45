//! A document, and the fields of a JSON object that it is read from.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::object::{Members, RawObject, decode, kind, label};
use super::place::Place;

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it was read.
    pub place: Place,
    /// Unlike every other record's of the same reader.
    pub id: String,
    /// The group that it competes in.
    pub category: String,
    /// Its text; a record has text, token ids or both. Half of a surrogate pair, which no text can hold, is U+FFFD in it.
    pub text: Option<String>,
    /// Its token ids, where the corpus is tokenized already.
    pub token_ids: Option<Vec<u32>>,
    /// The JSON object it was read from, in its own order, with its own names and each value as it was written, less text and
    /// token ids. Empty for a text file.
    pub fields: RawObject,
}

/// The fields that hold a record's text, id and category. One that is set must be in every record; where none has its name,
/// it is a path through objects, as in `metadata.source`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Unset: `text`, or else `content`.
    pub text: Option<String>,
    /// Unset: `id`, or else the input's name and the line or row, as in `books.jsonl:17`. What is no string is taken as it was
    /// written.
    pub id: Option<String>,
    /// Unset: `category`, or else what [`category_of`](super::category_of) says of the input file or folder.
    pub category: Option<String>,
}

/// Where a text is, unless another field is set.
pub(super) const TEXT_FIELDS: [&str; 2] = ["text", "content"];

pub(super) const TOKEN_IDS: &str = "token_ids";

/// What a JSON object says of a record; the rest is made from where it stands.
pub(super) struct Said {
    pub category: Option<String>,
    pub text: Option<String>,
    pub token_ids: Option<Vec<u32>>,
    pub fields: RawObject,
}

impl Fields {
    /// The name of the field that holds the text: the one that is set, or else the first that is there.
    pub(super) fn text_name(&self, is_there: impl Fn(&str) -> bool) -> Option<&str> {
        self.text.as_deref().or_else(|| TEXT_FIELDS.into_iter().find(|name| is_there(name)))
    }

    /// The fields that are set, and the flags that set them.
    pub(super) fn set(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let set = [(&self.text, "--text-field"), (&self.id, "--id-field"), (&self.category, "--category-field")];
        set.into_iter().filter_map(|(field, flag)| Some((field.as_deref()?, flag)))
    }

    /// The id in the object, if any, or the reason why the object is not usable.
    pub(super) fn id(&self, object: &Members<'_>) -> Result<Option<String>, String> {
        chosen_label(object, self.id.as_deref(), "id", "--id-field")
    }

    /// Everything but the id, or the reason why the object is not usable.
    pub(super) fn content(&self, object: &Members<'_>) -> Result<Said, String> {
        let category = chosen_label(object, self.category.as_deref(), "category", "--category-field")?;
        let text_field = self.text_field(object)?;
        let token_ids = object.get(TOKEN_IDS).map(parse_token_ids).transpose()?;
        let Some(text_field) = text_field else {
            if token_ids.is_none() {
                return Err(without_text(object.names()));
            }
            return Ok(Said { category, text: None, token_ids, fields: object.to_object(&[TOKEN_IDS]) });
        };
        let text = parse_text(text_field, object.get(text_field).unwrap_or("null"))?;
        Ok(Said { category, text: Some(text), token_ids, fields: object.to_object(&[text_field, TOKEN_IDS]) })
    }

    fn text_field(&self, object: &Members<'_>) -> Result<Option<&str>, String> {
        if let Some(field) = self.text.as_deref() {
            return require(object, field, "--text-field").map(|()| Some(field));
        }
        Ok(self.text_name(|field| object.get(field).is_some()))
    }
}

fn parse_text(field: &str, value: &str) -> Result<String, String> {
    match value.starts_with('"') {
        true => decode(value).map(Cow::into_owned),
        false => Err(format!("the field `{field}` is {}, not a string", kind(value))),
    }
}

fn parse_token_ids(value: &str) -> Result<Vec<u32>, String> {
    serde_json::from_str(value).map_err(|_| wrong_token_id(value))
}

/// The reason why a value is no list of token ids.
fn wrong_token_id(value: &str) -> String {
    if !value.starts_with('[') {
        return format!("the field `{TOKEN_IDS}` is {}, not an array", kind(value));
    }
    let items: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
    let wrong = items.iter().position(|item| serde_json::from_str::<u32>(item.get()).is_err());
    let item = wrong.map_or(TOKEN_IDS.to_owned(), |index| format!("{TOKEN_IDS}[{index}]"));
    format!("`{item}` is not a token id, a whole number from 0 to {}", u32::MAX)
}

/// An id or a category, be it of the field that was set or of that by default.
fn chosen_label(object: &Members<'_>, set: Option<&str>, default: &str, flag: &str) -> Result<Option<String>, String> {
    if let Some(field) = set {
        require(object, field, flag)?;
    }
    let field = set.unwrap_or(default);
    // This is what pandas writes where there is nothing.
    object.get(field).filter(|value| *value != "NaN").map(label).transpose()
}

fn require(object: &Members<'_>, field: &str, flag: &str) -> Result<(), String> {
    match object.get(field) {
        Some(_) => Ok(()),
        None if object.names().any(|name| name == field) => {
            Err(format!("the field `{field}`, which {flag} asks for, is null"))
        }
        None => Err(missing(field, flag, object.names())),
    }
}

/// The reason why something with these fields is no record: it lacks one that was set.
pub(super) fn missing<'a>(field: &str, flag: &str, names: impl Iterator<Item = &'a str>) -> String {
    format!("no field `{field}`, which {flag} asks for, among {}", listed(names))
}

/// The reason why something with these fields is no record: none of them may be its text.
pub(super) fn without_text<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let found = listed(names);
    format!("no text: there is neither text, content nor token_ids among {found}; name the field with --text-field")
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    match quoted.is_empty() {
        true => "its fields (it has none)".to_owned(),
        false => format!("its fields {}", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn content(fields: &Fields, object: Value) -> Result<Said, String> {
        fields.content(&Members::parse(&object.to_string()).unwrap())
    }

    fn reason(fields: &Fields, object: Value) -> String {
        content(fields, object).err().expect("a reject")
    }

    fn id(fields: &Fields, object: Value) -> Result<Option<String>, String> {
        fields.id(&Members::parse(&object.to_string()).unwrap())
    }

    #[test]
    fn text_comes_before_content() {
        let object = json!({"content": "b", "text": "a", "url": 1});
        let found = content(&Fields::default(), object).unwrap();
        assert_eq!(found.text.as_deref(), Some("a"));
        assert_eq!(serde_json::to_string(&found.fields).unwrap(), r#"{"content":"b","url":1}"#);
        let found = content(&Fields::default(), json!({"text": null, "content": "b"})).unwrap();
        assert_eq!(found.text.as_deref(), Some("b"));
    }

    #[test]
    fn a_field_that_is_set_must_be_there() {
        let fields = Fields { text: Some("body".into()), id: Some("key".into()), category: Some("source".into()) };
        let whole = json!({"key": 7, "source": "web", "body": "a", "text": "b"});
        let found = content(&fields, whole.clone()).unwrap();
        assert_eq!((found.text.as_deref(), found.category.as_deref()), (Some("a"), Some("web")));
        assert_eq!(id(&fields, whole), Ok(Some("7".into())));
        let expected = "no field `body`, which --text-field asks for, among its fields `source`, `text`";
        assert_eq!(reason(&fields, json!({"source": "web", "text": "b"})), expected);
        assert!(reason(&fields, json!({"body": "a"})).contains("--category-field"));
        assert!(reason(&fields, json!({"body": "a", "source": null})).contains("--category-field"));
        assert!(id(&fields, json!({"id": "a"})).unwrap_err().contains("--id-field"));
    }

    #[test]
    fn labels_are_of_any_type() {
        let fields = Fields::default();
        assert_eq!(id(&fields, json!({"id": 42})), Ok(Some("42".into())));
        assert_eq!(id(&fields, json!({"id": u64::MAX})), Ok(Some(u64::MAX.to_string())));
        assert_eq!(id(&fields, json!({"id": null})), Ok(None));
        assert_eq!(id(&fields, json!({})), Ok(None));
        assert_eq!(id(&fields, json!({"id": [1, true]})), Ok(Some("[1,true]".into())));
        assert_eq!(content(&fields, json!({"text": "", "category": 2024})).unwrap().category.as_deref(), Some("2024"));
        assert_eq!(content(&fields, json!({"text": "", "category": {}})).unwrap().category.as_deref(), Some("{}"));
    }

    #[test]
    fn fields_by_their_paths() {
        let path = |path: &str| Some(path.to_owned());
        let fields = Fields { text: path("body.text"), id: path("meta.ids.warc"), category: path("a.b") };
        let object =
            json!({"body": {"text": "t"}, "meta": {"ids": {"warc": 7}, "x": 1}, "a.b": "whole", "a": {"b": "path"}});
        assert_eq!(id(&fields, object.clone()), Ok(Some("7".into())));
        let found = content(&fields, object).unwrap();
        assert_eq!((found.text.as_deref(), found.category.as_deref()), (Some("t"), Some("whole")));
        let kept: Vec<_> = found.fields.iter().map(|field| field.0).collect();
        assert_eq!(kept, ["body", "meta", "a.b", "a"]);
        let wrong = json!({"body": {"text": "t"}, "meta": {"ids": [7]}, "a": {"b": 1}});
        assert!(id(&fields, wrong).unwrap_err().contains("no field `meta.ids.warc`"));
    }

    #[test]
    fn without_text_the_reason_lists_the_fields_and_the_flag() {
        let reason = reason(&Fields::default(), json!({"id": 1, "body": "a"}));
        assert!(reason.contains("`id`, `body`") && reason.contains("--text-field"), "{reason}");
        assert!(self::reason(&Fields::default(), json!({})).contains("it has none"));
    }

    #[test]
    fn token_ids_stand_in_for_text() {
        let found = content(&Fields::default(), json!({"token_ids": [0, 4294967295u32], "a": 1})).unwrap();
        assert_eq!((found.text, found.token_ids), (None, Some(vec![0, u32::MAX])));
        assert_eq!(found.fields.iter().count(), 1);
        for wrong in [json!([1, -1]), json!([1, 4294967296u64]), json!([1, 1.5]), json!([1, "a"])] {
            assert!(reason(&Fields::default(), json!({"token_ids": wrong})).starts_with("`token_ids[1]` is not"));
        }
        assert!(reason(&Fields::default(), json!({"token_ids": "a"})).contains("a string, not an array"));
        assert!(reason(&Fields::default(), json!({"text": 5})).contains("`text` is a number, not a string"));
    }
}
