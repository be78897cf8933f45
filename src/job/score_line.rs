//! Lines of scores as `score` or the released LongAttn code writes them, read without copies.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use crate::attention::FarRegion;
use crate::select::Candidate;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// What a selection needs of a line.
#[derive(Deserialize)]
pub struct ScoreLine<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    category: Option<&'a RawValue>,
    token_count: Option<u64>,
    min_distance: Option<usize>,
    sink_tokens: Option<usize>,
    dependency_strength: Option<Mean>,
    distribution_uniformity: Option<Mean>,
    /// The names of the released code.
    #[serde(borrow, default)]
    data_id: Option<&'a RawValue>,
    first_layer_proportion_score: Option<Mean>,
    variance: Option<Mean>,
}

/// What a window must have.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    pub token_counts: bool,
    /// Else dependency strength and uniformity may be missing, and count as 0.
    pub attention: bool,
}

impl<'a> ScoreLine<'a> {
    /// The line's window, or the reason why it has none. `category` is that of a line that names none.
    pub fn candidate(&self, category: &'a str, needs: Needs) -> Result<Candidate<Cow<'a, str>>, String> {
        let (strength, uniformity) = match self.is_of_released_code() {
            true => (self.first_layer_proportion_score, self.variance.map(|Mean(variance)| Mean(-variance))),
            false => (self.dependency_strength, self.distribution_uniformity),
        };
        let names = match self.is_of_released_code() {
            true => ["first_layer_proportion_score", "variance"],
            false => ["dependency_strength", "distribution_uniformity"],
        };
        let missing = |name| format!("no field `{name}`: these are no scores; make them with `longattn score`");
        let default = (!needs.attention).then_some(Mean(0.0));
        let Mean(dependency_strength) = strength.or(default).ok_or_else(|| missing(names[0]))?;
        let Mean(distribution_uniformity) = uniformity.or(default).ok_or_else(|| missing(names[1]))?;
        if self.token_count.is_none() && needs.token_counts {
            return Err("no field `token_count`, which a budget of tokens needs".to_owned());
        }
        let (category, id) = self.name(category)?;
        let far = self.min_distance.zip(self.sink_tokens);
        Ok(Candidate {
            id,
            category,
            token_count: self.token_count.unwrap_or_default(),
            far: far.map(|(min_distance, sink_tokens)| FarRegion { min_distance, sink_tokens }),
            dependency_strength,
            distribution_uniformity,
        })
    }

    /// Whether the attention of a model is in the line.
    pub fn has_attention(&self) -> bool {
        self.dependency_strength.is_some() || self.is_of_released_code()
    }

    /// The window's category and id. `category` is that of a line that names none.
    pub fn name(&self, category: &'a str) -> Result<(Cow<'a, str>, Cow<'a, str>), String> {
        let [first, second] = match self.is_of_released_code() {
            true => [("data_id", self.data_id), ("id", self.id)],
            false => [("id", self.id), ("data_id", self.data_id)],
        };
        let named = |(field, value): (&str, Option<&'a RawValue>)| value.map(|value| label(field, value));
        let id = named(first).or_else(|| named(second));
        let id = id.ok_or_else(|| format!("no field `{}` that names the window", first.0))??;
        let category = named(("category", self.category)).unwrap_or(Ok(Cow::Borrowed(category)))?;
        Ok((category, id))
    }

    /// The id of a line that was rejected, where it has one.
    pub fn id_of(line: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Id<'a> {
            #[serde(borrow, default)]
            id: Option<&'a RawValue>,
            #[serde(borrow, default)]
            data_id: Option<&'a RawValue>,
        }
        let Id { id, data_id } = serde_json::from_slice(line).ok()?;
        label("id", id.or(data_id)?).ok().map(Cow::into_owned)
    }

    fn is_of_released_code(&self) -> bool {
        self.dependency_strength.is_none() && self.first_layer_proportion_score.is_some()
    }
}

/// An id or a category: a string, or a number as it is written.
fn label<'a>(field: &str, value: &'a RawValue) -> Result<Cow<'a, str>, String> {
    let text = value.get();
    match text.as_bytes() {
        [b'"', plain @ .., b'"'] if !plain.contains(&b'\\') => Ok(Cow::Borrowed(&text[1..text.len() - 1])),
        [b'"', ..] => {
            serde_json::from_str(text).map(Cow::Owned).map_err(|error| format!("the field `{field}`: {error}"))
        }
        [b'-' | b'0'..=b'9', ..] => Ok(Cow::Borrowed(text)),
        _ => Err(format!("the field `{field}` is neither a string nor a number")),
    }
}

/// A number, or the mean of one value a head.
#[derive(Clone, Copy)]
struct Mean(f64);

impl<'de> Deserialize<'de> for Mean {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MeanVisitor)
    }
}

struct MeanVisitor;

impl<'de> Visitor<'de> for MeanVisitor {
    type Value = Mean;

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("a number or a list of one number a head")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Mean, E> {
        Ok(Mean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Mean, E> {
        Ok(Mean(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Mean, E> {
        Ok(Mean(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut heads: A) -> Result<Mean, A::Error> {
        let (mut sum, mut count) = (0.0, 0);
        while let Some(value) = heads.next_element::<f64>()? {
            sum += value;
            count += 1;
        }
        if count == 0 {
            return Err(A::Error::invalid_length(0, &self));
        }
        Ok(Mean(sum / f64::from(count)))
    }
}

/// A JSON object in its own order, its values as they are written.
#[derive(Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl<'a> Object<'a> {
    /// Sets a field, in its place where it is there already.
    pub fn insert(&mut self, name: &'a str, value: &(impl Serialize + ?Sized)) {
        let value = to_raw_value(value).expect("a text or a finite number has a form in JSON");
        self.set(Cow::Borrowed(name), Cow::Owned(value));
    }

    /// Sets a field that is not there or is null.
    pub fn insert_missing(&mut self, name: &'a str, value: &str) {
        if self.0.iter().all(|(field, value)| field != name || value.get() == "null") {
            self.insert(name, value);
        }
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        value.get().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Sets all fields of another object.
    pub fn extend(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, value)| self.set(name, value));
    }

    fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, RawValue>) {
        match self.0.iter_mut().find(|(field, _)| *field == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value.as_ref())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some((Name(name), value)) = map.next_entry::<Name, &RawValue>()? {
            object.set(name, Cow::Borrowed(value));
        }
        Ok(object)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
