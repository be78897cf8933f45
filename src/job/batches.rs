//! Scoring what was read, batch by batch.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::measurement::Measurement;
use super::observer::{Observer, Progress};
use super::reading::{Content, Item, Reading, Unit};
use super::summary::{StageWork, Throughput};
use crate::calibrate::PredictedGain;
use crate::cancel::Cancel;
use crate::config::Rows;
use crate::error::{Error, ErrorKind, FATAL, Result};
use crate::model::{self, Input, PackagedFittedScore, Scorer};
use crate::rivals::{Column, Columns, columns};
use crate::score::Score;

/// Tokens that are scored in one go, at most: enough to keep all cores busy with short windows.
const BATCH_TOKENS: usize = 1 << 16;

/// Items of a batch, at most: what waits in memory.
const BATCH_ITEMS: usize = 2048;

/// A batch of about this long loses little where the process is killed, and hardly waits for its slowest window.
const BATCH_TIME: Duration = Duration::from_secs(2);

/// How long what was met may wait for others to be kept together.
const PATIENCE: Duration = Duration::from_millis(200);

/// Batches of documents that reading may run ahead.
const BATCHES_AHEAD: usize = 2;

/// What was measured on the windows of a batch that had no scores, in its order.
pub(super) type Scores = std::vec::IntoIter<Result<Measurement>>;

/// Takes what was read, in the order of the corpus, with its scores.
pub(super) trait Sink {
    /// The next item; its windows without a score take the next ones of `scores`, which were computed on `rows`.
    fn take(&mut self, item: Item, scores: &mut Scores, rows: Rows) -> Result<()>;

    /// What was taken is kept now. Tells on which rows the windows of later batches are scored, where that changes, or that
    /// no more is wanted.
    fn keep(&mut self) -> Result<ControlFlow<(), Option<Rows>>>;
}

/// Reads ahead and gives everything to `take`, one batch of reading at a time or, where none comes for a while, none.
pub(super) fn read_ahead(
    reading: &Reading,
    mut take: impl FnMut(Vec<Item>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    let flow = thread::scope(|scope| {
        let reader = thread::Builder::new().name("longattn-read".to_owned());
        let spawned = reader.spawn_scoped(scope, move || reading.run(&sender));
        spawned.map_err(|cause| Error::io("start a thread", cause))?;
        // Where this ends early, the reader must not wait for room: the receiver goes with it.
        receive(receiver, reading.cancel, &mut take)
    })?;
    reading.cancel.check()?;
    Ok(flow)
}

fn receive(
    items: Receiver<Vec<Item>>,
    cancel: &Cancel,
    take: &mut impl FnMut(Vec<Item>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    loop {
        cancel.check()?;
        let batch = match items.recv_timeout(PATIENCE) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return Ok(ControlFlow::Continue(())),
        };
        if take(batch)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// Scores in batches.
pub(super) struct Batches<'a> {
    scorer: &'a Scorer,
    rows: Rows,
    columns: Asked<'a>,
    observer: &'a dyn Observer,
    cancel: &'a Cancel,
    progress: Progress,
    items: Vec<Item>,
    tokens: usize,
    most_tokens: usize,
    since: Instant,
    throughput: Throughput,
}

impl<'a> Batches<'a> {
    /// Windows are scored on `rows` first. It fails where a column is asked for that the package cannot predict.
    pub fn new(scorer: &'a Scorer, reading: &Reading<'a>, rows: Rows, observer: &'a dyn Observer) -> Result<Self> {
        Ok(Self {
            scorer,
            rows,
            columns: Asked::new(scorer, &reading.config.columns)?,
            observer,
            cancel: reading.cancel,
            progress: Progress { total: reading.corpus.total_bytes(), ..Progress::default() },
            items: Vec::new(),
            tokens: 0,
            most_tokens: BATCH_TOKENS,
            since: Instant::now(),
            throughput: Throughput::default(),
        })
    }

    /// Reads and scores everything, gives it to `sink`, and tells what it took.
    pub fn run(mut self, reading: &Reading, sink: &mut dyn Sink) -> Result<Throughput> {
        let begun = Instant::now();
        let flow = read_ahead(reading, |items| {
            for item in items {
                if self.add(item, sink)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            match self.since.elapsed() >= PATIENCE {
                true => self.score(sink),
                false => Ok(ControlFlow::Continue(())),
            }
        })?;
        if flow.is_continue() {
            _ = self.score(sink)?;
        }
        let bytes = reading.corpus.total_bytes().unwrap_or(self.progress.done);
        Ok(Throughput { reading: StageWork::since(begun, bytes), ..self.throughput })
    }

    fn add(&mut self, item: Item, sink: &mut dyn Sink) -> Result<ControlFlow<()>> {
        self.tokens += unscored(&item).map(|window| window.ids.len()).sum::<usize>();
        self.items.push(item);
        let is_full = self.tokens >= self.most_tokens || self.items.len() >= BATCH_ITEMS;
        if is_full { self.score(sink) } else { Ok(ControlFlow::Continue(())) }
    }

    fn score(&mut self, sink: &mut dyn Sink) -> Result<ControlFlow<()>> {
        self.tokens = 0;
        let items = std::mem::take(&mut self.items);
        let mut scores = self.scores(&items).into_iter();
        for item in items {
            self.progress.done = item.read().unwrap_or(self.progress.done);
            if let Err(error) = sink.take(item, &mut scores, self.rows) {
                // What came before it is still worth its score; of two errors the first tells more.
                _ = sink.keep();
                return Err(error);
            }
        }
        self.observer.progress(&self.progress);
        let flow = sink.keep()?;
        self.since = Instant::now();
        Ok(match flow {
            ControlFlow::Continue(rows) => {
                self.rows = rows.unwrap_or(self.rows);
                ControlFlow::Continue(())
            }
            ControlFlow::Break(()) => ControlFlow::Break(()),
        })
    }

    fn scores(&mut self, items: &[Item]) -> Vec<Result<Measurement>> {
        let windows: Vec<_> = items.iter().flat_map(unscored).collect();
        if windows.is_empty() {
            return Vec::new();
        }
        let begun = Instant::now();
        let measured = |window: &Unscored, score: Result<Option<Score>>, columns: Result<Columns>| {
            let score = score?;
            let columns = self.columns.of_score(score.as_ref(), columns?);
            let token_count = score.as_ref().map_or(window.ids.len(), |score| score.token_count);
            Ok(Measurement { token_count, score, columns })
        };
        let found = self.attention_scores(&windows).into_iter().zip(self.columns(&windows));
        let found = windows.iter().zip(found);
        let scores: Vec<_> = found.map(|(window, (score, columns))| measured(window, score, columns)).collect();
        let tokens: u64 = scores.iter().flatten().map(|measured| measured.token_count as u64).sum();
        self.progress.windows += scores.len() as u64;
        self.progress.tokens += tokens;
        self.throughput.scoring.seconds += begun.elapsed().as_secs_f64();
        self.throughput.scoring.amount += tokens;
        let rate = tokens as f64 / begun.elapsed().as_secs_f64().max(1e-6);
        self.most_tokens = ((rate * BATCH_TIME.as_secs_f64()) as usize).clamp(1, BATCH_TOKENS);
        scores
    }

    /// The columns of windows, on all threads of the scorer.
    fn columns(&self, windows: &[Unscored]) -> Vec<Result<Columns>> {
        let of_window = |window: &Unscored| columns(&self.columns.computed, window.text, window.ids);
        if self.columns.computed.is_empty() {
            return windows.iter().map(|_| Ok(Columns::default())).collect();
        }
        match self.scorer.in_pool(|| windows.par_iter().with_max_len(1).map(of_window).collect::<Vec<_>>()) {
            Ok(columns) => columns.into_iter().map(Ok).collect(),
            Err(error) => windows.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// What the model says of windows, where there is one.
    fn attention_scores(&self, windows: &[Unscored]) -> Vec<Result<Option<Score>>> {
        if !self.scorer.has_model() {
            return windows.iter().map(|_| Ok(None)).collect();
        }
        let inputs: Vec<_> = windows.iter().map(|window| Input::Tokens(window.ids)).collect();
        let before = self.progress;
        let tell = |scored: model::Progress| {
            let (windows, tokens) = (before.windows + scored.windows as u64, before.tokens + scored.tokens);
            self.observer.progress(&Progress { windows, tokens, ..before });
        };
        let scores = self.scorer.score_many_on(self.rows, &inputs, self.cancel, tell);
        scores.into_iter().map(|score| score.map(Some)).collect()
    }
}

/// The columns that are asked for, and what they take.
struct Asked<'a> {
    asked: &'a BTreeSet<Column>,
    /// Those and the ones that a prediction is made from.
    computed: BTreeSet<Column>,
    /// By which gains are predicted, where they are asked for.
    fitted_score: Option<&'a PackagedFittedScore>,
}

impl<'a> Asked<'a> {
    fn new(scorer: &'a Scorer, asked: &'a BTreeSet<Column>) -> Result<Self> {
        let is_predicted = asked.iter().any(|column| column.is_predicted());
        let fitted_score = is_predicted.then(|| scorer.fitted_score()).transpose()?;
        let mut computed = asked.clone();
        computed.extend(fitted_score.iter().flat_map(|fitted| fitted.fitted_score.columns()));
        Ok(Self { asked, computed, fitted_score })
    }

    /// The columns that are asked for, of all that were computed. A prediction comes with its error.
    fn of_score(&self, score: Option<&Score>, mut computed: Columns) -> Columns {
        let predicted = self.fitted_score.zip(score).and_then(|(fitted, score)| fitted.predict(score, &computed));
        computed.0.retain(|column, _| self.asked.contains(column));
        if let Some(PredictedGain { gain, error }) = predicted {
            computed.0.extend([(Column::PredictedGain, gain), (Column::PredictedGainError, error)]);
        }
        computed
    }
}

/// Whether an error would befall every other window too.
pub(super) fn is_fatal(error: &Error, unit: Unit) -> bool {
    // Windows are of one length, records are not.
    let is_of_one_record = error.kind() == ErrorKind::MemoryLimit && unit != Unit::Windows;
    FATAL.contains(&error.kind()) && !is_of_one_record
}

/// A window that has no score.
struct Unscored<'a> {
    ids: &'a [u32],
    /// None where its record has token ids alone.
    text: Option<&'a str>,
}

/// The windows of an item that have no score.
fn unscored(item: &Item) -> impl Iterator<Item = Unscored<'_>> {
    let (windows, text) = match item {
        Item::Document(document) => (document.windows.as_slice(), document.record.text.as_deref()),
        _ => (&[][..], None),
    };
    windows.iter().filter_map(move |window| match &window.content {
        Content::Tokens { ids, bytes, .. } => {
            let text = text.and_then(|text| text.get(bytes.start as usize..bytes.end as usize));
            Some(Unscored { ids, text: text.filter(|text| !text.is_empty()) })
        }
        Content::Known(_) => None,
    })
}
