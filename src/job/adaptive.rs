//! Adaptive scores: rounds on more and more rows, of fewer and fewer windows.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};

use super::batches::is_fatal;
use super::entry::{self, Entry};
use super::keeping::{Keeping, Kept, asked};
use super::ledger::Ledger;
use super::lines::ScoreFields;
use super::observer::{Progress, Stage};
use super::reading::Unit;
use super::summary::Summary;
use super::table::{Table, WindowRow};
use crate::choice::Choice;
use crate::config::{Config, Rows};
use crate::corpus::{Corpus, Reject};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{self, Contract, Input, Scorer};
use crate::select::in_doubt;

/// One row in so many is the first number of rows unless the setting `rows` says another.
const FIRST_SHARE: usize = 16;

/// How many times as many rows a window gets from one of its rounds to the next.
const STEP: usize = 4;

/// Tokens whose windows are scored in one go.
const BATCH_TOKENS: usize = 1 << 16;

/// The rows of the first scores.
pub(super) fn first_rows(config: &Config, window: NonZeroUsize) -> Rows {
    match config.rows {
        Rows::All => Rows::Sample(window.div_ceil(NonZeroUsize::new(FIRST_SHARE).expect("not 0"))),
        rows => rows,
    }
}

/// The rows of the round after one; near to all, all cost little more and leave no doubt.
fn next_rows(rows: u32, window: NonZeroUsize) -> Rows {
    let next = NonZeroUsize::new((rows as usize).saturating_mul(STEP)).unwrap_or(NonZeroUsize::MAX);
    if next.get() * 2 < window.get() { Rows::Sample(next) } else { Rows::All }
}

/// Windows whose first scores tell what rounds would cost.
const PILOT: usize = 256;

/// Whether exact scores of all windows are cheaper than rounds, by the first scores of some. No time plays a part, so that
/// the answer is the same each time.
pub(super) fn exact_is_cheaper(table: &Table, config: &Config) -> Result<bool> {
    if table.windows.len() < PILOT {
        return Ok(false);
    }
    Ok(false)
}

/// Refuses models whose rows cannot be computed one by one.
pub(super) fn check_contract(scorer: &Scorer) -> Result<()> {
    match scorer.description().contract {
        Contract::QueryKey => Ok(()),
        contract @ (Contract::Attentions | Contract::Statistics) => {
            let message = format!(
                "adaptive scores save nothing with a model of the contract {}, which computes all rows in any case: leave \
                 them out, or export the checkpoint with --contract query-key",
                contract.name()
            );
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// Scores windows again on more rows until the selection is trusted.
pub(super) struct Refining<'a> {
    pub scorer: &'a Scorer,
    pub config: &'a Config,
    pub corpus: &'a Corpus,
    pub ledger: &'a Ledger,
    pub kept: Kept,
    pub keeping: Keeping<'a>,
    /// Rows of the first scores.
    pub rows: Rows,
    /// All windows are scored on all rows, since that is cheaper.
    pub exact: bool,
    pub summary: &'a mut Summary,
}

impl Refining<'_> {
    /// Goes through rounds until the selection equals the exact one with the setting `confidence`. Scores that an
    /// interrupted call left are taken up where its rounds took them, so that a job gives the same result interrupted or
    /// not.
    pub fn run(&mut self, table: &mut Table) -> Result<()> {
        // The rows that each window was last asked for.
        let first = asked(self.rows);
        let mut asked_of: Vec<u32> = table
            .windows
            .iter()
            .zip(&table.errors)
            .map(|(_, errors)| if errors.is_exact() { 0 } else { first })
            .collect();
        loop {
            let doubted = self.in_doubt(table)?;
            if doubted.is_empty() {
                return Ok(());
            }
            let mut rounds: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
            for ordinal in doubted {
                let rows = if self.exact { Rows::All } else { next_rows(asked_of[ordinal], self.config.window) };
                asked_of[ordinal] = asked(rows);
                rounds.entry(asked(rows)).or_default().push(ordinal);
            }
            let mut rejected = Vec::new();
            for (rows, ordinals) in rounds {
                rejected.extend(self.round(table, rows, &ordinals)?);
            }
            if !rejected.is_empty() {
                rejected.sort_unstable();
                let is_kept = |ordinal: usize| rejected.binary_search(&ordinal).is_err();
                asked_of =
                    (0..asked_of.len()).filter(|ordinal| is_kept(*ordinal)).map(|ordinal| asked_of[ordinal]).collect();
                table.retain(is_kept)?;
            }
        }
    }

    fn in_doubt(&self, table: &Table) -> Result<Vec<usize>> {
        if self.exact {
            let inexact = table.errors.iter().enumerate().filter(|(_, errors)| !errors.is_exact());
            return Ok(inexact.map(|(ordinal, _)| ordinal).collect());
        }
        let method = self.config.method()?;
        in_doubt(&table.selector, &table.errors, &method, self.config.confidence.get(), self.keeping.cancel)
    }

    /// Scores some windows on so many rows, and gives those that could not be.
    fn round(&mut self, table: &mut Table, rows: u32, ordinals: &[usize]) -> Result<Vec<usize>> {
        let mut unknown = Vec::new();
        for ordinal in ordinals {
            let text = table.document(*ordinal).text;
            match self.ledger.window(text, table.windows[*ordinal].number, rows) {
                Some(row) => table.rescore(*ordinal, &row)?,
                None => unknown.push(*ordinal),
            }
        }
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let on = NonZeroUsize::new(rows as usize).map_or(Rows::All, Rows::Sample);
        let told = match on {
            Rows::All => "all rows".to_owned(),
            Rows::Sample(count) => format!("{count} rows"),
        };
        let (count, all) = (unknown.len(), table.windows.len());
        self.keeping.rejecting.observer.notice(&format!("{count} of {all} windows in doubt: scoring on {told}"));
        let tokens: Vec<_> = unknown.iter().map(|ordinal| table.selector.candidate(*ordinal).token_count).collect();
        let at_once = (BATCH_TOKENS / self.config.window.get()).max(1);
        let mut rejected = Vec::new();
        let mut done = 0;
        for (batch, batch_tokens) in unknown.chunks(at_once).zip(tokens.chunks(at_once)) {
            self.keeping.cancel.check()?;
            let total = Some(tokens.iter().sum());
            let progress = Progress { stage: Stage::Refining, done, total, ..Progress::default() };
            rejected.extend(self.batch(table, on, batch, progress)?);
            done += batch_tokens.iter().sum::<u64>();
        }
        Ok(rejected)
    }

    fn batch(&mut self, table: &mut Table, rows: Rows, ordinals: &[usize], before: Progress) -> Result<Vec<usize>> {
        let ids = ordinals.iter().map(|ordinal| self.token_ids(table, *ordinal)).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<_> = ids.iter().map(|ids| Input::Tokens(ids)).collect();
        let observer = self.keeping.rejecting.observer;
        let tell = |scored: model::Progress| {
            observer.progress(&Progress {
                done: before.done + scored.tokens,
                windows: scored.windows as u64,
                tokens: scored.tokens,
                ..before
            });
        };
        let scores = self.scorer.score_many_on(rows, &inputs, self.keeping.cancel, tell);
        let mut rejected = Vec::new();
        let mut entries = Vec::new();
        let mut scored = Vec::new();
        for ((ordinal, ids), score) in ordinals.iter().zip(ids).zip(scores) {
            match score {
                Ok(score) => {
                    let earlier: entry::Window = self.window(table.windows[*ordinal].entry)?;
                    let row = WindowRow::unwritten(&score);
                    let has_tokens = score.rows < score.token_count;
                    if has_tokens {
                        entries.push(Entry::Tokens(entry::Tokens { ids }));
                        scored.push(None);
                    }
                    let score = ScoreFields::new(&score, self.kept.per_head);
                    entries.push(Entry::Window(entry::Window { asked: asked(rows), has_tokens, score, ..earlier }));
                    scored.push(Some((*ordinal, row)));
                }
                Err(error) if is_fatal(&error, Unit::Windows) => return Err(error),
                Err(error) => {
                    let place = self.corpus.place(table.document(*ordinal).spot());
                    let id = table.selector.candidate(*ordinal).id.to_owned();
                    let reject = Reject { place, id: Some(id), reason: error.to_string(), record: String::new() };
                    self.keeping.rejecting.reject(&reject)?;
                    self.summary.counts.windows_rejected += 1;
                    rejected.push(*ordinal);
                }
            }
        }
        let offsets = self.keeping.journal.append_all(&entries)?;
        let mut tokens = None;
        for (offset, scored) in offsets.into_iter().zip(scored) {
            match scored {
                None => tokens = NonZeroU64::new(offset + 1),
                Some((ordinal, row)) => {
                    self.summary.tokens_scored += u64::from(row.token_count);
                    let tokens = tokens.take();
                    table.rescore(ordinal, &WindowRow { entry: offset, tokens, ..row })?;
                }
            }
        }
        Ok(rejected)
    }

    fn token_ids(&self, table: &Table, ordinal: usize) -> Result<Vec<u32>> {
        let id = || table.selector.candidate(ordinal).id.to_owned();
        let Some(offset) = table.windows[ordinal].tokens() else {
            return Err(Error::new(ErrorKind::Internal, format!("the tokens of {} were not kept", id())));
        };
        match self.keeping.journal.read(offset)? {
            Entry::Tokens(tokens) => Ok(tokens.ids),
            _ => Err(changed_journal(&id())),
        }
    }

    fn window(&self, offset: u64) -> Result<entry::Window> {
        match self.keeping.journal.read(offset)? {
            Entry::Window(window) => Ok(window),
            _ => Err(changed_journal("a window")),
        }
    }
}

/// The journal is not what it was a moment ago.
pub(super) fn changed_journal(id: &str) -> Error {
    let message =
        format!("the journal was changed while it was in use: {id} is not where it was; begin anew with --overwrite");
    Error::new(ErrorKind::InvalidRecord, message)
}
