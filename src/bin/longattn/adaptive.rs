//! `longattn run --adaptive`: rounds of scoring on more and more rows, of fewer and fewer windows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Display, Formatter};
use std::num::NonZeroUsize;
use std::vec;

use longattn::choice::Choice;
use longattn::config::Rows;
use longattn::corpus::Reader;
use longattn::model::{Contract, Scorer};
use longattn::select::{Selector, in_doubt};
use longattn::{Config, Error, ErrorKind, Result};

use crate::lines::RunLine;
use crate::progress;
use crate::run::{Sinks, Wanted, changed, score_windows};

/// One row in so many is the first number of rows unless the setting `rows` says another.
const FIRST_SHARE: usize = 16;

/// How many times as many rows a window gets from one of its rounds to the next.
const STEP: usize = 4;

/// The rows of the first round.
pub fn first_rows(config: &Config) -> Rows {
    match config.rows {
        Rows::All => Rows::Sample(config.window.div_ceil(NonZeroUsize::new(FIRST_SHARE).expect("not 0"))),
        rows => rows,
    }
}

/// The rows of a window's later rounds; near to all, all cost little more and leave no doubt.
fn rows_of(config: &Config, round: u32) -> Rows {
    let Rows::Sample(first) = config.rows else { return Rows::All };
    let rows = first.saturating_mul(NonZeroUsize::new(STEP).expect("not 0").saturating_pow(round));
    if rows.get() * 2 < config.window.get() { Rows::Sample(rows) } else { Rows::All }
}

/// Refuses models whose rows cannot be computed one by one.
pub fn check_contract(scorer: &Scorer) -> Result<()> {
    match scorer.description().contract {
        Contract::QueryKey => Ok(()),
        contract @ (Contract::Attentions | Contract::Statistics) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "--adaptive saves nothing with a model of the contract {}, which computes all rows in any case: leave it \
                 out, or export the checkpoint with --contract query-key",
                contract.name()
            ),
        )),
    }
}

/// The outcome of all rounds.
pub struct Refined {
    /// The scores that count, in the order of the corpus.
    pub lines: Vec<RunLine>,
    /// Windows that could be scored on few rows, but not on more.
    pub rejected: u64,
    pub work: Work,
}

/// Rows of attention that were computed, and those that exact scores of all windows take.
#[derive(Default)]
pub struct Work {
    computed: u64,
    all: u64,
    exact_windows: u64,
    windows: u64,
}

impl Work {
    fn add_score(&mut self, line: &RunLine) {
        self.computed += line.score.computed_rows().0;
    }

    fn add_window(&mut self, line: &RunLine) {
        self.all += line.score.computed_rows().1;
        self.windows += 1;
        self.exact_windows += u64::from(line.score.estimate.is_none());
    }
}

impl Display for Work {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        let share = 100.0 * self.computed as f64 / self.all.max(1) as f64;
        let computed = progress::count(self.computed, "row");
        let (all, windows) = (progress::count(self.all, "row"), progress::count(self.windows, "window"));
        let exact = self.exact_windows;
        write!(formatter, "{computed} computed, {share:.1}% of the {all} of exact scores; {exact} of {windows} exact")
    }
}

/// A window, and what became of it in its rounds.
struct Window {
    line: RunLine,
    round: u32,
    /// What an interrupted run found out in later rounds.
    known: vec::IntoIter<RunLine>,
}

/// Scores windows again on more rows until the selection equals the exact one with the setting `confidence`.
///
/// `lines` are all scores so far, those of an interrupted run included. Its rounds are gone through again with the scores
/// that they left, so that a run gives the same result interrupted or not.
pub fn refine(
    scorer: &mut Scorer,
    lines: Vec<RunLine>,
    corpus: &dyn Fn() -> Result<Reader>,
    sinks: &mut Sinks,
    config: &Config,
) -> Result<Refined> {
    let mut work = Work::default();
    lines.iter().for_each(|line| work.add_score(line));
    let mut windows = windows(lines);
    let scored = windows.len();
    loop {
        let mut selector = Selector::default();
        for Window { line, .. } in &windows {
            selector.add(line.score.candidate(&line.id, &line.category))?;
        }
        let errors: Vec<_> = windows.iter().map(|window| window.line.score.errors()).collect();
        let doubted = in_doubt(&selector, &errors, &config.method()?, config.confidence.get(), &progress::INTERRUPT)?;
        if doubted.is_empty() {
            break;
        }
        let mut unknown: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for place in doubted {
            let window = &mut windows[place];
            window.round += 1;
            match window.known.next() {
                Some(line) => window.line = line,
                None => unknown.entry(window.round).or_default().push(place),
            }
        }
        let mut rejected = HashSet::new();
        for (round, places) in unknown {
            scorer.set_rows(rows_of(config, round));
            tell(sinks, &places, &windows, scorer.config().rows);
            let mut found = score_again(scorer, corpus()?, &windows, &places, sinks)?;
            for place in places {
                match found.remove(&windows[place].line.id) {
                    Some(line) => {
                        work.add_score(&line);
                        windows[place].line = line;
                    }
                    None => _ = rejected.insert(windows[place].line.id.clone()),
                }
            }
        }
        windows.retain(|window| !rejected.contains(&window.line.id));
    }
    windows.iter().for_each(|window| work.add_window(&window.line));
    let rejected = (scored - windows.len()) as u64;
    Ok(Refined { lines: windows.into_iter().map(|window| window.line).collect(), rejected, work })
}

/// Windows in the order of their first lines, with their later ones.
fn windows(lines: Vec<RunLine>) -> Vec<Window> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<RunLine>> = Vec::new();
    for line in lines {
        let place = *places.entry(line.id.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    let window = |group: Vec<RunLine>| {
        let mut known = group.into_iter();
        known.next().map(|line| Window { line, round: 0, known })
    };
    groups.into_iter().filter_map(window).collect()
}

fn tell(sinks: &Sinks, places: &[usize], windows: &[Window], rows: Rows) {
    let rows = match rows {
        Rows::All => "all rows".to_owned(),
        Rows::Sample(count) => progress::count(count.get() as u64, "row"),
    };
    let doubted = progress::count(places.len() as u64, "window");
    sinks.progress.tell(&format!("{doubted} of {} in doubt: scoring on {rows}", windows.len()));
}

/// Scores some windows of the corpus, and gives their lines by their ids, none for those that were rejected.
fn score_again(
    scorer: &Scorer,
    reader: Reader,
    windows: &[Window],
    places: &[usize],
    sinks: &mut Sinks,
) -> Result<HashMap<String, RunLine>> {
    let doubted = || places.iter().map(|place| &windows[*place].line);
    let wanted = Wanted::Only {
        documents: doubted().map(|line| line.document.clone()).collect(),
        windows: doubted().map(|line| line.id.clone()).collect(),
    };
    sinks.progress.restart();
    let mut found = Vec::new();
    let summary = score_windows(scorer, reader, &wanted, &mut found, sinks)?;
    let met = found.len() as u64 + summary.rejected_windows;
    let found: HashMap<_, _> = found.into_iter().map(|line| (line.id.clone(), line)).collect();
    match doubted().find(|line| !found.contains_key(&line.id)) {
        Some(line) if met < places.len() as u64 => Err(changed(&line.source)),
        _ => Ok(found),
    }
}
