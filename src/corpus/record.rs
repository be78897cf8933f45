//! A document, and the fields of a JSON object that it is read from.

use serde_json::{Map, Value};

use super::Place;

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it was read.
    pub place: Place,
    /// Unlike every other record's of the same reader.
    pub id: String,
    /// The group that it competes in.
    pub category: String,
    /// Its text; a record has text, token ids or both.
    pub text: Option<String>,
    /// Its token ids, where the corpus is tokenized already.
    pub token_ids: Option<Vec<u32>>,
    /// The JSON object it was read from, in its own order and with its own names, less text and token ids. Empty for a text
    /// file.
    pub fields: Map<String, Value>,
}

/// The fields that hold a record's text, id and category. One that is set must be in every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Unset: `text`, or else `content`.
    pub text: Option<String>,
    /// Unset: `id`, or else the input's name and the line, as in `books.jsonl:17`.
    pub id: Option<String>,
    /// Unset: `category`, or else the name of the input file or folder.
    pub category: Option<String>,
}

const TOKEN_IDS: &str = "token_ids";

/// What a JSON object says of a record; the rest is made from where it stands.
pub(super) struct Content {
    pub category: Option<String>,
    pub text: Option<String>,
    pub token_ids: Option<Vec<u32>>,
    pub fields: Map<String, Value>,
}

impl Fields {
    /// The id in the object, if any, or the reason why the object is not usable.
    pub(super) fn id(&self, object: &Map<String, Value>) -> Result<Option<String>, String> {
        label(object, self.id.as_deref(), "id", "--id-field")
    }

    /// Everything but the id, or the reason why the object is not usable.
    pub(super) fn content(&self, mut object: Map<String, Value>) -> Result<Content, String> {
        let category = label(&object, self.category.as_deref(), "category", "--category-field")?;
        let text_field = self.text_field(&object)?;
        if text_field.is_none() && is_absent(&object, TOKEN_IDS) {
            let found = names(&object);
            return Err(format!(
                "no text: there is neither text, content nor token_ids among {found}; name the field with --text-field"
            ));
        }
        let text = text_field.map(|field| take_text(&mut object, field)).transpose()?;
        let token_ids = object.shift_remove(TOKEN_IDS).map_or(Ok(None), parse_token_ids)?;
        Ok(Content { category, text, token_ids, fields: object })
    }

    fn text_field(&self, object: &Map<String, Value>) -> Result<Option<&str>, String> {
        if let Some(field) = self.text.as_deref() {
            return require(object, field, "--text-field").map(|()| Some(field));
        }
        Ok(["text", "content"].into_iter().find(|field| !is_absent(object, field)))
    }
}

fn take_text(object: &mut Map<String, Value>, field: &str) -> Result<String, String> {
    match object.shift_remove(field) {
        Some(Value::String(text)) => Ok(text),
        other => Err(format!("the field `{field}` is {}, not a string", kind(&other.unwrap_or_default()))),
    }
}

fn parse_token_ids(value: Value) -> Result<Option<Vec<u32>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Array(items) => items.iter().enumerate().map(parse_token_id).collect::<Result<_, _>>().map(Some),
        other => Err(format!("the field `{TOKEN_IDS}` is {}, not an array", kind(&other))),
    }
}

fn parse_token_id((index, item): (usize, &Value)) -> Result<u32, String> {
    let id = item.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| format!("`{TOKEN_IDS}[{index}]` is not a token id, a whole number from 0 to {}", u32::MAX))
}

/// An id or a category: a string or a number.
fn label(object: &Map<String, Value>, set: Option<&str>, default: &str, flag: &str) -> Result<Option<String>, String> {
    if let Some(field) = set {
        require(object, field, flag)?;
    }
    let field = set.unwrap_or(default);
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(label)) => Ok(Some(label.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(other) => Err(format!("the field `{field}` is {}, not a string or a number", kind(other))),
    }
}

fn require(object: &Map<String, Value>, field: &str, flag: &str) -> Result<(), String> {
    if is_absent(object, field) {
        return Err(format!("no field `{field}`, which {flag} asks for, among {}", names(object)));
    }
    Ok(())
}

fn is_absent(object: &Map<String, Value>, field: &str) -> bool {
    object.get(field).is_none_or(Value::is_null)
}

fn names(object: &Map<String, Value>) -> String {
    if object.is_empty() {
        return "its fields (it has none)".to_owned();
    }
    let quoted: Vec<_> = object.keys().map(|name| format!("`{name}`")).collect();
    format!("its fields {}", quoted.join(", "))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(fields: &Fields, object: Value) -> Result<Content, String> {
        let Value::Object(object) = object else { panic!("not an object") };
        fields.content(object)
    }

    fn reason(fields: &Fields, object: Value) -> String {
        content(fields, object).err().expect("a reject")
    }

    fn id(fields: &Fields, object: Value) -> Result<Option<String>, String> {
        fields.id(object.as_object().expect("an object"))
    }

    #[test]
    fn text_comes_before_content() {
        let object = json!({"content": "b", "text": "a", "url": 1});
        let found = content(&Fields::default(), object).unwrap();
        assert_eq!(found.text.as_deref(), Some("a"));
        assert_eq!(Value::Object(found.fields).to_string(), r#"{"content":"b","url":1}"#);
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
    fn labels_are_strings_or_numbers() {
        let fields = Fields::default();
        assert_eq!(id(&fields, json!({"id": 42})), Ok(Some("42".into())));
        assert_eq!(id(&fields, json!({"id": u64::MAX})), Ok(Some(u64::MAX.to_string())));
        assert_eq!(id(&fields, json!({"id": null})), Ok(None));
        assert_eq!(id(&fields, json!({})), Ok(None));
        assert_eq!(id(&fields, json!({"id": [1]})), Err("the field `id` is an array, not a string or a number".into()));
        assert_eq!(content(&fields, json!({"text": "", "category": 2024})).unwrap().category.as_deref(), Some("2024"));
        assert!(reason(&fields, json!({"text": "", "category": {}})).contains("`category` is an object"));
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
        assert_eq!(found.fields.len(), 1);
        for wrong in [json!([1, -1]), json!([1, 4294967296u64]), json!([1, 1.5]), json!([1, "a"])] {
            assert!(reason(&Fields::default(), json!({"token_ids": wrong})).starts_with("`token_ids[1]` is not"));
        }
        assert!(reason(&Fields::default(), json!({"token_ids": "a"})).contains("a string, not an array"));
        assert!(reason(&Fields::default(), json!({"text": 5})).contains("`text` is a number, not a string"));
    }
}
