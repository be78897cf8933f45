//! JSON objects as people have them, every value kept as it was written.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize, de};
use serde_json::value::RawValue;

use super::json::{json_reason, no_form};
use crate::error::Result;

/// The fields of a JSON object in their order, each value as the text that it was read from: numbers keep every digit, and
/// what strict parsers refuse (`NaN` and `Infinity` as Python writes them, `1e400`, halves of surrogate pairs, nesting of any
/// depth) is carried through. Where a name comes twice, the last one counts, as in Python.
///
/// It is serialised with these texts, which only serializers of `serde_json` that write text can do. With a `NaN` in it the
/// result is what Python reads, but no JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawObject(Vec<(String, RawText)>);

impl RawObject {
    /// Reads an object.
    ///
    /// # Errors
    /// The reason why the text is no object.
    pub fn parse(text: &str) -> Result<Self, String> {
        Members::parse(text).map(|members| members.to_object(&[]))
    }

    /// The text of a field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().rev().find(|field| field.0 == name).map(|field| field.1)
    }

    /// A field that names something: a string, or else the value as it was written. None where it is missing or null. Half of
    /// a surrogate pair becomes U+FFFD.
    ///
    /// # Errors
    /// The reason why the field is no JSON.
    pub fn label(&self, name: &str) -> Result<Option<String>, String> {
        self.get(name).filter(|value| *value != "null").map(label).transpose()
    }

    /// Puts a field last, in place of any of its name.
    ///
    /// # Errors
    /// Of kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument) where the value has no form in JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|error| no_form(&error))?;
        self.remove(name);
        self.0.push((name.to_owned(), RawText(text.into())));
        Ok(())
    }

    /// Puts all fields of another object last, in place of any of their names.
    pub fn append(&mut self, other: Self) {
        let names: HashSet<_> = other.0.iter().map(|field| &field.0).collect();
        self.0.retain(|field| !names.contains(&field.0));
        self.0.extend(other.0);
    }

    /// Removes a field.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|field| field.0 != name);
    }

    /// The fields with the texts of their values. A name that was read twice comes twice.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), &*text.0))
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, text) in &self.0 {
            map.serialize_entry(name, text)?;
        }
        map.end()
    }
}

/// The text of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RawText(Box<str>);

/// By this name serde_json's serializers know text to be written as it is. Their own type for it may not hold `NaN`.
const RAW_TEXT: &str = "$serde_json::private::RawValue";

impl Serialize for RawText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = serializer.serialize_struct(RAW_TEXT, 1)?;
        text.serialize_field(RAW_TEXT, &*self.0)?;
        text.end()
    }
}

/// The fields of an object: their names, and the texts of their values where they stand.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Members<'a> {
    pub fn parse(text: &'a str) -> Result<Self, String> {
        // What replaces a word has its length, so that places are those in the text itself.
        let places = parse_tolerantly(text, |text| serde_json::from_str(text).map(|members| places(text, &members)))?;
        let member = |(name, value): (Range<usize>, Range<usize>)| Ok((decode(&text[name])?, &text[value]));
        places.into_iter().map(member).collect::<Result<_, String>>().map(Self)
    }

    /// The text of a field's value, unless it is null. Where there is no field of this name, it is a path through objects.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let last = self.0.iter().rev().find(|field| field.0 == name);
        last.map(|field| field.1).or_else(|| self.get_inner(name)).filter(|value| *value != "null")
    }

    fn get_inner(&self, path: &str) -> Option<&'a str> {
        path.match_indices('.').find_map(|(dot, _)| {
            let outer = self.0.iter().rev().find(|field| field.0 == path[..dot])?.1;
            if !outer.starts_with('{') {
                return None;
            }
            Members::parse(outer).ok()?.get(&path[dot + 1..])
        })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|field| &*field.0)
    }

    /// All fields but some.
    pub fn to_object(&self, without: &[&str]) -> RawObject {
        let kept = self.0.iter().filter(|field| !without.contains(&&*field.0));
        RawObject(kept.map(|(name, value)| (name.to_string(), RawText((*value).into()))).collect())
    }
}

#[derive(Default)]
struct RawMembers<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self::default())
    }
}

impl<'de> Visitor<'de> for RawMembers<'de> {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(self)
    }
}

/// Where names and values stand in the text that they were parsed from.
fn places(text: &str, members: &RawMembers<'_>) -> Vec<(Range<usize>, Range<usize>)> {
    members.0.iter().map(|(name, value)| (place(text, name), place(text, value))).collect()
}

fn place(text: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + part.get().len()
}

/// The texts of an array's items.
pub(super) fn array_items(text: &str) -> Result<Vec<&str>, String> {
    let places: Vec<_> = parse_tolerantly(text, |text| {
        serde_json::from_str::<Vec<&RawValue>>(text).map(|items| items.iter().map(|item| place(text, item)).collect())
    })?;
    Ok(places.into_iter().map(|place| &text[place]).collect())
}

/// Parses JSON, or else what Python's `json` writes in place of JSON. What is asked for must not be `NaN` or infinite: these
/// come as empty objects.
pub(super) fn parse_tolerantly<T>(text: &str, parse: impl Fn(&str) -> serde_json::Result<T>) -> Result<T, String> {
    let parsed = parse(text).or_else(|error| without_python_words(text).map_or(Err(error), |text| parse(&text)));
    parsed.map_err(|error| json_reason(&error))
}

/// Python's words that JSON lacks, and empty objects of their lengths. Nothing that is asked for takes an object, so that none
/// is taken for a value.
const PYTHON_WORDS: [(&str, &str); 3] = [("NaN", "{ }"), ("Infinity", "{      }"), ("-Infinity", "{       }")];

/// The text with [`PYTHON_WORDS`] replaced outside of strings; none where there are none.
fn without_python_words(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(next) = rest.find(['"', 'N', 'I', '-']) {
        let (before, from) = rest.split_at(next);
        plain.push_str(before);
        let word = PYTHON_WORDS.iter().find(|(word, _)| from.starts_with(word));
        let (length, replacement) = match word {
            Some((word, object)) => (word.len(), *object),
            None => {
                let length = if from.starts_with('"') { string_length(from) } else { 1 };
                (length, &from[..length])
            }
        };
        found |= word.is_some();
        plain.push_str(replacement);
        rest = &from[length..];
    }
    plain.push_str(rest);
    found.then_some(plain)
}

/// Of the string that a text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// The string that a JSON string stands for. Half of a surrogate pair, which no text can hold, becomes U+FFFD.
pub(super) fn decode(string: &str) -> Result<Cow<'_, str>, String> {
    if !string.contains('\\') {
        return Ok(Cow::Borrowed(&string[1..string.len() - 1]));
    }
    if let Ok(text) = serde_json::from_str(string) {
        return Ok(Cow::Owned(text));
    }
    let bytes = serde_json::Deserializer::from_str(string).deserialize_bytes(WideBytes);
    let bytes = bytes.map_err(|error| json_reason(&error))?;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().starts_with(&[SURROGATE_LEAD]) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Ok(Cow::Owned(text))
}

/// What each half of a surrogate pair begins with in WTF-8.
const SURROGATE_LEAD: u8 = 0xED;

/// A string as WTF-8, which serde_json gives to whoever asks for bytes.
struct WideBytes;

impl Visitor<'_> for WideBytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

/// An id or a category: a string, or else the value as it was written.
pub(super) fn label(value: &str) -> Result<String, String> {
    if value.starts_with('"') { decode(value).map(Cow::into_owned) } else { Ok(value.to_owned()) }
}

/// What a value is, in words.
pub(super) fn kind(value: &str) -> &'static str {
    match value.as_bytes()[0] {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b'n' => "null",
        b't' | b'f' => "true or false",
        b'N' | b'I' => "not a finite number",
        b'-' if value.ends_with("Infinity") => "not a finite number",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        serde_json::to_string(&RawObject::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn what_was_read_is_written() {
        let deep = format!(r#"{{"dom":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "{}",
            r#"{"a":340282366920938463463374607431768211455,"b":-9223372036854775809,"c":0.10,"d":1e400,"e":-0}"#,
            r#"{"a":NaN,"b":[Infinity,-Infinity,{"NaN":NaN}],"c":"NaN \" Infinity","d":"\\","e":NaN}"#,
            r#"{"url":"x\udcb2y","u":"\u00e9 \ud83d\ude00"}"#,
            r#"{"a":1,"a":[1, 2]}"#,
            &deep,
        ] {
            assert_eq!(written(text), text);
        }
    }

    #[test]
    fn words_of_python_are_values_alone() {
        assert_eq!(RawObject::parse(r#"{"a": -Infinity , "b":"NaN"}"#).unwrap().get("a"), Some("-Infinity"));
        for text in [
            "{NaN:1}",
            r#"{"a":NaNa}"#,
            r#"{"a":1NaN}"#,
            r#"{"a":-NaN}"#,
            r#"{"a":nan}"#,
            r#"{"a":NaN"#,
            r#"{"a":"NaN}"#,
        ] {
            assert!(RawObject::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_of_one_name_counts() {
        let mut object = RawObject::parse(r#"{"a":1,"b":2,"\u0061":3}"#).unwrap();
        assert_eq!(object.get("a"), Some("3"));
        object.set("a", "4").unwrap();
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"b":2,"a":"4"}"#);
        object.append(RawObject::parse(r#"{"b":5,"c":6}"#).unwrap());
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"a":"4","b":5,"c":6}"#);
        object.remove("a");
        assert_eq!(object.iter().collect::<Vec<_>>(), [("b", "5"), ("c", "6")]);
    }

    #[test]
    fn halves_of_surrogate_pairs() {
        for (string, text) in [
            (r#""a\ud83db""#, "a\u{FFFD}b"),
            (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
            (r#""\ud83d\ud83d\ude00é\udc00""#, "\u{FFFD}\u{1F600}é\u{FFFD}"),
            (r#""\uD7FF\uE000""#, "\u{D7FF}\u{E000}"),
            (r#""plain""#, "plain"),
        ] {
            assert_eq!(decode(string).as_deref(), Ok(text), "{string}");
        }
    }

    #[test]
    fn labels() {
        let object = RawObject::parse(r#"{"a":1.0,"b":-0,"c":"x","d":null,"e":NaN,"f":-Infinity,"g":true}"#).unwrap();
        let expected = [("a", "1.0"), ("b", "-0"), ("c", "x"), ("e", "NaN"), ("f", "-Infinity"), ("g", "true")];
        expected.iter().for_each(|(name, label)| assert_eq!(object.label(name), Ok(Some((*label).to_owned()))));
        assert_eq!((object.label("d"), object.label("x")), (Ok(None), Ok(None)));
    }
}
