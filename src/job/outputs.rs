//! What a selection leaves in its directory beside the selected windows.

use std::path::Path;
use std::time::Duration;

use super::selection::{Cutting, Journals, scored_window};
use super::summary::{Counts, Summary};
use super::table::Table;
use super::{CHART, REJECTS, REPORT, ResultDirectory};
use crate::cancel::Cancel;
use crate::config::{Config, SETTINGS};
use crate::corpus::{Corpus, Output, write_whole};
use crate::error::Result;
use crate::report::{self, DocumentCounts, ModelSummary, Report};

/// What the outputs tell of the work behind a selection.
pub(super) struct Work<'a> {
    /// As they were given.
    pub inputs: &'a [String],
    /// With the settings of the selection.
    pub config: &'a Config,
    pub model: ModelSummary,
    pub summary: &'a Summary,
}

impl Work<'_> {
    /// Writes the report and its chart.
    pub fn write_report(&self, directory: &ResultDirectory, cutting: &Cutting) -> Result<()> {
        let report = self.report(cutting);
        write_whole(directory.file(CHART), report::chart(&report.categories)?.as_bytes())?;
        write_whole(directory.file(REPORT), report.render()?.as_bytes())
    }

    fn report(&self, cutting: &Cutting) -> Report {
        let Counts { windowed, too_short, rejected, .. } = self.summary.counts;
        let value = |key: &str| self.config.get(key).unwrap_or_default();
        let mut settings: Vec<_> =
            SETTINGS.iter().map(|setting| (setting.key.to_owned(), value(setting.key))).collect();
        if self.config.adaptive {
            settings.push(("rows computed".to_owned(), self.summary.rows()));
        }
        Report {
            title: self.inputs.join(", "),
            model: self.model.clone(),
            window_tokens: self.config.window.get(),
            settings,
            documents: DocumentCounts { windowed, too_short, rejected },
            rejects_file: (self.summary.rejects() > 0).then(|| REJECTS.to_owned()),
            categories: cutting.reports.clone(),
            calls: self.summary.calls,
            scored_tokens: self.summary.tokens_scored,
            elapsed: Duration::from_secs_f64(self.summary.seconds),
        }
    }
}

/// Writes the scores of all windows in the order of the corpus.
pub(super) fn write_scores(
    path: &Path,
    table: &Table,
    corpus: &Corpus,
    journals: &Journals,
    cancel: &Cancel,
) -> Result<()> {
    let mut output = Output::create(path)?;
    for ordinal in 0..table.windows.len() {
        if ordinal % 1024 == 0 {
            cancel.check()?;
        }
        _ = output.write(&scored_window(table, corpus, journals, ordinal)?)?;
    }
    output.finish().map(drop)
}
