//! From records to scores: reading and tokenising run ahead of scoring on a thread of their own.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use longattn::corpus::{Record, Reject, Rejects};
use longattn::model::{Input, Scorer};
use longattn::score::Score;
use longattn::tokenizer::Tokens;
use longattn::{Error, ErrorKind, Result};

use crate::progress::{self, INTERRUPT, Progress};

/// Tokens that are scored in one go, enough to keep all cores busy with short windows.
const BATCH_TOKENS: usize = 1 << 16;

/// Batches that reading may run ahead of scoring.
const BATCHES_AHEAD: usize = 2;

/// A document and its tokens.
pub struct Document {
    pub record: Record,
    pub tokens: Tokens,
}

impl Document {
    /// The text that the tokens stand for.
    pub fn text(&self) -> &str {
        self.record.text.as_deref().unwrap_or_default()
    }

    /// Splits a record's text into tokens.
    pub fn new(record: Record, tokenize: impl Fn(&str) -> Result<Tokens>) -> Result<Self, Reject> {
        let tokens = match &record.text {
            Some(text) => tokenize(text).map_err(|error| error.to_string()),
            None => Err("no text: windows are cut from text, and token_ids are for `score`".to_owned()),
        };
        match tokens {
            Ok(tokens) => Ok(Self { record, tokens }),
            Err(reason) => Err(reject(&record, reason)),
        }
    }
}

/// A record that cannot be used. Its text is still in the corpus, where the reject says.
pub fn reject(record: &Record, reason: String) -> Reject {
    Reject { place: record.place.clone(), id: Some(record.id.clone()), reason, record: String::new() }
}

/// What reading makes of the corpus, in its order.
pub enum Item<Window> {
    /// A window to score, its token ids, and the bytes of the inputs read up to it.
    Window { window: Window, token_ids: Vec<u32>, bytes: u64 },
    /// All windows of a document have been given; this was their number.
    Document { windows: usize },
    /// A record that cannot be used.
    Reject(Reject),
}

impl<Window> Item<Window> {
    fn tokens(&self) -> usize {
        match self {
            // Even an empty window costs something.
            Self::Window { token_ids, .. } => token_ids.len().max(1),
            _ => 0,
        }
    }
}

/// What became of documents and windows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub windowed: u64,
    pub too_short: u64,
    pub rejected: u64,
    pub windows: u64,
    pub rejected_windows: u64,
}

impl Summary {
    /// Counts a document by the number of its windows.
    pub fn count_document(&mut self, windows: usize) {
        self.windows += windows as u64;
        *(if windows == 0 { &mut self.too_short } else { &mut self.windowed }) += 1;
    }

    /// The documents' line of the balance.
    pub fn documents(&self) -> String {
        let Self { windowed, too_short, rejected, .. } = self;
        let all = progress::count(windowed + too_short + rejected, "document");
        format!("{all} = {windowed} cut into windows + {too_short} too short + {rejected} rejected")
    }
}

/// Scores all windows in order, and gives each with its token ids and its score to `write`. Bad records and windows go to the rejects.
pub fn score_all<Window: Send>(
    scorer: &Scorer,
    items: impl Iterator<Item = Result<Item<Window>>> + Send,
    progress: &mut Progress,
    rejects: &mut Rejects,
    name: impl Fn(&Window, String) -> Reject,
    mut write: impl FnMut(&Window, &[u32], &Score) -> Result<ControlFlow<()>>,
) -> Result<Summary> {
    let mut summary = Summary::default();
    let mut failure = None;
    read_ahead(items, |batches| {
        for batch in batches {
            let batch = batch?;
            let windows = batch.iter().filter_map(|item| match item {
                Item::Window { token_ids, .. } => Some(Input::Tokens(token_ids)),
                _ => None,
            });
            let mut scores = scorer.score_many(&windows.collect::<Vec<_>>(), &INTERRUPT, |_| {}).into_iter();
            for item in batch {
                match item {
                    Item::Document { windows } => summary.count_document(windows),
                    Item::Reject(reject) => {
                        summary.rejected += 1;
                        rejects.write(&reject)?;
                    }
                    Item::Window { window, token_ids, bytes } => {
                        match scores.next().expect("a score for every window") {
                            Ok(score) => {
                                if write(&window, &token_ids, &score)?.is_break() {
                                    return Ok(());
                                }
                            }
                            Err(error) if is_fatal(&error) => return Err(error),
                            Err(error) => {
                                summary.rejected_windows += 1;
                                rejects.write(&name(&window, error.to_string()))?;
                                failure.get_or_insert(error);
                            }
                        }
                        progress.scored(token_ids.len(), bytes);
                    }
                }
            }
            INTERRUPT.check()?;
        }
        Ok(())
    })?;
    progress.finish();
    Ok(summary)
}

/// Whether an error would befall every other window too.
fn is_fatal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Runtime | ErrorKind::Cancelled | ErrorKind::Internal | ErrorKind::InvalidSetting)
}

/// Runs an iterator of items on a thread of its own, in batches of about [`BATCH_TOKENS`].
fn read_ahead<Window: Send, Output>(
    items: impl Iterator<Item = Result<Item<Window>>> + Send,
    consume: impl FnOnce(Receiver<Result<Vec<Item<Window>>>>) -> Output,
) -> Output {
    let (sender, receiver) = sync_channel(BATCHES_AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut batch, mut tokens) = (Vec::new(), 0);
            for item in items {
                match item {
                    Ok(item) => {
                        tokens += item.tokens();
                        batch.push(item);
                    }
                    // What came before the error is still worth its score.
                    Err(error) => {
                        _ = sender.send(Ok(std::mem::take(&mut batch)));
                        _ = sender.send(Err(error));
                        return;
                    }
                }
                if tokens >= BATCH_TOKENS {
                    tokens = 0;
                    if sender.send(Ok(std::mem::take(&mut batch))).is_err() {
                        return;
                    }
                }
            }
            _ = sender.send(Ok(batch));
        });
        consume(receiver)
    })
}

/// Says where the rejects are, if there are any.
pub fn tell_rejects(rejects: &Rejects, path: &Path) {
    if rejects.count() > 0 {
        eprintln!("{} in {}, each with its reason", progress::count(rejects.count(), "reject"), path.display());
    }
}
