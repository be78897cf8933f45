//! The cut: ranking, the texts of what was selected, and the report.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::adaptive::changed_journal;
use super::entry::{Entry, Text};
use super::lines::{ScoredWindow, SelectedWindow};
use super::observer::{Observer, Progress, Stage};
use super::table::Table;
use crate::cancel::Cancel;
use crate::corpus::{Corpus, Journal, Layout, Output, RawDocuments, Reject};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{CategoryReport, Example, WindowPoint};
use crate::select::{Method, Ranking, Standing};

/// Windows that are listed at either end of a category.
const LISTED: usize = 3;

/// Characters of the texts that the report shows.
const SHOWN: usize = 250;

/// What became of a category.
#[derive(Clone, Debug, PartialEq)]
pub struct CategorySelection {
    /// The category.
    pub name: String,
    /// Its windows.
    pub windows: u64,
    /// Those that made the cut.
    pub selected: u64,
    /// Its best windows, best first, and its worst ones, the worst last; never one twice.
    pub listed: Vec<Listed>,
}

/// A window at either end of a category.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// From 1, the best.
    pub rank: u64,
    /// The window.
    pub id: String,
    /// Where its document stands.
    pub source: String,
    /// `DS`.
    pub dependency_strength: f64,
    /// `DU`.
    pub distribution_uniformity: f64,
    /// `LDS`.
    pub long_distance_dependency_score: f64,
    ordinal: usize,
}

/// A selection by ordinals.
pub(super) struct Cutting {
    pub categories: Vec<CategorySelection>,
    pub reports: Vec<CategoryReport>,
    /// The selected windows in the order of the corpus.
    selected: Vec<Standing>,
}

/// Ranks and cuts all windows.
pub(super) fn cut(table: &Table, corpus: &Corpus, method: &Method) -> Result<Cutting> {
    let (mut categories, mut reports, mut selected) = (Vec::new(), Vec::new(), Vec::new());
    for ranking in table.selector.sorted().rankings(method) {
        let ranking = ranking?;
        let (category, report) = sum_up(table, corpus, &ranking);
        categories.push(category);
        reports.push(report);
        selected.extend(ranking.selected().iter().copied());
    }
    selected.sort_unstable_by_key(|standing: &Standing| standing.ordinal);
    Ok(Cutting { categories, reports, selected })
}

fn sum_up(table: &Table, corpus: &Corpus, ranking: &Ranking) -> (CategorySelection, CategoryReport) {
    let Ranking { category, windows, selected } = ranking;
    let point = |rank: usize| {
        let Standing { ordinal, long_distance_dependency_score } = windows[rank];
        let candidate = table.selector.candidate(ordinal);
        WindowPoint {
            dependency_strength: candidate.dependency_strength,
            distribution_uniformity: candidate.distribution_uniformity,
            long_distance_dependency_score,
            tokens: candidate.token_count,
            selected: rank < *selected,
        }
    };
    let listed = |rank: usize| {
        let WindowPoint { dependency_strength, distribution_uniformity, long_distance_dependency_score, .. } =
            point(rank);
        let ordinal = windows[rank].ordinal;
        Listed {
            rank: rank as u64 + 1,
            id: table.selector.candidate(ordinal).id.to_owned(),
            source: corpus.place(table.document(ordinal).spot()).to_string(),
            dependency_strength,
            distribution_uniformity,
            long_distance_dependency_score,
            ordinal,
        }
    };
    let example = |listed: &Listed| Example {
        id: listed.id.clone(),
        source: listed.source.clone(),
        text: String::new(),
        window: point(listed.rank as usize - 1),
    };
    let best = LISTED.min(windows.len());
    let worst = windows.len() - LISTED.min(windows.len() - best);
    let listed: Vec<_> = (0..best).chain(worst..windows.len()).map(listed).collect();
    let points: Vec<_> = (0..windows.len()).map(point).collect();
    let (first, last) = listed.split_at(best);
    let last = last.iter().rev().map(example).collect();
    let report = CategoryReport::new((*category).to_owned(), &points, first.iter().map(example).collect(), last);
    let (name, windows, selected) = ((*category).to_owned(), windows.len() as u64, *selected as u64);
    (CategorySelection { name, windows, selected, listed }, report)
}

/// Where the texts of windows come from.
pub(super) struct Texts<'a> {
    pub table: &'a Table,
    pub corpus: &'a Corpus,
    pub journal: &'a Journal,
    pub observer: &'a dyn Observer,
    pub cancel: &'a Cancel,
}

impl Cutting {
    /// Tokens of the selected windows.
    pub fn tokens(&self, table: &Table) -> u64 {
        self.selected.iter().map(|standing| table.selector.candidate(standing.ordinal).token_count).sum()
    }

    /// The number of selected windows.
    pub fn selected(&self) -> u64 {
        self.selected.len() as u64
    }

    /// Writes the selected windows with their texts in the order of the corpus, and gives the report the texts that it
    /// shows. [`ControlFlow::Break`] tells that whoever read standard output has gone.
    pub fn write(&mut self, texts: &Texts, path: &Path, layout: Layout) -> Result<ControlFlow<()>> {
        let mut output = Output::laid_out(path, layout)?;
        let mut shown: HashMap<usize, String> = HashMap::new();
        let listed = self.categories.iter().flat_map(|category| &category.listed);
        shown.extend(listed.map(|listed| (listed.ordinal, String::new())));
        let mut wanted: Vec<(usize, Option<f64>)> = self
            .selected
            .iter()
            .map(|standing| (standing.ordinal, Some(standing.long_distance_dependency_score)))
            .collect();
        wanted.extend(shown.keys().map(|ordinal| (*ordinal, None)));
        // Selected ones come before the same window as one that is shown.
        wanted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.is_some().cmp(&a.1.is_some())));
        wanted.dedup_by_key(|window| window.0);
        let total = Some(wanted.len() as u64);
        let mut done = 0;
        for windows in wanted.chunk_by(|a, b| texts.file(a.0) == texts.file(b.0)) {
            let mut documents = texts.corpus.read(texts.file(windows[0].0) as usize).map_err(changed)?;
            for windows in windows.chunk_by(|a, b| texts.is_one_document(a.0, b.0)) {
                texts.cancel.check()?;
                let text = texts.text(&mut documents, windows[0].0)?;
                for (ordinal, score) in windows {
                    let window = texts.window(*ordinal)?;
                    let range = window.byte_start as usize..window.byte_end as usize;
                    let content = text.get(range).ok_or_else(|| changed_journal(&window.id))?;
                    if let Some(shown) = shown.get_mut(ordinal) {
                        *shown = content.chars().take(SHOWN).collect();
                    }
                    let Some(lds) = *score else { continue };
                    if output.write(&SelectedWindow { window: &window, lds, content })?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                done += windows.len() as u64;
                texts.observer.progress(&Progress { stage: Stage::Writing, done, total, ..Progress::default() });
            }
        }
        for (category, report) in self.categories.iter().zip(&mut self.reports) {
            // The report shows the worst window first.
            let best = LISTED.min(category.listed.len());
            let (best, worst) = category.listed.split_at(best);
            let in_order = best.iter().chain(worst.iter().rev());
            report.set_texts(in_order.map(|listed| shown.remove(&listed.ordinal).unwrap_or_default()));
        }
        output.finish()
    }
}

impl Texts<'_> {
    fn file(&self, ordinal: usize) -> u32 {
        self.table.document(ordinal).file
    }

    fn is_one_document(&self, a: usize, b: usize) -> bool {
        self.table.windows[a].document == self.table.windows[b].document
    }

    /// The text of a window's document, which must be what it was.
    fn text(&self, documents: &mut RawDocuments, ordinal: usize) -> Result<String> {
        let row = self.table.document(ordinal);
        documents.skip_to(row.offset, row.line).map_err(changed)?;
        let place = self.corpus.place(row.spot());
        let gone = || Error::new(ErrorKind::InvalidRecord, format!("{place} {CHANGED}"));
        let raw = documents.next().ok_or_else(gone)?.map_err(changed)?;
        let record = self.corpus.record(row.file as usize, &raw).map_err(changed)?;
        let text = record.text.unwrap_or_default();
        if Text::of(&text) == row.text { Ok(text) } else { Err(gone()) }
    }

    /// A window as it is written.
    fn window(&self, ordinal: usize) -> Result<ScoredWindow> {
        scored_window(self.table, self.corpus, self.journal, ordinal)
    }
}

/// A window as it is written.
pub(super) fn scored_window(table: &Table, corpus: &Corpus, journal: &Journal, ordinal: usize) -> Result<ScoredWindow> {
    let candidate = table.selector.candidate(ordinal);
    let Entry::Window(window) = journal.read(table.windows[ordinal].entry)? else {
        return Err(changed_journal(candidate.id));
    };
    let document = candidate.id.rsplit_once('#').map_or(candidate.id, |parts| parts.0);
    Ok(ScoredWindow {
        id: candidate.id.to_owned(),
        category: candidate.category.to_owned(),
        document: document.to_owned(),
        source: corpus.place(table.document(ordinal).spot()).to_string(),
        token_start: window.token_start,
        byte_start: window.bytes.start,
        byte_end: window.bytes.end,
        score: window.score,
    })
}

const CHANGED: &str =
    "is not what it was when its windows were scored: go on with --resume, which scores anew what has changed";

pub(super) fn changed(reject: Reject) -> Error {
    Error::new(ErrorKind::InvalidRecord, format!("{} {CHANGED} ({})", reject.place, reject.reason))
}
