//! What became of everything.

use std::collections::BTreeSet;
use std::time::Instant;

use super::observer::{Observer, Stage};
use crate::config::Config;
use crate::corpus::{Corpus, Reject};

/// What became of the records and windows of one file, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents that gave at least one window.
    pub windowed: u64,
    /// Documents with fewer tokens than a window.
    pub too_short: u64,
    /// Records that could not be used.
    pub rejected: u64,
    /// Windows that could not be scored.
    pub windows_rejected: u64,
    /// Windows whose scores are of an earlier call.
    pub windows_known: u64,
    /// Tokens of the longest document.
    pub longest_document: u64,
}

/// What a job has found, of all its calls together where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Of the files that are whole.
    pub counts: Counts,
    /// Of the rejected records, those whose id was another document's.
    pub duplicates: u64,
    /// Files that could not be read to their end, of which nothing counts.
    pub files_rejected: u64,
    /// Windows that have scores.
    pub windows: u64,
    /// Of those, the windows that the setting `filter` left out of the selection.
    pub windows_filtered: u64,
    /// Windows that made the cut.
    pub windows_selected: u64,
    /// Tokens of the windows that made the cut.
    pub tokens_selected: u64,
    /// Tokens that went through the model.
    pub tokens_scored: u64,
    /// Time that the calls took.
    pub seconds: f64,
    /// The calls.
    pub calls: u64,
    /// Rows of attention that were computed, of an adaptive job.
    pub rows_computed: u64,
    /// Rows of attention that exact scores of all windows take, of an adaptive job.
    pub rows_of_exact_scores: u64,
    /// Windows whose scores are exact.
    pub windows_exact: u64,
    /// What the stages of the last call took.
    pub throughput: Throughput,
}

/// What the stages of a call took, and what went through each. Documents are read and tokenised while others are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Throughput {
    /// Reading, tokenising and scoring together; bytes of the input files as they are on disk.
    pub reading: StageWork,
    /// Of that, scoring; tokens.
    pub scoring: StageWork,
    /// Scoring windows in doubt on more rows; tokens.
    pub refining: StageWork,
    /// Writing the scores and the selected texts; windows.
    pub writing: StageWork,
}

impl Throughput {
    /// The stages, each with what its amount is counted in.
    pub fn stages(&self) -> [(Stage, &'static str, StageWork); 4] {
        [
            (Stage::Reading, "bytes", self.reading),
            (Stage::Scoring, "tokens", self.scoring),
            (Stage::Refining, "tokens", self.refining),
            (Stage::Writing, "windows", self.writing),
        ]
    }
}

/// What went through one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageWork {
    /// How long it took.
    pub seconds: f64,
    /// How much there was of what the stage works on.
    pub amount: u64,
}

impl StageWork {
    pub(super) fn since(begun: Instant, amount: u64) -> Self {
        Self { seconds: begun.elapsed().as_secs_f64(), amount }
    }
}

impl Counts {
    /// Everything that was read.
    pub fn documents(&self) -> u64 {
        self.windowed + self.too_short + self.rejected
    }
}

impl Summary {
    pub(super) fn add(&mut self, counts: &Counts) {
        let all = &mut self.counts;
        all.windowed += counts.windowed;
        all.too_short += counts.too_short;
        all.rejected += counts.rejected;
        all.windows_rejected += counts.windows_rejected;
        all.windows_known += counts.windows_known;
        all.longest_document = all.longest_document.max(counts.longest_document);
    }

    /// What an adaptive job computed, in words.
    pub fn rows(&self) -> String {
        let share = 100.0 * self.rows_computed as f64 / self.rows_of_exact_scores.max(1) as f64;
        let (computed, all) = (count(self.rows_computed, "row"), count(self.rows_of_exact_scores, "row"));
        let (exact, windows) = (self.windows_exact, count(self.windows, "window"));
        format!("{computed} computed, {share:.1}% of the {all} of exact scores; {exact} of {windows} exact")
    }

    /// Everything that was told as a reject.
    pub fn rejects(&self) -> u64 {
        self.counts.rejected + self.counts.windows_rejected + self.files_rejected
    }
}

/// A number for people.
pub(super) fn count(number: u64, what: &str) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    format!("{} {what}{}", groups.join(","), if number == 1 { "" } else { "s" })
}

/// Documents after which it is told that none of them is of use.
const EARLY: u64 = 1000;

/// What is told early of a corpus of which nothing seems to be of use.
#[derive(Default)]
pub(super) struct EarlySigns {
    documents: u64,
    told_of_documents: bool,
    rejects: u64,
    reason: Option<String>,
    longest: u64,
    told_of_files: bool,
    /// Categories that look like shards, once they were asked for; none left once they were told.
    shard_like: Option<BTreeSet<String>>,
    told_of_duplicates: bool,
}

impl EarlySigns {
    /// Tells, once, that all documents so far are too short.
    pub fn of_document(&mut self, has_windows: bool, longest: u64, config: &Config, observer: &dyn Observer) {
        self.told_of_documents |= has_windows;
        self.longest = self.longest.max(longest);
        self.documents += 1;
        if self.told_of_documents || self.documents < EARLY {
            return;
        }
        self.told_of_documents = true;
        let (window, longest) = (config.window, self.longest);
        observer.notice(&format!(
            "the first {EARLY} documents are all shorter than a window of {window} tokens; the longest of them has {longest}"
        ));
    }

    /// Tells, once, that files give categories which look like the shards of one.
    pub fn of_category(&mut self, category: &str, corpus: &Corpus, observer: &dyn Observer) {
        let suspects = self.shard_like.get_or_insert_with(|| corpus.shard_like_categories());
        if !suspects.contains(category) {
            return;
        }
        let shown: Vec<_> = suspects.iter().take(3).map(String::as_str).collect();
        let more = if suspects.len() > shown.len() { ", …" } else { "" };
        observer.notice(&format!(
            "{} categories look like the shards of one ({}{more}), and windows compete only within a category: set category \
             to give all of these files one name",
            suspects.len(),
            shown.join(", ")
        ));
        suspects.clear();
    }

    /// Tells, once, that an id came again, and how to get its record in.
    pub fn of_duplicate(&mut self, reject: &Reject, observer: &dyn Observer) {
        if std::mem::replace(&mut self.told_of_duplicates, true) {
            return;
        }
        observer.notice(&format!(
            "{reject}: it is left out, as is every other record whose id was there before; where each file counts its \
             records anew, --ids-from-place gets all of them in"
        ));
    }

    /// Tells, once, that nothing of a file counts, and why.
    pub fn of_file(&mut self, reject: &Reject, observer: &dyn Observer) {
        if !std::mem::replace(&mut self.told_of_files, true) {
            observer.notice(&reject.to_string());
        }
    }

    /// Tells, once, that all records so far fail alike.
    pub fn of_reject(&mut self, reject: &Reject, observer: &dyn Observer) {
        if self.documents > 0 || self.rejects >= EARLY {
            return;
        }
        self.rejects += 1;
        // Reasons may name columns.
        let reason: String = reject.reason.chars().filter(|character| !character.is_ascii_digit()).collect();
        let is_same = *self.reason.get_or_insert_with(|| reason.clone()) == reason;
        if !is_same {
            self.rejects = EARLY;
        } else if self.rejects == EARLY {
            observer.notice(&format!("the first {EARLY} records are all rejected, each because: {}", reject.reason));
        }
    }
}
