//! The lines that a job writes.

use serde::{Deserialize, Serialize};

use super::measurement::Measurement;
use crate::choice::Choice;
use crate::corpus::RawObject;
use crate::rivals::{Column, Columns, Gain};
use crate::score::Score;

/// A window as `windows` writes it.
#[derive(Serialize)]
pub struct WindowLine<'a> {
    pub id: &'a str,
    pub category: &'a str,
    pub content: &'a str,
    pub token_start: usize,
    pub token_count: usize,
    pub byte_start: usize,
    pub byte_end: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<&'a [u32]>,
}

/// The numbers of a window, as `score` and `run` write them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScoreFields {
    pub token_count: u64,
    /// None without a model.
    #[serde(flatten)]
    pub attention: Option<AttentionFields>,
    /// Those that were asked for.
    #[serde(flatten)]
    pub columns: Columns,
}

/// What the attention of a model says of a window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttentionFields {
    pub min_distance: u64,
    pub sink_tokens: u64,
    pub dependency_strength: f64,
    pub distribution_uniformity: f64,
    pub far_square_mass: f64,
    /// Of an estimate alone.
    #[serde(flatten)]
    pub estimate: Option<EstimateFields>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head_proportions: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head_variances: Vec<f64>,
    /// Mean attention at the distances 0, 1, 2 to 3, 4 to 7 and so on, where it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distance_profile: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head_distance_profiles: Vec<Vec<f64>>,
}

/// How far a score that was estimated from a sample of rows may be from the exact one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EstimateFields {
    pub rows: u64,
    pub dependency_strength_error: f64,
    pub distribution_uniformity_error: f64,
}

impl EstimateFields {
    fn new(score: &Score) -> Option<Self> {
        (score.rows < score.token_count).then_some(Self {
            rows: score.rows as u64,
            dependency_strength_error: score.dependency_strength_error,
            distribution_uniformity_error: score.distribution_uniformity_error,
        })
    }
}

impl ScoreFields {
    /// The names of all fields that a score may have, those of losses included.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().chain(Column::NAMES.iter().map(|row| row.0))
    }

    const NAMES: [&str; 15] = [
        "token_count",
        "min_distance",
        "sink_tokens",
        "dependency_strength",
        "distribution_uniformity",
        "far_square_mass",
        "rows",
        "dependency_strength_error",
        "distribution_uniformity_error",
        "head_proportions",
        "head_variances",
        "distance_profile",
        "head_distance_profiles",
        "information_gain",
        "longfilter_score",
    ];

    pub(super) fn new(measured: &Measurement, per_head: bool) -> Self {
        Self {
            token_count: measured.token_count as u64,
            attention: measured.score.as_ref().map(|score| AttentionFields::new(score, per_head)),
            columns: measured.columns.clone(),
        }
    }
}

impl AttentionFields {
    fn new(score: &Score, per_head: bool) -> Self {
        let heads = if per_head { score.heads.as_slice() } else { &[] };
        let profile = score.profile.as_ref();
        Self {
            min_distance: score.far.min_distance as u64,
            sink_tokens: score.far.sink_tokens as u64,
            dependency_strength: score.dependency_strength,
            distribution_uniformity: score.distribution_uniformity,
            far_square_mass: score.far_square_mass(),
            estimate: EstimateFields::new(score),
            head_proportions: heads.iter().map(|head| head.proportion).collect(),
            head_variances: heads.iter().map(|head| head.variance).collect(),
            distance_profile: profile.map_or(Vec::new(), |profile| profile.mean.clone()),
            head_distance_profiles: profile.filter(|_| per_head).map_or(Vec::new(), |profile| profile.heads.clone()),
        }
    }
}

/// What scored windows begin with. The fields of the score follow as they stand in the journal.
#[derive(Clone, Debug, Serialize)]
pub(super) struct WindowFields<'a> {
    pub id: &'a str,
    pub category: &'a str,
    pub document: &'a str,
    pub source: String,
    pub token_start: u64,
    pub byte_start: u64,
    pub byte_end: u64,
}

/// What a selected window has behind its scores: its place among the others, and its text.
#[derive(Serialize)]
pub(super) struct SelectedFields<'a> {
    /// Its long-distance dependency score, Eq. 8; none without a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lds: Option<f64>,
    pub content: &'a str,
    /// The other fields of its document, where they are kept.
    #[serde(skip_serializing_if = "RawObject::is_empty")]
    pub fields: &'a RawObject,
}

/// A record that was scored as one window.
#[derive(Serialize)]
pub(super) struct ScoredRecord<'a> {
    pub id: &'a str,
    pub category: &'a str,
    /// What of the record is carried along.
    #[serde(flatten)]
    pub fields: Option<&'a RawObject>,
    #[serde(flatten)]
    pub score: &'a ScoreFields,
    /// Where it was asked for; null in windows too short to have one.
    #[serde(flatten)]
    pub gain: Option<GainFields>,
}

#[derive(Serialize)]
pub(super) struct GainFields {
    information_gain: Option<f64>,
    longfilter_score: Option<f64>,
}

impl From<Option<Gain>> for GainFields {
    fn from(gain: Option<Gain>) -> Self {
        Self {
            information_gain: gain.map(|gain| gain.information_gain),
            longfilter_score: gain.map(|gain| gain.longfilter_score),
        }
    }
}

/// A window's name: its document's, and its number among the document's windows.
pub fn window_id(document: &str, number: usize) -> String {
    format!("{document}#{number}")
}
