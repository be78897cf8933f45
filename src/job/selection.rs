//! The cut: ranking, the texts of what was selected, and the report.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use super::NO_RANKING;
use super::adaptive::changed_journal;
use super::entry::{Entry, Text};
use super::lines::{ScoredWindow, SelectedWindow};
use super::observer::{Observer, Progress, Stage};
use super::table::Table;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::corpus::{Corpus, Journal, Layout, Output, RawDocuments, Record, Reject};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{CategoryReport, Example, WholeText, WindowPoint, Windows};
use crate::select::{Method, Ranking, Sorted, Standing, document_of};

/// Windows that are listed at either end of a category, and that the report shows on either side of the cut.
const LISTED: usize = 3;

/// Characters of the excerpts that the report shows.
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
    /// What it is ranked by: the same, or its number in the column of the setting `by`.
    pub score: f64,
}

/// A selection by ordinals.
pub(super) struct Cutting {
    pub categories: Vec<CategorySelection>,
    pub reports: Vec<CategoryReport>,
    /// What the report tries other cuts on; none where a column ranks.
    pub windows: Option<Windows>,
    /// Of each category, the ordinals of the windows that its report shows, in their order there.
    shown: Vec<Vec<usize>>,
    /// The selected windows in the order of the corpus.
    selected: Vec<Standing>,
    /// Windows that the filter left out.
    pub filtered: u64,
    /// Why the window that the settings name was selected or not.
    pub explanation: Option<String>,
    /// Whether windows have more than columns.
    pub has_attention: bool,
}

/// Ranks and cuts all windows by the settings of the cut.
pub(super) fn cut(table: &Table, corpus: &Corpus, journals: &Journals, config: &Config) -> Result<Cutting> {
    let method = config.method()?;
    let mut sorted = table.selector.sorted();
    let has_attention = table.windows.is_empty() || table.selector.candidate(0).far.is_some();
    if !has_attention && config.by.is_none() {
        return Err(Error::new(ErrorKind::InvalidSetting, NO_RANKING));
    }
    let mut numbers = Numbers { table, journals, read: None };
    let mut filtered = match &config.filter {
        Some(filter) => sorted.filter(filter, |ordinal, column| numbers.of(ordinal, column))?,
        None => 0,
    };
    if let Some(by) = &config.by {
        filtered += sorted.rank_by(by, |ordinal| numbers.of(ordinal, by))?;
    }
    let (mut categories, mut reports, mut shown, mut selected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut windows = Windows::new(&method);
    for ranking in sorted.rankings(&method) {
        let ranking = ranking?;
        let SummedUp { category, report, shown: shown_here } = sum_up(table, corpus, &ranking);
        windows.add(ranking.category, ranking.windows.len(), |rank| {
            (table.selector.candidate(ranking.windows[rank].ordinal).id.to_owned(), point(table, &ranking, rank))
        });
        categories.push(category);
        reports.push(report);
        shown.push(shown_here);
        selected.extend(ranking.selected().copied());
    }
    selected.sort_unstable_by_key(|standing: &Standing| standing.ordinal);
    let explanation = match &config.explain {
        Some(id) => Some(explain(&sorted, id, &method)?),
        None => None,
    };
    // What the report tries is cuts of the long-distance dependency score.
    let windows = config.by.is_none().then_some(windows);
    let filtered = filtered as u64;
    Ok(Cutting { categories, reports, windows, shown, selected, filtered, explanation, has_attention })
}

/// The numbers of windows in columns that are in memory, or else in the journal.
struct Numbers<'a> {
    table: &'a Table,
    journals: &'a Journals<'a>,
    /// All columns of the window that was asked for last.
    read: Option<(usize, Value)>,
}

impl Numbers<'_> {
    fn of(&mut self, ordinal: usize, column: &str) -> Result<Option<f64>> {
        let candidate = self.table.selector.candidate(ordinal);
        // Without a model the numbers in memory stand for nothing.
        if candidate.far.is_some()
            && let Some(number) = candidate.column(column)
        {
            return Ok(Some(number));
        }
        if self.read.as_ref().is_none_or(|(last, _)| *last != ordinal) {
            let entry = self.journals.entry(self.table, ordinal)?;
            let Ok(Entry::Window(window)) = serde_json::from_str(entry.get()) else {
                return Err(changed_journal(candidate.id));
            };
            self.read = Some((ordinal, serde_json::to_value(window.score).unwrap_or_default()));
        }
        Ok(self.read.as_ref().and_then(|(_, columns)| columns.get(column)).and_then(Value::as_f64))
    }
}

/// Why a window was selected or not, in words.
pub(super) fn explain(sorted: &Sorted, id: &str, method: &Method) -> Result<String> {
    let explanation = sorted.explain(id, method)?.map(|explanation| explanation.to_string());
    Ok(explanation.unwrap_or_else(|| format!("{id}: no such window takes part, or the filter leaves it out")))
}

/// What is told of a category.
struct SummedUp {
    category: CategorySelection,
    report: CategoryReport,
    /// The ordinals of the report's examples.
    shown: Vec<usize>,
}

fn point(table: &Table, ranking: &Ranking, rank: usize) -> WindowPoint {
    let Standing { ordinal, long_distance_dependency_score, .. } = ranking.windows[rank];
    let candidate = table.selector.candidate(ordinal);
    WindowPoint {
        dependency_strength: candidate.dependency_strength,
        distribution_uniformity: candidate.distribution_uniformity,
        long_distance_dependency_score,
        tokens: candidate.token_count,
        selected: ranking.is_selected(rank),
    }
}

fn sum_up(table: &Table, corpus: &Corpus, ranking: &Ranking) -> SummedUp {
    let Ranking { category, windows, .. } = ranking;
    let point = |rank: usize| point(table, ranking, rank);
    let id = |rank: usize| table.selector.candidate(windows[rank].ordinal).id.to_owned();
    let source = |rank: usize| corpus.place(table.document(windows[rank].ordinal).spot()).to_string();
    let listed = |rank: usize| {
        let WindowPoint { dependency_strength, distribution_uniformity, long_distance_dependency_score, .. } =
            point(rank);
        Listed {
            rank: rank as u64 + 1,
            id: id(rank),
            source: source(rank),
            dependency_strength,
            distribution_uniformity,
            long_distance_dependency_score,
            score: windows[rank].score,
        }
    };
    let examples = |ranks: &[usize]| {
        let example =
            |rank: &usize| Example { id: id(*rank), source: source(*rank), window: point(*rank), ..Example::default() };
        ranks.iter().map(example).collect::<Vec<_>>()
    };
    let first = LISTED.min(windows.len());
    let last = windows.len() - LISTED.min(windows.len() - first);
    let best: Vec<_> = (0..first).collect();
    // The report shows the worst window first.
    let worst: Vec<_> = (last..windows.len()).rev().collect();
    let [above, below] = next_to_cut(ranking);
    let points: Vec<_> = (0..windows.len()).map(point).collect();
    let mut report = CategoryReport::new((*category).to_owned(), &points, examples(&best), examples(&worst));
    report.set_next_to_cut(examples(&above), examples(&below));
    let shown = [&best, &worst, &above, &below].into_iter().flatten().map(|rank| windows[*rank].ordinal).collect();
    let category = CategorySelection {
        name: (*category).to_owned(),
        windows: windows.len() as u64,
        selected: ranking.count_selected() as u64,
        listed: (0..first).chain(last..windows.len()).map(listed).collect(),
    };
    SummedUp { category, report, shown }
}

/// The ranks of the last windows that make the cut and of the first ones that do not, where there are both.
fn next_to_cut(ranking: &Ranking) -> [Vec<usize>; 2] {
    let end = ranking.end;
    if end == 0 || end == ranking.windows.len() {
        return Default::default();
    }
    let mut above: Vec<_> = (0..end).rev().filter(|rank| ranking.is_selected(*rank)).take(LISTED).collect();
    above.reverse();
    [above, (end..ranking.windows.len()).take(LISTED).collect()]
}

/// The journals that the scores of windows stand in, each with the ordinal of its first window, in their order.
pub(super) struct Journals<'a>(Vec<(usize, &'a Journal)>);

impl<'a> Journals<'a> {
    pub fn new(journals: impl IntoIterator<Item = (usize, &'a Journal)>) -> Self {
        Self(journals.into_iter().collect())
    }

    fn of(&self, ordinal: usize) -> &'a Journal {
        self.0[self.0.partition_point(|(first, _)| *first <= ordinal) - 1].1
    }

    /// What stands there of a window.
    pub fn entry(&self, table: &Table, ordinal: usize) -> Result<Box<RawValue>> {
        self.of(ordinal).read(table.windows[ordinal].entry)
    }
}

impl<'a> From<&'a Journal> for Journals<'a> {
    fn from(journal: &'a Journal) -> Self {
        Self(vec![(0, journal)])
    }
}

/// Where the texts of windows come from.
pub(super) struct Texts<'a> {
    pub table: &'a Table,
    pub corpus: &'a Corpus,
    pub journals: &'a Journals<'a>,
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
        let shown = self.shown.iter().flatten();
        let mut shown: HashMap<usize, (String, WholeText)> =
            shown.map(|ordinal| (*ordinal, Default::default())).collect();
        let most_bytes = WholeText::MOST_BYTES / shown.len().max(1);
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
                let record = texts.record(&mut documents, windows[0].0)?;
                let text = record.text.as_deref().unwrap_or_default();
                for (ordinal, score) in windows {
                    let window = texts.window(*ordinal)?;
                    let range = window.byte_start as usize..window.byte_end as usize;
                    let content = text.get(range).ok_or_else(|| changed_journal(&window.id))?;
                    if let Some(shown) = shown.get_mut(ordinal) {
                        *shown = (content.chars().take(SHOWN).collect(), WholeText::of(content, most_bytes));
                    }
                    let Some(lds) = *score else { continue };
                    let lds = self.has_attention.then_some(lds);
                    let selected = SelectedWindow { window: &window, lds, content, fields: &record.fields };
                    if output.write(&selected)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                done += windows.len() as u64;
                texts.observer.progress(&Progress { stage: Stage::Writing, done, total, ..Progress::default() });
            }
        }
        for (ordinals, report) in self.shown.iter().zip(&mut self.reports) {
            report.set_texts(ordinals.iter().map(|ordinal| shown.get(ordinal).cloned().unwrap_or_default()));
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

    /// The document of a window, whose text must be what it was.
    fn record(&self, documents: &mut RawDocuments, ordinal: usize) -> Result<Record> {
        let row = self.table.document(ordinal);
        documents.skip_to(row.offset, row.line).map_err(changed)?;
        let place = self.corpus.place(row.spot());
        let gone = || Error::new(ErrorKind::InvalidRecord, format!("{place} {CHANGED}"));
        let raw = documents.next().ok_or_else(gone)?.map_err(changed)?;
        let record = self.corpus.record(row.file as usize, &raw).map_err(changed)?;
        let text = Text::of(record.text.as_deref().unwrap_or_default());
        if text == row.text { Ok(record) } else { Err(gone()) }
    }

    /// A window as it is written.
    fn window(&self, ordinal: usize) -> Result<ScoredWindow> {
        scored_window(self.table, self.corpus, ordinal, &self.journals.entry(self.table, ordinal)?)
    }
}

/// A window as it is written, of which `entry` is what stands in the journal.
pub(super) fn scored_window(table: &Table, corpus: &Corpus, ordinal: usize, entry: &RawValue) -> Result<ScoredWindow> {
    let candidate = table.selector.candidate(ordinal);
    let Ok(Entry::Window(window)) = serde_json::from_str(entry.get()) else {
        return Err(changed_journal(candidate.id));
    };
    Ok(ScoredWindow {
        id: candidate.id.to_owned(),
        category: candidate.category.to_owned(),
        document: document_of(candidate.id).to_owned(),
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
