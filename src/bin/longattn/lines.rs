//! The lines that subcommands write and read.

use longattn::attention::FarRegion;
use longattn::score::Score;
use longattn::select::{Candidate, StandardErrors};
use longattn::window::Window;
use serde::{Deserialize, Serialize};

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
    pub min_distance: u64,
    pub sink_tokens: u64,
    pub dependency_strength: f64,
    pub distribution_uniformity: f64,
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
    pub fn new(score: &Score, per_head: bool) -> Self {
        let heads = if per_head { score.heads.as_slice() } else { &[] };
        let profile = score.profile.as_ref();
        Self {
            token_count: score.token_count as u64,
            min_distance: score.far.min_distance as u64,
            sink_tokens: score.far.sink_tokens as u64,
            dependency_strength: score.dependency_strength,
            distribution_uniformity: score.distribution_uniformity,
            estimate: EstimateFields::new(score),
            head_proportions: heads.iter().map(|head| head.proportion).collect(),
            head_variances: heads.iter().map(|head| head.variance).collect(),
            distance_profile: profile.map_or(Vec::new(), |profile| profile.mean.clone()),
            head_distance_profiles: profile.filter(|_| per_head).map_or(Vec::new(), |profile| profile.heads.clone()),
        }
    }

    pub fn candidate<'a>(&self, id: &'a str, category: &'a str) -> Candidate<&'a str> {
        Candidate {
            id,
            category,
            token_count: self.token_count,
            far: Some(FarRegion { min_distance: self.min_distance as usize, sink_tokens: self.sink_tokens as usize }),
            dependency_strength: self.dependency_strength,
            distribution_uniformity: self.distribution_uniformity,
        }
    }

    /// How far the scores may be off.
    pub fn errors(&self) -> StandardErrors {
        let errors = |estimate: &EstimateFields| StandardErrors {
            dependency_strength: estimate.dependency_strength_error,
            distribution_uniformity: estimate.distribution_uniformity_error,
        };
        self.estimate.as_ref().map(errors).unwrap_or_default()
    }

    /// Rows that were computed for this score, and those that an exact one takes. The first rows have nothing far behind
    /// them and are known without.
    pub fn computed_rows(&self) -> (u64, u64) {
        let known = self.token_count.min(self.min_distance.saturating_add(self.sink_tokens));
        let rows = self.estimate.as_ref().map_or(self.token_count, |estimate| estimate.rows);
        (rows - known, self.token_count - known)
    }
}

/// A scored window as `run` keeps it: enough to find its text again in the corpus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunLine {
    pub id: String,
    pub category: String,
    pub document: String,
    pub source: String,
    pub token_start: usize,
    pub byte_start: usize,
    pub byte_end: usize,
    #[serde(flatten)]
    pub score: ScoreFields,
}

/// A window's name: its document's, and its number among the document's windows.
pub fn window_id(document: &str, window: &Window) -> String {
    format!("{document}#{}", window.number)
}
