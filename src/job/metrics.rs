//! How far a job is, in the text format of Prometheus, for a collector of text files to pick up.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use prometheus::{GaugeVec, Opts, Registry, TextEncoder};

use super::observer::{Observer, Progress};
use super::summary::Summary;
use crate::corpus::{Reject, write_whole};
use crate::error::{Error, ErrorKind, Result};

/// Time between two writings while the work goes on.
const INTERVAL: Duration = Duration::from_secs(10);

/// Passes on what it is told, and writes how far the work is every few seconds.
pub(super) struct Metered<'a> {
    path: PathBuf,
    inner: &'a dyn Observer,
    written: Mutex<Instant>,
}

impl<'a> Metered<'a> {
    pub fn new(path: &Path, inner: &'a dyn Observer) -> Self {
        Self { path: path.to_owned(), inner, written: Mutex::new(Instant::now()) }
    }
}

impl Observer for Metered<'_> {
    fn progress(&self, progress: &Progress) {
        self.inner.progress(progress);
        let mut written = self.written.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if written.elapsed() < INTERVAL {
            return;
        }
        *written = Instant::now();
        if let Err(error) = write_text(&self.path, &of_progress(progress)) {
            log::warn!("the metrics could not be written: {error}");
        }
    }

    fn reject(&self, reject: &Reject) {
        self.inner.reject(reject);
    }

    fn notice(&self, notice: &str) {
        self.inner.notice(notice);
    }
}

/// A family of numbers: its name, what it says, its label, and the numbers by the label's values.
type Family<'a> = (&'a str, &'a str, &'a str, Vec<(&'a str, f64)>);

/// Writes what a job has found, whole or not at all.
pub(super) fn write(path: &Path, summary: &Summary) -> Result<()> {
    let counts = &summary.counts;
    let stages = summary.throughput.stages();
    write_text(
        path,
        &[
            (
                "longattn_documents",
                "Documents by what became of them.",
                "outcome",
                vec![
                    ("windowed", counts.windowed as f64),
                    ("too_short", counts.too_short as f64),
                    ("rejected", counts.rejected as f64),
                ],
            ),
            (
                "longattn_windows",
                "Windows by what became of them; those that were selected or filtered were scored too.",
                "outcome",
                vec![
                    ("scored", summary.windows as f64),
                    ("rejected", counts.windows_rejected as f64),
                    ("filtered", summary.windows_filtered as f64),
                    ("selected", summary.windows_selected as f64),
                ],
            ),
            (
                "longattn_tokens",
                "Tokens that went through the model, and those of the selected windows.",
                "outcome",
                vec![("scored", summary.tokens_scored as f64), ("selected", summary.tokens_selected as f64)],
            ),
            (
                "longattn_files",
                "Files that could not be read.",
                "outcome",
                vec![("rejected", summary.files_rejected as f64)],
            ),
            (
                "longattn_stage_seconds",
                "Time that the stages of the last call took.",
                "stage",
                stages.iter().map(|(stage, _, work)| (stage.name(), work.seconds)).collect(),
            ),
            (
                "longattn_stage_amount",
                "What went through the stages: bytes read, tokens scored or refined, windows written.",
                "stage",
                stages.iter().map(|(stage, _, work)| (stage.name(), work.amount as f64)).collect(),
            ),
            ("longattn_running", "1 while the job is at work.", "job", vec![("run", 0.0)]),
        ],
    )
}

fn of_progress(progress: &Progress) -> Vec<Family<'static>> {
    let stage = progress.stage.name();
    let total = progress.total.map_or(f64::NAN, |total| total as f64);
    vec![
        ("longattn_windows", "Windows scored in this call.", "outcome", vec![("scored", progress.windows as f64)]),
        ("longattn_tokens", "Tokens scored in this call.", "outcome", vec![("scored", progress.tokens as f64)]),
        ("longattn_stage_done", "How much of the stage is done.", "stage", vec![(stage, progress.done as f64)]),
        ("longattn_stage_total", "The whole of the stage.", "stage", vec![(stage, total)]),
        ("longattn_running", "1 while the job is at work.", "job", vec![("run", 1.0)]),
    ]
}

fn write_text(path: &Path, families: &[Family]) -> Result<()> {
    let internal = |cause: prometheus::Error| Error::new(ErrorKind::Internal, format!("metrics: {cause}"));
    let registry = Registry::new();
    for (name, help, label, numbers) in families {
        let family = GaugeVec::new(Opts::new(*name, *help), &[label]).map_err(internal)?;
        numbers.iter().for_each(|(value, number)| family.with_label_values(&[value]).set(*number));
        registry.register(Box::new(family)).map_err(internal)?;
    }
    let text = TextEncoder::new().encode_to_string(&registry.gather()).map_err(internal)?;
    write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_in_the_text_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("longattn.prom");
        let summary = Summary { windows: 7, windows_selected: 2, ..Summary::default() };
        write(&path, &summary).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("# TYPE longattn_windows gauge\n"), "{text}");
        assert!(text.contains("\nlongattn_windows{outcome=\"scored\"} 7\n"), "{text}");
        assert!(text.contains("\nlongattn_windows{outcome=\"selected\"} 2\n"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
