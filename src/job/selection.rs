//! The cut: ranking, the texts of what was selected, and the report.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::NO_RANKING;
use super::adaptive::changed_journal;
use super::entry::Entry;
use super::journals::Journals;
use super::table::Table;
use super::texts::{Texts, Wanted};
use crate::config::Config;
use crate::corpus::{Corpus, Layout, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{CategoryReport, Example, ExploredWindow, WindowPoint, Windows};
use crate::select::{Method, Ranking, Sorted, Standing};

/// Windows that are listed at either end of a category, and that the report shows on either side of the cut.
const LISTED: usize = 3;

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
    /// The selected windows and those that the report shows, in the order of the corpus.
    wanted: Vec<Wanted>,
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
    let (mut categories, mut reports, mut shown, mut wanted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut windows = Windows::new(&method);
    for ranking in sorted.rankings(&method) {
        let ranking = ranking?;
        let SummedUp { category, report, shown: shown_here } = sum_up(table, corpus, &ranking);
        windows.add(ranking.category, ranking.windows.len(), |rank| {
            let ordinal = ranking.windows[rank].ordinal;
            ExploredWindow {
                id: table.selector.candidate(ordinal).id.to_owned(),
                source: table.document(ordinal).file,
                point: point(table, &ranking, rank),
            }
        });
        categories.push(category);
        reports.push(report);
        shown.push(shown_here);
        wanted.extend(ranking.selected().map(|standing| Wanted {
            ordinal: standing.ordinal,
            is_selected: true,
            lds: has_attention.then_some(standing.long_distance_dependency_score),
            is_shown: false,
        }));
    }
    windows.name_sources(|file| corpus.files()[file as usize].name.clone());
    add_shown(&mut wanted, &shown);
    let explanation = match &config.explain {
        Some(id) => Some(explain(&sorted, id, &method)?),
        None => None,
    };
    // What the report tries is cuts of the long-distance dependency score.
    let windows = config.by.is_none().then_some(windows);
    let filtered = filtered as u64;
    Ok(Cutting { categories, reports, windows, shown, wanted, filtered, explanation, has_attention })
}

/// Adds the windows that the report shows, and brings all into the order of the corpus.
fn add_shown(wanted: &mut Vec<Wanted>, shown: &[Vec<usize>]) {
    let mut left: HashSet<usize> = shown.iter().flatten().copied().collect();
    for window in wanted.iter_mut() {
        window.is_shown = left.remove(&window.ordinal);
    }
    wanted.extend(left.into_iter().map(|ordinal| Wanted { ordinal, is_selected: false, lds: None, is_shown: true }));
    wanted.sort_unstable_by_key(|window| window.ordinal);
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
            let Ok(Entry::Window(window)) = serde_json::from_slice(&entry) else {
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

impl Cutting {
    fn selected_windows(&self) -> impl Iterator<Item = &Wanted> {
        self.wanted.iter().filter(|window| window.is_selected)
    }

    /// Tokens of the selected windows.
    pub fn tokens(&self, table: &Table) -> u64 {
        self.selected_windows().map(|window| table.selector.candidate(window.ordinal).token_count).sum()
    }

    /// The number of selected windows.
    pub fn selected(&self) -> u64 {
        self.selected_windows().count() as u64
    }

    /// Writes the selected windows with their texts in the order of the corpus, and gives the report the texts that it
    /// shows. [`ControlFlow::Break`] tells that whoever read standard output has gone.
    pub fn write(&mut self, texts: &Texts, path: &Path, layout: Layout) -> Result<ControlFlow<()>> {
        let corpus = &texts.corpus.clone().with_typed_fields(layout.format_of(path).has_types());
        let texts = Texts { corpus, ..*texts };
        let mut output = Output::laid_out(path, layout)?.with_field_types(corpus.field_types().within("fields"));
        let Ok(shown) = texts.write(&self.wanted, &mut output)? else {
            return Ok(ControlFlow::Break(()));
        };
        for (ordinals, report) in self.shown.iter().zip(&mut self.reports) {
            report.set_texts(ordinals.iter().map(|ordinal| shown.get(ordinal).cloned().unwrap_or_default()));
        }
        output.finish()
    }
}
