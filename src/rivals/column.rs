//! The scores that a job can add to those of its windows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};
use std::num::NonZeroUsize;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::compression::{Compressor, compression_ratio, long_range_compression_gain};
use super::losses::STRIDE;
use super::ngram::ngram_gain;
use super::recurrence::recurrence;
use crate::choice::Choice;

/// Parts that a window is compared with.
const COMPRESSION_BLOCKS: usize = 8;

/// A score that a job can add, by the name that it has among the scores of a window. All but the last two need no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// [`compression_ratio`] by zlib.
    CompressionRatio,
    /// [`compression_ratio`] by zstd.
    ZstdCompressionRatio,
    /// [`long_range_compression_gain`] by zlib, against eight parts.
    CompressionGain,
    /// [`long_range_compression_gain`] by zstd, against eight parts.
    ZstdCompressionGain,
    /// [`recurrence`] of 2-grams, 128 or more tokens back.
    BigramRecurrence,
    /// [`recurrence`] of 3-grams, 128 or more tokens back.
    TrigramRecurrence,
    /// [`ngram_gain`], plain.
    NgramGain,
    /// [`ngram_gain`], weighted as LongFilter weights.
    WeightedNgramGain,
    /// The information gain that the fitted score of the model's package predicts.
    PredictedGain,
    /// Its standard error.
    PredictedGainError,
}

impl Choice for Column {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("compression_ratio", Self::CompressionRatio),
        ("zstd_compression_ratio", Self::ZstdCompressionRatio),
        ("compression_gain", Self::CompressionGain),
        ("zstd_compression_gain", Self::ZstdCompressionGain),
        ("bigram_recurrence", Self::BigramRecurrence),
        ("trigram_recurrence", Self::TrigramRecurrence),
        ("ngram_gain", Self::NgramGain),
        ("weighted_ngram_gain", Self::WeightedNgramGain),
        ("predicted_gain", Self::PredictedGain),
        ("predicted_gain_error", Self::PredictedGainError),
    ];
}

impl Column {
    /// The column of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    /// Whether it takes the fitted score of a package, and not just text and token ids.
    pub fn is_predicted(self) -> bool {
        matches!(self, Self::PredictedGain | Self::PredictedGainError)
    }

    fn of_text(self, text: &[u8]) -> Option<f64> {
        match self {
            Self::CompressionRatio => compression_ratio(text, Compressor::Zlib),
            Self::ZstdCompressionRatio => compression_ratio(text, Compressor::Zstd),
            Self::CompressionGain => long_range_compression_gain(text, COMPRESSION_BLOCKS, Compressor::Zlib),
            Self::ZstdCompressionGain => long_range_compression_gain(text, COMPRESSION_BLOCKS, Compressor::Zstd),
            _ => None,
        }
    }

    fn of_ids(self, ids: &[u32]) -> Option<f64> {
        match self {
            Self::BigramRecurrence => recurrence(ids, NonZeroUsize::new(2)?, STRIDE),
            Self::TrigramRecurrence => recurrence(ids, NonZeroUsize::new(3)?, STRIDE),
            Self::NgramGain => ngram_gain(ids).map(|gain| gain.plain),
            Self::WeightedNgramGain => ngram_gain(ids).map(|gain| gain.weighted),
            _ => None,
        }
    }
}

/// The numbers of a window in some columns, finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns(pub BTreeMap<Column, f64>);

/// The scores of a window of `text` and token `ids`, in some columns. Those are left out that it is too short for, and those of
/// its text where that is not known, and what is [predicted](Column::is_predicted).
///
/// ```
/// use longattn::rivals::{Column, columns};
///
/// let asked = [Column::BigramRecurrence, Column::NgramGain].into();
/// let found = columns(&asked, Some("a b a b"), &[1, 2, 1, 2]);
/// assert_eq!(found.0, [(Column::BigramRecurrence, 0.0)].into());
/// ```
pub fn columns(asked: &BTreeSet<Column>, text: Option<&str>, ids: &[u32]) -> Columns {
    let gains = [Column::NgramGain, Column::WeightedNgramGain];
    // Both take one pass.
    let both = gains.iter().all(|column| asked.contains(column)).then(|| ngram_gain(ids)).flatten();
    let number = |column: &Column| match (column, both) {
        (Column::NgramGain, Some(gain)) => Some(gain.plain),
        (Column::WeightedNgramGain, Some(gain)) => Some(gain.weighted),
        _ => column.of_ids(ids).or_else(|| column.of_text(text?.as_bytes())),
    };
    Columns(asked.iter().filter_map(|column| Some((*column, number(column)?))).collect())
}

impl Serialize for Columns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(column, number)| (column.name(), number)))
    }
}

/// Of an object with other fields, too.
impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ColumnsVisitor)
    }
}

struct ColumnsVisitor;

impl<'de> Visitor<'de> for ColumnsVisitor {
    type Value = Columns;

    fn expecting(&self, formatter: &mut Formatter) -> fmt::Result {
        formatter.write_str("numbers by the names of their columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
        let mut columns = Columns::default();
        while let Some(name) = map.next_key::<String>()? {
            match Column::named(&name) {
                Some(column) => _ = columns.0.insert(column, map.next_value()?),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> BTreeSet<Column> {
        Column::NAMES.iter().map(|row| row.1).filter(|column| !column.is_predicted()).collect()
    }

    #[test]
    fn every_column_has_a_number_of_a_long_window() {
        let ids: Vec<_> = (0..600_u32).map(|place| place * place % 97).collect();
        let text: String = ids.iter().map(|id| format!("{id} ")).collect();
        let found = columns(&all(), Some(&text), &ids);
        assert_eq!(found.0.len(), all().len());
        for column in all() {
            assert_eq!(columns(&[column].into(), Some(&text), &ids).0[&column], found.0[&column], "{}", column.name());
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let found = columns(&all(), None, &[1; 300]);
        assert!(found.0.keys().all(|column| column.of_text(b"some text").is_none()));
        assert_eq!(columns(&all(), None, &[]).0.len(), 0);
    }

    #[test]
    fn columns_are_read_as_they_are_written() {
        let found = Columns([(Column::NgramGain, 0.25), (Column::CompressionRatio, 0.5)].into());
        let json = serde_json::to_string(&found).unwrap();
        assert_eq!(json, r#"{"compression_ratio":0.5,"ngram_gain":0.25}"#);
        assert_eq!(serde_json::from_str::<Columns>(&json).unwrap(), found);
        let among_others = r#"{"id":"a","ngram_gain":0.25,"heads":[1],"compression_ratio":0.5}"#;
        assert_eq!(serde_json::from_str::<Columns>(among_others).unwrap(), found);
    }
}
