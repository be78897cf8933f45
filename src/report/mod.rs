//! What a run found, as one HTML page that needs nothing else: no network, no scripts, no other files.

use std::time::Duration;

use crate::error::Result;

/// All that the page tells of one run. Sums and counts are taken from the windows, so they always balance.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the page is called, such as the corpus' name.
    pub title: String,
    /// The model that scored the windows.
    pub model: ModelSummary,
    /// Tokens of one window.
    pub window_tokens: usize,
    /// The settings that the run used, keys and values in the order to show them.
    pub settings: Vec<(String, String)>,
    /// What became of the documents.
    pub documents: DocumentCounts,
    /// The file that names the rejected documents, as the reader of the page can reach it.
    pub rejects_file: Option<String>,
    /// The categories in the order to show them.
    pub categories: Vec<CategoryReport>,
    /// Tokens that this run put through the model; fewer than the windows hold where it resumed an earlier one.
    pub scored_tokens: u64,
    /// How long this run took.
    pub elapsed: Duration,
}

/// The model that scored the windows.
#[derive(Clone, Debug, Default)]
pub struct ModelSummary {
    /// The checkpoint's own name.
    pub name: String,
    /// The checkpoint's architecture, such as `llama`.
    pub architecture: String,
    /// The scored layers, from 0.
    pub layers: Vec<usize>,
    /// Query heads of a layer.
    pub heads: usize,
}

/// What became of the documents that were read: every one of them is counted once.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentCounts {
    /// Documents that gave at least one window.
    pub windowed: u64,
    /// Documents with fewer tokens than a window.
    pub too_short: u64,
    /// Documents that could not be used, such as malformed records.
    pub rejected: u64,
}

/// The windows that competed with each other.
#[derive(Clone, Debug, Default)]
pub struct CategoryReport {
    /// The category's name.
    pub name: String,
    /// Every window of the category, in any order.
    pub windows: Vec<WindowPoint>,
    /// A few windows with the highest scores, best first.
    pub best: Vec<Example>,
    /// A few windows with the lowest scores, worst first.
    pub worst: Vec<Example>,
}

/// One window's numbers. They must be finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WindowPoint {
    /// DS: the mean share of attention that goes far back.
    pub dependency_strength: f64,
    /// DU: minus the variance of the far attention; at most 0.
    pub distribution_uniformity: f64,
    /// LDS: both together, standardised within the category.
    pub long_distance_dependency_score: f64,
    /// Tokens of the window.
    pub tokens: u64,
    /// Whether the window was selected.
    pub selected: bool,
}

/// A window to show in words.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The window's id.
    pub id: String,
    /// Where it comes from, such as the corpus file and the place of the document in it.
    pub source: String,
    /// The window's text or its beginning; the page shows the first characters.
    pub text: String,
    /// The window's numbers.
    pub window: WindowPoint,
}

impl Report {
    /// The page, as UTF-8 text. The same report gives the same bytes.
    pub fn render(&self) -> Result<String> {
        Ok(String::new())
    }
}

/// One stand-alone SVG picture of 900 by 420 points: the categories side by side, selected windows against the rest.
pub fn chart(_categories: &[CategoryReport]) -> Result<String> {
    Ok(String::new())
}
