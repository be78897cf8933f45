//! Adaptive scores: rounds on more and more rows, of fewer and fewer windows.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};

use super::batches::is_fatal;
use super::entry::{self, Entry};
use super::keeping::{Keeping, Kept, asked};
use super::ledger::Ledger;
use super::lines::ScoreFields;
use super::measurement::Measurement;
use super::observer::{Progress, Stage};
use super::reading::Unit;
use super::summary::Summary;
use super::table::{Table, WindowRow};
use crate::choice::Choice;
use crate::config::{Config, Rows};
use crate::corpus::{Corpus, Reject};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{self, Contract, Input, Scorer};
use crate::select::{Rounds, forecast, in_doubt};

/// One row in so many is the first number of rows unless the setting `rows` says another.
const FIRST_SHARE: usize = 16;

/// Tokens whose windows are scored in one go.
const BATCH_TOKENS: usize = 1 << 16;

/// The rounds of an adaptive job. The first is on as many rows as the setting says, or on one in so many.
pub(super) fn rounds(scorer: &Scorer) -> Rounds {
    let config = scorer.config();
    let length = config.window.get();
    let first = match config.rows {
        Rows::All => length.div_ceil(FIRST_SHARE),
        Rows::Sample(rows) => rows.get(),
    };
    Rounds::new(length, scorer.far_region(length), first)
}

/// The setting for the rows of a round.
pub(super) fn rows_of(rounds: &Rounds, round: u8) -> Rows {
    match NonZeroUsize::new(rounds.asked(usize::from(round))) {
        Some(asked) if usize::from(round) + 1 < rounds.count() => Rows::Sample(asked),
        _ => Rows::All,
    }
}

/// Refuses models whose rows cannot be computed one by one.
pub(super) fn check_contract(scorer: &Scorer) -> Result<()> {
    match scorer.description().contract {
        Some(Contract::QueryKey) => Ok(()),
        None => Err(Error::new(ErrorKind::Unsupported, "adaptive scores need a model: leave adaptive out")),
        Some(contract @ (Contract::Attentions | Contract::Statistics)) => {
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
    pub rounds: Rounds,
    /// All windows are scored on all rows, since that is cheaper.
    pub exact: bool,
    pub summary: &'a mut Summary,
}

impl Refining<'_> {
    /// Goes through rounds until the selection equals the exact one with the setting `confidence`. Scores that an
    /// interrupted call left are taken up where its rounds took them, so that a job gives the same result interrupted or
    /// not.
    pub fn run(&mut self, table: &mut Table) -> Result<()> {
        let mut reached = vec![0; table.windows.len()];
        self.exact = self.exact || self.favours_exact_scores(table, &reached)?;
        loop {
            let doubted = self.in_doubt(table)?;
            if doubted.is_empty() {
                return Ok(());
            }
            let mut rounds: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            for ordinal in doubted {
                reached[ordinal] = if self.exact { u8::MAX } else { reached[ordinal] + 1 };
                rounds.entry(reached[ordinal]).or_default().push(ordinal);
            }
            let mut rejected = Vec::new();
            for (round, ordinals) in rounds {
                rejected.extend(self.round(table, rows_of(&self.rounds, round), &ordinals)?);
            }
            if !rejected.is_empty() {
                rejected.sort_unstable();
                let is_kept = |ordinal: usize| rejected.binary_search(&ordinal).is_err();
                table.retain(is_kept)?;
                let mut ordinals = 0..;
                reached.retain(|_| ordinals.next().is_some_and(is_kept));
            }
        }
    }

    fn favours_exact_scores(&self, table: &Table, reached: &[u8]) -> Result<bool> {
        let (method, confidence) = (self.config.method()?, self.config.confidence.get());
        let (selector, errors, cancel) = (&table.selector, &table.errors, self.keeping.cancel);
        let forecast = forecast(selector, errors, reached, &self.rounds, &method, confidence, cancel)?;
        Ok(!forecast.favours_rounds() && forecast.exact > 0.0)
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
    fn round(&mut self, table: &mut Table, rows: Rows, ordinals: &[usize]) -> Result<Vec<usize>> {
        let mut unknown = Vec::new();
        for ordinal in ordinals {
            let text = table.document(*ordinal).text;
            match self.ledger.window(text, table.windows[*ordinal].number, asked(rows)) {
                Some(row) => table.rescore(*ordinal, &row)?,
                None => unknown.push(*ordinal),
            }
        }
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let told = match rows {
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
            rejected.extend(self.batch(table, rows, batch, progress)?);
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
        let mut fatal = None;
        for ((ordinal, ids), score) in ordinals.iter().zip(ids).zip(scores) {
            match score {
                Ok(score) => {
                    let earlier: entry::Window = self.window(table.windows[*ordinal].entry)?;
                    let has_tokens = score.rows < score.token_count;
                    let columns = earlier.score.columns.clone();
                    let measured = Measurement { token_count: score.token_count, score: Some(score), columns };
                    let row = WindowRow::unwritten(&measured);
                    if has_tokens {
                        entries.push(Entry::Tokens(entry::Tokens { ids }));
                        scored.push(None);
                    }
                    let score = ScoreFields::new(&measured, self.kept.per_head);
                    entries.push(Entry::Window(entry::Window { asked: asked(rows), has_tokens, score, ..earlier }));
                    scored.push(Some((*ordinal, row)));
                }
                // What was scored beside it is still worth its score.
                Err(error) if is_fatal(&error, Unit::Windows) => fatal = Some(error),
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
        if let Some(error) = fatal {
            return Err(error);
        }
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
        let Some(offset) = table.tokens(ordinal) else {
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
