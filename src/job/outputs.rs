//! What a selection leaves in its directory beside the selected windows.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::ahead::ahead;
use super::identity::Identity;
use super::journals::{Journals, ScoredWindow};
use super::metrics;
use super::observer::Stage;
use super::selection::{CategorySelection, Cutting};
use super::summary::{Counts, StageWork, Summary, Throughput};
use super::table::Table;
use super::{CHART, IDENTITY, REJECTS, REPORT, ResultDirectory, SUMMARY};
use crate::cancel::Cancel;
use crate::config::{Config, SETTINGS};
use crate::corpus::{Corpus, Layout, Output, write_whole};
use crate::error::Result;
use crate::report::{self, DocumentCounts, ModelSummary, Report};

/// Scores that are put together at once.
const AT_ONCE: usize = 4096;

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
    /// Writes the report and its chart, which show attention: without it there are none.
    pub fn write_report(&self, directory: &ResultDirectory, cutting: &Cutting) -> Result<()> {
        if !cutting.has_attention {
            return directory.remove(&[REPORT, CHART]);
        }
        let report = self.report(cutting);
        write_whole(directory.file(CHART), report::chart(&report.categories)?.as_bytes())?;
        write_whole(directory.file(REPORT), report.render()?.as_bytes())
    }

    /// Writes the summary, and the metrics where the settings ask for them.
    pub fn write_summary(&self, directory: &ResultDirectory, categories: &[CategorySelection]) -> Result<()> {
        let identity = Identity::read(&directory.file(IDENTITY))?;
        let text = serde_json::to_string_pretty(&self.summary(&identity, categories)).expect("text and finite numbers");
        write_whole(directory.file(SUMMARY), (text + "\n").as_bytes())?;
        match &self.config.metrics {
            Some(path) => metrics::write(path, self.summary),
            None => Ok(()),
        }
    }

    fn summary(&self, identity: &Identity, categories: &[CategorySelection]) -> Value {
        let Summary { counts, throughput, .. } = self.summary;
        let settings: Map<_, _> = self.settings().map(|(key, value)| (key, Value::String(value))).collect();
        let category = |category: &CategorySelection| json!({"name": category.name, "windows": category.windows, "selected": category.selected});
        json!({
            "longattn": identity.version(),
            "onnxruntime": identity.onnxruntime(),
            "package": identity.package(),
            "model": self.model,
            "inputs": self.inputs,
            "shard": self.config.shard,
            "documents": {
                "read": counts.documents(),
                "windowed": counts.windowed,
                "too_short": counts.too_short,
                "rejected": counts.rejected,
                "duplicates": self.summary.duplicates,
                "longest": counts.longest_document,
            },
            "files_rejected": self.summary.files_rejected,
            "windows": {
                "scored": self.summary.windows,
                "of_earlier_calls": counts.windows_known,
                "rejected": counts.windows_rejected,
                "filtered": self.summary.windows_filtered,
                "selected": self.summary.windows_selected,
            },
            "tokens": {"scored": self.summary.tokens_scored, "selected": self.summary.tokens_selected},
            "rows": self.config.adaptive.then(|| json!({
                "computed": self.summary.rows_computed,
                "of_exact_scores": self.summary.rows_of_exact_scores,
                "windows_exact": self.summary.windows_exact,
            })),
            "categories": categories.iter().map(category).collect::<Vec<_>>(),
            "calls": self.summary.calls,
            "seconds": self.summary.seconds,
            "throughput": stages(throughput),
            "settings": settings,
        })
    }

    fn settings(&self) -> impl Iterator<Item = (String, String)> {
        SETTINGS.iter().map(|setting| (setting.key.to_owned(), self.config.get(setting.key).unwrap_or_default()))
    }

    fn report(&self, cutting: &Cutting) -> Report {
        let Counts { windowed, too_short, rejected, .. } = self.summary.counts;
        let mut settings: Vec<_> = self.settings().collect();
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
            windows: cutting.windows.clone(),
            calls: self.summary.calls,
            scored_tokens: self.summary.tokens_scored,
            elapsed: Duration::from_secs_f64(self.summary.seconds),
        }
    }
}

/// The stages that took any time, by name.
fn stages(throughput: &Throughput) -> Value {
    let stage = |(stage, unit, work): (Stage, &str, StageWork)| {
        let rate = work.amount as f64 / work.seconds.max(1e-9);
        let told = json!({"seconds": work.seconds, unit: work.amount, format!("{unit}_per_second"): rate});
        (stage.name().to_owned(), told)
    };
    Value::Object(throughput.stages().into_iter().filter(|(.., work)| work.seconds > 0.0).map(stage).collect())
}

/// Writes the scores of all windows in the order of the corpus.
pub(super) fn write_scores(
    path: &Path,
    layout: Layout,
    table: &Table,
    corpus: &Corpus,
    journals: &Journals,
    cancel: &Cancel,
) -> Result<()> {
    let mut output = Output::laid_out(path, layout)?;
    let windows = table.windows.len();
    // Read in their order, since journals read ahead, and put together on all cores.
    let read = |start: usize| {
        cancel.check()?;
        let ordinals = start..windows.min(start + AT_ONCE);
        let entries = ordinals.clone().map(|ordinal| journals.entry(table, ordinal));
        Ok((ordinals, entries.collect::<Result<Vec<_>>>()?))
    };
    let put_together = |(ordinals, entries): (Range<usize>, Vec<Box<[u8]>>)| {
        let lines = ordinals
            .into_par_iter()
            .zip(entries)
            .map(|(ordinal, entry)| Ok(ScoredWindow::of(table, corpus, ordinal, &entry)?.to_json()));
        lines.collect::<Result<Vec<_>>>()
    };
    ahead((0..windows).step_by(AT_ONCE).map(read), |read| {
        ahead(read.map(|read| read.and_then(put_together)), |mut chunks| {
            chunks.try_for_each(|lines| lines?.into_iter().try_for_each(|line| output.write_json(line).map(drop)))
        })
    })?;
    output.finish().map(drop)
}
